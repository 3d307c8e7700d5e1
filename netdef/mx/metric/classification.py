"""Metrics of classes: labels are class numbers, predictions scores or probabilities of each class."""

from __future__ import annotations

import math
from typing import Any

import numpy

from netdef.mx.metric.base import EvalMetric, Names, alias, check_label_shapes, register, values


@register
@alias("acc")
class Accuracy(EvalMetric):
    """The share of labels that are predicted.

    Predictions of another shape than their labels are scores, with the classes along `axis`; the first of the
    largest counts.
    """

    def __init__(
        self, axis: int = 1, name: str = "accuracy", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names, label_names, axis=axis, has_global_stats=True)
        self.axis = axis

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in zip(*check_label_shapes(labels, preds, wrap=True)):
            chosen = values(pred)
            if pred.shape != label.shape:
                chosen = chosen.argmax(axis=self.axis)
            found, wanted = (array.astype(numpy.int32).ravel() for array in (chosen, values(label)))
            check_label_shapes(wanted, found)
            self._record(int((found == wanted).sum()), len(found))


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(EvalMetric):
    """The share of labels among the `top_k` classes of highest score; predictions are (N, classes)."""

    def __init__(
        self,
        top_k: int = 1,
        name: str = "top_k_accuracy",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        if top_k <= 1:
            raise ValueError(f"top_k is {top_k}; it must be more than 1, and 1 is the metric accuracy")
        super().__init__(name, output_names, label_names, top_k=top_k, has_global_stats=True)
        self.top_k = top_k
        self.name += f"_{top_k}"

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in zip(*check_label_shapes(labels, preds, wrap=True)):
            scores, wanted = _scores(pred), values(label).astype(numpy.int32)
            check_label_shapes(wanted, scores)
            best = numpy.argpartition(scores, -min(self.top_k, scores.shape[1]))[:, -self.top_k :]
            self._record(int((best == wanted.reshape(-1, 1)).sum()), len(scores))


def _scores(pred: Any) -> numpy.ndarray:
    scores = values(pred)
    if scores.ndim != 2:
        raise ValueError(f"the predictions have shape {scores.shape}; they must be (N, classes)")
    return scores


class _Binary(EvalMetric):
    """A score of the counts of true and false positives and negatives; class 1 is the positive one.

    `average` says whether the score of each update is averaged (`macro`), or all are counted together
    (`micro`).
    """

    _local: numpy.ndarray
    _global: numpy.ndarray

    def __init__(self, name: str, output_names: Names, label_names: Names, average: str) -> None:
        self.average = _averaging(average)
        super().__init__(name, output_names, label_names, has_global_stats=True)

    @staticmethod
    def _score(counts: numpy.ndarray) -> float:
        """The score of counts by label and prediction, (2, 2)."""
        raise NotImplementedError

    def update(self, labels: Any, preds: Any) -> None:
        counts = numpy.zeros((2, 2))
        for label, pred in zip(*check_label_shapes(labels, preds, wrap=True)):
            wanted, scores = values(label).astype(numpy.int32), _scores(pred)
            check_label_shapes(wanted, scores)
            if len(numpy.unique(wanted)) > 2:
                raise ValueError(f"{self.name} is for two classes; the labels are {numpy.unique(wanted)}")
            positive = wanted.ravel() == 1
            numpy.add.at(counts, (positive.astype(int), (scores.argmax(axis=1) == 1).astype(int)), 1)
        if self.average == "macro":
            self._record(self._score(counts), 1)
            return
        self._local += counts
        self._global += counts
        self.num_inst, self.global_num_inst = self._local.sum(), self._global.sum()
        self.sum_metric = self._score(self._local) * self.num_inst
        self.global_sum_metric = self._score(self._global) * self.global_num_inst

    def reset(self) -> None:
        self._global = numpy.zeros((2, 2))
        super().reset()

    def reset_local(self) -> None:
        self._local = numpy.zeros((2, 2))
        super().reset_local()


def _averaging(average: str) -> str:
    if average not in ("macro", "micro"):
        raise ValueError(f"average is {average!r}; legal: macro, micro")
    return average


@register
class F1(_Binary):
    """The harmonic mean of precision and recall, for two classes; 0 without true positives."""

    def __init__(
        self, name: str = "f1", output_names: Names = None, label_names: Names = None, average: str = "macro"
    ) -> None:
        super().__init__(name, output_names, label_names, average)

    @staticmethod
    def _score(counts: numpy.ndarray) -> float:
        wrong, right = counts[0, 1] + counts[1, 0], 2 * counts[1, 1]
        return float(right / (right + wrong)) if right else 0.0


@register
class MCC(_Binary):
    """The correlation of labels and predictions of two classes (Matthews 1975).

    A factor of its denominator that is 0 counts as 1.
    """

    def __init__(
        self, name: str = "mcc", output_names: Names = None, label_names: Names = None, average: str = "macro"
    ) -> None:
        super().__init__(name, output_names, label_names, average)

    @staticmethod
    def _score(counts: numpy.ndarray) -> float:
        (tn, fp), (fn, tp) = counts.tolist()
        factors = (tp + fp, tp + fn, tn + fp, tn + fn)
        return float((tp * tn - fp * fn) / math.sqrt(math.prod(factor or 1.0 for factor in factors)))


@register
class PCC(EvalMetric):
    """The correlation of labels and predictions of any number of classes (Gorodkin 2004).

    Nan where all labels or all predictions are of one class.
    """

    _local: numpy.ndarray
    _global: numpy.ndarray

    def __init__(
        self,
        name: str = "pcc",
        output_names: Names = None,
        label_names: Names = None,
        has_global_stats: bool = True,
    ) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=has_global_stats)

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in zip(*check_label_shapes(labels, preds, wrap=True)):
            chosen, wanted = values(pred), values(label).astype(numpy.int32)
            if chosen.shape != wanted.shape:
                chosen = chosen.argmax(axis=1)
            found, wanted = chosen.astype(numpy.int32).ravel(), wanted.ravel()
            check_label_shapes(wanted, found)
            lowest, classes = (
                int(f(numpy.concatenate([found, wanted, [0]]))) for f in (numpy.min, numpy.max)
            )
            if lowest < 0:
                raise ValueError(f"there is a class {lowest}; classes are numbered from 0")
            counts = numpy.zeros((classes + 1, classes + 1))
            numpy.add.at(counts, (found, wanted), 1)
            self._local, self._global = _added(self._local, counts), _added(self._global, counts)
        self.num_inst += 1
        self.global_num_inst += 1
        self.sum_metric = _correlation(self._local) * self.num_inst
        self.global_sum_metric = _correlation(self._global) * self.global_num_inst

    def reset(self) -> None:
        self._global = numpy.zeros((2, 2))
        super().reset()

    def reset_local(self) -> None:
        self._local = numpy.zeros((2, 2))
        super().reset_local()


