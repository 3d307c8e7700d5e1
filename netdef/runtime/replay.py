"""Kernels whose calls of numpy are noted in the first pass and made again in all others.

What a kernel does between these calls, views above all, takes as long as small ones themselves: a fifth of
the time of a training step of LeNet.  Where it always comes to the same calls with the same arrays, these
are all that is needed, as in the graphs of CUDA 10 (2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

#: what computes nothing: views, and what looks at memory
VIEWS = frozenset({"finfo", "lib", "moveaxis", "swapaxes", "may_share_memory"})
#: what computes beside universal functions, and which of it only looks for the array's method of its name
COMPUTING, METHODS = frozenset({"copyto", "cumsum", "einsum"}), frozenset({"clip", "max", "mean", "sum"})
#: universal functions whose output numpy wants by name, lest it be taken for a third operand
BY_NAME = frozenset({"maximum", "minimum"})
#: a function with its positional arguments
_Call = tuple[Callable[..., Any], Sequence[Any]]


class Recorder:
    """Stands for `xp` in a steady kernel: makes its calls and notes those that compute.

    Nothing that they return is told: a kernel that looks at values is not steady.  Raises `TypeError` for a
    function of which it is not known whether it computes.
    """

    def __init__(self, xp: Any, arguments: Sequence[Any]) -> None:
        self._xp, self.__name__ = xp, xp.__name__
        self._owners = {id(_owner(array)) for array in arguments if isinstance(array, xp.ndarray)}
        self.calls: list[_Call] = []
        #: whether the calls are all that was done: False where the memory of some array is neither that of
        #: an argument nor constant, such as the copy that `reshape` makes of what is no view
        self.complete = True

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._xp, name)
        if name in VIEWS:
            return function
        if name in METHODS:
            make = _method(name)
        elif isinstance(function, self._xp.ufunc) and name not in BY_NAME:
            make = _universal(function)
        elif isinstance(function, self._xp.ufunc) or name in COMPUTING:
            make = _plain(function)
        else:
            raise TypeError(f"a steady kernel may not call {name}")

        def noting(*arguments: Any, **named: Any) -> None:
            function, operands = call = make(arguments, named)
            function(*operands)
            self.calls.append(call)
            self.complete = self.complete and all(map(self._known, (*arguments, *named.values())))

        return noting

    def note(self, function: Callable[..., None], *arguments: Any) -> None:
        """Make and note a call of a function that takes `xp` itself first, and may look at values."""
        function(self._xp, *arguments)
        self.calls.append((function, (self._xp, *arguments)))
        self.complete = self.complete and all(map(self._known, arguments))

    def _known(self, operand: Any) -> bool:
        array = isinstance(operand, self._xp.ndarray)
        return not array or not operand.flags.writeable or id(_owner(operand)) in self._owners


def _owner(array: Any) -> Any:
    """Whose memory an array is a view of."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


_Maker = Callable[[Sequence[Any], dict[str, Any]], _Call]


def _plain(function: Callable[..., Any]) -> _Maker:
    return lambda arguments, named: (partial(function, **named) if named else function, arguments)


def _universal(function: Any) -> _Maker:
    """Calls of a universal function; an output by position takes a third of the place of one by name."""

    def make(arguments: Sequence[Any], named: dict[str, Any]) -> _Call:
        if len(arguments) == function.nin and named.keys() == {"out"}:
            return function, (*arguments, named["out"])
        return _plain(function)(arguments, named)

    return make


def _method(name: str) -> _Maker:
    return lambda arguments, named: _plain(getattr(arguments[0], name))(arguments[1:], named)


def repeats(xp: Any) -> bool:
    """Whether calls are made again: those of numpy, whose arrays say whose memory they see."""
    return xp.__name__ == "numpy"


class Repeated:
    """A kernel that is `Op.steady` and gets the same arguments in every pass.

    Where it copies something on the way, for memory in an order that is rare, it runs anew each time.
    """

    def __init__(self, xp: Any, kernel: Callable[..., Any]) -> None:
        self._xp, self._kernel = xp, kernel
        #: None before the first pass, and where there is more to do than calls
        self.calls: Sequence[_Call] | None = None
        self._begun = False

    def __call__(self, *arguments: Any) -> None:
        if self.calls is not None:
            for function, operands in self.calls:
                function(*operands)
        elif self._begun:
            self._kernel(*arguments)
        else:
            recorder = Recorder(self._xp, arguments)
            self._kernel(*(recorder if each is self._xp else each for each in arguments))
            self._begun = True
            self.calls = recorder.calls if recorder.complete else None
