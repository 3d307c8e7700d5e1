"""MXNet's custom operators: operators that users write in Python (MXNet's `operator` module)."""

from __future__ import annotations

import inspect
import logging
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from netdef.diag import MXNetError
from netdef.graph.attributes import DTYPE_NUMBERS
from netdef.mx.ndarray import NDArray
from netdef.ops import OPERATORS
from netdef.ops.custom import REGISTERED
from netdef.ops.shapes import Full, Shape, ShapeError, Shapes, Types
from netdef.runtime.context import Context

Class = TypeVar("Class", bound=type)


class CustomOp:
    """What a custom operator computes; subclasses override `forward` and, for gradients, `backward`.

    There is one instance for each node of each executor, so that `forward` may keep in `self` what `backward`
    needs.  All lists hold NDArrays, in the order of the property's lists of names.  `in_data` cannot be
    written, nor can anything in `backward` but `in_grad` and `aux`; an output or gradient that is not written
    is 0.
    """

    def forward(
        self,
        is_train: bool,
        req: list[str],
        in_data: list[NDArray],
        out_data: list[NDArray],
        aux: list[NDArray],
    ) -> None:
        """Compute `out_data` from `in_data`.

        `req` says for each output what to do, as `assign` understands it; `aux` are the auxiliary states,
        which may change.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(
        self,
        req: list[str],
        out_grad: list[NDArray],
        in_data: list[NDArray],
        out_data: list[NDArray],
        in_grad: list[NDArray],
        aux: list[NDArray],
    ) -> None:
        """Compute `in_grad`, the gradients of the inputs; without it they are 0.

        `req` says for each gradient what to do: write, add or null (nobody wants it).  `out_grad` are the
        gradients of the outputs, 0 for an output that nothing depends on.  What
        `declare_backward_dependency` leaves out is None.
        """

    def assign(self, dst: NDArray, req: str, src: Any) -> None:
        """Write `src` into `dst`, or add it, or do nothing, as `req` says: write, inplace, add or null.

        `src` is an NDArray, numpy array or number.  Raises `ValueError` for another `req`.
        """
        if req in ("write", "inplace"):
            dst[:] = src
        elif req == "add":
            dst.array[...] += src.array if isinstance(src, NDArray) else src
        elif req != "null":
            raise ValueError(f"req is {req!r}; legal: null, write, inplace, add")


class CustomOpProp:
    """What a custom operator is: names, shapes and types of its tensors, and how to make its `CustomOp`.

    The attributes of a node reach the constructor as keywords, all of them texts.  `need_top_grad` says
    whether `backward` needs the gradients of the outputs; without, the operator is a loss.
    """

    def __init__(self, need_top_grad: bool = True) -> None:
        self.need_top_grad_ = need_top_grad

    def list_arguments(self) -> list[str]:
        """The names of the inputs; one, `data`, by default."""
        return ["data"]

    def list_outputs(self) -> list[str]:
        """The names of the outputs; one, `output`, by default."""
        return ["output"]

    def list_auxiliary_states(self) -> list[str]:
        """The names of the auxiliary states; none by default."""
        return []

    def infer_shape(self, in_shape: list[list[int]]) -> Sequence[Any]:
        """The shapes of inputs, outputs and, as a third list if there are some, auxiliary states.

        `in_shape` holds what is known of the inputs: a list of sizes, -1 for one that is not known, and `[]`
        where nothing is known.  A returned shape may be unknown in the same way.  By default all outputs
        have the shape of the first input.
        """
        return in_shape, [in_shape[0]] * len(self.list_outputs()), []

    def infer_type(self, in_type: list[Any]) -> Sequence[Any]:
        """The numpy types of inputs, outputs and states likewise, None for one that is not known.

        By default all outputs and states have that of the first input.
        """
        outputs, states = len(self.list_outputs()), len(self.list_auxiliary_states())
        return in_type, [in_type[0]] * outputs, [in_type[0]] * states

    def declare_backward_dependency(
        self, out_grad: list[int], in_data: list[int], out_data: list[int]
    ) -> list[int]:
        """Which arrays `backward` reads, from three lists of their numbers; the others are not kept for it.

        By default all, those of `out_grad` only where the operator needs them.
        """
        return [*(out_grad if self.need_top_grad_ else []), *in_data, *out_data]

    def create_operator(self, ctx: Context, in_shapes: list[list[int]], in_dtypes: list[int]) -> CustomOp:
        """The `CustomOp` for an executor on the device `ctx`.

        Given the shapes of inputs and auxiliary states and MXNet's numbers of their dtypes (0: float32; -1:
        one that MXNet does not have).
        """
        return CustomOp()


def register(reg_name: str) -> Callable[[Class], Class]:
    """The decorator that makes a subclass of `CustomOpProp` the operator of this `op_type`.

    Nodes that were made before keep what they have.  Raises `MXNetError` for another class, `TypeError` for a
    name that is no text.
    """
    if not isinstance(reg_name, str):
        raise TypeError(f"register takes a name, as in @register('softmax'), not {reg_name!r}")

    def do_register(prop_cls: Class) -> Class:
        if not isinstance(prop_cls, type) or not issubclass(prop_cls, CustomOpProp):
            raise MXNetError(f"{reg_name}: register a subclass of CustomOpProp, which {prop_cls!r} is not")
        if reg_name in REGISTERED:
            logging.warning("the custom operator %s is registered anew", reg_name)
        REGISTERED[reg_name] = lambda texts: _Written(reg_name, _property(reg_name, prop_cls, texts))
        return prop_cls

    return do_register


def get_all_registered_operators() -> list[str]:
    """The names of all operators; custom operators are one of these, Custom."""
    return sorted(OPERATORS)


def _property(op_type: str, create: Callable[..., CustomOpProp], texts: Mapping[str, str]) -> CustomOpProp:
    """The property of a node; raises `MXNetError` for parameters that the class does not take."""
    signature = inspect.signature(create)
    try:
        signature.bind(**texts)
    except TypeError as error:
        raise MXNetError(f"custom operator {op_type}: {error}; it takes {signature}") from None
    return create(**texts)


class _Written:
    """A user's property as the graph sees it (`netdef.ops.custom.Written`): what it returns is checked."""

    def __init__(self, op_type: str, prop: CustomOpProp) -> None:
        self.op_type, self.prop = op_type, prop
        self.inputs = self._names("list_arguments")
        self.outputs = self._names("list_outputs")
        self.states = self._names("list_auxiliary_states")
        if not self.outputs:
            raise MXNetError(f"custom operator {op_type}: list_outputs returned no name")
        listed = [*self.inputs, *self.states]
        double = sorted({name for name in listed if listed.count(name) > 1})
        if double:
            raise MXNetError(
                f"custom operator {op_type}: two inputs or states are called {', '.join(double)}"
            )

    def _names(self, method: str) -> tuple[str, ...]:
        names = getattr(self.prop, method)()
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) and name for name in names):
            raise MXNetError(
                f"custom operator {self.op_type}: {method} returned {names!r}; it must be a list of names"
            )
        return tuple(names)

    def shapes(self, known: Sequence[Shape]) -> list[Shape]:
        given = [[-1 if size is None else size for size in shape or ()] for shape in known]
        return self._inferred("infer_shape", "shape", given, all(shape is None for shape in known), _sizes)

    def dtypes(self, known: Sequence[str | None]) -> list[str | None]:
        given = [None if name is None else np.dtype(name).type for name in known]
        return self._inferred("infer_type", "type", given, not any(known), _dtype)

    def _inferred(
        self, method: str, what: str, given: list[Any], nothing_known: bool, read: Callable[[Any], Any]
    ) -> list[Any]:
        """What the user's rule returns, in one list, each item read; raises `ShapeError`."""
        try:
            returned = getattr(self.prop, method)(given)
        except Exception:
            # Most rules look into the shape of an input; of none is anything known yet.
            if given and nothing_known:
                return [None] * (len(self.inputs) + len(self.outputs) + len(self.states))
            raise
        told = f"{method} of {self.op_type} returned {returned!r}"
        if not isinstance(returned, (list, tuple)) or len(returned) not in (2, 3):
            raise ShapeError(f"{told}; it must return 2 or 3 lists")
        found = []
        parts = (*returned, ()) if len(returned) == 2 else returned
        kinds = {"inputs": self.inputs, "outputs": self.outputs, "auxiliary states": self.states}
        for part, (kind, names) in zip(parts, kinds.items()):
            if not isinstance(part, (list, tuple)) or len(part) != len(names):
                listed = f" ({', '.join(names)})" if names else ""
                raise ShapeError(f"{told}; it must have one {what} for each of {len(names)} {kind}{listed}")
            for name, item in zip(names, part):
                try:
                    found.append(read(item))
                except (TypeError, ValueError):
                    raise ShapeError(f"{told}; {item!r}, which stands for {name}, is no {what}") from None
        return found

    def reads(self) -> list[int]:
        outputs, inputs = len(self.outputs), len(self.inputs)
        numbers = list(range(2 * outputs + inputs))
        heads, rest = numbers[:outputs], numbers[outputs:]
        returned = self.prop.declare_backward_dependency(heads, rest[:inputs], rest[inputs:])
        if not isinstance(returned, (list, tuple, set)) or not all(item in numbers for item in returned):
            raise MXNetError(
                f"custom operator {self.op_type}: declare_backward_dependency returned {returned!r}; "
                f"it must be a list of some of {numbers}"
            )
        return [int(item) for item in returned]

    def start(self, context: Context, shapes: Shapes, dtypes: Types) -> _Running:
        described = {name: (shapes.full(name), str(dtypes.known[name])) for name in shapes.known}
        read = [
            *(described[f"arg{number}"] for number in range(len(self.inputs))),
            *(described[f"aux{number}"] for number in range(len(self.states))),
        ]
        made = self.prop.create_operator(
            context, [list(shape) for shape, _ in read], [DTYPE_NUMBERS.get(dtype, -1) for _, dtype in read]
        )
        if not isinstance(made, CustomOp):
            raise MXNetError(
                f"custom operator {self.op_type}: create_operator returned {made!r}, which is no CustomOp"
            )
        inputs = [described[f"arg{number}"] for number in range(len(self.inputs))]
        reads = self.reads()
        heads = [
            described[f"output{number}"] if number in reads else None for number in range(len(self.outputs))
        ]
        return _Running(made, context, inputs, heads)


