"""What all optimizers share: rates and decays by parameter, counts of updates, the turn of one weight."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from netdef.diag import MXNetError, did_you_mean
from netdef.mx.lr_scheduler import LRScheduler
from netdef.mx.ndarray import NDArray, array, zeros
from netdef.runtime.context import Context

Class = TypeVar("Class", bound=type)


class Turn(NamedTuple):
    """One weight's turn in an update; every array has the weight's shape and dtype."""

    index: Any
    weight: Any
    #: the gradient, rescaled, clipped and with weight decay as the optimizer's `decay` says; may be used up
    gradient: Any
    state: tuple[Any, ...]
    #: arrays whose content does not matter
    scratch: tuple[Any, ...]
    lr: float
    wd: float
    #: how often this weight was updated, this time included
    updates: int
    context: Context


class Optimizer:
    """Base of the optimizers.  An update works in place and allocates nothing after the first one.

    `rescale_grad` multiplies gradients, which are then clipped to +-`clip_gradient` where that is positive;
    `wd` is the weight decay.  `lr_scheduler` gives the rate where there is one; a `learning_rate` beside it
    becomes its `base_lr`.  `param_idx2name` names the indices: only names that end in `_weight` or `_gamma`
    decay, unless `set_wd_mult` says otherwise.  Attributes `__lr_mult__` and `__wd_mult__` of the variables
    of `sym` count as multipliers.  Counts begin at `begin_num_update`.  With `multi_precision`, float16
    weights are updated through a float32 copy.  `param_dict` has objects with `lr_mult` and `wd_mult` by
    index.

    An optimizer of your own overrides `create_state` and `update` (which calls `_update_count`, `_get_lr` and
    `_get_wd`), and `register` makes it known to `create`.
    """

    opt_registry: ClassVar[dict[str, type[Optimizer]]] = {}
    #: state arrays for each weight
    slots = 0
    #: scratch arrays beside the one for the gradient
    scratches = 1
    #: whether the decay is added to the gradient after or before clipping, or is left to the rule ("")
    decay = "after"
    #: where the float32 copy stands in the state of a float16 weight
    _master = 0
    #: attributes that are no part of a saved or pickled optimizer
    _passing = ("param_dict", "_scratch")

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: Mapping[int, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: LRScheduler | None = None,
        sym: Any = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        param_dict: Mapping[Any, Any] | None = None,
    ) -> None:
        if param_idx2name is not None and not isinstance(param_idx2name, dict):
            raise MXNetError(f"param_idx2name is {param_idx2name!r}; it must be a dict from index to name")
        self.lr: Any = 0.01 if learning_rate is None and lr_scheduler is None else learning_rate
        if lr_scheduler is not None and learning_rate is not None and lr_scheduler.base_lr != learning_rate:
            told = f"takes the place of the scheduler's base_lr {lr_scheduler.base_lr}"
            warnings.warn(f"learning_rate {learning_rate} {told}", stacklevel=3)
            lr_scheduler.base_lr = learning_rate
        self.lr_scheduler = lr_scheduler
        self.rescale_grad, self.wd, self.clip_gradient = rescale_grad, wd, clip_gradient
        self.multi_precision = multi_precision
        #: how many weights a list given to `update` may have; 0: an Updater hands them over one by one
        self.aggregate_num = 0
        self.begin_num_update = self.num_update = begin_num_update
        self._all_index_update_counts: dict[int, dict[Any, int]] = {0: {}}
        self._index_update_count = self._all_index_update_counts[0]
        self.idx2name = dict(param_idx2name or {})
        self.sym_info = (sym.attr_dict(), sym.list_arguments()) if sym is not None else ()
        self.param_dict = param_dict or {}
        self._scratch: dict[Any, list[Any]] = {}
        self.lr_mult: dict[Any, float] = {}
        self.wd_mult: dict[Any, float] = {}
        self.set_lr_mult({})
        self.set_wd_mult({})

    @staticmethod
    def register(klass: Class) -> Class:
        """Make a class known to `create` under its name in lower case."""
        if not isinstance(klass, type):
            raise MXNetError(f"{klass!r} is no class; register a subclass of Optimizer")
        name = klass.__name__.lower()
        if name in Optimizer.opt_registry:
            old = Optimizer.opt_registry[name]
            warnings.warn(
                f"the optimizer {name} is {klass.__module__}.{klass.__name__} from now on, "
                f"not {old.__module__}.{old.__name__}",
                stacklevel=2,
            )
        Optimizer.opt_registry[name] = klass
        return klass

    @staticmethod
    def create_optimizer(name: str, **kwargs: Any) -> Optimizer:
        """The registered optimizer of this name (in any case) with these arguments."""
        known = Optimizer.opt_registry
        if not isinstance(name, str) or name.lower() not in known:
            raise ValueError(f"there is no optimizer {name!r}; {_legal(name, known)}")
        return known[name.lower()](**kwargs)

    # --- rates ---

    @property
    def learning_rate(self) -> float:
        """The rate at present."""
        return self.lr if self.lr_scheduler is None else self.lr_scheduler(self.num_update)

    def set_learning_rate(self, lr: float) -> None:
        """Change the rate; an optimizer with a scheduler refuses with `UserWarning`, as in MXNet."""
        if self.lr_scheduler is not None:
            raise UserWarning("the scheduler says what the rate is; set lr_scheduler.base_lr instead")
        self.lr = lr

    def set_lr_mult(self, args_lr_mult: Mapping[Any, float]) -> None:
        """Multipliers of the rate by index or name, above the `__lr_mult__` of variables; else 1."""
        self.lr_mult = {**self._declared("__lr_mult__"), **args_lr_mult}

    def set_wd_mult(self, args_wd_mult: Mapping[Any, float]) -> None:
        """Multipliers of the decay by index or name, on top of the `__wd_mult__` of variables.

        Others get 1 where the name ends in `_weight` or `_gamma` or is not known, else 0.
        """
        exempt = {name: 0.0 for name in self.idx2name.values() if not self._decays(name)}
        self.wd_mult = {**exempt, **self._declared("__wd_mult__"), **args_wd_mult}

    @staticmethod
    def _decays(name: str) -> bool:
        return name.endswith(("_weight", "_gamma"))

    def _declared(self, attribute: str) -> dict[Any, float]:
        if not self.sym_info:
            return {}
        attributes, arguments = self.sym_info
        given = {name: attributes.get(name, {}).get(attribute) for name in arguments}
        return {name: float(value) for name, value in given.items() if value is not None}

    def _multipliers(self, indices: Iterable[Any], kind: str) -> list[float]:
        """The `lr_mult` or `wd_mult` of each index: of its parameter, or by index, or by name."""
        table, found = getattr(self, kind), []
        for index in indices:
            if index in self.param_dict:
                found.append(getattr(self.param_dict[index], kind))
            elif index in table:
                found.append(table[index])
            else:
                found.append(table.get(self.idx2name.get(index), 1.0))
        return found

    def _get_lrs(self, indices: Sequence[Any]) -> list[float]:
        rate = self.learning_rate
        return [rate * multiplier for multiplier in self._multipliers(indices, "lr_mult")]

    def _get_wds(self, indices: Sequence[Any]) -> list[float]:
        return [self.wd * multiplier for multiplier in self._multipliers(indices, "wd_mult")]

    def _get_lr(self, index: Any) -> float:
        return self._get_lrs([index])[0]

    def _get_wd(self, index: Any) -> float:
        return self._get_wds([index])[0]

    def _set_current_context(self, device_id: int) -> None:
        """Count for this device from now on; each device has its own copy of the weights."""
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index: Any) -> None:
        """Count an update of this index, or of each index of a list."""
        counts = self._index_update_count
        for each in index if isinstance(index, (list, tuple)) else [index]:
            counts[each] = counts.get(each, self.begin_num_update) + 1
            self.num_update = max(counts[each], self.num_update)

    # --- updates ---

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """What must be remembered for a weight: None, an NDArray or a tuple of them."""
        arrays = tuple(zeros(weight.shape, weight.context, weight.dtype) for _ in range(self.slots))
        return arrays if self.slots > 1 else arrays[0] if arrays else None

    def create_state_multi_precision(self, index: Any, weight: NDArray) -> Any:
        """As `create_state`; with `multi_precision` also the float32 copy of a float16 weight."""
        if weight.dtype != np.float16:
            return self.create_state(index, weight)
        if not self.multi_precision:
            told = "updates in float16 lose small steps; multi_precision=True keeps float32 copies of weights"
            warnings.warn(told, stacklevel=2)
            return self.create_state(index, weight)
        master = array(weight, weight.context, np.float32)
        pair = [self.create_state(index, master)]
        pair.insert(self._master, master)
        return tuple(pair)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Update one weight by its gradient, or each of a list by lists of all four."""
        indices, weights, grads, states = _lists(index, weight, grad, state)
        lrs, wds = self._count_and_rates(indices)
        for each in zip(indices, weights, grads, states, lrs, wds):
            self._update_one(*each)

    def _count_and_rates(self, indices: Sequence[Any]) -> tuple[list[float], list[float]]:
        self._update_count(indices)
        return self._get_lrs(indices), self._get_wds(indices)

    def _update_one(
        self, index: Any, weight: NDArray, grad: NDArray, state: Any, lr: float, wd: float
    ) -> None:
        gradient, *scratch = self._scratches(weight)
        arrays = self._checked(index, weight, grad, state)
        self._prepare(weight.array, grad.array, wd, gradient, scratch[0])
        count, context = self._index_update_count[index], weight.context
        self._step(Turn(index, weight.array, gradient, arrays, tuple(scratch), lr, wd, count, context))

    def _prepare(self, weight: Any, grad: Any, wd: float, gradient: Any, scratch: Any) -> None:
        np.multiply(grad, self.rescale_grad, out=gradient)
        if self.decay == "before" and wd:
            gradient += np.multiply(weight, wd, out=scratch)
        if self.clip_gradient is not None and self.clip_gradient > 0:
            np.clip(gradient, -self.clip_gradient, self.clip_gradient, out=gradient)
        if self.decay == "after" and wd:
            gradient += np.multiply(weight, wd, out=scratch)

    def _step(self, turn: Turn) -> None:
        """The rule, in place on the arrays of one weight."""
        raise NotImplementedError(f"{type(self).__name__} must define update(index, weight, grad, state)")

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """As `update`, with states from `create_state_multi_precision`."""
        first = weight[0] if isinstance(weight, (list, tuple)) else weight
        if not self.multi_precision or first.dtype != np.float16:
            self.update(index, weight, grad, state)
            return
        _, weights, grads, states = _lists(index, weight, grad, state)
        masters = [pair[self._master] for pair in states]
        wide = [array(each, each.context, np.float32) for each in grads]
        inner = [pair[1 - self._master] for pair in states]
        if isinstance(index, (list, tuple)):
            self.update(index, masters, wide, inner)
        else:
            self.update(index, masters[0], wide[0], inner[0])
        for half, master in zip(weights, masters):
            np.copyto(half.array, master.array, casting="same_kind")

    def _scratches(self, weight: NDArray) -> list[Any]:
        """Arrays like the weight, the same memory for all weights of a dtype on a device."""
        xp, size = weight.context.xp, weight.array.size
        held = self._scratch.get((weight.context, weight.dtype))
        if held is None or held[0].size < size:
            held = [xp.empty(size, weight.dtype) for _ in range(1 + self.scratches)]
            self._scratch[weight.context, weight.dtype] = held
        return [flat[:size].reshape(weight.shape) for flat in held]

    def _checked(self, index: Any, weight: Any, grad: Any, state: Any) -> tuple[Any, ...]:
        """The arrays of the state, after everything was compared with the weight."""
        kind, shape = weight.dtype, weight.shape
        if grad.shape != shape or grad.dtype != kind:
            raise MXNetError(
                f"the gradient of weight {index} is {np.dtype(grad.dtype)} of shape {grad.shape}; it must be "
                f"like the weight, {np.dtype(kind)} of shape {shape}"
            )
        listed = () if state is None else state if isinstance(state, (list, tuple)) else (state,)
        arrays = tuple(each.array for each in listed if isinstance(each, NDArray))
        if len(arrays) != self.slots or any(each.shape != shape for each in arrays):
            told = ", ".join(str(each.shape) for each in arrays) or "none"
            raise MXNetError(
                f"the state of weight {index} holds arrays of shape {told}; {type(self).__name__} needs "
                f"{self.slots} of shape {shape}: make it with create_state"
            )
        return arrays

    # A pickled optimizer leaves behind what belongs to its process only.
    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self._passing}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, param_dict={}, _scratch={})


def _lists(index: Any, weight: Any, grad: Any, state: Any) -> tuple[Sequence[Any], ...]:
    """Lists of indices, weights, gradients and states, from lists or from one of each."""
    if isinstance(index, (list, tuple)):
        lists = (index, weight, grad, state)
        if any(not isinstance(each, (list, tuple)) or len(each) != len(index) for each in lists):
            raise MXNetError(f"{len(index)} indices need as many weights, gradients and states, in lists")
    else:
        lists = ([index], [weight], [grad], [state])
    for name, values in (("weight", lists[1]), ("gradient", lists[2])):
        for value in values:
            if not isinstance(value, NDArray):
                raise MXNetError(f"the {name} is {type(value).__name__}; it must be an NDArray")
    return lists


def _legal(name: Any, known: Iterable[str]) -> str:
    words = sorted(known)
    return (isinstance(name, str) and did_you_mean(name.lower(), words)) or f"legal: {', '.join(words)}"


register: Callable[[Class], Class] = Optimizer.register
create = Optimizer.create_optimizer
