"""The operator contract.

An operator is one class: attributes (`Field`s), the names of its tensors, a shape rule that may infer
backwards, `forward` and `backward` kernels that write into buffers the plan owns, the workspaces they need
and what they cost. An instance is the parsed, frozen attributes of a node and holds no arrays.

The parameter names of `forward` and `backward` are the contract with the planner:

* names of inputs, states, outputs and workspaces stand for arrays, `d<name>` for gradients; `args`, `dargs`
  and `aux` stand for the lists (inputs, their gradients, states) of an operator with any number of inputs,
  `outs` and `douts` for those of one with any number of outputs; `requests` says for each of `dargs` whether
  it is written, added to (only where `adds`) or not wanted: write, add, null;
* what `backward` names is kept alive until then, and nothing else;
* `xp` is the array module (numpy or CuPy), `train` whether the pass trains, `random` a
  `numpy.random.Generator`, `begin` where a part of the pass begins along the axis that is cut, such as the
  number of its first sample.

A kernel writes every element of its outputs, reads nothing that it does not name, allocates no array (unless
`allocates` says why) and accepts any strides.  It changes no input; states it may change in a training pass,
in `backward` if that is when MXNet changes them.  `None` stands for an input that the attributes leave out, a
gradient nobody wants, a gradient that does not arrive, and a hidden output (one beyond `visible`) that nobody
reads.  The calls of `xp` that `steady` kernels come to are noted in the first pass, and made again in others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from netdef.ops.declared import Declared
from netdef.ops.fields import Int
from netdef.ops.foreign import As
from netdef.ops.shapes import Full, Shapes, Types, prod

INJECTED = ("xp", "train", "random", "begin")
#: inputs or outputs that an attribute may ask for: all are listed by name, which a wrong number would not end
MOST_TENSORS = 2**16


#: the dtype of sums: that of the operator, float32 where it is float16
WIDE = "wide"


class Workspace(NamedTuple):
    """Memory that a kernel needs while it runs.

    `dtype` is a numpy name, `WIDE`, or empty for that of the operator.
    """

    shape: Full
    dtype: str = ""

    def dtype_for(self, operator: str) -> str:
        """The numpy name of the dtype where the operator's first output has the dtype `operator`."""
        return wide(operator) if self.dtype == WIDE else self.dtype or operator


class Cut(NamedTuple):
    """How a pass can be computed in pieces that need nothing of each other.

    `axes` says along which axis a tensor, and its gradient likewise, is cut into equal parts; the other
    tensors are read whole.  What pieces write of these are shares of a sum.  With `writes`, the pieces
    compute only what is named there, and other cuts the rest.  With `units`, every axis consists of so many
    equal stretches, groups of channels for instance, that belong together and are not cut.
    """

    axes: Mapping[str, int]
    writes: tuple[str, ...] = ()
    units: int = 0


class Stage(NamedTuple):
    """One of the kernels that a pass consists of where the whole batch has to be looked at in between.

    Parts of the batch are computed by themselves where it is `cut`.
    """

    kernel: str
    cut: bool


def wide(dtype: str) -> str:
    """The dtype in which numbers of `dtype` are added up."""
    return "float32" if dtype == "float16" else dtype


def parameters(kernel: Callable[..., Any]) -> tuple[str, ...]:
    """The parameter names of a kernel without `self`."""
    code = kernel.__code__
    return code.co_varnames[1 : code.co_argcount]


def _no_kernel(self: Op) -> None:
    """What stands for a kernel that an operator does not have."""
    raise TypeError(f"{type(self).__name__} has no such kernel")


