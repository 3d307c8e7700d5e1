"""References of netdef.ops.spatial: one place after the other."""

import math

import numpy as np

from references import reference


def side(place, size):
    """A place from -1 to 1; the only one lies in the middle."""
    return -1 + 2 * place / (size - 1) if size > 1 else 0.0


def affine(theta, target):
    """The grid (2, h, w) of one affine map."""
    grid = np.empty((2, *target))
    for i, j in np.ndindex(*target):
        grid[:, i, j] = theta.reshape(2, 3) @ [side(j, target[1]), side(i, target[0]), 1]
    return grid


def affine_gradient(upper):
    """The gradient of `affine`."""
    found = np.zeros((2, 3))
    for i, j in np.ndindex(*upper.shape[1:]):
        found += np.outer(upper[:, i, j], [side(j, upper.shape[2]), side(i, upper.shape[1]), 1])
    return found.reshape(6)


def sample(data, grid, upper):
    """Output and gradients of sampling: each corner is weighted by one minus its distance along x and y."""
    batch, channels, height, width = data.shape
    output, ddata, dgrid = (
        np.zeros((batch, channels, *grid.shape[2:])),
        np.zeros(data.shape),
        np.zeros(grid.shape),
    )
    for n, i, j in np.ndindex(batch, *grid.shape[2:]):
        x, y = ((grid[n, a, i, j] + 1) * (size - 1) / 2 for a, size in enumerate((width, height)))
        for row in (math.floor(y), math.floor(y) + 1):
            for column in (math.floor(x), math.floor(x) + 1):
                if not (0 <= row < height and 0 <= column < width):
                    continue
                wx, wy = 1 - abs(x - column), 1 - abs(y - row)
                output[n, :, i, j] += data[n, :, row, column] * wx * wy
                ddata[n, :, row, column] += upper[n, :, i, j] * wx * wy
                along = upper[n, :, i, j] @ data[n, :, row, column]
                dgrid[n, 0, i, j] += along * wy * (1 if column > x else -1) * (width - 1) / 2
                dgrid[n, 1, i, j] += along * wx * (1 if row > y else -1) * (height - 1) / 2
    return output, ddata, dgrid


@reference("GridGenerator", more=(({"transform_type": "affine", "target_shape": (1, 1)}, {"data": (1, 6)}),))
def grid_generator(op, x, heads):
    data, upper = x["data"], heads["doutput"]
    if op.transform_type == "affine":
        return {
            "output": np.array([affine(theta, op.target_shape) for theta in data]),
            "ddata": np.array([affine_gradient(head) for head in upper]),
        }
    output, found = np.zeros(data.shape), np.zeros(data.shape)
    for n, axis, i, j in np.ndindex(*data.shape):
        size = data.shape[3 - axis]
        if size > 1:
            output[n, axis, i, j] = side((j, i)[axis] + data[n, axis, i, j], size)
            found[n, axis, i, j] = upper[n, axis, i, j] * 2 / (size - 1)
    return {"output": output, "ddata": found}


@reference("BilinearSampler", more=(({}, {"data": (1, 2, 1, 1), "grid": (1, 2, 2, 2)}),))
def bilinear_sampler(op, x, heads):
    output, ddata, dgrid = sample(x["data"], x["grid"], heads["doutput"])
    return {"output": output, "ddata": ddata, "dgrid": dgrid}


_PLAIN = {"transform_type": "affine", "sampler_type": "bilinear"}


@reference(
    "SpatialTransformer",
    more=(
        ({"target_shape": (1, 1), **_PLAIN}, {"data": (2, 1, 3, 3), "loc": (2, 6)}),
        ({"target_shape": (4, 1), **_PLAIN}, {"data": (1, 2, 2, 5), "loc": (1, 6)}),
    ),
)
def spatial_transformer(op, x, heads):
    grid = np.array([affine(theta, op.target_shape) for theta in x["loc"]])
    output, ddata, dgrid = sample(x["data"], grid, heads["doutput"])
    return {
        "output": output,
        "grid": grid,
        "ddata": ddata,
        "dloc": np.array([affine_gradient(head) for head in dgrid]),
    }
