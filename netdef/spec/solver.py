"""Solvers: Caffe's SolverParameter and its rules."""

from __future__ import annotations

from typing import Any

from netdef.diag import Code
from netdef.ops.fields import Bool, Enum, Float, Int, Str
from netdef.spec import codes
from netdef.spec.layers.base import NetState
from netdef.spec.message import Message, Report, Sub

#: policy -> the fields that it uses besides base_lr (systems: `sgd_solver.cpp`, GetLearningRate)
POLICIES = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power",),
    "sigmoid": ("gamma", "stepsize"),
}

_ONE_NET = "name the net with `net`, and say with include rules which layers are for TRAIN or TEST"
#: fields of Caffe's SolverParameter that change the result and that netdef does not have -> what to do
_REFUSED = {
    "train_net": _ONE_NET,
    "test_net": _ONE_NET,
    "net_param": "write the solver into the net's file, as its `solver` block",
    "train_net_param": _ONE_NET,
    "test_net_param": _ONE_NET,
    "weights": "give the file on the command line: netdef train --weights",
}


def _one_net(solver: Any, report: Report) -> None:
    """A solver file names its net; a solver inside a net's file does not."""
    inside = bool(solver.path)
    if inside and solver.has("net"):
        told = "a solver inside a net's file trains that net"
        report(codes.NOT_ONE_NET, "net", told, "remove net, or move the solver into a file of its own")
    elif not inside and not solver.net:
        report(codes.NOT_ONE_NET, "net", "the solver names no net", "add net: and the net's file")


def _policy_fields(solver: Any, report: Report) -> None:
    """What the learning-rate policy needs is given, and what it does not use is not."""
    used = POLICIES[solver.lr_policy]
    for name in ("gamma", "power", "stepsize", "stepvalue"):
        if name in used and not solver.has(name):
            told = f"lr_policy: {solver.lr_policy} needs {name}"
            report(codes.POLICY_INCOMPLETE, "lr_policy", told, f"give {name}: {solver.fields[name].help}")
        elif name not in used and solver.has(name):
            told = f"{name} has no effect with lr_policy: {solver.lr_policy}"
            users = " or ".join(policy for policy, fields in POLICIES.items() if name in fields)
            report(codes.WITHOUT_EFFECT, name, told, f"remove it, or use lr_policy: {users}")


def _rising_steps(solver: Any, report: Report) -> None:
    """Each stepvalue comes after the one before it."""
    for number, (before, here) in enumerate(zip(solver.stepvalue, solver.stepvalue[1:]), 1):
        if here <= before:
            told = f"stepvalue {here} stands after {before}"
            report(
                codes.STEPS_NOT_RISING, f"stepvalue.{number}", told, "give them in rising order, each once"
            )
            return


def _no_momentum(solver: Any, report: Report) -> None:
    """Caffe: AdaGrad and RMSProp take no momentum."""
    if solver.type in ("AdaGrad", "RMSProp") and solver.momentum:
        told = f"{solver.type} has no momentum"
        report(codes.MOMENTUM_REFUSED, "momentum", told, "remove it, or use another type")


def _test_counts(solver: Any, report: Report) -> None:
    """A test_state and a test_iter belong to each TEST net."""
    states, iterations = len(solver.test_state), len(solver.test_iter)
    if states and iterations and states != iterations:
        told = f"test_iter has {iterations} entries for {states} test states"
        report(codes.WRONG_COUNT, "test_iter", told, "give one for each test_state, or leave it out")


def _kept_as(solver: Any, report: Report) -> None:
    """Snapshots have one form, which holds weights and history, but no gradients."""
    if solver.snapshot_format != "BINARYPROTO":
        told = f"snapshot_format: {solver.snapshot_format} is not supported: snapshots are .npz files"
        report(codes.NOT_SUPPORTED, "snapshot_format", told, "remove it")
    if solver.snapshot_diff:
        told = "snapshot_diff is not supported: snapshots hold no gradients"
        report(codes.NOT_SUPPORTED, "snapshot_diff", told, "remove it")


def _in_phase(phase: str, state: NetState | None) -> NetState:
    """A state with `phase` where it names none."""
    if state is None:
        return NetState(phase=phase)
    given = state.phase if state.has("phase") else phase
    return NetState(phase=given, level=state.level, stage=list(state.stage))


