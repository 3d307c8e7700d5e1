"""MXNet's BucketingModule: one net in several sizes, which share their parameters."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx import ndarray, symbol
from netdef.mx.checkpoint import Params, load_params, params_file
from netdef.mx.io import DataDesc
from netdef.mx.module.base import DEFAULT_INITIALIZER, BaseModule
from netdef.mx.module.checks import require
from netdef.mx.module.module import Module
from netdef.mx.ndarray import NDArray


class BucketingModule(BaseModule):
    """A module for each bucket, such as each length of sequences, over the same parameters.

    `sym_gen(bucket_key)` gives the symbol of a bucket with its data names and label names.  A batch says by
    its `bucket_key` to which bucket it belongs, and by `provide_data` and `provide_label` what its shapes
    are.  The bucket `default_bucket_key` is bound first and must have all parameters.  Other arguments are
    those of `Module`.
    """

    def __init__(
        self,
        sym_gen: Callable[[Any], tuple[Any, Sequence[str], Sequence[str]]],
        default_bucket_key: Any = None,
        logger: Any = logging,
        context: Any = None,
        work_load_list: Any = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Any = None,
    ) -> None:
        super().__init__(logger)
        require(default_bucket_key is not None, "BucketingModule needs a default_bucket_key")
        self._sym_gen, self._default_key = sym_gen, default_bucket_key
        self._options = {
            "logger": logger,
            "context": context,
            "work_load_list": work_load_list,
            "fixed_param_names": fixed_param_names,
            "state_names": state_names,
            "group2ctxs": group2ctxs,
            "compression_params": compression_params,
        }
        self._buckets: dict[Any, Module] = {}
        #: shows wrong names at once, and answers what is asked before `bind`
        self._unbound = self._generate(default_bucket_key)
        self._curr_module, self._curr_bucket_key = self._unbound, default_bucket_key
        self._loaded: tuple[Params, Params] | None = None
        self._bound_as: dict[str, Any] = {}
        self._monitors: list[Any] = []

    def _generate(self, key: Any) -> Module:
        made = self._sym_gen(key)
        if not isinstance(made, (tuple, list)) or len(made) != 3:
            raise ValueError(f"sym_gen({key!r}) gave {made!r}; it must give symbol, data names, label names")
        return Module(made[0], made[1], made[2], **self._options)

    @staticmethod
    def load(
        prefix: str,
        epoch: int,
        sym_gen: Callable[[Any], Any] | None = None,
        default_bucket_key: Any = None,
        **kwargs: Any,
    ) -> BucketingModule:
        """The module that `save_checkpoint` saved, with the symbols of its buckets.

        `sym_gen` gives the names of their inputs, and further buckets.  Raises `MXNetError` for files that
        are missing or damaged.
        """
        keys = ndarray.load(f"{prefix}.buckets")
        if not isinstance(keys, list) or len(keys) != 1 or keys[0].ndim != 1:
            raise MXNetError(f"{prefix}.buckets does not hold one list of bucket keys")
        symbols = {
            int(key): symbol.load(f"{prefix}-{int(key)}-symbol.json") for key in keys[0].asnumpy().tolist()
        }
        arguments, states = load_params(prefix, epoch)
        return BucketingModule.load_dict(symbols, sym_gen, default_bucket_key, arguments, states, **kwargs)

    @staticmethod
    def load_dict(
        sym_dict: Mapping[Any, Any] | None = None,
        sym_gen: Callable[[Any], Any] | None = None,
        default_bucket_key: Any = None,
        arg_params: Params | None = None,
        aux_params: Params | None = None,
        **kwargs: Any,
    ) -> BucketingModule:
        """A module with the symbols in `sym_dict` for their buckets, and with these parameters."""
        require(sym_gen is not None, "sym_gen is required for loading BucketingModule")
        require(arg_params is not None and aux_params is not None, "arg_params and aux_params are required")
        symbols = dict(sym_dict or {})

        def generate(key: Any) -> Any:
            made = sym_gen(key)  # type: ignore[misc]
            return (symbols[key], *made[1:]) if key in symbols else made

        module = BucketingModule(generate, default_bucket_key, **kwargs)
        module._loaded = (arg_params or {}, aux_params or {})
        module.params_initialized = True
        return module

    def save_checkpoint(self, prefix: str, epoch: int, remove_amp_cast: bool = False) -> None:
        """Write the parameters, the symbol of each bucket used so far, and the list of these buckets.

        The files are `<prefix>-<epoch>.params`, `<prefix>-<key>-symbol.json` and `<prefix>.buckets`.  Raises
        `MXNetError` where a key is no int, since others cannot be written.
        """
        require(bool(self._buckets), "an empty BucketingModule cannot be saved; call bind first")
        for key in self._buckets:
            if not isinstance(key, (int, np.integer)):
                raise MXNetError(f"bucket keys must be ints to be saved, not {key!r}")
        self.save_params(params_file(prefix, epoch))
        for key, module in self._buckets.items():
            module.symbol.save(f"{prefix}-{key}-symbol.json")
        ndarray.save(f"{prefix}.buckets", [ndarray.array(list(self._buckets), dtype=np.int32)])

    # -- what a module tells --

    @property
    def symbol(self) -> Any:
        """The symbol of the current bucket."""
        return self._now().symbol

    @property
    def data_names(self) -> list[str]:
        return self._curr_module.data_names

    @property
    def output_names(self) -> list[str]:
        return self._curr_module.output_names

    @property
    def data_shapes(self) -> list[DataDesc]:
        return self._now().data_shapes

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        return self._now().label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        return self._now().output_shapes

    def _now(self) -> Module:
        """The module of the current bucket."""
        require(self.binded, "call bind first, then init_params")
        return self._curr_module

    # -- buckets --

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
        """Bind the default bucket for these shapes; other buckets are bound when their batches come."""
        require(shared_module is None, "BucketingModule has no shared_module: its buckets share already")
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        before = self._buckets.get(self._default_key)
        params = before.get_params() if before is not None and self.params_initialized else self._loaded
        module = self._generate(self._default_key)
        bound_as = {"for_training": for_training, "inputs_need_grad": inputs_need_grad, "grad_req": grad_req}
        module.bind(data_shapes, label_shapes, **bound_as)
        if params is not None:
            module.set_params(*params)
        if before is not None and before.optimizer_initialized:
            module.borrow_optimizer(before)
        self._buckets, self._bound_as, self._loaded = {self._default_key: module}, bound_as, None
        self._curr_module, self._curr_bucket_key = module, self._default_key
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad
        self._watch(module)

    def switch_bucket(self, bucket_key: Any, data_shapes: Any, label_shapes: Any = None) -> None:
        """Make a bucket the current one; it is bound for these shapes when it is first met."""
        require(self.binded, "call bind before switching bucket")
        if bucket_key not in self._buckets:
            self._require_params()
            module = self._generate(bucket_key)
            shared = self._buckets[self._default_key]
            module.bind(data_shapes, label_shapes, shared_module=shared, **self._bound_as)
            self._watch(module)
            self._buckets[bucket_key] = module
        self._curr_module, self._curr_bucket_key = self._buckets[bucket_key], bucket_key

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Bind the bucket of this batch, and stay in the current one."""
        self._require_params()
        super().prepare(data_batch, sparse_row_id_fn)
        current = self._curr_bucket_key
        self._enter(data_batch)
        self._curr_module, self._curr_bucket_key = self._buckets[current], current

    def _enter(self, batch: Any) -> None:
        if batch.bucket_key is None or (batch.bucket_key not in self._buckets and not batch.provide_data):
            raise MXNetError("a batch for BucketingModule needs bucket_key, provide_data and provide_label")
        self.switch_bucket(batch.bucket_key, batch.provide_data, batch.provide_label)

    def _watch(self, module: Module) -> None:
        for monitor in self._monitors:
            module.install_monitor(monitor)

    def install_monitor(self, mon: Any) -> None:
        """Let a `Monitor` watch all buckets."""
        require(self.binded, "call bind before install_monitor")
        self._monitors.append(mon)
        for module in self._buckets.values():
            module.install_monitor(mon)

    # -- parameters and optimizer --

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """As `Module.init_params`, for all buckets."""
        if self.params_initialized and not force_init:
            warnings.warn(
                "parameters have values already; init_params does nothing unless force_init", stacklevel=2
            )
            return
        require(self.binded, "call bind before initializing the parameters")
        default = self._buckets[self._default_key]
        default.init_params(initializer, arg_params, aux_params, allow_missing, force_init, allow_extra)
        self.params_initialized = True

    def get_params(self) -> tuple[Params, Params]:
        self._require_params()
        return self._buckets[self._default_key].get_params()

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """As `Module.init_optimizer`, one optimizer for all buckets."""
        self._require_params()
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        default = self._buckets[self._default_key]
        default.init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        for module in self._buckets.values():
            if module is not default:
                module.borrow_optimizer(default)
        self.optimizer_initialized = True

    # -- computation --

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs of a batch in its bucket."""
        self._require_params()
        self._enter(data_batch)
        self._curr_module.forward(data_batch, is_train)

    def backward(self, out_grads: Any = None) -> None:
        self._now().backward(out_grads)

    def update(self) -> None:
        self._now().update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        return self._now().get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        return self._now().get_input_grads(merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        self._now().update_metric(eval_metric, labels, pre_sliced)

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The states of the current bucket."""
        return self._now().get_states(merge_multi_context)

    def set_states(self, states: Any = None, value: float | None = None) -> None:
        """Set the states of the current bucket."""
        self._now().set_states(states, value)
