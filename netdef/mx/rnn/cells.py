"""What all recurrent cells can do, and the cells of one layer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netdef.diag import UsageError
from netdef.mx import ndarray, symbol
from netdef.mx.symbol import Symbol

Weights = dict[str, Any]
#: a sequence as one symbol, or as one for each step
Steps = Symbol | list[Symbol]
#: the outputs of `unroll`, and the states after the last step
Unrolled = tuple[Any, list[Any]]


def arrange(steps: Steps, length: int | None, layout: str, merge: bool | None) -> Any:
    """A sequence as one symbol (`merge`), as a list (not `merge`), or as it is (None)."""
    axis = layout.find("T")
    if isinstance(steps, Symbol):
        if merge is not False:
            return steps
        if len(steps.list_outputs()) != 1:
            raise UsageError("a symbol of several outputs is no sequence; give list(symbol)")
        return list(symbol.split(steps, axis=axis, num_outputs=length, squeeze_axis=True))
    if length is not None and len(steps) != length:
        raise UsageError(f"there are {len(steps)} inputs for {length} steps")
    if not merge:
        return list(steps)
    return symbol.Concat(*[symbol.expand_dims(step, axis=axis) for step in steps], dim=axis)


def like(values: np.ndarray, model: Any) -> Any:
    """An NDArray of these values, where `model` is and of its dtype."""
    return ndarray.array(values, ctx=model.context, dtype=model.dtype)


class RNNParams:
    """Variables by name, made when they are first asked for; cells that share it share weights."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._params: dict[str, Symbol] = {}

    def get(self, name: str, **kwargs: Any) -> Symbol:
        """The variable `prefix + name`; the other arguments are those of `mx.sym.Variable`."""
        name = self._prefix + name
        if name not in self._params:
            self._params[name] = symbol.Variable(name, **kwargs)
        return self._params[name]

    def update(self, other: RNNParams) -> None:
        """Take the variables of another container in."""
        self._params.update(other._params)


