"""Convolution of few channels at a time (depthwise: Sifre 2014; Howard et al. 2017).

A filter of one channel is nine numbers: a product of matrices does less there than the copies around it, so
these are made as long as they can be.  The image lies in memory with its padding, apart by the phases of the
stride (what a tap sees are elements of one phase next to each other), and a tap is a *run* of it: all windows
from the first to the last in one piece, those that reach over the end of a row among them.  What these give
is nobody's, and is left behind when the output is copied.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from netdef.ops import conv_cost, windows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Algorithm
from netdef.ops.conv_sizes import Sizes, carved, room
from netdef.ops.epilogue import Epilogue
from netdef.ops.shapes import Full

#: floats in the arrays of a block of groups, so that they stay in the second-level cache
BLOCK = 256 * 1024
#: bounds for the images of a slab, which may go beyond that cache so that copies run over more of them
FEW, MANY = 8, 32
#: nanoseconds for each element: of a tap in a product with one filter, or in a sum of products
MULTIPLY, DOT = 0.09, 0.08

_Views = TypeVar("_Views")


class Taps(NamedTuple):
    """The taps of an axis that see the same phase of it: `first`, `first + step`, ... of the kernel.

    The first tap of the first window is element `start` of the phase, that of the next tap `apart` further.
    """

    first: int
    step: int
    taps: int
    phase: int
    start: int
    apart: int


def taps_by_phase(axis: windows.Axis) -> list[Taps]:
    """All taps of an axis.

    >>> taps_by_phase(windows.Axis(size=8, kernel=3, stride=2, pad=1, dilate=1, windows=4))[0]
    Taps(first=0, step=2, taps=2, phase=0, start=0, apart=1)
    """
    common = math.gcd(axis.stride, axis.dilate)
    step = axis.stride // common
    return [
        Taps(
            first,
            step,
            -(-(axis.kernel - first) // step),
            first * axis.dilate % axis.stride,
            first * axis.dilate // axis.stride,
            axis.dilate // common,
        )
        for first in range(min(step, axis.kernel))
    ]


def elements_of_phase(axis: windows.Axis, phase: int) -> tuple[slice, slice]:
    """The elements of the input that belong to a phase, and where they lie in it.

    >>> elements_of_phase(windows.Axis(size=8, kernel=3, stride=2, pad=1, dilate=1, windows=4), 0)
    (slice(1, None, 2), slice(1, 5, None))
    """
    source = (phase - axis.pad) % axis.stride
    target = (source + axis.pad) // axis.stride
    return slice(source, None, axis.stride), slice(target, target + -(-(axis.size - source) // axis.stride))


class _Pieces:
    """How many images and groups are worked on at a time, and the arrays for them."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes, self.axes = sizes, sizes.axes
        self.of_group, self.filters = sizes.channels // sizes.groups, sizes.filters // sizes.groups
        #: elements of a phase along each axis, and zeros before the gradients of the output
        self.phase = tuple(-(-axis.extent // axis.stride) for axis in self.axes)
        self.before = tuple((axis.kernel - 1) * axis.dilate // axis.stride for axis in self.axes)
        self.phases = math.prod(axis.stride for axis in self.axes)
        one = self._elements(1)
        self.images = max(1, min(sizes.batch, MANY, max(FEW, 4 * BLOCK // one)))
        most = max(1, min(sizes.groups, BLOCK // self._elements(self.images)))
        #: of one size if one fills half of the cache at least: all blocks share their views then
        self.groups = next((each for each in range(most, most // 2, -1) if sizes.groups % each == 0), most)

    def _elements(self, images: int) -> int:
        """Floats in the arrays for some images of one group, in the pass that takes most."""
        return max(room(self.shapes(which, 1, images)) for which in (FORWARD, DATA))

    @property
    def wide(self) -> Full:
        """Elements along each axis of the gradients of the output with zeros around."""
        return tuple(size + before for size, before in zip(self.phase, self.before))

    def shapes(self, which: str, groups: int, images: int) -> tuple[Full, ...]:
        """What a pass keeps for a block: an image by phases; columns; what comes out or, WEIGHT, went in."""
        image = (groups, self.of_group, self.phases, *self.phase, images)
        heads = (groups, self.filters, *self.phase, images)
        if which == WEIGHT:
            return image, heads
        if which == FORWARD:  # one column more, of ones, for the bias
            return image, (groups, self.of_group * self.sizes.taps + 1, *self.phase, images), heads
        return (
            (groups, self.filters, *self.wide, images),
            (groups, self.filters * self._most, *self.wide, images),
            (groups, self.of_group, *self.wide, images),
        )

    @property
    def _most(self) -> int:
        """Taps that see one phase, at most."""
        return math.prod(taps_by_phase(axis)[0].taps for axis in self.axes)

    def blocks(
        self, which: str, spaces: Sequence[Any], prepare: Callable[..., _Views]
    ) -> Iterator[tuple[tuple[Any, ...], _Views]]:
        """The index of each block in arrays (G, C, S..., N), and what `prepare` makes of the arrays for it.

        Blocks of one size that follow on each other share it: such views take longer than small copies.
        """
        shapes: tuple[Full, ...] = ()
        for start in range(0, self.sizes.batch, self.images):
            slab = slice(start, min(start + self.images, self.sizes.batch))
            for first in range(0, self.sizes.groups, self.groups):
                block = slice(first, min(first + self.groups, self.sizes.groups))
                wanted = self.shapes(which, block.stop - first, slab.stop - start)
                if wanted != shapes:
                    shapes = wanted
                    views = prepare(
                        *(windows.carve(s.reshape(-1), shape) for s, shape in zip(spaces, shapes))
                    )
                yield (block, ..., slab), views

    def by_group(self, xp: Any, array: Any) -> Any:
        """An array (N, channels or filters, S...) as (G, C, S..., N)."""
        turned = xp.moveaxis(array, 0, -1)
        groups = self.sizes.groups
        return turned.reshape(groups, turned.shape[0] // groups, *turned.shape[1:])

    def parts(self, image: Any) -> list[tuple[Any, tuple[Any, ...]]]:
        """The places in an image by phases (G, C, P, S..., N), and which elements of data belong there."""
        found = []
        for number, phases in enumerate(itertools.product(*(range(axis.stride) for axis in self.axes))):
            places = [elements_of_phase(axis, phase) for axis, phase in zip(self.axes, phases)]
            source, target = zip(*places)
            found.append((image[:, :, number][windows.along(2, *target)], windows.along(2, *source)))
        return found

    def by_phase(self) -> Iterator[tuple[int, tuple[Taps, ...]]]:
        """The number of each phase that taps see, and these."""
        for taps in itertools.product(*map(taps_by_phase, self.axes)):
            number = 0
            for axis, seen in zip(self.axes, taps):
                number = number * axis.stride + seen.phase
            yield number, taps

    @staticmethod
    def index(taps: Sequence[Taps]) -> tuple[slice, ...]:
        """Where taps stand in a kernel."""
        return tuple(slice(seen.first, None, seen.step) for seen in taps)


@functools.lru_cache(maxsize=1024)
def _pieces(sizes: Sizes) -> _Pieces:
    """The same for every call: for one image they would take as long as the arithmetic."""
    return _Pieces(sizes)


def _length(windows_of: Full, shape: Full) -> int:
    """Elements from the first window to the last in an array (S..., N), with what lies between them."""
    *sizes, images = shape
    last = 0
    for count, size in zip(windows_of, sizes):
        last = last * size + count - 1
    return (last + 1) * images


def _flat(array: Any, first: int) -> Any:
    """An array with its axes from `first` on as one."""
    return array.reshape(*array.shape[:first], -1)


def _seen(xp: Any, phase: Any, taps: Sequence[Taps], length: int, before: Full = ()) -> Any:
    """What taps see of a phase (G, C, S..., N) as runs: a view (G, C, k..., length), with nothing copied.

    With `before`, the zeros before the output's gradient: what of that reaches the phase through the taps,
    the last one first.
    """
    if before:
        starts = [b - seen.start - seen.apart * (seen.taps - 1) for b, seen in zip(before, taps)]
    else:
        starts = [seen.start for seen in taps]
    steps = (seen.apart * stride for seen, stride in zip(taps, phase.strides[2:-1]))
    return xp.lib.stride_tricks.as_strided(
        phase[windows.along(2, *starts)],
        (*phase.shape[:2], *(seen.taps for seen in taps), length),
        (*phase.strides[:2], *steps, phase.itemsize),
    )


class Depthwise(Algorithm):
    """Runs of the image as columns, in products with the filters of each group."""

    name = "depthwise"

    def serves(self, sizes: Sizes, which: str) -> bool:
        return sizes.groups > 1 and sizes.groups in (sizes.channels, sizes.filters)

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        pieces = _pieces(sizes)
        shapes = pieces.shapes(which, pieces.groups, pieces.images)
        if which == WEIGHT:
            return *shapes, sizes.weight, sizes.weight
        if which == DATA:
            filters = (
                (sizes.groups, pieces.of_group, pieces.filters, *(seen.taps for seen in taps))
                for _, taps in pieces.by_phase()
            )
            return *shapes, (room(filters),)
        return *shapes, (sizes.groups, pieces.filters, pieces.of_group * sizes.taps + 1)

    def cost(self, sizes: Sizes, which: str) -> float:
        pieces = _pieces(sizes)
        blocks = -(-sizes.batch // pieces.images) * -(-sizes.groups // pieces.groups)
        places = sizes.batch * math.prod(pieces.wide if which == DATA else pieces.phase)
        moved = sizes.batch * sizes.channels * math.prod(sizes.padded[1:]) + places * sizes.filters
        products = sizes.filters * pieces.of_group
        each = {
            FORWARD: sizes.channels * conv_cost.COPY + products * MULTIPLY,
            DATA: sizes.filters * conv_cost.COPY + products * MULTIPLY,
            WEIGHT: products * DOT,
        }[which]
        calls = blocks * (4 + pieces.phases) * conv_cost.CALL + sizes.groups * 200
        return calls + conv_cost.copied(moved, conv_cost.run(sizes)) + places * sizes.taps * each

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        pieces = _pieces(sizes)
        *spaces, matrix, _ = carved(space, self.spaces(sizes, FORWARD))
        xp.copyto(matrix[:, :, :-1], weight.reshape(matrix.shape[0], matrix.shape[1], -1))
        xp.copyto(matrix[:, :, -1], 0 if epilogue.bias is None else sizes.by_group(epilogue.bias))

        def prepared(image: Any, columns: Any, sums: Any) -> tuple[Any, ...]:
            xp.copyto(image, 0)
            length = _length(sizes.counts, sums.shape[2:])
            flat = _flat(columns, 2)[:, :, :length]
            xp.copyto(flat[:, -1], 1)
            by_tap = flat[:, :-1].reshape(flat.shape[0], pieces.of_group, *sizes.kernel, length)
            copies = [
                (by_tap[windows.along(2, *pieces.index(taps))], _seen(xp, image[:, :, number], taps, length))
                for number, taps in pieces.by_phase()
            ]
            results = sums[windows.along(2, *map(slice, sizes.counts))]
            return pieces.parts(image), copies, flat, _flat(sums, 2)[:, :, :length], results

        source, target = pieces.by_group(xp, data), pieces.by_group(xp, output)
        addend = None if epilogue.addend is None else pieces.by_group(xp, epilogue.addend)
        for index, (parts, copies, flat, products, results) in pieces.blocks(FORWARD, spaces, prepared):
            for part, elements in parts:
                xp.copyto(part, source[index][elements])
            for columns, runs in copies:
                xp.copyto(columns, runs)
            xp.matmul(matrix[index[0]], flat, out=products)
            epilogue.finish(xp, results, target[index], None, None if addend is None else addend[index])

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        """Each phase is the correlation of the output's gradient with the taps that see it, turned round."""
        pieces = _pieces(sizes)
        *spaces, turned, _ = carved(space, self.spaces(sizes, DATA))
        matrices = []
        for _, taps in pieces.by_phase():
            part = sizes.by_group(weight)[windows.along(3, *pieces.index(taps))]
            part = xp.swapaxes(part[windows.along(3, *(slice(None, None, -1) for _ in taps))], 1, 2)
            (matrix, turned) = carved(turned, [part.shape])
            xp.copyto(matrix, part)
            matrices.append(_flat(matrix, 2))

        def prepared(heads: Any, columns: Any, sums: Any) -> tuple[Any, ...]:
            xp.copyto(heads, 0)
            inner = (slice(b, b + count) for b, count in zip(pieces.before, sizes.counts))
            length = _length(pieces.phase, sums.shape[2:])
            phases = []
            for _, taps in pieces.by_phase():
                runs = _seen(xp, heads, taps, length, pieces.before)
                copy = windows.carve(columns.reshape(-1), runs.shape)
                places = [elements_of_phase(axis, seen.phase) for axis, seen in zip(sizes.axes, taps)]
                elements, held = zip(*places)
                flat = copy.reshape(runs.shape[0], -1, length)
                phases.append((copy, runs, flat, sums[windows.along(2, *held)], windows.along(2, *elements)))
            return heads[windows.along(2, *inner)], phases, _flat(sums, 2)[:, :, :length]

        source, target = pieces.by_group(xp, doutput), pieces.by_group(xp, ddata)
        if any(len(taps_by_phase(axis)) < axis.stride for axis in sizes.axes):
            xp.copyto(ddata, 0)  # no tap sees some phases
        for index, (within, phases, products) in pieces.blocks(DATA, spaces, prepared):
            xp.copyto(within, source[index])
            for matrix, (copy, runs, flat, results, elements) in zip(matrices, phases):
                xp.copyto(copy, runs)
                xp.matmul(matrix[index[0]], flat, out=products)
                xp.copyto(target[index][elements], results)

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """Products of runs with the output's gradient, which is zero where there is no window."""
        pieces = _pieces(sizes)
        *spaces, share, total, _ = carved(space, self.spaces(sizes, WEIGHT))
        share, total = sizes.by_group(share), sizes.by_group(total)

        def prepared(image: Any, heads: Any) -> tuple[Any, ...]:
            xp.copyto(image, 0)
            xp.copyto(heads, 0)
            length = _length(sizes.counts, heads.shape[2:])
            columns = _flat(heads, 2)[:, :, :length]
            columns = columns.reshape(*heads.shape[:2], *(1,) * (len(sizes.axes) + 1), length, 1)
            rows = [
                (_seen(xp, image[:, :, number], taps, length)[:, None, ..., None, :], pieces.index(taps))
                for number, taps in pieces.by_phase()
            ]
            return pieces.parts(image), heads[windows.along(2, *map(slice, sizes.counts))], rows, columns

        source, upper = pieces.by_group(xp, data), pieces.by_group(xp, doutput)
        xp.copyto(total, 0)
        for index, (parts, within, rows, columns) in pieces.blocks(WEIGHT, spaces, prepared):
            for part, elements in parts:
                xp.copyto(part, source[index][elements])
            xp.copyto(within, upper[index])
            sums, added = share[index[0]], total[index[0]]
            for runs, taps in rows:
                xp.matmul(runs, columns, out=sums[windows.along(3, *taps)][..., None, None])
            xp.add(added, sums, out=added)
        xp.copyto(sizes.by_group(dweight), total)
