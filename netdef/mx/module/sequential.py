"""MXNet's SequentialModule: modules whose outputs are the inputs of the next."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from netdef.diag import MXNetError, did_you_mean
from netdef.mx.checkpoint import Params
from netdef.mx.io import DataBatch, DataDesc
from netdef.mx.module.base import DEFAULT_INITIALIZER, BaseModule
from netdef.mx.module.checks import describe, require
from netdef.mx.module.parameters import check_extra
from netdef.mx.ndarray import NDArray


class SequentialModule(BaseModule):
    """A chain of modules, put together by `add`."""

    META_TAKE_LABELS = "take_labels"
    META_AUTO_WIRING = "auto_wiring"

    def __init__(self, logger: Any = logging) -> None:
        super().__init__(logger)
        self._modules: list[BaseModule] = []
        self._metas: list[dict[str, Any]] = []
        self._label_shapes: Any = None

    def add(self, module: BaseModule, **kwargs: Any) -> SequentialModule:
        """Put a module at the end of the chain; returns the chain, which must be bound anew.

        With `take_labels=True` it gets the labels of batches, with `auto_wiring=True` its inputs may have
        other names than the outputs before it, and are taken in order.
        """
        legal = (self.META_TAKE_LABELS, self.META_AUTO_WIRING)
        for name in kwargs:
            require(name in legal, f"add has no option {name}; {did_you_mean(name, legal)}")
        self._modules.append(module)
        self._metas.append(kwargs)
        self.binded = self.params_initialized = self.optimizer_initialized = False
        return self

    def _taking_labels(self) -> list[BaseModule]:
        return [m for m, meta in zip(self._modules, self._metas) if meta.get(self.META_TAKE_LABELS)]

    def _require_modules(self) -> None:
        require(bool(self._modules), "the SequentialModule is empty; add modules to it")

    @property
    def data_names(self) -> Sequence[str]:
        return self._modules[0].data_names if self._modules else []

    @property
    def output_names(self) -> Sequence[str]:
        return self._modules[-1].output_names if self._modules else []

    @property
    def data_shapes(self) -> Sequence[DataDesc]:
        require(self.binded, "call bind first: it says what the shapes are")
        return self._modules[0].data_shapes

    @property
    def label_shapes(self) -> Any:
        require(self.binded, "call bind first: it says what the shapes are")
        return self._label_shapes

    @property
    def output_shapes(self) -> Sequence[tuple[str, tuple[int, ...]]]:
        require(self.binded, "call bind first: it says what the shapes are")
        return self._modules[-1].output_shapes

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Bind all modules, each for the outputs of the one before it."""
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        require(for_training or not inputs_need_grad, "inputs_need_grad needs for_training=True")
        require(shared_module is None, "a SequentialModule has no shared_module")
        self._require_modules()
        shapes: Any = describe(data_shapes, "data")
        for number, (module, meta) in enumerate(zip(self._modules, self._metas)):
            if meta.get(self.META_AUTO_WIRING):
                shapes = _wired(module, shapes)
            module.bind(
                shapes,
                label_shapes if meta.get(self.META_TAKE_LABELS) else None,
                for_training,
                bool(inputs_need_grad or (for_training and number > 0)),
                force_rebind,
                None,
                grad_req,
            )
            shapes = module.output_shapes
        self._label_shapes = label_shapes if self._taking_labels() else None
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """As `Module.init_params`, for all modules; names that two of them use raise `ModuleError`."""
        if self.params_initialized and not force_init:
            return
        require(self.binded, "call bind before initializing the parameters")
        for module in self._modules:
            module.init_params(initializer, arg_params, aux_params, allow_missing, force_init, True)
        owners: dict[str, int] = {}
        for number, module in enumerate(self._modules):
            for name in (name for held in module.get_params() for name in held):
                first = owners.setdefault(name, number)
                require(first == number, f"modules {first} and {number} both have a parameter {name}")
        if not allow_extra:
            check_extra(owners, {**(arg_params or {}), **(aux_params or {})}, False)
        self.params_initialized = True

    def get_params(self) -> tuple[Params, Params]:
        self._require_params()
        arguments: Params = {}
        states: Params = {}
        for module in self._modules:
            mine, auxiliary = module.get_params()
            arguments.update(mine)
            states.update(auxiliary)
        return arguments, states

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """As `Module.init_optimizer`, for each module."""
        self._require_params()
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        for module in self._modules:
            module.init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        self.optimizer_initialized = True

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        self._require_params()
        batch = data_batch
        for module, following in zip(self._modules, [*self._modules[1:], None]):
            module.forward(batch, is_train)
            if following is not None:
                outputs = module.get_outputs()
                provided = [DataDesc(name, out.shape) for name, out in zip(following.data_names, outputs)]
                batch = DataBatch(
                    outputs,
                    data_batch.label,
                    data_batch.pad,
                    data_batch.index,
                    data_batch.bucket_key,
                    provided,
                    data_batch.provide_label,
                )

    def backward(self, out_grads: Any = None) -> None:
        self._require_params()
        for number in reversed(range(len(self._modules))):
            self._modules[number].backward(out_grads)
            if number:
                out_grads = self._modules[number].get_input_grads()

    def update(self) -> None:
        self._require_params()
        require(self.optimizer_initialized, "call init_optimizer before update")
        for module in self._modules:
            module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        self._require_params()
        return self._modules[-1].get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        self._require_params()
        require(self.inputs_need_grad, "bind with inputs_need_grad=True to get the gradients of inputs")
        return self._modules[0].get_input_grads(merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        self._require_params()
        for module in self._taking_labels():
            module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a `Monitor` watch all modules."""
        require(self.binded, "call bind before install_monitor")
        for module in self._modules:
            module.install_monitor(mon)


def _wired(module: BaseModule, shapes: Sequence[Any]) -> list[DataDesc]:
    """The outputs before a module under the names of its inputs."""
    described, names = describe(shapes, "data"), module.data_names
    if len(described) != len(names):
        told = f"{len(described)} outputs for the inputs {', '.join(names)}"
        raise MXNetError(f"auto_wiring needs as many inputs as outputs before them: {told}")
    return [DataDesc(name, each.shape, each.dtype, each.layout) for name, each in zip(names, described)]
