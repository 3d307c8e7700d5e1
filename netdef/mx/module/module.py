"""MXNet's Module: training and prediction with one symbol."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from netdef.diag import MXNetError
from netdef.mx import optimizer as opt
from netdef.mx.checkpoint import Params, load_checkpoint, save_checkpoint
from netdef.mx.io import DataDesc
from netdef.mx.kvstore import load_states, save_states
from netdef.mx.module.base import DEFAULT_INITIALIZER, BaseModule
from netdef.mx.module.binding import Binding, gradient_requests
from netdef.mx.module.checks import (
    batch_size,
    check_input_names,
    check_kvstore,
    describe,
    match_names,
    names_of,
    one_device,
    require,
)
from netdef.mx.module.parameters import check_extra, create_optimizer, fill
from netdef.mx.ndarray import NDArray
from netdef.mx.symbol import Symbol


class Module(BaseModule):
    """Trains and runs one symbol.

    Arguments of the symbol that are in none of `data_names`, `label_names` and `state_names` are its
    parameters; those in `fixed_param_names` are not trained.  States are inputs that do not come with
    batches: `set_states` sets them, and they are 0 at first.  Label names that are no arguments are warned
    about, other wrong names raise `ValueError`.  `context` is one device, or a list of one; a list of CPU
    contexts counts as one, too.  `work_load_list` is there for MXNet's sake.
    """

    def __init__(
        self,
        symbol: Symbol,
        data_names: Sequence[str] | None = ("data",),
        label_names: Sequence[str] | None = ("softmax_label",),
        logger: Any = logging,
        context: Any = None,
        work_load_list: Any = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Any = None,
    ) -> None:
        super().__init__(logger)
        for name, given in (("group2ctxs", group2ctxs), ("compression_params", compression_params)):
            if given is not None:
                raise MXNetError(f"{name} is for several devices; a module computes on one")
        if not isinstance(symbol, Symbol):
            raise TypeError(f"symbol must be a Symbol, not {type(symbol).__name__}")
        self._context = one_device(context, work_load_list)
        self._symbol = symbol
        self._data_names = names_of(data_names, "data")
        self._label_names = names_of(label_names, "label")
        self._state_names = names_of(state_names, "state")
        self._fixed_names = names_of(fixed_param_names, "fixed_param")
        check_input_names(symbol, self._data_names, "data", True)
        check_input_names(symbol, self._label_names, "label", False)
        check_input_names(symbol, self._state_names, "state", True)
        check_input_names(symbol, self._fixed_names, "fixed_param", True)
        inputs = {*self._data_names, *self._label_names, *self._state_names}
        self._param_names = [name for name in symbol.list_arguments() if name not in inputs]
        self._output_names = symbol.list_outputs()
        self._binding: Binding | None = None
        #: what `load` read, until it is bound
        self._loaded: tuple[Params, Params] | None = None
        self._loaded_states: str | None = None
        self._optimizer: Any = None
        self._updater: Any = None
        #: the number under which the optimizer knows a parameter
        self._numbers: dict[str, int] = {}

    @staticmethod
    def load(prefix: str, epoch: int, load_optimizer_states: bool = False, **kwargs: Any) -> Module:
        """The module of a checkpoint; `kwargs` go to `Module`.

        The optimizer's states, if wanted, are read by `init_optimizer`.  Raises `MXNetError` for files that
        are missing or damaged.
        """
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        module = Module(symbol, **kwargs)
        module._loaded = (arg_params, aux_params)
        module.params_initialized = True
        if load_optimizer_states:
            module._loaded_states = f"{prefix}-{epoch:04d}.states"
        return module

    def save_checkpoint(
        self, prefix: str, epoch: int, save_optimizer_states: bool = False, remove_amp_cast: bool = True
    ) -> None:
        """Write symbol and parameters to `<prefix>-symbol.json` and `<prefix>-<epoch>.params`.

        The optimizer's states, if wanted, go to `<prefix>-<epoch>.states`.
        """
        save_checkpoint(prefix, epoch, self._symbol, *self.get_params(), remove_amp_cast)
        if save_optimizer_states:
            path = f"{prefix}-{epoch:04d}.states"
            self.save_optimizer_states(path)
            logging.info('Saved optimizer state to "%s"', path)

    # -- what a module tells --

    @property
    def data_names(self) -> list[str]:
        return self._data_names

    @property
    def label_names(self) -> list[str]:
        """The names of the labels."""
        return self._label_names

    @property
    def output_names(self) -> list[str]:
        return self._output_names

    @property
    def data_shapes(self) -> list[DataDesc]:
        return self._now().data

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        return self._now().label

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        executor = self._now().executor
        shapes = {name: array.shape for name, array in executor.arg_dict.items()}
        return list(zip(self._output_names, self._symbol.infer_shape(**shapes)[1]))

    def _now(self) -> Binding:
        """The binding; raises `MXNetError` before `bind`."""
        require(self._binding is not None, "call bind first, then init_params")
        return self._binding  # type: ignore[return-value]

    # -- binding --

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Module | None = None,
        grad_req: Any = "write",
    ) -> None:
        """Allocate arrays and an executor for batches of these shapes.

        Shapes are `DataDesc`s or (name, shape) pairs.  What is bound stays so unless `force_rebind`, which
        keeps the parameters.  With `shared_module` the parameters are those of another bound module.
        `grad_req` (write, add or null) holds for all parameters, or for each in a list or dict of arguments.
        Raises `ValueError` for names that are not `data_names`, `MXNetError` where shapes do not fit.
        """
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        require(for_training or not inputs_need_grad, "inputs_need_grad needs for_training=True")
        data = describe(data_shapes, "data")
        label = None if label_shapes is None else describe(label_shapes, "label")
        match_names(self._data_names, data, "data", True)
        if label or (for_training and self._used(self._label_names)):
            match_names(self._label_names, label or (), "label", False)
        shared = self._binding if self.params_initialized else None
        if shared_module is not None:
            require(isinstance(shared_module, Module), "shared_module must be a Module")
            shared_module._require_params()
            shared = shared_module._binding
        inputs = self._data_names if inputs_need_grad else ()
        requests = gradient_requests(self._symbol, grad_req, self._param_names, inputs, self._fixed_names)
        if not for_training:
            requests = dict.fromkeys(requests, "null")
        targets = self._used(self._label_names)
        binding = Binding(self._symbol, self._context, self._param_names, targets, requests, shared)
        binding.bind(data, label)
        self._binding = binding
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad
        if shared_module is not None:
            self.params_initialized = True
            if shared_module.optimizer_initialized:
                self.borrow_optimizer(shared_module)
        elif self._loaded is not None:
            loaded, self._loaded = self._loaded, None
            self.set_params(*loaded)

    def _used(self, names: Sequence[str]) -> list[str]:
        """Those that the symbol has."""
        arguments = self._symbol.list_arguments()
        return [name for name in names if name in arguments]

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """Get ready for batches of other shapes; parameters and optimizer stay as they are."""
        binding = self._now()
        data = describe(data_shapes, "data")
        match_names(self._data_names, data, "data", True)
        binding.bind(data, None if label_shapes is None else describe(label_shapes, "label"))

    # -- parameters --

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters the values in `arg_params` and `aux_params`, or those of the initializer.

        Where such a dict is given it must have all parameters unless `allow_missing`: `RuntimeError` names
        the first that it lacks.  Names that are no parameters are ignored with a warning unless
        `allow_extra`.  Parameters that have values keep them, with a warning, unless `force_init`.
        """
        if self.params_initialized and not force_init:
            warnings.warn(
                "parameters have values already; init_params does nothing unless force_init", stacklevel=2
            )
            return
        require(self.binded, "call bind before initializing the parameters")
        if not allow_extra:
            self._check_extra(arg_params, aux_params, False)
        binding, attributes = self._now(), self._symbol.attr_dict()
        fill(binding.params, arg_params, initializer, attributes, allow_missing)
        fill(binding.auxiliary, aux_params, initializer, attributes, allow_missing)
        self.params_initialized = True

    def set_params(
        self,
        arg_params: Mapping[str, NDArray] | None,
        aux_params: Mapping[str, NDArray] | None,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters these values; with `allow_missing`, others keep theirs.

        Names that are no parameters are ignored with `allow_extra`.  Else they are warned about, and with
        `allow_missing` refused with `ValueError`, since then nothing else would tell a misspelled name.
        """
        if self.binded and allow_missing and not allow_extra:
            self._check_extra(arg_params, aux_params, True)
        super().set_params(arg_params, aux_params, allow_missing, force_init, allow_extra)

    def _check_extra(self, arg_params: Any, aux_params: Any, refuse: bool) -> None:
        binding = self._now()
        check_extra(binding.params, arg_params or (), refuse)
        check_extra(binding.auxiliary, aux_params or (), refuse)

    def get_params(self) -> tuple[Params, Params]:
        self._require_params()
        binding = self._now()
        arguments, states = (
            {name: NDArray(array.asnumpy()) for name, array in held.items()}
            for held in (binding.params, binding.auxiliary)
        )
        return arguments, states

    # -- the optimizer --

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Set up an optimizer, given by name with its parameters (a dict or pairs) or as an instance.

        The gradients of one by name are divided by the batch size unless its parameters have a
        `rescale_grad`.  `kvstore` is None or a store of one machine, which one device does not need.
        """
        self._require_params()
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        check_kvstore(kvstore)
        samples = batch_size(self._now().data)
        made = create_optimizer(optimizer, optimizer_params, self._symbol, self._param_names, samples)
        self._optimizer, self._updater = made, opt.get_updater(made)
        self._numbers = {name: number for number, name in enumerate(self._param_names)}
        self.optimizer_initialized = True
        if self._loaded_states is not None:
            path, self._loaded_states = self._loaded_states, None
            self.load_optimizer_states(path)

    def borrow_optimizer(self, shared_module: Module) -> None:
        """Use the optimizer of a module that has the same parameters, together with it."""
        require(shared_module.optimizer_initialized, "the shared module has no optimizer to borrow")
        self._optimizer, self._updater = shared_module._optimizer, shared_module._updater
        self._numbers = shared_module._numbers
        self.optimizer_initialized = True

    def save_optimizer_states(self, fname: str) -> None:
        """Write the optimizer's states to a file; raises `MXNetError` where that fails."""
        require(self.optimizer_initialized, "call init_optimizer before its states are saved")
        save_states(self._updater, fname)

    def load_optimizer_states(self, fname: str) -> None:
        """Take the optimizer's states over from a file; raises `MXNetError` where that fails."""
        require(self.optimizer_initialized, "call init_optimizer before its states are loaded")
        load_states(self._updater, fname)

    def update(self) -> None:
        self._require_params()
        require(self.optimizer_initialized, "call init_optimizer before update")
        binding, numbers = self._now(), self._numbers
        names = list(binding.gradients)
        self._updater(
            [numbers[name] for name in names],
            list(binding.gradients.values()),
            [binding.params[name] for name in names],
        )

    # -- computation --

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs of a batch, whose shapes may differ from those before.

        A batch has `data` and, unless there are no labels, `label`, as a `DataBatch` has.  `is_train` is
        `for_training` unless given.  Raises `MXNetError` where the batch has not the arrays that the module
        is bound for, or where parameters would need other shapes.
        """
        self._require_params()
        train = self.for_training if is_train is None else bool(is_train)
        if not hasattr(data_batch, "data"):
            raise TypeError(f"a batch must be like mx.io.DataBatch, not {type(data_batch).__name__}")
        self._now().forward(data_batch.data, getattr(data_batch, "label", None) or (), train)

    def backward(self, out_grads: Any = None) -> None:
        self._require_params()
        require(self.for_training, "re-bind with for_training=True to run backward")
        self._now().backward(out_grads)

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        self._require_params()
        return _per_device(self._now().executor.outputs, merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        self._require_params()
        require(self.inputs_need_grad, "bind with inputs_need_grad=True to get the gradients of inputs")
        gradients = self._now().executor.grad_dict
        return _per_device([gradients[name] for name in self._data_names], merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        names = [each.name for each in self._now().labels] or self._label_names
        listed = (labels[0] if pre_sliced else labels) or ()
        eval_metric.update_dict(dict(zip(names, listed)), dict(zip(self._output_names, self.get_outputs())))

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The arrays of the states."""
        self._require_params()
        held = self._now().executor.arg_dict
        return _per_device([held[name] for name in self._state_names], merge_multi_context)

    def set_states(self, states: Any = None, value: float | None = None) -> None:
        """Set the states to arrays, as `get_states` gives them, or all to one number."""
        self._require_params()
        require((states is None) != (value is None), "give either states or value")
        held = [self._now().executor.arg_dict[name] for name in self._state_names]
        values = [value] * len(held) if states is None else states
        if len(values) != len(held):
            raise MXNetError(f"{len(values)} states are given for {', '.join(self._state_names) or 'none'}")
        for array, given in zip(held, values):
            array[:] = given[0] if isinstance(given, (list, tuple)) else given

    def install_monitor(self, mon: Any) -> None:
        """Let a `Monitor` watch the executor, also after shapes have changed."""
        self._now().watch(mon)


def _per_device(arrays: Sequence[Any], merge: bool) -> list[Any]:
    """The arrays, or each in a list of its own: that of the only device."""
    return list(arrays) if merge else [[array] for array in arrays]