#: shape and dtype of a tensor
_Described = tuple[Full, str]


class _Running:
    """A user's `CustomOp` at work: arrays become NDArrays, those that are only read cannot be written.

    `inputs` describes the inputs, `heads` those outputs whose gradients `backward` reads.
    """

    def __init__(
        self,
        custom: CustomOp,
        context: Context,
        inputs: Sequence[_Described],
        heads: Sequence[_Described | None],
    ) -> None:
        self.custom, self.context, self.inputs, self.heads = custom, context, inputs, heads

    def forward(self, train: bool, args: list[Any], outs: list[Any], aux: list[Any]) -> None:
        for output in outs:
            output.fill(0)
        self.custom.forward(
            is_train=train,
            req=["write"] * len(outs),
            in_data=self._read_only(args),
            out_data=self._writable(outs),
            aux=self._writable(aux),
        )

    def backward(
        self,
        requests: Sequence[str],
        douts: list[Any],
        args: list[Any],
        outs: list[Any],
        dargs: list[Any],
        aux: list[Any],
    ) -> None:
        for request, gradient in zip(requests, dargs):
            if request == "write":
                gradient.fill(0)
        self.custom.backward(
            req=list(requests),
            out_grad=self._read_only(self._filled(douts, self.heads)),
            in_data=self._read_only(args),
            out_data=self._read_only(outs),
            in_grad=self._writable(self._filled(dargs, self.inputs)),
            aux=self._writable(aux),
        )

    def _filled(self, arrays: Sequence[Any], described: Sequence[_Described | None]) -> list[Any]:
        """The arrays, with new ones of zeros where one is described but not there."""
        xp = self.context.xp
        return [
            xp.zeros(*kind) if array is None and kind is not None else array
            for array, kind in zip(arrays, described)
        ]

    def _writable(self, arrays: Sequence[Any]) -> list[NDArray]:
        return [NDArray(array, self.context) for array in arrays]

    def _read_only(self, arrays: Sequence[Any]) -> list[Any]:
        return [None if array is None else NDArray(_locked(array), self.context) for array in arrays]


def _locked(array: Any) -> Any:
    """A view that cannot be written, where the array module has such views (CuPy has none)."""
    view = array.view()
    if hasattr(view.flags, "writeable"):
        view.flags.writeable = False
    return view


def _sizes(shape: Any) -> Shape:
    """A shape as users return it; raises `TypeError` or `ValueError`."""
    sizes = [operator.index(size) for size in shape]
    if any(size < -1 for size in sizes):
        raise ValueError("sizes are not negative")
    return tuple(size if size > 0 else None for size in sizes) or None


def _dtype(kind: Any) -> str | None:
    """A dtype as users return it, as a numpy name; raises `TypeError` or `ValueError`."""
    if kind is None:
        return None
    name = np.dtype(kind).name
    if name not in DTYPE_NUMBERS:
        raise ValueError(f"no array can have the dtype {name}")
    return name
