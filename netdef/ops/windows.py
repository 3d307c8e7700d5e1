"""How windows tile spatial axes: the one place that convolution, pooling and normalisation share.

Everything works for any number of axes.  `count` is the size rule; `Windows` holds the attributes, checks
them against an input and gives one `Axis` for each spatial axis.  A *tap* is one position inside a window,
seen for all windows at once: a strided view of the input.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from netdef.ops.arrays import batch_last
from netdef.ops.shapes import Full, ShapeError, show

Sizes = Sequence[int | None]


def count(size: int, kernel: int, stride: int = 1, pad: int = 0, dilate: int = 1, rule: str = "valid") -> int:
    """How many windows lie along an axis of `size` elements; less than 1 where not even one fits.

    `pad` elements are added on both sides.  `rule` says what becomes of a last, partial window:

    * `valid`: it is left out (Caffe's Convolution and `round_mode: FLOOR`, MXNet's default)
    * `full`: it counts (MXNet)
    * `clip`: it counts, unless there is padding and it would start beyond input and padding (Caffe's Pooling)
    * `same`: windows start at every `stride`-th element (MXNet 1.x)

    >>> [count(6, 3, stride=2, pad=1, rule=rule) for rule in ("valid", "full", "clip", "same")]
    [3, 4, 4, 4]
    >>> [count(4, 2, stride=3, pad=1, rule=rule) for rule in ("valid", "full", "clip", "same")]
    [2, 3, 2, 2]
    >>> [count(32, 3, stride=2, rule=rule) for rule in ("valid", "full", "clip", "same")]
    [15, 16, 16, 16]
    >>> count(28, 5), count(7, 3, dilate=3), count(4, 5), count(4, 5, pad=1)
    (24, 1, 0, 2)

    Caffe lets a pooling window be larger than its input, as long as the input reaches into it:

    >>> count(3, 4, stride=2, rule="clip"), count(3, 4, stride=2, rule="valid")
    (1, 0)
    """
    if rule == "same":
        return -(-(size + 2 * pad) // stride)
    room = size + 2 * pad - dilate * (kernel - 1) - 1
    if rule == "valid":
        return room // stride + 1
    windows = -(-room // stride) + 1
    if rule == "clip" and pad and (windows - 1) * stride >= size + pad:
        windows -= 1
    return windows


class Axis(NamedTuple):
    """One spatial axis of `size` elements under `windows` windows, `stride` apart, the first at -`pad`."""

    size: int
    kernel: int
    stride: int
    pad: int
    dilate: int
    windows: int

    @property
    def extent(self) -> int:
        """Elements from the first window's start to the end of both the input and the last window."""
        last = (self.windows - 1) * self.stride + self.dilate * (self.kernel - 1) + 1
        return max(self.pad + self.size, last)

    @property
    def interior(self) -> slice:
        """Where the input lies within `extent`."""
        return slice(self.pad, self.pad + self.size)

    def taps(self) -> Iterator[tuple[slice, slice]]:
        """For each tap, the windows whose tap falls on the input, and the elements that it falls on.

        >>> list(Axis(size=4, kernel=3, stride=1, pad=1, dilate=1, windows=4).taps())[0]
        (slice(1, 4, None), slice(0, 3, 1))
        """
        for tap in range(self.kernel):
            offset = tap * self.dilate - self.pad
            first = max(0, -(offset // self.stride))
            last = min(self.windows, (self.size - 1 - offset) // self.stride + 1)
            if first < last:
                start = first * self.stride + offset
                yield (
                    slice(first, last),
                    slice(start, start + (last - first - 1) * self.stride + 1, self.stride),
                )

    def lengths(self, padding: bool) -> list[int]:
        """How many elements each window holds, those of the padding included or not; never any beyond it.

        >>> Axis(size=4, kernel=3, stride=2, pad=1, dilate=1, windows=3).lengths(padding=True)
        [3, 3, 2]
        >>> Axis(size=4, kernel=3, stride=2, pad=1, dilate=1, windows=3).lengths(padding=False)
        [2, 3, 1]
        """
        low, high = (-self.pad, self.size + self.pad) if padding else (0, self.size)
        starts = [window * self.stride - self.pad for window in range(self.windows)]
        return [max(0, min(start + self.kernel, high) - max(start, low)) for start in starts]


class Windows(NamedTuple):
    """The window attributes, one number for each spatial axis, and the size rule."""

    kernel: Full
    stride: Full
    pad: Full
    dilate: Full
    rule: str

    def on(self, sizes: Full) -> tuple[Axis, ...]:
        """The windows on an input of these spatial sizes, which `counts` has accepted."""
        each = zip(sizes, self.kernel, self.stride, self.pad, self.dilate)
        return tuple(Axis(*numbers, windows=count(*numbers, rule=self.rule)) for numbers in each)

    def counts(self, sizes: Sizes) -> tuple[int | None, ...]:
        """The spatial sizes of the output, `None` where that of the input is not known.

        Raises `ShapeError` (`kernel-larger-than-padded-input`) where no window fits.
        """
        counts: list[int | None] = []
        for size, kernel, stride, pad, dilate in zip(sizes, self.kernel, self.stride, self.pad, self.dilate):
            if size is None:
                counts.append(None)
                continue
            windows = count(size, kernel, stride, pad, dilate, self.rule)
            fits = self.rule == "clip" or dilate * (kernel - 1) + 1 <= size + 2 * pad
            if windows < 1 or not fits:
                raise self._too_large(sizes)
            counts.append(windows)
        return tuple(counts)

    def sizes(self, counts: Sizes) -> tuple[int | None, ...]:
        """The input's spatial sizes where those of the output determine them: at stride 1, rule `valid`."""
        each = zip(counts, self.stride, self.pad, self.reaches())
        sizes = [
            None if windows is None or stride > 1 or self.rule != "valid" else windows - 1 + reach - 2 * pad
            for windows, stride, pad, reach in each
        ]
        return tuple(None if size is None or size < 1 else size for size in sizes)

    def require_small_pad(self) -> None:
        """Raise `ShapeError` (`pad-not-smaller-than-kernel`) where a window could be nothing but padding."""
        if any(pad >= kernel for pad, kernel in zip(self.pad, self.kernel)):
            largest = _short([min(pad, kernel - 1) for pad, kernel in zip(self.pad, self.kernel)])
            raise ShapeError(
                f"pad {show(self.pad)} is not smaller than kernel {show(self.kernel)}",
                tensor="data",
                attribute="pad",
                hint=f"pad: {largest} would do",
                kind="pad-not-smaller-than-kernel",
            )

    def reaches(self) -> list[int]:
        """How many elements a window spans along each axis."""
        return [dilate * (kernel - 1) + 1 for kernel, dilate in zip(self.kernel, self.dilate)]

    def _too_large(self, sizes: Sizes) -> ShapeError:
        reaches = self.reaches()
        kernel = f"kernel {show(self.kernel)}"
        if any(step > 1 for step in self.dilate):
            kernel += f" with dilation {show(self.dilate)} spans {show(tuple(reaches))} and"
        whole = f"{show(tuple(sizes))} input" if len(sizes) > 1 else f"input of length {sizes[0]}"
        padded = tuple(None if size is None else size + 2 * pad for size, pad in zip(sizes, self.pad))
        margin = f" padded to {show(padded)}" if any(self.pad) else ""
        pads = [
            pad if room is None else max(pad, pad - (room - reach) // 2)
            for pad, room, reach in zip(self.pad, padded, reaches)
        ]
        kernels = [
            kernel if room is None else _largest_kernel(kernel, dilate, room)
            for kernel, dilate, room in zip(self.kernel, self.dilate, padded)
        ]
        ways = [f"pad: {_short(pads)}"] if all(p < k for p, k in zip(pads, self.kernel)) else []
        ways += [f"kernel_size: {_short(kernels)}"] if min(kernels) > 0 else []
        return ShapeError(
            f"{kernel} does not fit its {whole}{margin}",
            tensor="data",
            attribute="kernel",
            hint=f"{' or '.join(ways)} would fit" if ways else "",
            kind="kernel-larger-than-padded-input",
        )


def windows(
    rank: int, kernel: Full, stride: Full = (), pad: Full = (), dilate: Full = (), rule: str = "valid"
) -> Windows:
    """The attributes of an operator, one number for each of `rank` spatial axes.

    One number stands for all axes, none for the default (stride 1, pad 0, dilate 1).  Raises `ShapeError`
    where there are too few or too many.
    """
    return Windows(
        for_each_axis("kernel", kernel, rank, None),
        for_each_axis("stride", stride, rank, 1),
        for_each_axis("pad", pad, rank, 0),
        for_each_axis("dilate", dilate, rank, 1),
        rule,
    )


def for_each_axis(name: str, numbers: Full, rank: int, default: int | None) -> Full:
    """An attribute as one number for each of `rank` spatial axes; raises `ShapeError` where it is neither."""
    if len(numbers) == rank:
        return numbers
    if len(numbers) == 1:
        return numbers * rank
    if not numbers and default is not None:
        return (default,) * rank
    given = f"{name} has {len(numbers)} numbers" if numbers else f"{name} is missing"
    axes = f"{rank} spatial axis" if rank == 1 else f"{rank} spatial axes"
    raise ShapeError(
        f"{given}, but data has {axes}",
        tensor="data",
        attribute=name,
        hint="give one number, or one for each spatial axis",
    )


def _largest_kernel(kernel: int, dilate: int, room: int) -> int:
    """The largest kernel that fits `room` elements, odd where `kernel` is odd, as that keeps a centre."""
    most = min(kernel, (room - 1) // dilate + 1)
    return most - 1 if kernel % 2 and most % 2 == 0 else most


def _short(numbers: Sequence[int]) -> str:
    """A list for a hint, as one number where all are equal."""
    return str(numbers[0]) if len(set(numbers)) == 1 else str(list(numbers))


# -- moving numbers ---------------------------------------------------------------------------------------


def carve(flat: Any, shape: Full, start: int = 0) -> Any:
    """A contiguous array of `shape` in a flat workspace, from element `start` on."""
    return flat[start : start + math.prod(shape)].reshape(shape)


def along(first: int, *index: Any) -> tuple[Any, ...]:
    """An index of the axes from `first` on; the axes before are taken whole."""
    return (*(slice(None),) * first, *index)


def inside(axes: Sequence[Axis]) -> bool:
    """Whether every window lies wholly on the input."""
    return all(axis.extent == axis.size for axis in axes)


def padded_shape(axes: Sequence[Axis]) -> Full:
    """The spatial shape of an input with its padding, as far as windows reach."""
    return tuple(axis.extent for axis in axes)


def interior(array: Any, axes: Sequence[Axis], first: int) -> Any:
    """The view of a padded array that holds the input; its spatial axes start at axis `first`."""
    return array[along(first, *(axis.interior for axis in axes))]


def taps(xp: Any, padded: Any, axes: Sequence[Axis], first: int) -> Any:
    """All windows of a padded array as a view, with nothing copied.

    padded (A..., S..., B...), where S... start at axis `first`, gives (A..., k..., O..., B...): the element
    at tap k of window o.
    """
    last = first + len(axes)
    lead, steps, trail = padded.strides[:first], padded.strides[first:last], padded.strides[last:]
    kernels = tuple(axis.kernel for axis in axes)
    counts = tuple(axis.windows for axis in axes)
    inner = tuple(step * axis.dilate for step, axis in zip(steps, axes))
    outer = tuple(step * axis.stride for step, axis in zip(steps, axes))
    return xp.lib.stride_tricks.as_strided(
        padded,
        (*padded.shape[:first], *kernels, *counts, *padded.shape[last:]),
        (*lead, *inner, *outer, *trail),
    )


def each_tap(view: Any, axes: Sequence[Axis], first: int) -> Iterator[Any]:
    """The taps of a view (A..., k..., B...) one by one, in row-major order, each (A..., B...)."""
    for tap in itertools.product(*(range(axis.kernel) for axis in axes)):
        yield view[along(first, *tap)]


def slide(xp: Any, join: Callable[..., Any], source: Any, target: Any, axis: Axis, position: int) -> None:
    """Join each window along one array axis into `target`, which holds the value to start from."""
    for here, elements in axis.taps():
        part = target[along(position, here)]
        join(part, source[along(position, elements)], out=part)


def spread(xp: Any, source: Any, target: Any, axis: Axis, position: int) -> None:
    """The adjoint of `slide` with a sum: add each window's value to all its elements in `target`."""
    for here, elements in axis.taps():
        part = target[along(position, elements)]
        xp.add(part, source[along(position, here)], out=part)


def between(axes: Sequence[Axis], shape: Full, first: int) -> list[Full]:
    """The shapes between an input and its output when the axes from `first` on are reduced one by one."""
    counts = [axis.windows for axis in axes]
    return [(*shape[:first], *counts[:done], *shape[first + done :]) for done in range(1, len(axes))]


def reduce(
    xp: Any,
    join: Callable[..., Any],
    start: float,
    data: Any,
    axes: Sequence[Axis],
    first: int,
    output: Any,
    partial: Any,
) -> None:
    """Join the elements of every window, padding left out, axis by axis: k + k steps instead of k * k.

    data (A..., S..., B...) -> output (A..., O..., B...), where S... start at axis `first`; `start` is the
    neutral element of `join`; `partial` is a flat workspace for all of `between`.
    """
    targets = [*_carve_all(partial, between(axes, data.shape, first)), output]
    for number, (axis, source, target) in enumerate(zip(axes, [data, *targets], targets)):
        xp.copyto(target, start)
        slide(xp, join, source, target, axis, first + number)


def distribute(xp: Any, doutput: Any, axes: Sequence[Axis], first: int, ddata: Any, partial: Any) -> None:
    """The adjoint of `reduce` with a sum: every element gets the values of all windows that hold it."""
    sources = [*_carve_all(partial, between(axes, ddata.shape, first)), doutput]
    for number in reversed(range(len(axes))):
        target = sources[number - 1] if number else ddata
        xp.copyto(target, 0)
        spread(xp, sources[number], target, axes[number], first + number)


def _carve_all(flat: Any, shapes: Sequence[Full]) -> list[Any]:
    starts = itertools.accumulate((math.prod(shape) for shape in shapes), initial=0)
    return [carve(flat, shape, start) for shape, start in zip(shapes, starts)]


def fill_with_lengths(xp: Any, axes: Sequence[Axis], padding: bool, lengths: Any) -> None:
    """Write the number of elements of every window to `lengths` (O...); at least 1, so that it can divide."""
    xp.copyto(lengths, 1)
    for number, axis in enumerate(axes):
        for window, length in enumerate(axis.lengths(padding)):
            part = lengths[along(number, slice(window, window + 1))]
            xp.multiply(part, max(1, length), out=part)


def load(xp: Any, data: Any, axes: Sequence[Axis], image: Any) -> None:
    """Copy data (N, C, S...) to image (C, padded S..., N), with zeros around.

    With the batch last, whatever copies or adds taps runs over N neighbouring elements at least, several
    times faster than over the rows of one image.
    """
    for number, axis in enumerate(axes, start=1):
        clear(xp, image, axis, number)
    xp.copyto(interior(image, axes, 1), batch_last(data))


def clear(xp: Any, padded: Any, axis: Axis, position: int) -> None:
    """Fill the padding along one array axis with zeros."""
    for border in (slice(0, axis.pad), slice(axis.pad + axis.size, axis.extent)):
        if border.start < border.stop:
            xp.copyto(padded[along(position, border)], 0)


def unload(xp: Any, image: Any, axes: Sequence[Axis], data: Any) -> None:
    """Copy image (C, padded S..., N) without its padding to data (N, C, S...): the adjoint of `load`."""
    xp.copyto(batch_last(data), interior(image, axes, 1))


def add_taps(xp: Any, columns: Any, view: Any, axes: Sequence[Axis], first: int = 1) -> None:
    """Add columns (A..., k..., O..., B...), where k... start at axis `first`, to the taps of an image.

    `view` is a part of the taps; the adjoint of copying it.  The taps overlap in memory, so that they are
    added one after the other (col2im).
    """
    for source, target in zip(each_tap(columns, axes, first), each_tap(view, axes, first)):
        xp.add(target, source, out=target)