class Op(Declared):
    """Base of every operator; see the module's text for the contract."""

    inputs: ClassVar[tuple[str, ...]] = ("data",)
    states: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ("output",)
    #: how many outputs MXNet counts in its files, hidden ones included; 0: all of `output_names`
    counted: ClassVar[int] = 0
    #: how many of the outputs a user sees; the others carry facts from forward to backward
    visible: ClassVar[int] = 1
    #: whether the attributes say how many outputs `output0`, `output1`, ... there are
    splits: ClassVar[bool] = False
    #: names of the workspaces that `workspaces` may ask for
    scratch: ClassVar[tuple[str, ...]] = ()
    #: pairs (read, written) that may be one array, forward and backward
    inplace: ClassVar[tuple[tuple[str, str], ...]] = ()
    #: whether the operator takes any number of inputs `arg0`, `arg1`, ... (an attribute `num_args` says how
    #: many, unless `input_names` knows better)
    variadic: ClassVar[bool] = False
    #: whether it takes any further attributes beside those that it declares, as texts
    open: ClassVar[bool] = False
    #: whether `backward` can add to gradients, told so by `requests`, where others only write them
    adds: ClassVar[bool] = False
    #: whether the kernels take all inputs as the list `args`, which `variadic` implies
    listed: ClassVar[bool] = False
    #: tensors with the batch in front, if every sample is computed by itself
    batched: ClassVar[tuple[str, ...]] = ()
    #: whether the kernels gain (true) or lose (false) where the batch is last in memory; None: neither
    batch_last: ClassVar[bool | None] = False
    #: whether a forward pass takes as long with any order of axes in memory that all tensors have
    any_order: ClassVar[bool] = False
    #: whether an output whose pixels have other channels between them, in memory, takes hardly longer
    between: ClassVar[bool] = False
    #: kernels that come to the same calls of `xp` in every pass: they look at no value, and all that they
    #: compute they write through arguments of these calls
    steady: ClassVar[tuple[str, ...]] = ()
    #: why the kernels have to allocate arrays, such as "numpy's sort has no out"; empty: they do not
    allocates: ClassVar[str] = ""
    #: MXNet's initializer, as the JSON text of `__init__`, of inputs and states whose name does not say it
    initial: ClassVar[dict[str, str]] = {}
    #: arithmetic operations for each output element, for FLOP counts
    work: ClassVar[int] = 1
    #: how a call by position begins in MXNet, where the order is not inputs, states, attributes as declared
    begins: ClassVar[tuple[str, ...]] = ()
    #: MXNet's names for the operator, the usual one first; none: the class name
    names: ClassVar[tuple[str, ...]] = ()
    #: how ONNX says it: closed tables, tried in order
    onnx: ClassVar[tuple[As, ...]] = ()
    #: (attributes, input shapes) samples that the test harness runs
    examples: ClassVar[tuple[tuple[dict[str, Any], dict[str, Full]], ...]] = ()

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if abstract:
            cls.names = ()
            return
        if not cls.__doc__:
            raise TypeError(f"operator {cls.__name__} has no docstring")
        lists = (
            *(("args", "aux") if cls.variadic or cls.listed else ()),
            *(("outs",) if cls.splits else ()),
        )
        tensors = {*cls.inputs, *cls.states, *cls.outputs, *cls.scratch, *lists}
        known = {*INJECTED, *tensors, *(f"d{name}" for name in tensors)}
        if cls.variadic:
            known.add("requests")
        for kernel in (cls.forward, cls.backward, cls.prepare):
            if unknown := set(parameters(kernel)) - known:
                raise TypeError(f"{cls.__name__}.{kernel.__name__} names unknown tensors: {sorted(unknown)}")
        for table in cls.onnx:
            table.require_closed(cls.__name__, cls.fields)
        if "names" not in vars(cls):
            cls.names = (cls.__name__,)

    @classmethod
    def is_declared(cls) -> bool:
        """Whether the class is an operator, not the base of some."""
        return bool(cls.names)

    @classmethod
    def positions(cls) -> tuple[str, ...]:
        """Inputs, states and attributes in the order in which a call gives them by position."""
        return tuple(dict.fromkeys((*cls.begins, *cls.inputs, *cls.states, *cls.fields)))

    def input_names(self) -> tuple[str, ...]:
        """The inputs that these attributes call for, without states."""
        if self.variadic:
            return tuple(f"arg{i}" for i in range(self.num_args))  # type: ignore[attr-defined]
        return self.inputs

    def state_names(self) -> tuple[str, ...]:
        """The auxiliary states: inputs that a training pass may change and no gradient reaches."""
        return self.states

    def output_names(self) -> tuple[str, ...]:
        return self.outputs

    def called(self, name: str) -> str:
        """What users call an input, state or output, in arguments and in the names of variables."""
        return name

    def visible_outputs(self) -> int:
        return self.visible

    def counted_outputs(self) -> int:
        """How many outputs MXNet counts in `node_row_ptr` of its files."""
        return self.counted or len(self.output_names())

    def shape(self, s: Shapes) -> None:
        """Merge what the attributes say about the shapes, in any direction; raises `ShapeError`."""
        s.same(*self.input_names(), *self.output_names())

    def types(self, t: Shapes) -> None:
        """Merge what is known about the dtypes; by default all tensors have one."""
        t.same(*self.input_names(), *self.state_names(), *self.output_names())

    def check(self, s: Shapes) -> None:
        """Refuse complete shapes that inference, as in MXNet, lets pass; raises `ShapeError`."""

    def view(self, train: bool) -> tuple[str, str] | None:
        """The pair (input, output) when the output is the input's memory and no kernel runs."""
        return None

    def joins(self, s: Shapes) -> int | None:
        """The axis along which the inputs follow each other in the only output; None: it is anything else."""
        return None

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        """The scratch memory that `forward` or `backward` needs for these complete shapes."""
        return {}

    def cost(
        self,
        s: Shapes,
        images: int,
        channels_last: bool,
        wanted: str = "",
        constant: Collection[str] = (),
    ) -> float:
        """Nanoseconds of a forward pass of so many images, where it matters how many and in which order.

        With `channels_last`, tensors (N, C, S...) are (N, S..., C) in memory.  inf: that must not be; 0.0:
        an image takes as long anyhow.  `wanted` and `constant` are as for `tuned`.  It is asked where no pass
        goes backward.
        """
        return math.inf if channels_last and not self.any_order else 0.0

    def tuned(
        self,
        s: Shapes,
        dtype: str,
        wanted: str = "",
        constant: Collection[str] = (),
        channels_last: bool = False,
    ) -> Op:
        """The operator with its algorithm settled for complete shapes and the dtype of its first output.

        The operator itself where there is nothing to choose, else a copy that equals it: what is chosen is no
        attribute.  `wanted` names the algorithm for those that can serve, `constant` inputs that stay the
        same from pass to pass, and `channels_last` says whether outputs have them last in memory; the choice
        depends on nothing else.
        """
        return self

    def prepared(self, s: Shapes) -> dict[str, Workspace]:
        """Workspaces that keep what the kernel `prepare` makes of inputs that stay the same.

        It is called once before all passes, and again when such inputs have changed after all.
        """
        return {}

    def algorithm(self, written: Collection[str]) -> str:
        """What was settled for the tensors that a kernel writes, as a text for plans; empty: nothing."""
        return ""

    def draws(self) -> bool:
        """Whether the kernels draw random numbers, for all samples one after the other."""
        return "random" in parameters(self.forward)

    def labels(self, s: Shapes) -> dict[str, int]:
        """Inputs that hold class numbers, with the number of classes."""
        return {}

    def macs(self, s: Shapes) -> int:
        """Multiply-accumulates of one forward pass, for operators that are sums of products."""
        return 0

    def flops(self, s: Shapes) -> int:
        """Floating-point operations of one forward pass."""
        return 2 * self.macs(s) + self.work * sum(
            prod(s.full(name)) or 0 for name in self.output_names()[: self.visible_outputs()]
        )

    def backward_tensors(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What `backward` reads and what it writes, from the names of its parameters."""
        inputs, outputs = self.input_names(), self.output_names()
        reads: list[str] = []
        writes: list[str] = []
        for name in (name for name in parameters(self.backward) if name not in INJECTED):
            if name == "args":
                reads += inputs
            elif name == "dargs":
                writes += (f"d{item}" for item in inputs)
            elif name == "douts":
                reads += (f"d{item}" for item in outputs)
            elif name in inputs or name in self.state_names() or name in outputs or name[1:] in outputs:
                reads.append(name)
            elif name[1:] in inputs:
                writes.append(name)
        return tuple(reads), tuple(writes)

    def hands_down(self) -> tuple[str, ...]:
        """All inputs, where the gradient of each is the first output's as it is; none elsewhere."""
        return ()

    def samples(self, s: Shapes) -> tuple[str, ...]:
        """Tensors with the batch in front, for complete shapes; none unless every sample is by itself.

        What has no batch is read whole; its gradient is the sum of what any parts of the batch give.
        """
        return self.batched

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        """How a pass can be computed in pieces, for complete shapes; none if it cannot."""
        samples = self.samples(s)
        return (Cut(dict.fromkeys(samples, 0)),) if samples else ()

    def stages(self, s: Shapes, backward: bool, train: bool) -> tuple[Stage, ...]:
        """The kernels that a pass can be made of instead of `forward` or `backward`; none: it is one.

        They name tensors as these do, and what `carried` and `gathered` name.
        """
        return ()

    def carried(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        """Workspaces that keep what they hold from one stage to the next."""
        return {}

    def gathered(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        """Workspaces likewise, one for each part of the batch.

        A stage that is not cut sees them all with one axis more in front.
        """
        return {}

    def seconds(self, s: Shapes, written: Collection[str]) -> float:
        """About how long a core needs for what a pass writes; 0: no more is known than FLOPs and bytes.

        Pieces of a pass are compared with the whole by it, so that it counts what each of them repeats.
        """
        return 0.0

    def instance(self, context: Any, shapes: Shapes, dtypes: Types) -> Op:
        """The operator that one executor runs.

        The operator itself, unless its kernels keep something between calls that two executors must not
        share.  The shapes and dtypes of all its tensors are complete.
        """
        return self

    #: the kernels: each takes the tensors that its parameters name; without a `backward` no gradient passes
    forward: Callable[..., None] = _no_kernel
    backward: Callable[..., None] = _no_kernel
    prepare: Callable[..., None] = _no_kernel


class Variadic(Op, abstract=True):
    """An operator with `num_args` inputs `arg0`, `arg1`, ...; kernels receive the list `args`."""

    variadic = True
    inputs: ClassVar[tuple[str, ...]] = ()
    num_args = Int(min=1, max=MOST_TENSORS, help="number of inputs; set by composition")


def kernel_arguments(
    op: Op,
    kernel: Callable[..., Any],
    arrays: dict[str, Any],
    injected: dict[str, Any],
    added: Collection[str] = (),
) -> Sequence[Any]:
    """The positional arguments of a kernel, looked up by parameter name.

    `added` names the gradients that `backward` adds to.
    """
    lists: dict[str, list[Any]] = {}
    if op.variadic or op.listed:
        lists["args"] = [arrays.get(name) for name in op.input_names()]
        lists["dargs"] = [arrays.get(f"d{name}") for name in op.input_names()]
        lists["aux"] = [arrays.get(name) for name in op.state_names()]
        lists["requests"] = [
            "null" if arrays.get(f"d{name}") is None else "add" if f"d{name}" in added else "write"
            for name in op.input_names()
        ]
    if op.splits:
        lists["outs"] = [arrays.get(name) for name in op.output_names()]
        lists["douts"] = [arrays.get(f"d{name}") for name in op.output_names()]
    return [
        injected[name] if name in injected else lists[name] if name in lists else arrays.get(name)
        for name in parameters(kernel)
    ]
