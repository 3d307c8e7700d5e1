"""The initializer of the one long parameter vector of a fused RNN."""

from __future__ import annotations

from collections.abc import Iterator

from netdef.mx.initializer.base import InitDesc, Initializer, create, register
from netdef.mx.ndarray import NDArray

#: mode -> how the names of its gates go on
_GATES = {
    "rnn_relu": ("",),
    "rnn_tanh": ("",),
    "lstm": ("_i", "_f", "_c", "_o"),
    "gru": ("_r", "_z", "_o"),
}


@register
class FusedRNN(Initializer):
    """Each weight and bias inside the parameter vector of the operator RNN by its own name.

    The parts are named as in MXNet (`l0_i2h_i_weight`, `r0_...` for the backward direction) and initialized
    by `init`, an initializer or its JSON text, or by that of the whole net where it is None.  Biases of an
    LSTM's forget gates are `forget_bias`.
    """

    def __init__(
        self,
        init: Initializer | str | None,
        num_hidden: int,
        num_layers: int,
        mode: str,
        bidirectional: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        if mode not in _GATES:
            raise ValueError(f"mode is {mode!r}; legal: {', '.join(_GATES)}")
        inner = create(init) if isinstance(init, str) else init
        super().__init__(
            init=None if inner is None else inner.dumps(),
            num_hidden=num_hidden,
            num_layers=num_layers,
            mode=mode,
            bidirectional=bidirectional,
            forget_bias=forget_bias,
        )
        self._init, self._mode, self._forget_bias = inner, mode, forget_bias
        self._num_hidden, self._num_layers = num_hidden, num_layers
        self._directions = ("l", "r") if bidirectional else ("l",)

    def _init_weight(self, desc: str, arr: NDArray) -> None:
        outer = getattr(desc, "global_init", None)
        inner = self._init or (None if outer is self else outer)
        if inner is None:
            raise ValueError(
                f"{desc}: FusedRNN without init needs the initializer of the whole net beside it"
            )
        start = 0
        for name, shape in self._parts(desc, arr.shape):
            size = shape[0] * shape[1]
            part = NDArray(arr.array[start : start + size].reshape(shape), arr.context)
            start += size
            if self._mode == "lstm" and name.endswith("_f_bias"):
                part[:] = self._forget_bias
            elif name.endswith("_bias"):
                inner(InitDesc(name, global_init=outer), NDArray(part.array.reshape(-1), arr.context))
            else:
                inner(InitDesc(name, global_init=outer), part)

    def _parts(self, desc: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, int]]]:
        """Name and shape of each part in order, biases as (size, 1): all weights, then all biases."""
        hidden, gates, directions = self._num_hidden, _GATES[self._mode], self._directions
        between = hidden * len(directions)
        rows = between * len(gates)
        size = shape[0] if len(shape) == 1 else 0
        # Every row of a gate holds a weight for each input, one for each hidden unit, and two biases.
        inputs, left = divmod(size, rows)
        inputs -= (self._num_layers - 1) * (between + hidden + 2) + hidden + 2
        if left or inputs < 1:
            raise ValueError(
                f"{desc} has shape {shape}; the parameters of {self._num_layers} layers of {hidden} hidden "
                f"units (mode {self._mode}) are one vector of {rows} (inputs + ...) elements"
            )
        for kind in ("weight", "bias"):
            for layer in range(self._num_layers):
                for direction in directions:
                    for source, width in (("i2h", between if layer else inputs), ("h2h", hidden)):
                        for gate in gates:
                            name = f"{direction}{layer}_{source}{gate}_{kind}"
                            yield name, (hidden, width if kind == "weight" else 1)
