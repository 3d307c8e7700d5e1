"""Convolution with fewer multiplications along all axes, written as products of matrices.

Winograd's minimal filtering (Lavin and Gray 2015; `toomcook`) for windows next to each other: F(4, 3) or
F(2, 5) along an axis, from the same six points.  A step is three products of large matrices: all tiles and
channels into the transformed domain, one product over the channels for each point there, and back.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from netdef.ops import conv_cost, windows
from netdef.ops.arrays import batch_last, copy_rows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Making
from netdef.ops.conv_blocks import Bands, evenly, joined
from netdef.ops.conv_sizes import PLANS, Sizes, carved
from netdef.ops.epilogue import NOTHING, Epilogue
from netdef.ops.shapes import Full
from netdef.ops.toomcook import transforms

#: points along an axis at which tiles and filters are multiplied
POINTS = 6
#: lengths of filters that the points serve with little loss of digits
KERNELS = (3, 5)
#: floats in the transformed tiles of a block
BLOCK = 512 * 1024
#: columns that a product of a chunk should have at most
COLUMNS = 128


class _Pieces:
    """How the tiles are worked on: in blocks of rows, and within them in chunks of a row."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.points = POINTS ** len(sizes.axes)
        self.tile = tuple(POINTS + 1 - axis.kernel for axis in sizes.axes)
        self.tiles = tuple(-(-axis.windows // step) for axis, step in zip(sizes.axes, self.tile))
        #: the tiles as windows over the data and over the output
        over = tuple(
            windows.Axis(axis.size, POINTS, step, axis.pad, 1, count)
            for axis, step, count in zip(sizes.axes, self.tile, self.tiles)
        )
        under = tuple(
            windows.Axis(axis.windows, step, step, 0, 1, count)
            for axis, step, count in zip(sizes.axes, self.tile, self.tiles)
        )
        #: whether the tiles cover the output and nothing else
        self.exact = windows.inside(under)
        cached = max(BLOCK, self.points * sizes.filters * sizes.channels // sizes.groups)
        row = self.points * (sizes.channels + sizes.filters) * math.prod(self.tiles[1:]) * sizes.batch
        self.rows = evenly(self.tiles[0], cached // max(1, row))
        self.over = Bands.fitting(sizes._replace(axes=over), self.rows)
        self.under = Bands(sizes._replace(channels=sizes.filters, axes=under), self.rows)
        #: tiles of a chunk; 0 where rows are so short that all tiles of a block are one matrix
        self.width = self._width() if len(sizes.axes) == 2 else 0

    def _width(self) -> int:
        batch, count = self.sizes.batch, self.tiles[-1]
        fitting = [w for w in range(1, count + 1) if count % w == 0 and (w == 1 or w * batch <= COLUMNS)]
        return fitting[-1] if fitting[-1] * batch >= COLUMNS // 4 else 0

    def spaces(self) -> tuple[Full, ...]:
        """A band of the data, one of the output, and two places for the tiles of either."""
        sizes = self.sizes
        tiles = self.rows * math.prod(self.tiles[1:]) * sizes.batch
        most = self.points * max(sizes.channels, sizes.filters) * tiles
        return self.over.space, self.under.space, (most,), (most,)

    def blocks(self, rows: slice) -> Iterator[tuple[slice, slice]]:
        """The blocks of a band of rows of tiles: where they lie in the band and of all."""
        for start in range(rows.start, rows.stop, self.rows):
            stop = min(start + self.rows, rows.stop)
            yield slice(start - rows.start, stop - rows.start), slice(start, stop)

    def transformed(
        self,
        xp: Any,
        matrix: Any,
        band: Any,
        axes: tuple[windows.Axis, ...],
        here: slice,
        spaces: Sequence[Any],
    ) -> Any:
        """Some rows of the tiles of a band in the transformed domain.

        They are (points, groups, channels of a group, tiles) and lie in the first of two workspaces; the
        other one is free again afterwards.
        """
        first, *others = axes
        start = here.start * first.stride
        stop = (here.stop - 1) * first.stride + first.kernel
        part = band[:, start:stop]
        axes = (first._replace(windows=here.stop - here.start), *others)
        counts, elements = tuple(axis.windows for axis in axes), matrix.shape[1]
        points = windows.carve(spaces[0], (self.points, band.shape[0], *counts, band.shape[-1]))
        if self.width:
            tiles = self._chunks(xp, part, axes, spaces[1])
            xp.matmul(matrix, tiles, out=self._by_chunk(xp, points))
        else:
            view = xp.moveaxis(windows.taps(xp, part, axes, 1), 0, len(axes))
            tiles = windows.carve(spaces[1], view.shape)
            copy_rows(xp, tiles, view)
            xp.matmul(matrix, tiles.reshape(elements, -1), out=points.reshape(self.points, -1))
        return points.reshape(self.points, self.sizes.groups, band.shape[0] // self.sizes.groups, -1)

    def _chunks(self, xp: Any, part: Any, axes: tuple[windows.Axis, ...], space: Any) -> Any:
        """The tiles of a part of a band as matrices (C, rows, chunks, elements, columns).

        Those of the next row of tiles overlap them in memory.
        """
        first, second = axes
        columns = windows.taps(xp, part, (second,), 2)
        apart = columns.reshape(*columns.shape[:3], -1, self.width, columns.shape[-1])
        view = apart.transpose(0, 3, 1, 2, 4, 5)
        tiles = windows.carve(space, view.shape)
        copy_rows(xp, tiles, view)
        channel, chunk, row = tiles.strides[:3]
        item = tiles.itemsize
        length = self.width * part.shape[-1]
        shape = (part.shape[0], first.windows, tiles.shape[1], first.kernel * second.kernel, length)
        steps = (channel, row * first.stride, chunk, length * item, item)
        return xp.lib.stride_tricks.as_strided(tiles, shape, steps)

    def _by_chunk(self, xp: Any, points: Any) -> Any:
        """Points (points, C, rows, tiles of a row, N) as matrices (C, rows, chunks, points, columns)."""
        chunks = points.shape[3] // self.width
        return xp.moveaxis(points.reshape(*points.shape[:3], chunks, -1), 0, 3)

    def back(self, xp: Any, matrix: Any, points: Any, space: Any, target: Any) -> None:
        """Points (points, channels, tiles) back to the tiles of target (channels, S..., N)."""
        rank, channels, batch = len(self.sizes.axes), target.shape[0], target.shape[-1]
        counts = tuple(size // step for size, step in zip(target.shape[1:], self.tile))
        axes = tuple(
            windows.Axis(size, step, step, 0, 1, count)
            for size, step, count in zip(target.shape[1:], self.tile, counts)
        )
        places = windows.taps(xp, target, axes, 1)
        if self.width:
            chunks = counts[1] // self.width
            shape = (channels, counts[0], chunks, *self.tile, self.width, batch)
            tiles = windows.carve(space, shape)
            flat = tiles.reshape(*shape[:3], matrix.shape[0], -1)
            xp.matmul(matrix, self._by_chunk(xp, points.reshape(-1, channels, *counts, batch)), out=flat)
            places = places.reshape(*places.shape[:4], chunks, self.width, batch)
            copy_rows(xp, places.transpose(0, 3, 4, 1, 2, 5, 6), tiles)
        else:
            tiles = windows.carve(space, (*self.tile, channels, *counts, batch))
            xp.matmul(matrix, points, out=tiles.reshape(matrix.shape[0], -1))
            copy_rows(xp, xp.moveaxis(places, 0, rank), tiles)


@functools.lru_cache(PLANS)
def _plan(sizes: Sizes, which: str) -> tuple[_Pieces, tuple[Full, ...]]:
    """How a pass is cut, and the shapes of what it keeps."""
    pieces = _Pieces(sizes.turned() if which == DATA else sizes)
    filters = (pieces.points, sizes.filters, sizes.channels // sizes.groups)
    *spaces, most = pieces.spaces()
    return pieces, (*spaces, most, filters, *((most, filters) if which == WEIGHT else ()))


class Winograd(Making):
    """F(4, 3) and F(2, 5) along one or two axes, for windows next to each other without dilation."""

    name = "winograd"

    def serves(self, sizes: Sizes, which: str) -> bool:
        return self.fits(sizes) and (which != DATA or sizes.turns)

    def fits(self, sizes: Sizes) -> bool:
        return len(sizes.axes) <= 2 and all(
            axis.kernel in KERNELS and axis.stride == axis.dilate == 1 for axis in sizes.axes
        )

    def factors(self, sizes: Sizes) -> Full:
        """All filters in the transformed domain (points, filters, channels of a group)."""
        return (POINTS ** len(sizes.axes), sizes.filters, sizes.channels // sizes.groups)

    def make(self, xp: Any, weight: Any, factors: Any) -> None:
        self._filter(xp, transforms(xp, weight.shape[2:], POINTS, factors.dtype.name).weight, weight, factors)

    def making(self, sizes: Sizes) -> float:
        points = POINTS ** len(sizes.axes)
        weights = math.prod(sizes.weight) / sizes.taps
        return points * weights * conv_cost.FETCH + conv_cost.product(1, points, weights, sizes.taps)

    def kept(self, sizes: Sizes) -> tuple[Full, ...]:
        *kept, _ = _plan(sizes, FORWARD)[1]
        return tuple(kept)

    def multiply(
        self,
        xp: Any,
        sizes: Sizes,
        data: Any,
        factors: Any,
        epilogue: Epilogue,
        output: Any,
        spaces: Sequence[Any],
    ) -> None:
        pieces, _ = _plan(sizes, FORWARD)
        self._run(xp, pieces, data, sizes.by_point(factors), epilogue, output, spaces)

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        return _plan(sizes, which)[1]

    def multiplying(self, sizes: Sizes) -> float:
        return self._besides(sizes, FORWARD)

    def cost(self, sizes: Sizes, which: str) -> float:
        return self._besides(sizes, which) + self.making(sizes)

    @staticmethod
    def _besides(sizes: Sizes, which: str) -> float:
        """What all but the transform of the filters costs."""
        seen = sizes.turned() if which == DATA else sizes
        pieces, _ = _plan(sizes, which)
        points, groups = pieces.points, seen.groups
        blocks = -(-pieces.tiles[0] // pieces.rows)
        tiles = seen.batch * math.prod(pieces.tiles)
        tile = math.prod(pieces.tile)
        filters = points * sizes.filters * sizes.channels / groups
        row = max(1, pieces.width) * seen.batch
        copies = sum(conv_cost.band(bands.sizes, bands) for bands in (pieces.over, pieces.under))
        gathered = points * pieces.tile[0] / POINTS if pieces.width else points
        copies += conv_cost.copied(tiles * seen.channels * gathered, seen.batch)
        copies += conv_cost.copied(tiles * seen.filters * tile, seen.batch)
        copies += blocks * filters * conv_cost.FETCH
        chunks = tiles / row if pieces.width else blocks
        changes = (
            conv_cost.small(chunks * seen.channels, points, row, points)
            + conv_cost.small(chunks * seen.filters, points, row, tile)
            if pieces.width
            else conv_cost.product(blocks, points, seen.channels * tiles / blocks, points)
            + conv_cost.product(blocks, points, seen.filters * tiles / blocks, tile)
        )
        shape = seen.filters / groups, tiles / blocks, seen.channels / groups
        if which == WEIGHT:
            shape = shape[0], shape[2], shape[1]
            copies += blocks * filters * conv_cost.ADD
        products = conv_cost.product(blocks * points * groups, *shape)
        calls = blocks * (30 if which == WEIGHT else 15) * conv_cost.CALL
        return calls + copies + changes + products

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        """The same with turned filters, whose transform needs no copy of them."""
        pieces, shapes = _plan(sizes, DATA)
        *spaces, filters, _ = carved(space, shapes)
        matrix = transforms(xp, sizes.kernel, POINTS, space.dtype.name).turned
        self._filter(xp, matrix, weight, filters)
        self._run(xp, pieces, doutput, sizes.by_point(filters).swapaxes(2, 3), NOTHING, ddata, spaces)

    @staticmethod
    def _filter(xp: Any, matrix: Any, weight: Any, filters: Any) -> None:
        """All filters in the transformed domain."""
        taps = weight.reshape(-1, matrix.shape[1])
        xp.matmul(matrix, taps.T, out=filters.reshape(matrix.shape[0], -1))

    @staticmethod
    def _run(
        xp: Any,
        pieces: _Pieces,
        data: Any,
        filters: Any,
        epilogue: Epilogue,
        output: Any,
        spaces: Sequence[Any],
    ) -> None:
        sizes = pieces.sizes
        above, below, *places = spaces
        change = transforms(xp, sizes.kernel, POINTS, above.dtype.name)
        target = batch_last(output)
        direct = pieces.exact and epilogue.addend is None and joined(target, above)
        bias, addend = sizes.by_channel(epilogue.bias, 1), epilogue.last
        step = pieces.tile[0]
        for rows, band, axes in pieces.over.of(xp, data, above):
            for here, there in pieces.blocks(rows):
                points = pieces.transformed(xp, change.data, band, axes, here, places)
                products = windows.carve(places[1], (pieces.points, sizes.filters * points.shape[-1]))
                shape = (pieces.points, sizes.groups, -1, points.shape[-1])
                xp.matmul(filters, points, out=products.reshape(shape))
                place = windows.along(1, slice(there.start * step, there.stop * step))
                result = target[place]
                covered = result
                if not direct:
                    count = step * (there.stop - there.start)
                    covered = windows.carve(below.reshape(-1), (below.shape[0], count, *below.shape[2:]))
                pieces.back(xp, change.output, products, places[0], covered)
                if not direct:
                    covered = covered[tuple(slice(0, size) for size in result.shape)]
                epilogue.finish(xp, covered, result, bias, None if addend is None else addend[place])

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """Summed in the transformed domain; the way there of each is the adjoint of its way back."""
        pieces, shapes = _plan(sizes, WEIGHT)
        above, below, points, patches, total, upper, share, _ = carved(space, shapes)
        change = transforms(xp, sizes.kernel, POINTS, space.dtype.name)
        share, total = (
            array.reshape(pieces.points, sizes.groups, -1, array.shape[-1]) for array in (share, total)
        )
        sums = total
        for rows, band, axes in pieces.over.of(xp, data, above):
            for here, there in pieces.blocks(rows):
                heads, under = pieces.under.under(xp, doutput, there, below)
                whole = slice(0, there.stop - there.start)
                left = pieces.transformed(xp, change.heads, heads, under, whole, (upper, patches))
                right = pieces.transformed(xp, change.data, band, axes, here, (points, patches))
                xp.matmul(left, right.swapaxes(2, 3), out=sums)
                if sums is share:
                    xp.add(total, share, out=total)
                sums = share
        taps = windows.carve(share.reshape(-1), (*sizes.kernel, *dweight.shape[:2]))
        xp.matmul(change.weight.T, total.reshape(pieces.points, -1), out=taps.reshape(sizes.taps, -1))
        xp.copyto(dweight, xp.moveaxis(taps, (-2, -1), (0, 1)))
