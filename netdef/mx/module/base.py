"""What all modules share: the interface, and on top of it training, evaluation and prediction."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx import metric
from netdef.mx.callback import BatchEndParam
from netdef.mx.checkpoint import Params, read_params, write_params
from netdef.mx.initializer import Uniform
from netdef.mx.io import DataBatch, DataDesc, DataIter
from netdef.mx.module.checks import check_iterator, require
from netdef.mx.ndarray import NDArray, array

#: what parameters start with unless the caller says otherwise
DEFAULT_INITIALIZER = Uniform(0.01)
_RATE = (("learning_rate", 0.01),)


class BaseModule:
    """Base of the modules: something with parameters that computes outputs of batches, and learns.

    A module is bound (`binded`), its parameters get values (`params_initialized`), an optimizer is set up
    (`optimizer_initialized`); then `forward`, `backward` and `update` train it.  `fit`, `score` and `predict`
    do all that.  A module of your own overrides the methods that raise `NotImplementedError` here.  Calls in
    the wrong order raise `MXNetError`, which is an `AssertionError`, too, as in MXNet.
    """

    def __init__(self, logger: Any = logging) -> None:
        self.logger = logger
        self.binded = self.for_training = self.inputs_need_grad = False
        self.params_initialized = self.optimizer_initialized = False
        self._symbol: Any = None

    # -- what a module tells --

    @property
    def symbol(self) -> Any:
        """The symbol of this module, None where it has none."""
        return self._symbol

    @property
    def data_names(self) -> Sequence[str]:
        """The names of the inputs."""
        raise self._missing("data_names")

    @property
    def output_names(self) -> Sequence[str]:
        """The names of the outputs."""
        raise self._missing("output_names")

    @property
    def data_shapes(self) -> Sequence[DataDesc]:
        """Names and shapes of the inputs."""
        raise self._missing("data_shapes")

    @property
    def label_shapes(self) -> Sequence[DataDesc] | None:
        """Names and shapes of the labels; empty or None where the module was bound without."""
        raise self._missing("label_shapes")

    @property
    def output_shapes(self) -> Sequence[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the outputs."""
        raise self._missing("output_shapes")

    def _missing(self, name: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} does not define {name}")

    # -- what a module does --

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
        """Allocate what is needed to compute batches of these shapes, with gradients or without."""
        raise self._missing("bind")

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters values: those given, or those of the initializer."""
        raise self._missing("init_params")

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = _RATE,
        force_init: bool = False,
    ) -> None:
        """Set up the optimizer."""
        raise self._missing("init_optimizer")

    def get_params(self) -> tuple[Params, Params]:
        """Copies of the parameters and of the auxiliary states by name, in the memory of the CPU."""
        raise self._missing("get_params")

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs of a batch; `is_train` is `for_training` unless given."""
        raise self._missing("forward")

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients, after `forward`; outputs that are no losses need `out_grads`."""
        raise self._missing("backward")

    def update(self) -> None:
        """Let the optimizer update the parameters by the gradients."""
        raise self._missing("update")

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last batch, which the next one overwrites.

        With `merge_multi_context=False` each stands in a list of its own, as the output of the only device.
        """
        raise self._missing("get_outputs")

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the inputs, of a module that was bound with `inputs_need_grad`."""
        raise self._missing("get_input_grads")

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Let a metric take the last outputs into account; `pre_sliced` labels are a list for each device."""
        raise self._missing("update_metric")

    def install_monitor(self, mon: Any) -> None:
        """Let a `Monitor` watch the computation."""
        raise self._missing("install_monitor")

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The states that are carried from batch to batch; none here."""
        self._require_params()
        return []

    def set_states(self, states: Any = None, value: float | None = None) -> None:
        """Set the states that are carried from batch to batch; there are none here."""
        self._require_params()
        require(not states and not value, "this module has no states; name them as state_names of Module")

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Get ready for a batch; `sparse_row_id_fn` is for sparse parameters, which do not exist here."""
        if sparse_row_id_fn is not None:
            warnings.warn("sparse_row_id_fn is not called: there are no sparse parameters", stacklevel=3)

    def _require_params(self) -> None:
        require(self.binded, "call bind first, then init_params")
        require(self.params_initialized, "call init_params or set_params first: parameters have no values")

    # -- parameters --

    def set_params(
        self,
        arg_params: Mapping[str, NDArray] | None,
        aux_params: Mapping[str, NDArray] | None,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters these values; with `allow_missing`, others keep theirs."""
        self.init_params(None, arg_params, aux_params, allow_missing, force_init, allow_extra)

    def save_params(self, fname: str) -> None:
        """Write the parameters to a file; raises `MXNetError` where that fails."""
        write_params(fname, *self.get_params())

    def load_params(self, fname: str) -> None:
        """Take the parameters over from a file; raises `MXNetError` where that fails."""
        self.set_params(*read_params(fname))

    # -- training, evaluation, prediction --

    def forward_backward(self, data_batch: Any) -> None:
        """Outputs and gradients of a batch."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def fit(
        self,
        train_data: Any,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = _RATE,
        eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_rebind: bool = False,
        force_init: bool = False,
        begin_epoch: int = 0,
        num_epoch: int | None = None,
        validation_metric: Any = None,
        monitor: Any = None,
        sparse_row_id_fn: Any = None,
    ) -> None:
        """Train on the batches of `train_data`, for epochs `begin_epoch` to `num_epoch` - 1.

        Binds, initializes and sets the optimizer up where that was not done.  Logs `Epoch[0] Train-...`,
        `Epoch[0] Time cost=...` (seconds) and, with `eval_data`, `Epoch[0] Validation-...`.  Callbacks, one
        or a list, are called with a `BatchEndParam` after batches and evaluations, and with the number of the
        epoch, the symbol, the parameters and the auxiliary states after epochs.
        """
        require(num_epoch is not None, "please specify number of epochs: num_epoch")
        check_iterator(train_data, "train_data")
        if eval_data is not None:
            check_iterator(eval_data, "eval_data")
        self.bind(
            train_data.provide_data, train_data.provide_label, for_training=True, force_rebind=force_rebind
        )
        if monitor is not None:
            self.install_monitor(monitor)
        if force_init or not self.params_initialized or arg_params is not None or aux_params is not None:
            self.init_params(initializer, arg_params, aux_params, allow_missing, force_init)
        self.init_optimizer(kvstore, optimizer, optimizer_params)
        if validation_metric is None:
            validation_metric = eval_metric
        eval_metric = metric_of(eval_metric)
        for epoch in range(begin_epoch, num_epoch or 0):
            begin = time.time()
            eval_metric.reset()
            totals: list[tuple[str, Any]] | None = None
            batches = iter(train_data)
            data_batch = next(batches, None)
            nbatch = 0
            while data_batch is not None:
                self.prepare(data_batch, sparse_row_id_fn=sparse_row_id_fn)
                if monitor is not None:
                    monitor.tic()
                self.forward_backward(data_batch)
                self.update()
                self.update_metric(eval_metric, data_batch.label)
                if monitor is not None:
                    monitor.toc_print()
                following = next(batches, None)
                if following is None:
                    # Before the callbacks: they may start the metric anew.
                    totals = eval_metric.get_global_name_value()
                call_all(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
                data_batch = following
                nbatch += 1
            if totals is None:
                raise MXNetError(f"train_data gives no batch in epoch {epoch}; is it empty, or not reset?")
            for name, value in totals:
                self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, value)
            self.logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - begin)
            if epoch_end_callback is not None:
                arg_now, aux_now = self.get_params()
                for call in as_list(epoch_end_callback):
                    call(epoch, self.symbol, arg_now, aux_now)
            if eval_data is not None:
                results = self.score(
                    eval_data,
                    validation_metric,
                    batch_end_callback=eval_batch_end_callback,
                    score_end_callback=eval_end_callback,
                    epoch=epoch,
                    sparse_row_id_fn=sparse_row_id_fn,
                )
                for name, value in results:
                    self.logger.info("Epoch[%d] Validation-%s=%f", epoch, name, value)
            train_data.reset()

    def score(
        self,
        eval_data: Any,
        eval_metric: Any,
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        score_end_callback: Any = None,
        reset: bool = True,
        epoch: int = 0,
        sparse_row_id_fn: Any = None,
    ) -> list[tuple[str, Any]]:
        """Names and values of a metric of the first `num_batch` batches, or of all; logs nothing."""
        self._require_params()
        eval_metric = metric_of(eval_metric)
        eval_metric.reset()
        count = 0
        for nbatch, eval_batch in self._batches(eval_data, num_batch, reset, sparse_row_id_fn):
            self.forward(eval_batch, is_train=False)
            self.update_metric(eval_metric, eval_batch.label)
            call_all(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            count = nbatch + 1
        call_all(score_end_callback, BatchEndParam(epoch, count, eval_metric, locals()))
        values: list[tuple[str, Any]] = eval_metric.get_name_value()
        return values

    def iter_predict(
        self, eval_data: Any, num_batch: int | None = None, reset: bool = True, sparse_row_id_fn: Any = None
    ) -> Iterator[tuple[list[NDArray], int, Any]]:
        """Outputs without padding, number and batch, for each batch; the next one overwrites the outputs."""
        self._require_params()
        for nbatch, batch in self._batches(eval_data, num_batch, reset, sparse_row_id_fn):
            self.forward(batch, is_train=False)
            yield [out[0 : out.shape[0] - (batch.pad or 0)] for out in self.get_outputs()], nbatch, batch

    def predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        merge_batches: bool = True,
        reset: bool = True,
        always_output_list: bool = False,
        sparse_row_id_fn: Any = None,
    ) -> Any:
        """The outputs of all batches of an iterator, or of one array.

        With `merge_batches` one NDArray for all batches, a list of them where there are several outputs or
        with `always_output_list`; else a list of outputs for each batch.  Padding is cut off.
        """
        self._require_params()
        if isinstance(eval_data, (NDArray, np.ndarray)):
            given = eval_data if isinstance(eval_data, NDArray) else array(eval_data)
            self.forward(DataBatch([given]), is_train=False)
            return self.get_outputs()[0].copy()
        if not isinstance(eval_data, DataIter):
            raise ValueError(f"eval_data must be of type NDArray or DataIter, not {type(eval_data).__name__}")
        predicted = self.iter_predict(eval_data, num_batch, reset, sparse_row_id_fn)
        batches = [[out.copy() for out in outputs] for outputs, *_ in predicted]
        if not batches or not merge_batches:
            return batches
        if len({len(outputs) for outputs in batches}) > 1:
            raise MXNetError("batches have different numbers of outputs; predict with merge_batches=False")
        merged = [join(parts) for parts in zip(*batches)]
        return merged[0] if len(merged) == 1 and not always_output_list else merged

    def _batches(
        self, data: Any, count: int | None, reset: bool, sparse_row_id_fn: Any
    ) -> Iterator[tuple[int, Any]]:
        """Number and batch, of the first `count` batches or of all, each prepared for."""
        check_iterator(data, "eval_data")
        if reset:
            data.reset()
        for number, batch in enumerate(islice(data, count)):
            self.prepare(batch, sparse_row_id_fn=sparse_row_id_fn)
            yield number, batch


def metric_of(given: Any) -> Any:
    """The metric itself, or the one that `mx.metric.create` makes."""
    return given if isinstance(given, metric.EvalMetric) else metric.create(given)


def as_list(given: Any) -> Iterable[Callable[..., Any]]:
    """Callbacks, of which one alone need not stand in a list."""
    return given if isinstance(given, (list, tuple)) else [given]


def call_all(callbacks: Any, told: BatchEndParam) -> None:
    """Call each of the callbacks, of which there may be none."""
    if callbacks is not None:
        for call in as_list(callbacks):
            call(told)


def join(parts: Sequence[NDArray]) -> NDArray:
    """One array of the samples of several."""
    first = parts[0]
    return NDArray(first.context.xp.concatenate([part.array for part in parts]), first.context)
