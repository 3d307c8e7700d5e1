"""MXNet's `model`: FeedForward, a net with training and prediction in one object, and checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx.callback import BatchEndParam
from netdef.mx.checkpoint import load_checkpoint, load_params, save_checkpoint
from netdef.mx.initializer import Uniform
from netdef.mx.io import DataIter, NDArrayIter, ResizeIter
from netdef.mx.module import BucketingModule, Module
from netdef.mx.module.base import as_list, metric_of
from netdef.mx.module.checks import one_device, require
from netdef.mx.module.parameters import check_extra
from netdef.mx.ndarray import NDArray
from netdef.mx.symbol import Symbol

__all__ = ["BatchEndParam", "FeedForward", "load_checkpoint", "load_params", "save_checkpoint"]

_DEFAULT_INITIALIZER = Uniform(0.01)


class FeedForward:
    """A net with its parameters, which `fit` trains and `predict` and `score` use.

    `symbol` is a Symbol, or a function that gives one for a bucket key.  Inputs are what the data iterator
    provides, and arguments whose names end in `data` or `label`; all others are parameters.  `ctx` is one
    device, or a list of one.  Training goes from epoch `begin_epoch` to `num_epoch` - 1, with `epoch_size`
    batches each, or as many as the iterator has.  `optimizer` is a name, whose parameters are the
    `kwargs` (gradients are divided by the batch size), or an Optimizer.  Arrays are cut into batches of
    `numpy_batch_size`.  `arg_params` and `aux_params` hold the parameters and the auxiliary states by name;
    what they lack comes from `initializer`.  Names that are no parameters raise `ValueError` in `fit` and
    `predict`, or are dropped with `allow_extra_params`.
    """

    def __init__(
        self,
        symbol: Any,
        ctx: Any = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Any = _DEFAULT_INITIALIZER,
        numpy_batch_size: int = 128,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_extra_params: bool = False,
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        if not isinstance(symbol, Symbol) and not callable(symbol):
            raise TypeError(f"symbol must be a Symbol or a function that gives one, not {symbol!r}")
        self.symbol: Any = symbol if isinstance(symbol, Symbol) else None
        self.sym_gen: Callable[[Any], Any] | None = None if self.symbol is not None else symbol
        one_device(ctx)
        self.ctx = ctx
        self.num_epoch, self.epoch_size, self.begin_epoch = num_epoch, epoch_size, begin_epoch
        self.optimizer, self.initializer, self.numpy_batch_size = optimizer, initializer, numpy_batch_size
        self.kwargs = kwargs
        self.arg_params = None if arg_params is None else dict(arg_params)
        self.aux_params = None if aux_params is None else dict(aux_params)
        self.allow_extra_params = allow_extra_params
        if allow_extra_params and self.symbol is not None:
            arguments, states = self.symbol.list_arguments(), self.symbol.list_auxiliary_states()
            self.arg_params = _only(self.arg_params, [n for n in arguments if not _is_input(n)])
            self.aux_params = _only(self.aux_params, states)

    @staticmethod
    def load(prefix: str, epoch: int, ctx: Any = None, **kwargs: Any) -> FeedForward:
        """The model of a checkpoint, whose training would go on after `epoch`; `kwargs` go to `FeedForward`.

        Raises `MXNetError` for files that are missing or damaged.
        """
        symbol, arguments, states = load_checkpoint(prefix, epoch)
        return FeedForward(symbol, ctx, arg_params=arguments, aux_params=states, begin_epoch=epoch, **kwargs)

    def save(self, prefix: str, epoch: int | None = None, remove_amp_cast: bool = True) -> None:
        """Write symbol and parameters to `<prefix>-symbol.json` and `<prefix>-<epoch>.params`.

        Without `epoch` it is `num_epoch`.
        """
        epoch = self.num_epoch if epoch is None else epoch
        require(epoch is not None, "which epoch? give save an epoch, or the model a num_epoch")
        arguments, states = self._trained()
        save_checkpoint(prefix, epoch or 0, self.symbol, arguments, states, remove_amp_cast)

    @staticmethod
    def create(
        symbol: Any,
        X: Any,
        y: Any = None,
        ctx: Any = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Any = _DEFAULT_INITIALIZER,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Any = None,
        eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None,
        **kwargs: Any,
    ) -> FeedForward:
        """A model that has been trained: `FeedForward(...)`, then `fit`."""
        model = FeedForward(symbol, ctx, num_epoch, epoch_size, optimizer, initializer, **kwargs)
        model.fit(
            X,
            y,
            eval_data,
            eval_metric,
            epoch_end_callback,
            batch_end_callback,
            kvstore,
            logger,
            work_load_list,
            eval_end_callback=eval_end_callback,
            eval_batch_end_callback=eval_batch_end_callback,
        )
        return model

    def fit(
        self,
        X: Any,
        y: Any = None,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Any = None,
        monitor: Any = None,
        eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None,
    ) -> None:
        """Train on an iterator, or on arrays of samples `X` and labels `y`, which are shuffled.

        `eval_data` is an iterator or a pair of arrays, on which `eval_metric` is logged after each epoch.
        Callbacks are called as by `Module.fit`, except that `batch_end_callback` counts batches from 1.
        """
        data = self._init_iter(X, y, is_train=True)
        held_out = self._init_eval_iter(eval_data)
        module = self._module(data, logger or logging, work_load_list)
        self._check_extra(module)
        (logger or logging).info("Start training with %s", [one_device(self.ctx)])
        data.reset()
        module.fit(
            _Epochs(data, obeys=False)
            if self.epoch_size is None
            else ResizeIter(data, self.epoch_size, False),
            None if held_out is None else _Epochs(held_out, obeys=True),
            eval_metric,
            self._keeping(epoch_end_callback),
            _counting_from_one(batch_end_callback),
            kvstore,
            self.optimizer,
            self.kwargs,
            eval_end_callback,
            eval_batch_end_callback,
            self.initializer,
            self.arg_params,
            self.aux_params,
            allow_missing=True,
            begin_epoch=self.begin_epoch,
            num_epoch=self.num_epoch,
            monitor=monitor,
        )
        self.arg_params, self.aux_params = module.get_params()

    def predict(
        self, X: Any, num_batch: int | None = None, return_data: bool = False, reset: bool = True
    ) -> Any:
        """The outputs for an iterator or an array, as numpy arrays; a list of them where there are several.

        With `return_data` also the data and the labels that were used.  Padding is cut off.
        """
        data = self._init_iter(X, None, is_train=False)
        module = self._predictor(data, with_labels=False)
        columns: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        for outputs, _, batch in module.iter_predict(data, num_batch, reset):
            used = [outputs, *((batch.data, batch.label or []) if return_data else ([], []))]
            for column, arrays in zip(columns, used):
                kept = [array[0 : array.shape[0] - (batch.pad or 0)] for array in arrays]
                column.append([array.asnumpy() for array in (arrays if column is columns[0] else kept)])
        if not columns[0]:
            raise MXNetError("there is no batch to predict; is the iterator empty, or not reset?")
        joined = [[np.concatenate(parts) for parts in zip(*column)] for column in columns]
        results = tuple(arrays[0] if len(arrays) == 1 else arrays for arrays in joined)
        return results if return_data else results[0]

    def score(
        self,
        X: Any,
        eval_metric: Any = "acc",
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        reset: bool = True,
    ) -> Any:
        """The value of a metric on an iterator with labels; a list of values for several metrics."""
        if not isinstance(X, DataIter):
            raise TypeError(f"score needs labels, so X must be a DataIter, not {type(X).__name__}")
        metric = metric_of(eval_metric)
        self._predictor(X, with_labels=True).score(
            X, metric, num_batch, _counting_from_one(batch_end_callback), reset=reset
        )
        return metric.get()[1]

    # -- modules --

    def _module(self, data: Any, logger: Any = logging, work_load_list: Any = None) -> Any:
        """A module for what an iterator provides."""
        data_names = [each[0] for each in data.provide_data]
        label_names = [each[0] for each in data.provide_label or ()]
        if self.sym_gen is None:
            label_names += [
                name
                for name in self.symbol.list_arguments()
                if name.endswith("label") and name not in (*data_names, *label_names)
            ]
            return Module(self.symbol, data_names, label_names, logger, self.ctx, work_load_list)
        key = data.default_bucket_key
        self.symbol = self.sym_gen(key)

        def generate(bucket_key: Any) -> Any:
            return self.sym_gen(bucket_key), data_names, label_names  # type: ignore[misc]

        return BucketingModule(generate, key, logger, self.ctx, work_load_list)

    def _predictor(self, data: Any, with_labels: bool) -> Any:
        arguments, states = self._trained()
        module = self._module(data)
        self._check_extra(module)
        module.bind(data.provide_data, data.provide_label if with_labels else None, for_training=False)
        module.set_params(arguments, states, allow_extra=True)
        return module

    def _trained(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        require(self.arg_params is not None, "the model has no parameters; call fit, or give arg_params")
        return self.arg_params or {}, self.aux_params or {}

    def _check_extra(self, module: Any) -> None:
        """Refuse parameters of other nets."""
        if self.sym_gen is None and not self.allow_extra_params:
            inputs = {*module.data_names, *module.label_names}
            params = [name for name in self.symbol.list_arguments() if name not in inputs]
            check_extra(params, self.arg_params or (), True)
            check_extra(self.symbol.list_auxiliary_states(), self.aux_params or (), True)

    def _keeping(self, callbacks: Any) -> Any:
        """Callbacks that may save the model, since it has the parameters when they are called."""
        if callbacks is None:
            return None

        def keep(epoch: int, symbol: Any, arguments: Any, states: Any) -> None:
            self.arg_params, self.aux_params = arguments, states

        return [keep, *as_list(callbacks)]

    # -- data --

    def _init_iter(self, X: Any, y: Any, is_train: bool) -> Any:
        """An iterator over arrays, shuffled for training; an iterator as it is."""
        if isinstance(X, DataIter):
            return X
        if not isinstance(X, (np.ndarray, NDArray)):
            raise TypeError(f"X must be DataIter, NDArray or numpy.ndarray, not {type(X).__name__}")
        samples = _numpy(X)
        if y is None:
            if is_train:
                raise ValueError("y must be specified when X is an array: the labels to train for")
            y = np.zeros(len(samples), np.float32)
        if not isinstance(y, (np.ndarray, NDArray)):
            raise TypeError(f"y must be an array when X is one, not {type(y).__name__}")
        labels = _numpy(y)
        if len(samples) != len(labels):
            raise ValueError(
                f"X has {len(samples)} samples, but y {len(labels)} labels; they must be equally many"
            )
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels.reshape(-1)
        if labels.ndim != 1:
            raise ValueError(f"y has shape {labels.shape}; labels are 1D, or 2D with one column")
        size = min(len(samples), self.numpy_batch_size)
        if is_train:
            return NDArrayIter(samples, labels, size, shuffle=True, last_batch_handle="roll_over")
        return NDArrayIter(samples, labels, size)

    def _init_eval_iter(self, eval_data: Any) -> Any:
        """An iterator over a pair of arrays; an iterator or None as it is."""
        if eval_data is None or isinstance(eval_data, DataIter):
            return eval_data
        if not isinstance(eval_data, (tuple, list)) or len(eval_data) != 2:
            raise TypeError(
                "eval_data must be a DataIter, or a pair of samples and labels in a tuple or list, "
                f"not {type(eval_data).__name__}"
            )
        samples, labels = (np.array(part) if isinstance(part, list) else part for part in eval_data)
        if samples is None:
            raise ValueError("eval_data has no samples: its first part is None")
        if isinstance(samples, DataIter):
            if labels is not None:
                raise ValueError("eval_data has an iterator, which gives labels, and labels beside it")
            return samples
        return self._init_iter(samples, labels, is_train=True)


class _Epochs(DataIter):
    """An iterator that begins its next epoch when one is over, and, if it `obeys`, when it is told to.

    FeedForward's loop resets data when an epoch or an evaluation ends, and evaluation data before it, too.
    Only so are arrays shuffled and rolled over as by MXNet.
    """

    def __init__(self, inner: Any, obeys: bool) -> None:
        super().__init__(inner.batch_size)
        self.inner, self.obeys = inner, obeys
        self.provide_data, self.provide_label = inner.provide_data, inner.provide_label

    def next(self) -> Any:
        try:
            return self.inner.next()
        except StopIteration:
            self.inner.reset()
            raise

    def reset(self) -> None:
        if self.obeys:
            self.inner.reset()


def _is_input(name: str) -> bool:
    return name.endswith(("data", "label"))


def _only(given: dict[str, NDArray] | None, names: Any) -> dict[str, NDArray] | None:
    return None if given is None else {name: given[name] for name in given if name in names}


def _numpy(array: Any) -> np.ndarray:
    return array.asnumpy() if isinstance(array, NDArray) else array


def _counting_from_one(callbacks: Any) -> Any:
    """Callbacks whose `nbatch` is that of FeedForward, which counts from 1."""
    if callbacks is None:
        return None

    def shifted(told: BatchEndParam) -> None:
        for call in as_list(callbacks):
            call(told._replace(nbatch=told.nbatch + 1))

    return shifted