class SolverSpec(Message):
    """How a net is trained: Caffe's SolverParameter.

    A solver file names its net in `net`; a `solver` block inside a net's file trains that net.  Fields that
    say where Caffe computes, what it prints or where it keeps files are accepted without effect: netdef
    computes on the device that the command is given, and keeps the files of a run in its folder.
    """

    net = Str("", "the net's file, relative to the solver's folder", number=24)
    train_state = Sub(NetState, "the state of the TRAIN net", number=26, optional=True)
    test_state = Sub(NetState, "the state of each TEST net", number=27, repeated=True)

    type = Enum(
        "SGD",
        "Nesterov",
        "AdaGrad",
        "RMSProp",
        "AdaDelta",
        "Adam",
        default="SGD",
        number=40,
        help="the update rule",
    )
    base_lr = Float(min=0, help="the learning rate that the policy starts from", number=5)
    lr_policy = Enum(*POLICIES, number=8, help="how the learning rate changes")
    gamma = Float(0.0, "step, exp, inv, multistep, sigmoid: the factor of the policy", min=0, number=9)
    power = Float(0.0, "inv, poly: the exponent of the policy", number=10)
    stepsize = Int(0, "step, sigmoid: iterations between two drops, or up to the middle", min=1, number=13)
    stepvalue = Int(
        help="multistep: the iterations at which the rate drops, rising", min=0, number=34, repeated=True
    )
    max_iter = Int(min=0, help="number of iterations", number=7)
    iter_size = Int(1, "batches whose gradients are averaged for one update", min=1, number=36)

    momentum = Float(
        0.0, "how much of the last update is kept; Adam: beta1; AdaDelta: decay", min=0, below=1, number=11
    )
    momentum2 = Float(0.999, "Adam: beta2", min=0, below=1, number=39)
    rms_decay = Float(0.99, "RMSProp: decay of the mean of squares", min=0, below=1, number=38)
    delta = Float(1e-8, "AdaGrad, RMSProp, AdaDelta, Adam: keeps divisors from zero", min=0, number=31)
    weight_decay = Float(0.0, "weight of the regularization", min=0, number=12)
    regularization_type = Enum(
        "L2", "L1", default="L2", number=29, help="squares or absolute values of the weights"
    )
    clip_gradients = Float(-1.0, "the largest norm of all gradients together; negative: no limit", number=35)

    test_iter = Int(
        help="batches of each TEST net; left out: its whole set once", min=1, number=3, repeated=True
    )
    test_interval = Int(0, "iterations between two tests; 0: at the end only", min=0, number=4)
    test_initialization = Bool(True, "test before the first iteration", number=32)
    test_compute_loss = Bool(False, "Caffe's extra line of output; accepted, without effect", number=19)

    display = Int(0, "iterations between two lines of output; 0: none", min=0, number=6)
    average_loss = Int(1, "iterations that the displayed loss is averaged over", min=1, number=33)
    debug_info = Bool(False, "Caffe's extra output; accepted, without effect", number=23)

    snapshot = Int(0, "iterations between two snapshots; 0: at the end only", min=0, number=14)
    snapshot_prefix = Str("", "accepted, without effect: a run keeps its files in its folder", number=15)
    snapshot_diff = Bool(False, "whether gradients are kept; true is refused", number=16)
    snapshot_format = Enum(
        "HDF5",
        "BINARYPROTO",
        default="BINARYPROTO",
        number=37,
        help="accepted, without effect; HDF5 is refused",
    )
    snapshot_after_train = Bool(True, "accepted, without effect: the last weights are always kept", number=28)

    random_seed = Int(
        -1, "the seed of weights, order and dropout; negative: another one for each run", number=20
    )
    solver_mode = Enum(
        "CPU", "GPU", default="GPU", number=17, help="accepted, without effect: the result is the same"
    )
    device_id = Int(0, "accepted, without effect", min=0, number=18)
    layer_wise_reduce = Bool(True, "accepted, without effect", number=41)

    rules = (_one_net, _policy_fields, _rising_steps, _no_momentum, _test_counts, _kept_as)

    def train_net_state(self) -> NetState:
        """The state of the TRAIN net: `train_state`, whose phase is TRAIN unless it says otherwise."""
        return _in_phase("TRAIN", self.train_state)

    def test_net_states(self) -> list[NetState]:
        """The state of each TEST net: `test_state`, or as many plain ones as `test_iter` has entries."""
        if self.test_state:
            return [_in_phase("TEST", state) for state in self.test_state]
        return [NetState(phase="TEST")] * max(len(self.test_iter), 1)

    @classmethod
    def refusal(cls, key: str) -> tuple[Code, str]:
        if key in _REFUSED:
            return codes.NOT_SUPPORTED, _REFUSED[key]
        if key == "solver_type":
            return codes.DEPRECATED_FORM, "write type: SGD, Nesterov, AdaGrad, RMSProp, AdaDelta or Adam"
        return super().refusal(key)
