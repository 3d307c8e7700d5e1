"""One operator on arrays, at once: what imperative code has instead of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netdef.diag import MXNetError
from netdef.ops.base import Op, kernel_arguments
from netdef.ops.shapes import ShapeError, Shapes, Types, complete, show
from netdef.runtime.context import Context
from netdef.runtime.kernels import run


def invoke(
    op: Op,
    name: str,
    context: Context,
    tensors: Mapping[str, Any],
    out: Sequence[Any] | None = None,
    random: Any = None,
) -> list[Any]:
    """The visible outputs of an operator, called `name` in messages, outside of training.

    `tensors` holds its inputs and auxiliary states by the users' names for them; states may change.  The
    outputs go to the arrays `out` where these are given, which may be inputs as well.  Raises `MXNetError`
    where an array is missing or does not fit.
    """
    xp = context.xp
    roles = {op.called(role): role for role in (*op.input_names(), *op.state_names())}
    missing = [role for role in roles if role not in tensors]
    if missing:
        raise MXNetError(f"{name} expects {', '.join(roles)}, but there is no {', '.join(missing)}")
    arrays = {roles[role]: array for role, array in tensors.items()}
    shapes, types = _facts(op, name, arrays)
    visible = op.output_names()[: op.visible_outputs()]
    if out is not None:
        _require_fitting(name, visible, out, shapes, types)
    targets = {
        role: xp.empty(shapes.full(role), types[role])
        if out is None or _in_the_way(xp, op, role, out[number], arrays)
        else out[number]
        for number, role in enumerate(visible)
    }
    op = op.instance(context, shapes, types).tuned(shapes, str(types[visible[0]]))
    _run(op, xp, {**arrays, **targets}, shapes, str(types[visible[0]]), random)
    results = [targets[role] for role in visible]
    for number, wanted in enumerate(out or ()):
        if wanted is not results[number]:
            wanted[...] = results[number]
    return results if out is None else list(out)


def _facts(op: Op, name: str, arrays: Mapping[str, Any]) -> tuple[Shapes, Types]:
    """The shapes and dtypes of all tensors."""
    names = (*op.input_names(), *op.state_names(), *op.output_names())
    shapes = Shapes({role: tuple(arrays[role].shape) if role in arrays else None for role in names})
    types = Types({role: arrays[role].dtype.name if role in arrays else None for role in names})
    try:
        op.shape(shapes)
        op.types(types)
        for role in op.output_names():
            if not complete(shapes[role]):
                raise ShapeError(f"the shape of {role} does not follow: {show(shapes[role])}")
        op.check(shapes)
    except ShapeError as error:
        given = ", ".join(f"{role} {show(tuple(array.shape))}" for role, array in arrays.items())
        hint = f"; {error.hint}" if error.hint else ""
        raise MXNetError(f"{name}({given}): {error}{hint}") from None
    for role in op.output_names():
        types.known[role] = types[role] or "float32"  # type: ignore[assignment]
    return shapes, types


def _require_fitting(
    name: str, visible: Sequence[str], out: Sequence[Any], shapes: Shapes, types: Types
) -> None:
    if len(out) != len(visible):
        raise MXNetError(f"{name} has {len(visible)} outputs ({', '.join(visible)}), but out has {len(out)}")
    for role, array in zip(visible, out):
        shape, dtype = shapes.full(role), types[role]
        if tuple(array.shape) != shape or array.dtype != dtype:
            raise MXNetError(
                f"{name}: {role} is {show(shape)} of {dtype}, but out is {show(tuple(array.shape))} of "
                f"{array.dtype}"
            )


def _in_the_way(xp: Any, op: Op, role: str, target: Any, arrays: Mapping[str, Any]) -> bool:
    """Whether an output cannot be written at once, since an input's memory is not free for it."""
    for source, array in arrays.items():
        if xp.may_share_memory(array, target):
            same = array is target or (array.shape == target.shape and array.strides == target.strides)
            if not same or (source, role) not in op.inplace:
                return True
    return False


def _run(op: Op, xp: Any, arrays: dict[str, Any], shapes: Shapes, dtype: str, random: Any) -> None:
    view = op.view(False)
    if view:
        source, target = view
        arrays[target][...] = arrays[source].reshape(arrays[target].shape)
        return
    for name, space in op.workspaces(shapes, False).items():
        arrays[name] = xp.empty(space.shape, space.dtype_for(dtype))
    injected = {"xp": xp, "train": False, "random": random}
    run(xp, [(op.forward, kernel_arguments(op, op.forward, arrays, injected))])
