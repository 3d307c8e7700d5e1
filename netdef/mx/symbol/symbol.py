"""MXNet's Symbol: composition from `netdef.graph`, operators, files, inference and binding added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netdef.data.replace import replace_file
from netdef.diag import MXNetError, did_you_mean
from netdef.graph import symbol as graph
from netdef.graph.create import create
from netdef.graph.node import Entry, Node
from netdef.interop.mxnet_json import read_symbol, write_symbol
from netdef.mx.allocation import Allocation
from netdef.mx.base import NotImplementedForSymbol
from netdef.mx.debug import debug_text
from netdef.mx.executor import Arrays, Executor, Requests, simple_bind
from netdef.mx.fluent import Fluent
from netdef.mx.ndarray.ndarray import NDArray
from netdef.ops import find
from netdef.ops.shapes import Shape, complete
from netdef.passes.gradient import differentiate
from netdef.passes.infer import Known, infer_shapes, infer_types
from netdef.passes.trail import explain
from netdef.runtime.context import Context, current_context

Dims = tuple[int, ...]


class Symbol(Fluent, graph.Symbol):
    """A net, or a part of one, as MXNet's Symbol."""

    __slots__ = ()

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

    # -- operators --

    def _apply(self, operator: str, *inputs: Any, **values: Any) -> Any:
        return create(Symbol, operator, inputs, **values)

    __hash__: Any = None

    def __bool__(self) -> bool:
        raise NotImplementedForSymbol("bool()")

    def __iadd__(self, other: Any) -> Symbol:
        raise NotImplementedForSymbol("+=")

    def __isub__(self, other: Any) -> Symbol:
        raise NotImplementedForSymbol("-=")

    def __imul__(self, other: Any) -> Symbol:
        raise NotImplementedForSymbol("*=")

    def __itruediv__(self, other: Any) -> Symbol:
        raise NotImplementedForSymbol("/=")

    def _compose(self, *args: Any, name: str | None = None, **kwargs: Symbol) -> None:
        """Replace arguments as calling the symbol does, in place."""
        self.heads = self(*args, name=name, **kwargs).heads

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

    def infer_type_partial(self, *args: Any, **kwargs: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """As `infer_type`, with None for a type that does not follow."""
        types = self._types(args, kwargs)
        return tuple([kind and np.dtype(kind).type for kind in part] for part in types)  # type: ignore[return-value]

    def gradient(self, wrt: Sequence[str]) -> Symbol:
        """The gradients of the outputs by the arguments `wrt`, as a graph with an output for each of these.

        Outputs that are no losses have a new argument `<output>_grad`, the gradient that arrives.  Kernels
        that differ in training need `forward(is_train=True)`.  The graph cannot be saved or differentiated
        again.  Raises `MXNetError` for a name that is no argument.  MXNet 0.7 called it `grad`; later MXNet
        has the method, but does not implement it.
        """
        arguments = {node.name: node for node in self.variables()[0]}
        for name in wrt:
            if name not in arguments:
                raise MXNetError(f"there is no argument {name}; {did_you_mean(name, arguments)}")
        joint = differentiate(self.heads, {arguments[name] for name in wrt})
        entries = []
        for name in wrt:
            node = arguments[name]
            nothing = Node(find("zeros_like")(), f"{name}_grad", (Entry(node, 0),))
            entries.append(joint.gradients.get(node) or Entry(nothing, 0))
        return Symbol(entries)

    def debug_str(self) -> str:
        """Every node with its inputs and attributes, as text."""
        return debug_text(self)

    # -- binding --

    def bind(
        self,
        ctx: Context | None = None,
        args: Arrays = None,
        args_grad: Arrays = None,
        grad_req: Requests = "write",
        aux_states: Arrays = None,
        group2ctx: Mapping[str, Context] | None = None,
        shared_exec: Executor | None = None,
    ) -> Executor:
        """An executor over the caller's arrays, given as lists in order or as dicts by name.

        `shared_exec` is an executor whose memory for values in between this one uses as well; their outputs
        overwrite each other.  There is one device, so `group2ctx` may name no other.
        """
        context = self._context(ctx, group2ctx)
        return Executor(self, context, args, args_grad, grad_req, aux_states, shared_exec)

    def simple_bind(
        self,
        ctx: Context | None = None,
        grad_req: Requests = "write",
        type_dict: Mapping[str, Any] | None = None,
        stype_dict: Mapping[str, str] | None = None,
        group2ctx: Mapping[str, Context] | None = None,
        shared_arg_names: Sequence[str] | None = None,
        shared_exec: Executor | None = None,
        shared_buffer: dict[str, NDArray] | None = None,
        **shapes: Dims,
    ) -> Executor:
        """An executor over new arrays, zero at first, whose shapes follow from `shapes`.

        Their types follow from `type_dict`, and are float32 where it says nothing.  With `shared_exec` the
        memory for values in between, the arguments of `shared_arg_names` and the auxiliary states are those
        of another executor, where the shapes agree; the other arguments come from `shared_buffer`, arrays by
        name, where they are there and large enough, and are kept in it.  Shapes of names that are no
        arguments are passed over.
        """
        if any(stype != "default" for stype in (stype_dict or {}).values()):
            raise MXNetError(f"stype_dict is {stype_dict}; arrays are dense here, so only 'default' is legal")
        context = self._context(ctx, group2ctx)
        names = {*self.list_arguments(), *self.list_auxiliary_states()}
        shapes = {name: shape for name, shape in shapes.items() if name in names}
        arguments, _, states = self.infer_shape(**shapes)
        if arguments is None:
            partial = self.infer_shape_partial(**shapes)
            unknown = [n for n, shape in zip(self.list_arguments(), partial[0]) if not shape or 0 in shape]
            raise MXNetError(
                f"the shapes of {', '.join(unknown) or 'the outputs'} do not follow from those given"
            )
        kinds = self._types((), {k: v for k, v in (type_dict or {}).items() if k in names})
        arrays = Allocation(context, shared_exec, shared_arg_names or (), shared_buffer)
        return simple_bind(self, context, (arguments, states), (kinds[0], kinds[2]), grad_req, arrays)

    def eval(self, ctx: Context | None = None, **kwargs: NDArray) -> list[NDArray]:
        """The outputs for arrays given by name."""
        return self.bind(ctx, kwargs).forward()

    @staticmethod
    def _context(ctx: Context | None, group2ctx: Mapping[str, Context] | None) -> Context:
        context = ctx or current_context()
        for group, other in (group2ctx or {}).items():
            if other != context:
                raise MXNetError(
                    f"group2ctx: group {group} is on {other}, but a net runs on one device, {context}"
                )
        return context

    # -- what MXNet's Symbol has for its other interfaces --

    def as_nd_ndarray(self) -> Symbol:
        """This symbol: netdef has MXNet's classic operators only."""
        return self

    def as_np_ndarray(self) -> Symbol:
        """Raises `MXNetError`: there is no numpy interface of symbols here."""
        raise MXNetError("netdef has MXNet's classic operators (mx.sym), not those of mx.np")

    def optimize_for(self, backend: str, *args: Any, **kwargs: Any) -> Symbol:
        """Raises `MXNetError`: there are no backends to which parts of a graph could be given."""
        raise MXNetError(f"there is no backend {backend}; netdef runs graphs by itself")

    # -- inference, before MXNet's words --

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
        given: dict[str, Shape] = {}
        for name, shape in self._given(args, kwargs).items():
            left_out = bool(args) and shape is None
            if not left_out and not (isinstance(shape, tuple) and all(map(_is_whole, shape))):
                raise TypeError(f"the shape of {name} must be a tuple of whole numbers, not {shape!r}")
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


def _is_whole(size: Any) -> bool:
    return isinstance(size, (int, np.integer))


def _mxnet(shape: Shape) -> Dims:
    """A partial shape in MXNet's words."""
    return tuple(size or 0 for size in shape) if shape else ()


def load_json(json_str: str) -> Symbol:
    """The symbol that a JSON text of MXNet 0.7 to 1.9 describes; raises `MXNetError`."""
    if not isinstance(json_str, str):
        raise TypeError(f"the JSON must be a text, not {json_str!r}")
    return Symbol(read_symbol(json_str))


def _only_arrays(function: str) -> Callable[..., Any]:
    def method(self: Symbol, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedForSymbol(function)

    method.__name__ = function
    method.__doc__ = "Raises `NotImplementedForSymbol`: only arrays have it."
    return method


for _function in ("asnumpy", "asscalar", "as_in_context", "backward", "copy", "detach", "wait_to_read"):
    setattr(Symbol, _function, _only_arrays(_function))