class BaseRNNCell:
    """What all cells can do.

    `prefix` begins the names of nodes and, unless `params` are given, of weights.
    """

    #: how weight files name the parts of i2h and h2h
    _gate_names: Sequence[str] = ()

    def __init__(self, prefix: str = "", params: RNNParams | None = None) -> None:
        self._prefix = prefix
        self._params = RNNParams(prefix) if params is None else params
        self._modified = False
        self.reset()

    def reset(self) -> None:
        """Count steps and states anew, for another graph."""
        self._init_counter = -1
        self._counter = -1

    def __call__(self, inputs: Symbol, states: list[Any]) -> tuple[Symbol, list[Any]]:
        """One step: from the inputs (N, C) and the states to the output and the next states."""
        raise NotImplementedError(f"{type(self).__name__} has no single steps; use unroll")

    @property
    def params(self) -> RNNParams:
        """The variables of this cell."""
        return self._params

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """Shape, with 0 for the batch, and layout of each state."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its states are")

    @property
    def state_shape(self) -> list[tuple[int, ...]]:
        return [info["shape"] for info in self.state_info]

    def begin_state(self, func: Callable[..., Symbol] | None = None, **kwargs: Any) -> list[Any]:
        """The first states: zeros, or what `func(name=, shape=, attr=, **kwargs)` makes of them."""
        self._require_unmodified()
        states = []
        for info in self.state_info:
            self._init_counter += 1
            name = f"{self._prefix}begin_state_{self._init_counter}"
            attr = {"__layout__": info["__layout__"]}
            states.append((func or symbol.zeros)(name=name, shape=info["shape"], attr=attr, **kwargs))
        return states

    def _require_unmodified(self) -> None:
        if self._modified:
            raise UsageError("the cell has been modified (e.g. by ZoneoutCell): call the modifier instead")

    def unpack_weights(self, args: Mapping[str, Any]) -> Weights:
        """Weights by name with one array for each gate in the place of those of all gates."""
        args = dict(args)
        for stem, kind in self._packed():
            packed = args.pop(f"{self._prefix}{stem}_{kind}")
            size = len(packed.asnumpy()) // len(self._gate_names)
            for number, gate in enumerate(self._gate_names):
                part = packed[number * size : (number + 1) * size]
                args[f"{self._prefix}{stem}{gate}_{kind}"] = part.copy()
        return args

    def pack_weights(self, args: Mapping[str, Any]) -> Weights:
        """The other way."""
        args = dict(args)
        for stem, kind in self._packed():
            parts = [args.pop(f"{self._prefix}{stem}{gate}_{kind}") for gate in self._gate_names]
            joined = np.concatenate([part.asnumpy() for part in parts])
            args[f"{self._prefix}{stem}_{kind}"] = like(joined, parts[0])
        return args

    def _packed(self) -> list[tuple[str, str]]:
        kinds = [(stem, kind) for stem in ("i2h", "h2h") for kind in ("weight", "bias")]
        return kinds if self._gate_names else []

    def unroll(
        self,
        length: int,
        inputs: Steps,
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Unrolled:
        """`length` steps over a sequence: one symbol with axes as in `layout`, or a list of symbols.

        Returns the outputs, one symbol if `merge_outputs`, else a list, and the last states.
        """
        self.reset()
        steps = arrange(inputs, length, layout, merge=False)
        states = self.begin_state() if begin_state is None else begin_state
        outputs = []
        for step in steps:
            output, states = self(step, states)
            outputs.append(output)
        return arrange(outputs, length, layout, merge_outputs), states


class _PlainCell(BaseRNNCell):
    """A cell with one product for its inputs and one for its state."""

    _states = 1

    def __init__(
        self, num_hidden: int, prefix: str, params: RNNParams | None, bias: dict[str, str] | None = None
    ) -> None:
        super().__init__(prefix, params)
        self._num_hidden = num_hidden
        self._weights = {
            "i2h": (self._params.get("i2h_weight"), self._params.get("i2h_bias", attr=bias)),
            "h2h": (self._params.get("h2h_weight"), self._params.get("h2h_bias")),
        }

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [{"shape": (0, self._num_hidden), "__layout__": "NC"} for _ in range(self._states)]

    def _step(self) -> str:
        """What the names of the nodes of the next step begin with."""
        self._counter += 1
        return f"{self._prefix}t{self._counter}_"

    def _product(self, stem: str, data: Symbol, name: str) -> Symbol:
        weight, bias = self._weights[stem]
        size = self._num_hidden * len(self._gate_names)
        return symbol.FullyConnected(data, weight, bias, num_hidden=size, name=f"{name}{stem}")


class RNNCell(_PlainCell):
    """h = f(i2h(x) + h2h(h')); `activation` is a name or a function of a symbol and `name`."""

    _gate_names = ("",)

    def __init__(
        self,
        num_hidden: int,
        activation: str | Callable[..., Symbol] = "tanh",
        prefix: str = "rnn_",
        params: RNNParams | None = None,
    ) -> None:
        super().__init__(num_hidden, prefix, params)
        self._activation = activation

    def __call__(self, inputs: Symbol, states: list[Any]) -> tuple[Symbol, list[Any]]:
        name = self._step()
        sums = self._product("i2h", inputs, name) + self._product("h2h", states[0], name)
        if isinstance(self._activation, str):
            output = symbol.Activation(sums, act_type=self._activation, name=f"{name}out")
        else:
            output = self._activation(sums, name=f"{name}out")
        return output, [output]


class LSTMCell(_PlainCell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

    `forget_bias` is where the initializer starts the bias of the forget gate (Jozefowicz et al. 2015).
    """

    _gate_names = ("_i", "_f", "_c", "_o")
    _states = 2

    def __init__(
        self,
        num_hidden: int,
        prefix: str = "lstm_",
        params: RNNParams | None = None,
        forget_bias: float = 1.0,
    ) -> None:
        start = json.dumps(["lstmbias", {"forget_bias": forget_bias}])
        super().__init__(num_hidden, prefix, params, {"__init__": start})

    def __call__(self, inputs: Symbol, states: list[Any]) -> tuple[Symbol, list[Any]]:
        name = self._step()
        sums = self._product("i2h", inputs, name) + self._product("h2h", states[0], name)
        parts = symbol.SliceChannel(sums, num_outputs=4, name=f"{name}slice")
        in_gate, forget, candidate, out_gate = (
            symbol.Activation(part, act_type="tanh" if gate == "c" else "sigmoid", name=name + gate)
            for part, gate in zip(parts, "ifco")
        )
        kept, new = forget * states[1], in_gate * candidate
        cell = symbol.elemwise_add(kept, new, name=f"{name}state")
        hidden = symbol.elemwise_mul(out_gate, symbol.Activation(cell, act_type="tanh"), name=f"{name}out")
        return hidden, [hidden, cell]


class GRUCell(_PlainCell):
    """Gated recurrent unit (Cho et al. 2014), as cuDNN has it: the reset gate acts after the product."""

    _gate_names = ("_r", "_z", "_o")

    def __init__(self, num_hidden: int, prefix: str = "gru_", params: RNNParams | None = None) -> None:
        super().__init__(num_hidden, prefix, params)

    def __call__(self, inputs: Symbol, states: list[Any]) -> tuple[Symbol, list[Any]]:
        name = self._step() + "_"
        ours, theirs = (
            list(
                symbol.SliceChannel(
                    self._product(stem, data, name), num_outputs=3, name=f"{name}{stem}_slice"
                )
            )
            for stem, data in (("i2h", inputs), ("h2h", states[0]))
        )
        reset = symbol.Activation(ours[0] + theirs[0], act_type="sigmoid", name=f"{name}r_act")
        update = symbol.Activation(ours[1] + theirs[1], act_type="sigmoid", name=f"{name}z_act")
        candidate = symbol.Activation(ours[2] + reset * theirs[2], act_type="tanh", name=f"{name}h_act")
        new, kept = (1.0 - update) * candidate, update * states[0]
        hidden = symbol.elemwise_add(new, kept, name=f"{name[:-1]}out")
        return hidden, [hidden]