def _added(first: numpy.ndarray, second: numpy.ndarray) -> numpy.ndarray:
    """The sum of two square matrices, the smaller one filled up with zeros."""
    small, large = sorted((first, second), key=len)
    total = large.copy()
    total[: len(small), : len(small)] += small
    return total


def _correlation(counts: numpy.ndarray) -> float:
    total, rows, columns = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)
    of_rows, of_columns = numpy.sum(rows * (total - rows)), numpy.sum(columns * (total - columns))
    if not of_rows or not of_columns:
        return float("nan")
    both = numpy.sum(counts.diagonal() * total - rows * columns)
    return float(both / math.sqrt(of_rows * of_columns))


@register
class Perplexity(EvalMetric):
    """exp of the mean -log of the probability of the label; probabilities count as 1e-10 or more.

    Labels have one element for each distribution, classes lie along `axis`; labels that are `ignore_label` do
    not count.
    """

    def __init__(
        self,
        ignore_label: int | None,
        axis: int = -1,
        name: str = "perplexity",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(name, output_names, label_names, ignore_label=ignore_label, has_global_stats=True)
        self.ignore_label, self.axis = ignore_label, axis

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in zip(*check_label_shapes(labels, preds, wrap=True)):
            wanted, scores = values(label).ravel(), numpy.moveaxis(values(pred), self.axis, -1)
            flat = scores.reshape(-1, scores.shape[-1])
            if len(flat) != len(wanted):
                raise ValueError(
                    f"labels of shape {label.shape} do not fit predictions of shape {pred.shape}; "
                    f"there must be as many as distributions over the classes"
                )
            classes = wanted.astype(numpy.int32).clip(0, flat.shape[1] - 1)
            found = flat[numpy.arange(len(flat)), classes]
            if self.ignore_label is not None:
                found = found[wanted != self.ignore_label]
            self._record(-float(numpy.log(numpy.maximum(1e-10, found)).sum()), len(found))

    def _value(self, total: Any, instances: Any) -> Any:
        return math.exp(total / instances) if instances else float("nan")


class _LogLikelihood(EvalMetric):
    """The mean -log(probability of the label + eps); predictions are (N, classes)."""

    def __init__(self, eps: float, name: str, output_names: Names, label_names: Names) -> None:
        super().__init__(name, output_names, label_names, eps=eps, has_global_stats=True)
        self.eps = eps

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in zip(*check_label_shapes(labels, preds, wrap=True)):
            wanted, scores = values(label).ravel().astype(numpy.int64), _scores(pred)
            check_label_shapes(wanted, scores)
            try:
                found = scores[numpy.arange(len(wanted)), wanted]
            except IndexError:
                told = f"labels from {wanted.min()} to {wanted.max()} for {scores.shape[1]} classes"
                raise ValueError(f"{told}; classes are numbered from 0") from None
            self._record(float(-numpy.log(found + self.eps).sum()), len(wanted))


@register
@alias("ce")
class CrossEntropy(_LogLikelihood):
    """The mean -log(probability of the label + eps); predictions are probabilities, (N, classes)."""

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "cross-entropy",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(eps, name, output_names, label_names)


@register
@alias("nll_loss")
class NegativeLogLikelihood(_LogLikelihood):
    """As CrossEntropy, under another name."""

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "nll-loss",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(eps, name, output_names, label_names)
