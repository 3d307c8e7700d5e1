"""Sampling grids, and sampling images by them."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops import sampling
from netdef.ops.arrays import count_up, write_back
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Dims, Enum, Hint
from netdef.ops.shapes import Full, ShapeError, Shapes, show


def _targets(xp: Any, targets: Any, line: Any) -> Any:
    """Fill targets (3, h, w) with x, y and 1 of every place; -1 to 1 from side to side, a lone place at 0.

    `line` is a workspace of at least h and w numbers, whose dtype says how the places are rounded: on which
    side of an element a place comes to lie decides its slope.
    """
    for axis, values in zip((1, 0), targets):
        size = values.shape[axis]
        places = line[:size]
        count_up(xp, places)
        if size > 1:
            xp.multiply(places, 2 / (size - 1), out=places)
            xp.subtract(places, 1, out=places)
        values[...] = places.reshape((-1, 1) if axis == 0 else (1, -1))
    targets[2] = 1
    return targets.reshape(3, -1)


def _transform(xp: Any, theta: Any, targets: Any, line: Any, grid: Any) -> None:
    """theta (N, 6) as 2x3 matrices times the targets: the grid (N, 2, h, w) of an affine transformation."""
    flat = grid.reshape(*grid.shape[:2], -1)
    xp.matmul(theta.reshape(-1, 2, 3), _targets(xp, targets, line), out=flat)
    write_back(xp, flat, grid)


def _transform_gradient(xp: Any, dgrid: Any, targets: Any, line: Any, dtheta: Any) -> None:
    flat = dtheta.reshape(-1, 2, 3)
    xp.matmul(dgrid.reshape(*dgrid.shape[:2], -1), _targets(xp, targets, line).swapaxes(0, 1), out=flat)
    write_back(xp, flat, dtheta)


def _require_target(op: Any) -> Full:
    """The two sizes that `target_shape` has to give."""
    target: Full = op.target_shape
    if len(target) != 2 or 0 in target:
        raise ShapeError(
            f"target_shape is {target}, but a height and a width of at least 1 are needed",
            attribute="target_shape",
        )
    return target


class GridGenerator(Op):
    """Where to sample an image: x and y of each place of the target, from -1 to 1 across the image.

    * affine: data (N, 6), one 2x3 matrix for each image, row by row -> output (N, 2, h, w) with (h, w) =
      `target_shape`: the matrix times (x, y, 1) of each place.
    * warp: data (N, 2, h, w), how far to move each place along x and y, in elements -> output (N, 2, h, w).

    An axis of one place lies in the middle, at 0, and cannot be moved along (MXNet divides by zero).
    Jaderberg et al. 2015; MXNet's GridGenerator.
    """

    transform_type = Enum("affine", "warp", help="what data say")
    target_shape = Dims((0, 0), "height and width of the grid, for affine", min=0)

    scratch = ("targets", "line")
    inplace = (("data", "output"), ("doutput", "ddata"))
    work = 4
    counted = 2
    examples = (
        ({"transform_type": "affine", "target_shape": (2, 3)}, {"data": (2, 6)}),
        ({"transform_type": "affine", "target_shape": (1, 4)}, {"data": (3, 6)}),
        ({"transform_type": "warp"}, {"data": (2, 2, 3, 4)}),
        ({"transform_type": "warp"}, {"data": (2, 2, 1, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        if self.transform_type == "warp":
            s.merge("data", (None, 2, None, None), "warp takes (batch, 2, height, width)")
            s.same("data", "output")
            return
        target = _require_target(self)
        s.merge("data", (None, 6), "affine takes 6 numbers for each image, (batch, 6)")
        batch = (s["data"] or (None,))[0]
        s.merge("output", (batch, 2, *target), f"data is {show(s['data'])}, target_shape {show(target)}")
        s.merge("data", ((s["output"] or (None,))[0], 6), f"output is {show(s['output'])}")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        line = {"line": Workspace((max(s.full("output")[2:]),))}
        if self.transform_type == "affine":
            return {**line, "targets": Workspace((3, *self.target_shape))}
        return {} if backward else line

    def forward(self, xp: Any, data: Any, output: Any, targets: Any, line: Any) -> None:
        if self.transform_type == "affine":
            _transform(xp, data, targets, line, output)
            return
        for number, size in enumerate(reversed(data.shape[2:])):
            if size == 1:
                output[:, number] = 0
                continue
            places, part = line[:size], output[:, number]
            count_up(xp, places)
            xp.add(data[:, number], places.reshape((-1, 1) if number else (1, -1)), out=part)
            xp.divide(part, (size - 1) / 2, out=part)
            xp.subtract(part, 1, out=part)

    def backward(self, xp: Any, doutput: Any, ddata: Any, targets: Any, line: Any) -> None:
        if self.transform_type == "affine":
            _transform_gradient(xp, doutput, targets, line, ddata)
            return
        for number, size in enumerate(reversed(ddata.shape[2:])):
            factor = 0 if size == 1 else 2 / (size - 1)
            xp.multiply(doutput[:, number], factor, out=ddata[:, number])


class Sampler(Op, abstract=True):
    """What the operators share that sample images (N, C, H, W) by a grid (N, 2, h, w)."""

    scratch: ClassVar[tuple[str, ...]] = sampling.SCRATCH

    def _require_images(self, s: Shapes) -> None:
        s.merge("data", (None, None, None, None), "images are needed, (batch, channels, height, width)")

    def _spaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        output = s.full("output")
        return sampling.workspaces(s.full("data"), (output[0], math.prod(output[2:])), backward)

    def _places(self, xp: Any, data: Any, grid: Any, spaces: sampling.Sampling) -> tuple[Any, Any]:
        """The grid in elements of the images, and where each image starts."""
        height, width = data.shape[2:]
        count_up(xp, spaces.starts[:, 0])
        xp.multiply(spaces.starts, height * width, out=spaces.starts)
        places = spaces.reals[8:10]
        for place, number, size in ((places[0], 0, width), (places[1], 1, height)):
            flat = grid[:, number].reshape(place.shape)
            xp.add(flat, 1, out=place)
            xp.multiply(place, size - 1, out=place)
            xp.divide(place, 2, out=place)
        return places[0], places[1]

    def _sample(self, xp: Any, data: Any, grid: Any, output: Any, spaces: sampling.Sampling) -> None:
        x, y = self._places(xp, data, grid, spaces)
        rows, sums = spaces.load(xp, data), spaces.sums
        sums[...] = 0
        for corner in spaces.corners(xp, x, y, *data.shape[2:]):
            spaces.take(xp, rows, corner)
            xp.add(sums, spaces.weigh(xp, spaces.values, corner), out=sums)
        batch, channels, height, width = output.shape
        xp.copyto(output, xp.moveaxis(sums.reshape(batch, height, width, channels), -1, 1))

    def _sample_gradients(
        self, xp: Any, doutput: Any, data: Any, grid: Any, ddata: Any, dgrid: Any, spaces: sampling.Sampling
    ) -> None:
        x, y = self._places(xp, data, grid, spaces)
        batch, channels, height, width = doutput.shape
        heads = spaces.sums
        xp.copyto(heads.reshape(batch, height, width, channels), xp.moveaxis(doutput, 1, -1))
        rows, back = spaces.load(xp, data), spaces.image[1]
        back[...] = 0
        slopes, dot, term = spaces.reals[10:12], spaces.reals[12], spaces.reals[13]
        slopes[...] = 0
        for corner in spaces.corners(xp, x, y, *data.shape[2:]):
            if dgrid is not None:
                xp.multiply(spaces.take(xp, rows, corner), heads, out=spaces.values)
                spaces.values.sum(axis=1, out=dot.reshape(-1))
                for slope, side, weight in (
                    (slopes[0], corner.side_x, corner.weight_y),
                    (slopes[1], corner.side_y, corner.weight_x),
                ):
                    xp.multiply(dot, weight, out=term)
                    (xp.add if side else xp.subtract)(slope, term, out=slope)
            if ddata is not None:
                spaces.weigh(xp, heads, corner)
                spaces.put(xp, corner, back)
        if ddata is not None:
            size = data.shape[2:]
            xp.copyto(ddata, xp.moveaxis(back.reshape(batch, *size, channels), -1, 1))
        if dgrid is not None:
            for number, size in enumerate(reversed(data.shape[2:])):
                xp.multiply(
                    slopes[number].reshape(batch, height, width), (size - 1) / 2, out=dgrid[:, number]
                )


class BilinearSampler(Sampler):
    """Sample images at any places: data (N, C, H, W), grid (N, 2, h, w) -> output (N, C, h, w).

    grid holds x and y from -1 to 1 across the image.  A place between elements takes the four around it by
    their distance; what lies outside counts as 0.  On an element the slope is that to its right and below.
    Jaderberg et al. 2015; MXNet's BilinearSampler.
    """

    cudnn_off = Hint()

    inputs = ("data", "grid")
    work = 8
    counted = 2
    examples = (
        ({}, {"data": (2, 3, 4, 5), "grid": (2, 2, 3, 2)}),
        ({}, {"data": (2, 1, 1, 3), "grid": (2, 2, 1, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        self._require_images(s)
        s.merge("grid", (None, 2, None, None), "x and y of every place are needed, (batch, 2, height, width)")
        data, grid, output = (s[name] or (None,) * 4 for name in ("data", "grid", "output"))
        batch = next((known[0] for known in (data, grid, output) if known[0] is not None), None)
        s.merge("output", (batch, data[1], *grid[2:]), f"data is {show(data)} and grid {show(grid)}")
        s.merge("data", (batch, output[1], None, None), f"the others have a batch of {batch}")
        s.merge("grid", (batch, 2, *output[2:]), f"the others have a batch of {batch}")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return self._spaces(s, backward)

    def forward(
        self,
        xp: Any,
        data: Any,
        grid: Any,
        output: Any,
        image: Any,
        starts: Any,
        reals: Any,
        whole: Any,
        marks: Any,
        values: Any,
        sums: Any,
    ) -> None:
        spaces = sampling.Sampling(image, starts, reals, whole, marks, values, sums)
        self._sample(xp, data, grid, output, spaces)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        data: Any,
        grid: Any,
        ddata: Any,
        dgrid: Any,
        image: Any,
        starts: Any,
        reals: Any,
        whole: Any,
        marks: Any,
        values: Any,
        sums: Any,
        elements: Any,
    ) -> None:
        spaces = sampling.Sampling(image, starts, reals, whole, marks, values, sums, elements)
        self._sample_gradients(xp, doutput, data, grid, ddata, dgrid, spaces)


class SpatialTransformer(Sampler):
    """Sample each image through an affine map of its own: GridGenerator and BilinearSampler in one.

    data (N, C, H, W), loc (N, 6) -> output (N, C, h, w) with (h, w) = `target_shape`; loc holds 2x3 matrices
    row by row.  The hidden output grid (N, 2, h, w) tells the backward pass where was sampled.

    Jaderberg et al. 2015; MXNet's SpatialTransformer.
    """

    target_shape = Dims((0, 0), "height and width of the output", min=0)
    transform_type = Enum("affine", help="how loc moves the places")
    sampler_type = Enum("bilinear", help="how elements come into being")
    cudnn_off = Hint()

    inputs = ("data", "loc")
    outputs = ("output", "grid")
    scratch = (*sampling.SCRATCH, "targets", "line", "place")
    work = 12
    counted = 3
    examples = (
        (
            {"target_shape": (3, 2), "transform_type": "affine", "sampler_type": "bilinear"},
            {"data": (2, 3, 4, 5), "loc": (2, 6)},
        ),
    )

    def shape(self, s: Shapes) -> None:
        target = _require_target(self)
        self._require_images(s)
        s.merge("loc", (None, 6), "an affine map has 6 numbers for each image, (batch, 6)")
        known = {name: s[name] or (None,) * 4 for name in ("data", "loc", "output", "grid")}
        batch = next((shape[0] for shape in known.values() if shape[0] is not None), None)
        rule = f"the others have a batch of {batch}"
        whole = (batch, known["data"][1], *target)
        s.merge("output", whole, f"data is {show(s['data'])}, target_shape {show(target)}")
        s.merge("data", (batch, known["output"][1], None, None), rule)
        s.merge("loc", (batch, 6), rule)
        s.merge("grid", (batch, 2, *target), rule)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {
            **self._spaces(s, backward),
            "targets": Workspace((3, *self.target_shape)),
            "line": Workspace((max(self.target_shape),), "float64"),  # as MXNet rounds
            "place": Workspace(s.full("grid")),
        }

    def forward(
        self,
        xp: Any,
        data: Any,
        loc: Any,
        output: Any,
        grid: Any,
        image: Any,
        starts: Any,
        reals: Any,
        whole: Any,
        marks: Any,
        values: Any,
        sums: Any,
        targets: Any,
        line: Any,
        place: Any,
    ) -> None:
        grid = place if grid is None else grid
        _transform(xp, loc, targets, line, grid)
        spaces = sampling.Sampling(image, starts, reals, whole, marks, values, sums)
        self._sample(xp, data, grid, output, spaces)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        data: Any,
        grid: Any,
        ddata: Any,
        dloc: Any,
        image: Any,
        starts: Any,
        reals: Any,
        whole: Any,
        marks: Any,
        values: Any,
        sums: Any,
        elements: Any,
        targets: Any,
        line: Any,
        place: Any,
    ) -> None:
        spaces = sampling.Sampling(image, starts, reals, whole, marks, values, sums, elements)
        dgrid = None if dloc is None else place
        self._sample_gradients(xp, doutput, data, grid, ddata, dgrid, spaces)
        if dloc is not None:
            _transform_gradient(xp, dgrid, targets, line, dloc)
