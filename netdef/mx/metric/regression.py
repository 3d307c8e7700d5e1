"""Metrics of numbers, and of outputs that are losses themselves."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy

from netdef.mx.metric.base import EvalMetric, Names, alias, check_label_shapes, register, values
from netdef.mx.metric.classification import _averaging
from netdef.mx.ndarray import NDArray


class _Deviation(EvalMetric):
    """The mean over pairs of a mean over the elements of label - prediction; (n,) counts as (n, 1)."""

    def __init__(self, name: str, output_names: Names, label_names: Names) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    @staticmethod
    def _mean(difference: numpy.ndarray) -> Any:
        raise NotImplementedError

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in zip(*check_label_shapes(labels, preds, wrap=True)):
            wanted, found = (
                array.reshape(-1, 1) if array.ndim == 1 else array for array in (values(label), values(pred))
            )
            try:
                difference = wanted - found
            except ValueError:
                check_label_shapes(label, pred, shape=True)
                raise
            self._record(self._mean(difference), 1)


@register
class MAE(_Deviation):
    """The mean absolute error, averaged over updates."""

    def __init__(self, name: str = "mae", output_names: Names = None, label_names: Names = None) -> None:
        super().__init__(name, output_names, label_names)

    @staticmethod
    def _mean(difference: numpy.ndarray) -> Any:
        return numpy.abs(difference).mean()


@register
class MSE(_Deviation):
    """The mean squared error, averaged over updates."""

    def __init__(self, name: str = "mse", output_names: Names = None, label_names: Names = None) -> None:
        super().__init__(name, output_names, label_names)

    @staticmethod
    def _mean(difference: numpy.ndarray) -> Any:
        return numpy.square(difference).mean()


@register
class RMSE(_Deviation):
    """The root of the mean squared error of each pair, averaged over updates."""

    def __init__(self, name: str = "rmse", output_names: Names = None, label_names: Names = None) -> None:
        super().__init__(name, output_names, label_names)

    @staticmethod
    def _mean(difference: numpy.ndarray) -> Any:
        return numpy.sqrt(numpy.square(difference).mean())


class _Moments(NamedTuple):
    """Number, means, and sums of squares and products about the means of two rows of numbers."""

    number: int = 0
    mean_x: float = 0.0
    mean_y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    @classmethod
    def of(cls, x: numpy.ndarray, y: numpy.ndarray) -> _Moments:
        """The moments of two rows of equal length."""
        if not len(x):
            return cls()
        mean_x, mean_y = float(x.mean()), float(y.mean())
        dx, dy = x - mean_x, y - mean_y
        return cls(len(x), mean_x, mean_y, float(dx @ dx), float(dy @ dy), float(dx @ dy))

    def merged(self, other: _Moments) -> _Moments:
        """The moments of both together (Chan, Golub and LeVeque 1983)."""
        number = self.number + other.number
        if not number:
            return self
        part = other.number / number
        dx, dy = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        weight = self.number * part
        return _Moments(
            number,
            self.mean_x + dx * part,
            self.mean_y + dy * part,
            self.xx + other.xx + weight * dx * dx,
            self.yy + other.yy + weight * dy * dy,
            self.xy + other.xy + weight * dx * dy,
        )

    @property
    def correlation(self) -> float:
        """Pearson's coefficient; nan where one of the rows does not vary."""
        scale = math.sqrt(self.xx) * math.sqrt(self.yy)
        return self.xy / scale if scale else float("nan")


@register
@alias("pearsonr")
class PearsonCorrelation(EvalMetric):
    """Pearson's correlation of labels and predictions of the same shape.

    `average` says whether that of each pair is averaged (`macro`), or all elements are taken together
    (`micro`).
    """

    _local: _Moments
    _global: _Moments

    def __init__(
        self,
        name: str = "pearsonr",
        output_names: Names = None,
        label_names: Names = None,
        average: str = "macro",
    ) -> None:
        self.average = _averaging(average)
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in zip(*check_label_shapes(labels, preds, wrap=True)):
            check_label_shapes(label, pred, shape=True)
            moments = _Moments.of(*(values(array).astype(numpy.float64).ravel() for array in (label, pred)))
            if self.average == "macro":
                self._record(moments.correlation, 1)
                continue
            self._local, self._global = self._local.merged(moments), self._global.merged(moments)
            self.num_inst += 1
            self.global_num_inst += 1
            self.sum_metric = self._local.correlation * self.num_inst
            self.global_sum_metric = self._global.correlation * self.global_num_inst

    def reset(self) -> None:
        self._global = _Moments()
        super().reset()

    def reset_local(self) -> None:
        self._local = _Moments()
        super().reset_local()


@register
class Loss(EvalMetric):
    """The mean of all elements of the predictions, which are losses; labels do not matter."""

    def __init__(self, name: str = "loss", output_names: Names = None, label_names: Names = None) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, labels: Any, preds: Any) -> None:
        for pred in [preds] if isinstance(preds, NDArray) else preds:
            self._record(float(values(pred).sum()), pred.size)


@register
class Torch(Loss):
    """Loss, under the name that Torch's criterions had."""

    def __init__(self, name: str = "torch", output_names: Names = None, label_names: Names = None) -> None:
        super().__init__(name, output_names, label_names)


@register
class Caffe(Loss):
    """Loss, under the name that Caffe's losses had."""

    def __init__(self, name: str = "caffe", output_names: Names = None, label_names: Names = None) -> None:
        super().__init__(name, output_names, label_names)
