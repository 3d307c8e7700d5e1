"""MXNet's KVStore on one machine: values by key, to which gradients of several sources are added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from netdef.data.replace import replace_file
from netdef.diag import MXNetError, did_you_mean
from netdef.mx.ndarray import NDArray
from netdef.mx.optimizer import Optimizer, Updater, get_updater

#: the stores of one machine, which are all the same here, where one device computes
LOCAL = ("local", "device", "local_allreduce_cpu", "local_allreduce_device", "local_update_cpu")
#: how the names of stores begin that span several machines
_DISTRIBUTED = ("dist", "horovod", "byteps", "p3")


def check_type(name: str) -> None:
    """Raise `MXNetError` unless the name is that of a store of one machine, in any case of letters."""
    if name.lower().startswith(_DISTRIBUTED):
        raise MXNetError(
            f"kvstore {name!r} spans several machines; netdef trains on one: give 'local' or None"
        )
    if name.lower() not in LOCAL:
        hint = did_you_mean(name.lower(), LOCAL) or f"legal: {', '.join(LOCAL)}"
        raise MXNetError(f"there is no kvstore {name!r}; {hint}")


class KVStore:
    """Values by key, ints or texts; made by `create`.

    `push` adds arrays up and hands the sum to the updater; without one the sum becomes the value.  `pull`
    copies values out.
    """

    def __init__(self, name: str) -> None:
        self.type = name
        self._values: dict[Any, NDArray] = {}
        self._updater: Callable[[Any, NDArray, NDArray], Any] | None = None

    @property
    def rank(self) -> int:
        """The number of this worker, always 0."""
        return 0

    @property
    def num_workers(self) -> int:
        """How many workers there are, always 1."""
        return 1

    def init(self, key: Any, value: Any) -> None:
        """Give new keys their first values, copies of the arrays; keys that exist raise `MXNetError`."""
        for name, arrays in _pairs(key, value):
            if name in self._values:
                raise MXNetError(f"the key {name!r} has a value already; init gives each key its first one")
            known = next(iter(self._values), name)
            if isinstance(known, str) != isinstance(name, str):
                raise MXNetError(f"the key {name!r} is no {type(known).__name__}, as the other keys are")
            self._values[name] = arrays[0].copy()

    def push(self, key: Any, value: Any, priority: int = 0) -> None:
        """Add up the arrays of each key and update its value; `priority` is there for MXNet's sake."""
        for name, arrays in _pairs(key, value):
            stored = self._known(name)
            for array in arrays:
                if array.shape != stored.shape:
                    raise MXNetError(f"the value of {name!r} has shape {stored.shape}, not {array.shape}")
            total = arrays[0].copy()
            for array in arrays[1:]:
                total += array
            if self._updater is None:
                total.copyto(stored)
            else:
                self._updater(name, total, stored)

    def pull(self, key: Any, out: Any = None, priority: int = 0, ignore_sparse: bool = True) -> None:
        """Copy the value of each key into the array, or arrays, that `out` has for it."""
        if out is None:
            raise MXNetError("pull needs out: the arrays into which the values are copied")
        for name, arrays in _pairs(key, out):
            for array in arrays:
                self._known(name).copyto(array)

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """`push`, then `pull` into `out`, or into the arrays themselves without it."""
        self.push(key, value, priority)
        self.pull(key, value if out is None else out, priority)

    def set_optimizer(self, optimizer: Optimizer) -> None:
        """Let an optimizer update the values by what is pushed."""
        self._updater = get_updater(optimizer)

    def _set_updater(self, updater: Callable[[Any, NDArray, NDArray], Any]) -> None:
        """Call `updater(key, pushed, value)` for each push; it changes the value in place."""
        self._updater = updater

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Write the optimizer's states to a file."""
        save_states(self._optimizing(), fname, dump_optimizer)

    def load_optimizer_states(self, fname: str) -> None:
        """Take the optimizer's states over from a file."""
        load_states(self._optimizing(), fname)

    def _optimizing(self) -> Updater:
        if not isinstance(self._updater, Updater):
            raise MXNetError("the store has no optimizer; call set_optimizer before its states are needed")
        return self._updater

    def _known(self, name: Any) -> NDArray:
        if name not in self._values:
            raise MXNetError(f"the key {name!r} has no value; call init before push and pull")
        return self._values[name]


def save_states(updater: Updater, fname: str, dump_optimizer: bool = False) -> None:
    """Write an updater's states to a file; raises `MXNetError` where that fails."""
    content = updater.get_states(dump_optimizer)
    try:
        replace_file(Path(fname), lambda file: file.write(content))
    except OSError as error:
        raise MXNetError(f"{fname} cannot be written: {error.strerror or error}") from None


def load_states(updater: Updater, fname: str) -> None:
    """Take an updater's states over from a file; raises `MXNetError` where that fails."""
    try:
        content = Path(fname).read_bytes()
    except OSError as error:
        raise MXNetError(f"{fname} cannot be read: {error.strerror or error}") from None
    try:
        updater.set_states(content)
    except MXNetError as error:
        raise MXNetError(f"{fname}: {error}") from None


def _pairs(key: Any, value: Any) -> list[tuple[Any, Sequence[NDArray]]]:
    """Each key with its arrays, from one key or a list of them with as many values."""
    keys, values = (key, value) if isinstance(key, (list, tuple)) else ([key], [value])
    if not isinstance(values, (list, tuple)) or len(keys) != len(values):
        raise MXNetError(f"{len(keys)} keys need a list of as many values")
    pairs: list[tuple[Any, Sequence[NDArray]]] = []
    for name, arrays in zip(keys, values):
        listed = list(arrays) if isinstance(arrays, (list, tuple)) else [arrays]
        if isinstance(name, bool) or not isinstance(name, (int, str)):
            raise MXNetError(f"a key is an int or a text, not {name!r}")
        if not listed or not all(isinstance(array, NDArray) for array in listed):
            raise MXNetError(f"the value of {name!r} must be an NDArray or a list of them")
        pairs.append((name, listed))
    return pairs


def create(name: str = "local") -> KVStore:
    """A store of one machine; all its names mean the same here, where one device computes.

    Raises `MXNetError` for stores that span several machines (`dist_sync` and so on), and for unknown names.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a kvstore must be a text, not {name!r}")
    check_type(name)
    return KVStore(name.lower())
