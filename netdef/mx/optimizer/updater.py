"""The Updater, which keeps the states of all weights, and the file format of states.

MXNet pickles states.  Reading a pickle runs whatever it says, so netdef writes a .npz archive instead: arrays
under numbers, everything else as JSON text.  It reads nothing else; what MXNet pickled must be made anew.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx.lr_scheduler import LRScheduler
from netdef.mx.ndarray import NDArray, array
from netdef.mx.optimizer.base import Optimizer
from netdef.runtime.context import Context

_FORMAT = "netdef optimizer states 1"
#: what reading a file of another kind, or a damaged one, raises
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    OverflowError,
)


class Updater:
    """Called as `updater(index, grad, weight)`: updates a weight, and makes its state when it first meets it.

    Lists of indices, gradients and weights are taken too.  `states` holds the states by index.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.states: dict[Any, Any] = {}
        #: whether a state lies on its weight's device
        self.states_synced: dict[Any, bool] = {}
        self.aggregate_updates = optimizer.aggregate_num > 0

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        if not isinstance(index, (list, tuple)):
            index, grad, weight = [index], [grad], [weight]
        if not len(index) == len(grad) == len(weight):
            raise MXNetError(f"{len(index)} indices need as many gradients and weights")
        indices = [name.decode() if isinstance(name, bytes) else name for name in index]
        if weight:
            self.optimizer._set_current_context(weight[0].context.device_id)
        for name, each in zip(indices, weight):
            if name not in self.states:
                self.states[name] = self.optimizer.create_state_multi_precision(name, each)
            elif not self.states_synced[name]:
                self.states[name] = self.sync_state_context(self.states[name], each.context)
            self.states_synced[name] = True
        if not self.aggregate_updates:
            for name, each, gradient in zip(indices, weight, grad):
                self.optimizer.update_multi_precision(name, each, gradient, self.states[name])
            return
        for chunk in self._chunks(list(zip(indices, weight, grad))):
            names, weights, grads = ([each[i] for each in chunk] for i in range(3))
            states = [self.states[name] for name in names]
            self.optimizer.update_multi_precision(names, weights, grads, states)

    def _chunks(self, items: list[Any]) -> Iterator[list[Any]]:
        """Weights of one dtype, as many as the optimizer takes at once."""
        size = self.optimizer.aggregate_num
        kinds = dict.fromkeys(item[1].dtype for item in items)
        for kind in kinds:
            alike = [item for item in items if item[1].dtype == kind]
            for start in range(0, len(alike), size):
                yield alike[start : start + size]

    def sync_state_context(self, state: Any, context: Context) -> Any:
        """The state with all its arrays on this device."""
        if isinstance(state, NDArray):
            return state if state.context == context else array(state.asnumpy(), context, state.dtype)
        if isinstance(state, (tuple, list)):
            return type(state)(self.sync_state_context(each, context) for each in state)
        return state

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """All states as the bytes of a .npz archive; with `dump_optimizer`, also the optimizer's attributes.

        Raises `MXNetError` where a state of an optimizer of your own holds what is neither an array nor plain
        data.
        """
        arrays: list[np.ndarray] = []
        told = {"format": _FORMAT, "states": _encode(self.states, arrays)}
        if dump_optimizer:
            told["optimizer"] = _encode(_attributes(self.optimizer), arrays)
        members = {str(number): values for number, values in enumerate(arrays)}
        buffer = io.BytesIO()
        np.savez(buffer, tree=np.frombuffer(json.dumps(told).encode(), np.uint8), **members)  # type: ignore[arg-type]
        return buffer.getvalue()

    def set_states(self, states: bytes) -> None:
        """Take over what `get_states` gave.

        Attributes of the optimizer that were saved, too, go into this updater's optimizer, which must be of
        the same class.  Raises `MXNetError` for anything that `get_states` of netdef did not write, MXNet's
        pickles among them: they are never unpickled.
        """
        if not isinstance(states, (bytes, bytearray)):
            raise MXNetError(f"states are bytes, as get_states gives them, not {type(states).__name__}")
        if states[:1] == b"\x80":
            raise MXNetError(
                "these states are a pickle, as MXNet writes them; netdef does not unpickle files, since "
                "that runs what they say. Load the weights alone, and let the states build up again"
            )
        try:
            loaded, attributes = _read(bytes(states))
            if attributes is not None:
                _restore(self.optimizer, attributes)
        except _DAMAGE as error:
            raise MXNetError(f"these are no states that get_states wrote: {error}") from None
        self.states = loaded
        self.states_synced = dict.fromkeys(loaded, False)


