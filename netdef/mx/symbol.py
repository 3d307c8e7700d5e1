"""MXNet's Symbol.

Composition from `netdef.graph`, inference and binding added, one function for each operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from netdef.data.replace import replace_file
from netdef.diag import MXNetError, UsageError, did_you_mean
from netdef.graph import symbol as graph
from netdef.graph.attributes import DTYPE_NUMBERS, text_of
from netdef.graph.create import create, variable
from netdef.graph.node import Entry
from netdef.graph.symbol import group
from netdef.interop.mxnet_json import read_symbol, write_symbol
from netdef.mx.executor import Arrays, Executor, Requests, simple_bind
from netdef.ops import OPERATORS, find
from netdef.ops.shapes import Shape, complete
from netdef.passes.infer import Known, infer_shapes, infer_types
from netdef.passes.trail import explain
from netdef.runtime.context import Context, cpu

Dims = tuple[int, ...]


class Symbol(graph.Symbol):
    """A net, or a part of one, as MXNet's Symbol."""

    __slots__ = ()
    #: numpy leaves `number * symbol` to the symbol
    __array_ufunc__ = None

    # -- files --

    def tojson(self) -> str:
        """The JSON text in the layout of MXNet 1.9."""
        return write_symbol(self)

    def save(self, fname: str) -> None:
        """Write the JSON text to a file; raises `MXNetError` where it cannot be written."""
        if not isinstance(fname, str):
            raise TypeError(f"the file's name must be a text, not {fname!r}")
        text = self.tojson().encode()
        try:
            replace_file(Path(fname), lambda file: file.write(text))
        except OSError as error:
            raise MXNetError(f"{fname} cannot be written: {error.strerror or error}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return load_json, (self.tojson(),)

    def __copy__(self) -> Symbol:
        return load_json(self.tojson())

    def __deepcopy__(self, memo: dict[int, Any]) -> Symbol:
        return load_json(self.tojson())

    # -- arithmetic: an operator with a symbol or with a number on either side --

    def _binary(self, other: Any, operator: str, scalar_operator: str) -> Symbol:
        if isinstance(other, Symbol):
            return create(Symbol, operator, (self, other))
        if isinstance(other, Real):
            return create(Symbol, scalar_operator, (self,), scalar=other)
        raise TypeError(f"a Symbol cannot be combined with {other!r}; give a Symbol or a number")

    def __add__(self, other: Any) -> Symbol:
        return self._binary(other, "_Plus", "_PlusScalar")

    def __sub__(self, other: Any) -> Symbol:
        return self._binary(other, "_Minus", "_MinusScalar")

    def __mul__(self, other: Any) -> Symbol:
        return self._binary(other, "_Mul", "_MulScalar")

    def __truediv__(self, other: Any) -> Symbol:
        return self._binary(other, "_Div", "_DivScalar")

    def __rsub__(self, other: Any) -> Symbol:
        return self._binary(other, "_Minus", "_RMinusScalar")

    def __rtruediv__(self, other: Any) -> Symbol:
        return self._binary(other, "_Div", "_RDivScalar")

    def __neg__(self) -> Symbol:
        return self._binary(-1.0, "_Mul", "_MulScalar")

    __radd__ = __add__
    __rmul__ = __mul__

    def __bool__(self) -> bool:
        raise TypeError("a Symbol has no truth value: it stands for a computation, not for a bool")

    # -- inference --

    def infer_shape(self, *args: Dims | None, **kwargs: Dims) -> tuple[Any, Any, Any]:
        """The shapes of arguments, outputs and auxiliary states, three lists of tuples.

        Shapes are given by name, or by position in the order of `list_arguments`; a size of 0 is unknown.
        Too little information gives `(None, None, None)`; shapes that contradict each other raise
        `MXNetError`.
        """
        shapes = self._shapes(args, kwargs)
        if not all(complete(shape) for part in shapes for shape in part):
            return None, None, None
        return shapes

    def infer_shape_partial(
        self, *args: Dims | None, **kwargs: Dims
    ) -> tuple[list[Dims], list[Dims], list[Dims]]:
        """As `infer_shape`, with 0 for an unknown size and `()` for a shape of which nothing is known."""
        return tuple([_mxnet(shape) for shape in part] for part in self._shapes(args, kwargs))  # type: ignore[return-value]

    def infer_type(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """The numpy types of arguments, outputs and states; `(None, None, None)` where one is open."""
        types = self._types(args, kwargs)
        if any(kind is None for part in types for kind in part):
            return None, None, None
        return tuple([np.dtype(kind).type for kind in part] for part in types)  # type: ignore[return-value]

    def bind(
        self,
        ctx: Context | None = None,
        args: Arrays = None,
        args_grad: Arrays = None,
        grad_req: Requests = "write",
        aux_states: Arrays = None,
    ) -> Executor:
        """An executor over the caller's arrays, given as lists in order or as dicts by name."""
        return Executor(self, ctx or cpu(), args, args_grad, grad_req, aux_states)

    def simple_bind(
        self,
        ctx: Context | None = None,
        grad_req: Requests = "write",
        type_dict: Mapping[str, Any] | None = None,
        **shapes: Dims,
    ) -> Executor:
        """An executor over new arrays, zero at first, whose shapes follow from `shapes`.

        Their types follow from `type_dict`, and are float32 where it says nothing.
        """
        arguments, _, states = self.infer_shape(**shapes)
        if arguments is None:
            partial = self.infer_shape_partial(**shapes)
            unknown = [n for n, shape in zip(self.list_arguments(), partial[0]) if not shape or 0 in shape]
            raise MXNetError(
                f"the shapes of {', '.join(unknown) or 'the outputs'} do not follow from those given"
            )
        kinds = self._types((), type_dict or {})
        return simple_bind(self, ctx or cpu(), (arguments, states), (kinds[0], kinds[2]), grad_req)

    # -- inference --

    def _given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        names = self.list_arguments()
        if args and kwargs:
            raise ValueError("give shapes or types by position or by name, not both")
        if len(args) > len(names):
            raise ValueError(f"{len(args)} values for {len(names)} arguments: {', '.join(names)}")
        for name in kwargs:
            if name not in names and name not in self.list_auxiliary_states():
                raise MXNetError(f"there is no argument {name}; {did_you_mean(name, names)}")
        return dict(kwargs) or dict(zip(names, args))

    def _types(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """The dtypes of arguments, outputs and states as numpy names, None where one is open."""
        given = self._given(args, kwargs).items()
        named = {name: np.dtype(kind).name for name, kind in given if kind is not None}
        known, failures = infer_types(self.heads, named)
        if failures:
            raise MXNetError("\n".join(explain(failure, known) for failure in failures))
        return self._by_role(known)

    def _shapes(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[list[Shape], list[Shape], list[Shape]]:
        given = {}
        for name, shape in self._given(args, kwargs).items():
            if shape is not None and not isinstance(shape, (tuple, list)):
                raise TypeError(f"the shape of {name} must be a tuple, not {shape!r}")
            if shape is not None and any(size < 0 for size in shape):
                raise ValueError(f"the shape of {name} is {shape}; sizes are not negative, and 0 is unknown")
            given[name] = tuple(int(size) or None for size in shape) if shape else None
        known, failures = infer_shapes(self.heads, given)
        if failures:
            raise MXNetError("\n".join(explain(failure, known) for failure in failures))
        return self._by_role(known)

    def _by_role(self, known: Known) -> tuple[list[Any], list[Any], list[Any]]:
        arguments, states = self.variables()
        return (
            [known[Entry(node, 0)] for node in arguments],
            [known[head] for head in self.heads],
            [known[Entry(node, 0)] for node in states],
        )


def _mxnet(shape: Shape) -> Dims:
    """A partial shape in MXNet's words."""
    return tuple(size or 0 for size in shape) if shape else ()


def Variable(
    name: str,
    attr: Mapping[str, str] | None = None,
    shape: Dims | None = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: Any = None,
    init: Any = None,
    **kwargs: str,
) -> Symbol:
    """A free variable.

    `shape` holds what is known of its shape, 0 for an unknown size, and `dtype` its numpy type; the
    multipliers are for its learning rate and weight decay, `init` is its initializer or the JSON text of one.
    Attributes of your own are written `__x__="text"`; raises `ValueError` for another name.
    """
    attributes = dict(attr or {})
    for key, value in kwargs.items():
        if not (key.startswith("__") and key.endswith("__")):
            raise ValueError(f"attribute {key} is not known; attributes of your own are written __{key}__")
        attributes[key] = str(value)
    if shape:
        attributes["__shape__"] = text_of(tuple(shape))
    for key, number in (("__lr_mult__", lr_mult), ("__wd_mult__", wd_mult)):
        if number is not None:
            attributes[key] = str(number)
    if init is not None:
        attributes["__init__"] = init if isinstance(init, str) else init.dumps()
    kind = None if dtype is None else np.dtype(dtype).name
    if kind is not None:
        if kind not in DTYPE_NUMBERS:
            raise ValueError(f"dtype of {name}: {kind} is not known; legal: {', '.join(DTYPE_NUMBERS)}")
        attributes["__dtype__"] = str(DTYPE_NUMBERS[kind])
    return variable(Symbol, name, attributes, tuple(size or None for size in shape) if shape else None, kind)


var = Variable


def Group(symbols: Iterable[Symbol]) -> Symbol:
    """One symbol with the outputs of all."""
    return group(Symbol, symbols)


def load_json(json_str: str) -> Symbol:
    """The symbol that a JSON text of MXNet 0.7 to 1.9 describes; raises `MXNetError`."""
    if not isinstance(json_str, str):
        raise TypeError(f"the JSON must be a text, not {json_str!r}")
    return Symbol(read_symbol(json_str))


fromjson = load_json


def load(fname: str) -> Symbol:
    """The symbol in a JSON file of MXNet 0.7 to 1.9; raises `MXNetError`."""
    if not isinstance(fname, str):
        raise TypeError(f"the file's name must be a text, not {fname!r}")
    try:
        text = Path(fname).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MXNetError(f"{fname} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return Symbol(read_symbol(text, fname))


def _function(operator: str) -> Callable[..., Symbol]:
    def compose(
        *inputs: Symbol, name: str | None = None, attr: dict[str, str] | None = None, **values: Any
    ) -> Symbol:
        return create(Symbol, operator, inputs, name, attr, **values)

    compose.__name__ = operator
    compose.__doc__ = find(operator).__doc__
    return compose


def __getattr__(operator: str) -> Callable[..., Symbol]:
    if operator.startswith("__"):
        raise AttributeError(operator)
    try:
        function = _function(operator)
    except UsageError as error:
        raise AttributeError(str(error)) from None
    globals()[operator] = function
    return function


def __dir__() -> list[str]:
    return sorted([*globals(), *OPERATORS])
