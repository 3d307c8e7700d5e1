"""What all metrics share, and those made of others: several at once, or a function of yours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy

from netdef.diag import MXNetError
from netdef.mx.ndarray import NDArray
from netdef.mx.registry import get_alias_func, get_create_func, get_register_func

#: a name and a value, or several of both
Result = tuple[Any, Any]
Names = Sequence[str] | None


def check_label_shapes(labels: Any, preds: Any, wrap: bool = False, shape: bool = False) -> tuple[Any, Any]:
    """Raise `ValueError` unless labels and predictions are equally many, or with `shape` of the same shape.

    `wrap` makes a list of a single NDArray.
    """
    of_labels, of_preds = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if of_labels != of_preds:
        raise ValueError(f"Shape of labels {of_labels} does not match shape of predictions {of_preds}")
    return (_listed(labels), _listed(preds)) if wrap else (labels, preds)


def _listed(arrays: Any) -> Any:
    return [arrays] if isinstance(arrays, NDArray) else arrays


def values(array: Any) -> numpy.ndarray:
    """The numpy array of an NDArray, or whatever numpy makes an array of; not to be changed."""
    if not isinstance(array, NDArray):
        return numpy.asarray(array)
    return array.array if isinstance(array.array, numpy.ndarray) else array.asnumpy()


class EvalMetric:
    """Base of the metrics: the mean of what `update` adds to `sum_metric` for `num_inst` instances.

    `output_names` and `label_names` choose the arrays that `update_dict` looks at; without them it takes
    all. `reset_local` forgets what came since the last such call, `get_global` tells about everything since
    `reset`. A metric of your own overrides `update`, and `register` makes it known to `create`.
    """

    def __init__(
        self, name: str, output_names: Names = None, label_names: Names = None, **kwargs: Any
    ) -> None:
        self.name = str(name)
        self.output_names, self.label_names = output_names, label_names
        self._has_global_stats = kwargs.pop("has_global_stats", False)
        self._kwargs = kwargs
        self.reset()

    def __str__(self) -> str:
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self) -> dict[str, Any]:
        """The arguments that `create` needs to make such a metric, in a dict."""
        return {
            **self._kwargs,
            "metric": type(self).__name__,
            "name": self.name,
            "output_names": self.output_names,
            "label_names": self.label_names,
        }

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        """Update with labels and predictions by name."""
        self.update(
            _chosen(label, self.label_names, "label_names"), _chosen(pred, self.output_names, "output_names")
        )

    def update(self, labels: Any, preds: Any) -> None:
        """Take labels and predictions into account, lists of NDArrays that belong together in pairs."""
        raise NotImplementedError(f"{type(self).__name__} must define update(labels, preds)")

    def _record(self, total: Any, instances: Any) -> None:
        """Add to the sums, those since the last local reset and those since `reset`."""
        self.sum_metric += total
        self.global_sum_metric += total
        self.num_inst += instances
        self.global_num_inst += instances

    def reset(self) -> None:
        """Forget everything."""
        self.global_num_inst: Any = 0
        self.global_sum_metric: Any = 0.0
        self.reset_local()

    def reset_local(self) -> None:
        """Forget all but what `get_global` tells."""
        self.num_inst: Any = 0
        self.sum_metric: Any = 0.0

    def get(self) -> Result:
        """Name and value; without any instance the value is nan."""
        return self.name, self._value(self.sum_metric, self.num_inst)

    def get_global(self) -> Result:
        """As `get`, over everything since `reset`."""
        if not self._has_global_stats:
            return self.get()
        return self.name, self._value(self.global_sum_metric, self.global_num_inst)

    def _value(self, total: Any, instances: Any) -> Any:
        return total / instances if instances else float("nan")

    def get_name_value(self) -> list[tuple[str, Any]]:
        """Pairs of name and value."""
        return _pairs(self.get())

    def get_global_name_value(self) -> list[tuple[str, Any]]:
        """Pairs of name and value over everything since `reset`."""
        return _pairs(self.get_global())


def _chosen(arrays: Mapping[str, Any], names: Names, argument: str) -> list[Any]:
    if names is None:
        return list(arrays.values())
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"{argument} asks for {', '.join(missing)}; there are {', '.join(arrays) or 'none'}")
    return [arrays[name] for name in names]


def _pairs(result: Result) -> list[tuple[str, Any]]:
    names, numbers = (part if isinstance(part, list) else [part] for part in result)
    return list(zip(names, numbers))


register = get_register_func(EvalMetric, "metric")
alias = get_alias_func(EvalMetric, "metric")
_create = get_create_func(EvalMetric, "metric")


def create(metric: Any, *args: Any, **kwargs: Any) -> Any:
    """A metric from its name, a function of label and prediction, a list of such, a config or a metric."""
    if isinstance(metric, list):
        composite = CompositeEvalMetric()
        for each in metric:
            composite.add(create(each, *args, **kwargs))
        return composite
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    return _create(metric, *args, **kwargs)


@register
@alias("composite")
class CompositeEvalMetric(EvalMetric):
    """Several metrics at once; `get` gives a list of names and a list of values."""

    def __init__(
        self,
        metrics: Sequence[Any] | None = None,
        name: str = "composite",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        self.metrics = [create(each) for each in metrics or ()]
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def add(self, metric: Any) -> None:
        """Add a metric, or what `create` makes one of."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> Any:
        """The metric of this number; raises `ValueError` where there is none."""
        try:
            return self.metrics[index]
        except IndexError:
            raise ValueError(f"there is no metric {index}; there are {len(self.metrics)}") from None

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        if self.label_names is not None:
            label = {name: array for name, array in label.items() if name in self.label_names}
        if self.output_names is not None:
            pred = {name: array for name, array in pred.items() if name in self.output_names}
        for metric in self.metrics:
            metric.update_dict(label, pred)

    def update(self, labels: Any, preds: Any) -> None:
        for metric in self.metrics:
            metric.update(labels, preds)

    def reset(self) -> None:
        for metric in self.metrics:
            metric.reset()

    def reset_local(self) -> None:
        for metric in self.metrics:
            metric.reset_local()

    def get(self) -> Result:
        return _together(metric.get() for metric in self.metrics)

    def get_global(self) -> Result:
        return _together(metric.get_global() for metric in self.metrics)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "metrics": [metric.get_config() for metric in self.metrics]}


