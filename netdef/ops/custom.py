"""Operators that users write in Python.

The classes that they write are `netdef.mx.operator`'s, which fills `REGISTERED`; here is what the graph and
its executors see of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from netdef.diag import did_you_mean
from netdef.ops.base import Op
from netdef.ops.fields import BadValue, Str
from netdef.ops.shapes import Shape, ShapeError, Shapes, Types, show


class Running(Protocol):
    """What computes for one node of one executor; the lists hold arrays, `None` for what is not there."""

    def forward(self, train: bool, args: list[Any], outs: list[Any], aux: list[Any]) -> None:
        """Write the outputs; states may change."""

    def backward(
        self,
        requests: Sequence[str],
        douts: list[Any],
        args: list[Any],
        outs: list[Any],
        dargs: list[Any],
        aux: list[Any],
    ) -> None:
        """Write the gradients of the inputs, or add to them, as `requests` say."""


class Written(Protocol):
    """What a user's operator says of itself for the parameters of one node."""

    #: the users' names of the tensors
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...]

    def shapes(self, known: Sequence[Shape]) -> Sequence[Shape]:
        """The shapes of inputs, outputs and states from those of the inputs; raises `ShapeError`."""

    def dtypes(self, known: Sequence[str | None]) -> Sequence[str | None]:
        """The dtypes likewise."""

    def reads(self) -> Collection[int]:
        """What the backward pass reads: numbers of gradients of outputs, then of inputs, then of outputs."""

    def start(self, context: Any, shapes: Shapes, dtypes: Types) -> Running:
        """What computes, for tensors `arg0`, ..., `output0`, ..., `aux0`, ... of these shapes and dtypes."""


#: name -> what makes a `Written` from the parameters of a node
REGISTERED: dict[str, Callable[[Mapping[str, str]], Written]] = {}


class Custom(Op):
    """An operator that is registered with `mx.operator.register`.

    Every attribute beside `op_type` is a parameter of the user's own and reaches it as a text.  The tensors
    are `arg0`, `output0`, `aux0` and so on inside, for users' names may be anything.
    """

    op_type = Str(help="the name that the operator is registered under")

    variadic = True
    splits = True
    open = True
    adds = True
    inputs = ()
    outputs = ()
    allocates = "the code is the user's"

    def __init__(self, **values: Any) -> None:
        texts = {name: str(value) for name, value in values.items() if name not in self.fields}
        super().__init__(**{name: value for name, value in values.items() if name in self.fields})
        if self.op_type not in REGISTERED:
            hint = did_you_mean(self.op_type, REGISTERED) or "register it with mx.operator.register first"
            raise BadValue(f"there is no custom operator {self.op_type}", hint)
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "given", self.given | set(texts))
        object.__setattr__(self, "written", REGISTERED[self.op_type](texts))
        object.__setattr__(self, "running", None)

    texts: dict[str, str]
    written: Written
    #: set in an instance only
    running: Running

    def values(self) -> dict[str, Any]:
        return {**super().values(), **self.texts}

    def input_names(self) -> tuple[str, ...]:
        return tuple(f"arg{number}" for number in range(len(self.written.inputs)))

    def output_names(self) -> tuple[str, ...]:
        return tuple(f"output{number}" for number in range(len(self.written.outputs)))

    def state_names(self) -> tuple[str, ...]:
        return tuple(f"aux{number}" for number in range(len(self.written.states)))

    def visible_outputs(self) -> int:
        return len(self.written.outputs)

    def called(self, name: str) -> str:
        return dict(zip(self._tensors(), self._called()))[name]

    def _tensors(self) -> tuple[str, ...]:
        return (*self.input_names(), *self.output_names(), *self.state_names())

    def _called(self) -> tuple[str, ...]:
        return (*self.written.inputs, *self.written.outputs, *self.written.states)

    def shape(self, s: Shapes) -> None:
        told = self.written.shapes([s[name] for name in self.input_names()])
        self._learn(s, told, f"infer_shape of {self.op_type}", show, "shape-mismatch")

    def types(self, t: Shapes) -> None:
        told = self.written.dtypes([t.known[name] for name in self.input_names()])  # type: ignore[misc]
        self._learn(t, told, f"infer_type of {self.op_type}", str, "dtype-mismatch")

    def _learn(
        self, facts: Shapes, told: Sequence[Any], rule: str, text: Callable[[Any], str], kind: str
    ) -> None:
        """Merge what the user's rule says; a contradiction is told with the user's names."""
        for name, user_name, fact in zip(self._tensors(), self._called(), told):
            known = facts.known[name]
            try:
                facts.known[name] = facts.join(known, fact)
            except ValueError:
                message = f"{user_name} is {text(known)}, but {rule} says {text(fact)}"
                raise ShapeError(message, tensor=name, kind=kind) from None

    def backward_tensors(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        inputs, outputs = self.input_names(), self.output_names()
        numbered = (*(f"d{name}" for name in outputs), *inputs, *outputs)
        reads = tuple(numbered[number] for number in sorted(set(self.written.reads())))
        return (*reads, *self.state_names()), tuple(f"d{name}" for name in inputs)

    def instance(self, context: Any, shapes: Shapes, dtypes: Types) -> Op:
        made = copy.copy(self)
        object.__setattr__(made, "running", self.written.start(context, shapes, dtypes))
        return made

    def forward(self, train: Any, args: Any, outs: Any, aux: Any) -> None:
        self.running.forward(train, args, outs, aux)

    def backward(self, requests: Any, douts: Any, args: Any, outs: Any, dargs: Any, aux: Any) -> None:
        self.running.backward(requests, douts, args, outs, dargs, aux)
