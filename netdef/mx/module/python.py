"""Modules that are written in Python: PythonModule has no parameters, PythonLossModule is a loss."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx.checkpoint import Params
from netdef.mx.io import DataDesc
from netdef.mx.module.base import DEFAULT_INITIALIZER, BaseModule
from netdef.mx.module.checks import describe, match_names, names_of, require
from netdef.mx.ndarray import NDArray, array

OutputShapes = list[tuple[str, tuple[int, ...]]]


class PythonModule(BaseModule):
    """Base of modules without parameters.

    Yours overrides `forward`, `get_outputs` and `_compute_output_shapes`, and for training `backward` and
    `get_input_grads`.  Without labels `update_metric` does nothing.
    """

    def __init__(
        self,
        data_names: Sequence[str],
        label_names: Sequence[str] | None,
        output_names: Sequence[str],
        logger: Any = logging,
    ) -> None:
        super().__init__(logger)
        self._data_names, self._label_names = names_of(data_names, "data"), names_of(label_names, "label")
        self._output_names = list(output_names)
        self._data_shapes: list[DataDesc] = []
        self._label_shapes: list[DataDesc] | None = None
        self._output_shapes: OutputShapes = []

    @property
    def data_names(self) -> list[str]:
        return self._data_names

    @property
    def output_names(self) -> list[str]:
        return self._output_names

    @property
    def data_shapes(self) -> list[DataDesc]:
        return self._data_shapes

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        return self._label_shapes

    @property
    def output_shapes(self) -> OutputShapes:
        return self._output_shapes

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
        """Take note of the shapes, and compute those of the outputs."""
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        require(grad_req == "write", "a PythonModule writes its gradients; grad_req must be write")
        data = describe(data_shapes, "data")
        label = None if label_shapes is None else describe(label_shapes, "label")
        match_names(self._data_names, data, "data", True)
        if label is not None:
            match_names(self._label_names, label, "label", True)
        self._data_shapes, self._label_shapes = data, label
        self._output_shapes = self._compute_output_shapes()
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad

    def _compute_output_shapes(self) -> OutputShapes:
        """Names and shapes of the outputs, for the `data_shapes` that are bound."""
        raise self._missing("_compute_output_shapes")

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """There are no parameters; the call counts as made."""
        self.params_initialized = True

    def get_params(self) -> tuple[Params, Params]:
        """Two empty dicts."""
        return {}, {}

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """There is nothing to optimize; the call counts as made."""
        self.optimizer_initialized = True

    def update(self) -> None:
        """There is nothing to update."""

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        if self._label_shapes is None:
            return
        if pre_sliced:
            raise MXNetError("a PythonModule computes on one device, so its labels are not sliced")
        eval_metric.update(labels, self.get_outputs())

    def install_monitor(self, mon: Any) -> None:
        """There is nothing that a `Monitor` could watch."""


class PythonLossModule(PythonModule):
    """A loss whose output is its only input, and whose gradient `grad_func(scores, labels)` gives.

    Both are NDArrays; the gradient is one or a numpy array.  Without `grad_func`, override `_backward_impl`,
    which sets `_scores_grad`.
    """

    def __init__(
        self,
        name: str = "pyloss",
        data_names: Sequence[str] = ("data",),
        label_names: Sequence[str] = ("softmax_label",),
        logger: Any = logging,
        grad_func: Callable[[NDArray, Any], Any] | None = None,
    ) -> None:
        super().__init__(data_names, label_names, [f"{name}_output"], logger)
        require(
            len(data_names) == 1 and len(label_names) == 1, "PythonLossModule has one input and one label"
        )
        require(grad_func is None or callable(grad_func), "grad_func must be a function")
        self._name, self._grad_func = name, grad_func
        self._scores: Any = None
        self._labels: Any = None
        self._scores_grad: Any = None

    def _compute_output_shapes(self) -> OutputShapes:
        return [(self._output_names[0], self._data_shapes[0].shape)]

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        self._scores = data_batch.data[0]
        if self.for_training if is_train is None else is_train:
            if not data_batch.label:
                raise MXNetError(f"the batch has no label, but training needs {self._label_names[0]}")
            self._labels = data_batch.label[0]

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        require(self._scores is not None, "call forward before get_outputs")
        return [self._scores] if merge_multi_context else [[self._scores]]

    def backward(self, out_grads: Any = None) -> None:
        require(out_grads is None, "a loss has no gradients above it; out_grads must be None")
        require(self.for_training, "re-bind with for_training=True to run backward")
        require(self._labels is not None, "call forward with is_train=True before backward")
        self._backward_impl()

    def _backward_impl(self) -> None:
        if self._grad_func is None:
            raise self._missing("_backward_impl, and has no grad_func")
        gradient = self._grad_func(self._scores, self._labels)
        self._scores_grad = gradient if isinstance(gradient, NDArray) else array(np.asarray(gradient))

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        require(self._scores_grad is not None, "call backward before get_input_grads")
        return [self._scores_grad] if merge_multi_context else [[self._scores_grad]]