def _together(results: Any) -> Result:
    pairs = [pair for result in results for pair in _pairs(result)]
    return [name for name, _ in pairs], [value for _, value in pairs]


@register
class CustomMetric(EvalMetric):
    """The mean of `feval(label, prediction)`, two numpy arrays, over all pairs.

    `feval` may give a sum and a number of instances instead of a value.  Labels and predictions must be
    equally many unless `allow_extra_outputs` is true.
    """

    def __init__(
        self,
        feval: Callable[[Any, Any], Any],
        name: str | None = None,
        allow_extra_outputs: bool = False,
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        if name is None:
            name = getattr(feval, "__name__", type(feval).__name__)
            name = f"custom({name})" if "<" in name else name
        super().__init__(
            name,
            output_names,
            label_names,
            feval=feval,
            allow_extra_outputs=allow_extra_outputs,
            has_global_stats=True,
        )
        self._feval, self._allow_extra_outputs = feval, allow_extra_outputs

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = _listed(labels), _listed(preds)
        if not self._allow_extra_outputs:
            check_label_shapes(labels, preds)
        for label, pred in zip(labels, preds):
            found = self._feval(values(label).copy(), values(pred).copy())
            total, instances = found if isinstance(found, tuple) else (found, 1)
            self._record(total, instances)

    def get_config(self) -> dict[str, Any]:
        """Raises `MXNetError`: a function cannot be told."""
        raise MXNetError(f"the metric {self.name} is a function; it has no config")


def np(
    numpy_feval: Callable[[Any, Any], Any], name: str | None = None, allow_extra_outputs: bool = False
) -> CustomMetric:
    """A metric from a function of a label and a prediction, both numpy arrays."""
    return CustomMetric(numpy_feval, name, allow_extra_outputs)