def get_updater(optimizer: Optimizer) -> Updater:
    """An Updater of this optimizer."""
    return Updater(optimizer)


def _read(data: bytes) -> tuple[dict[Any, Any], dict[str, Any] | None]:
    """The states and the optimizer's attributes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        # What get_states wrote is not compressed: nothing can unpack to more than the file.
        if any(member.compress_type or member.file_size > len(data) for member in archive.infolist()):
            raise ValueError("the archive is compressed")
    with np.load(io.BytesIO(data), allow_pickle=False) as members:
        told = json.loads(members["tree"].tobytes())
        if told["format"] != _FORMAT:
            raise ValueError(f"the format is {told['format']!r}, not {_FORMAT!r}")
        states = _decode(told["states"], members)
        attributes = _decode(told["optimizer"], members) if "optimizer" in told else None
    if not isinstance(states, dict) or not isinstance(attributes, (dict, type(None))):
        raise ValueError("the states are no dict")
    return states, attributes


def _attributes(thing: Optimizer | LRScheduler) -> dict[str, Any]:
    """Class name and attributes, those of an optimizer's scheduler in a dict of its own."""
    found = {name: value for name, value in vars(thing).items() if name not in Optimizer._passing}
    scheduler = found.get("lr_scheduler")
    if scheduler is not None:
        found["lr_scheduler"] = _attributes(scheduler)
    return {"class": type(thing).__name__, "attributes": found}


def _restore(thing: Any, saved: dict[str, Any]) -> None:
    """Put saved attributes into an optimizer or scheduler of the same class."""
    if thing is None or type(thing).__name__ != saved.get("class"):
        found = "none" if thing is None else type(thing).__name__
        raise MXNetError(
            f"the states were saved with {saved.get('class')}, but here is {found}; create the same"
        )
    attributes = dict(saved["attributes"])
    if isinstance(attributes.get("lr_scheduler"), dict):
        _restore(thing.lr_scheduler, attributes.pop("lr_scheduler"))
    unknown = attributes.keys() - vars(thing).keys()
    if unknown:
        raise MXNetError(f"{type(thing).__name__} has no attribute {', '.join(sorted(unknown))}")
    vars(thing).update(attributes)
    if isinstance(thing, Optimizer):
        thing._set_current_context(0)


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    """Plain data as JSON data; arrays become references into `arrays`."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, NDArray):
        arrays.append(value.asnumpy())
        return {"array": str(len(arrays) - 1)}
    if isinstance(value, (tuple, list)):
        return {type(value).__name__: [_encode(each, arrays) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[_encode(key, arrays), _encode(each, arrays)] for key, each in value.items()]}
    raise MXNetError(
        f"{type(value).__name__} cannot be saved; states hold arrays, numbers, texts, tuples, lists and dicts"
    )


def _decode(told: Any, members: Any) -> Any:
    if not isinstance(told, dict):
        return told
    ((kind, value),) = told.items()
    if kind == "array":
        return array(members[value], dtype=members[value].dtype)
    if kind == "dict":
        return {_decode(key, members): _decode(each, members) for key, each in value}
    return {"tuple": tuple, "list": list}[kind](_decode(each, members) for each in value)
