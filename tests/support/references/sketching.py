"""References of netdef.ops.sketching."""

import cmath

import numpy as np

from references import reference, sample


def turns(length):
    """For each pair (j, k) of a transform: the factor exp(2 pi i j k / length)."""
    for j, k in np.ndindex(length, length):
        yield j, k, cmath.exp(2j * cmath.pi * j * k / length)


def spectrum(numbers):
    pairs = np.zeros((*numbers.shape[:-1], 2 * numbers.shape[-1]))
    for j, k, turn in turns(numbers.shape[-1]):
        pairs[..., 2 * k] += numbers[..., j] * turn.real
        pairs[..., 2 * k + 1] -= numbers[..., j] * turn.imag
    return pairs


def signal(pairs):
    numbers = np.zeros((*pairs.shape[:-1], pairs.shape[-1] // 2))
    for j, k, turn in turns(numbers.shape[-1]):
        numbers[..., j] += pairs[..., 2 * k] * turn.real - pairs[..., 2 * k + 1] * turn.imag
    return numbers


@reference("FFT", more=[({"compute_size": 2}, {"data": (7,)})])
def fft(op, x, heads):
    return {"output": spectrum(x["data"]), "ddata": signal(heads["doutput"])}


@reference("IFFT", more=[({}, {"data": (6,)})])
def ifft(op, x, heads):
    return {"output": signal(x["data"]), "ddata": spectrum(heads["doutput"])}


@sample("CountSketch")
def hashes(op, shapes, random):
    shape = shapes.full("h")
    return {"h": random.integers(0, op.out_dim, shape), "s": random.choice([-1, 1], shape)}


@reference("CountSketch")
def count_sketch(op, x, heads):
    output, gradient = np.zeros(heads["doutput"].shape), np.empty(x["data"].shape)
    for i, (place, sign) in enumerate(zip(x["h"][0], x["s"][0])):
        output[..., int(place)] += sign * x["data"][..., i]
        gradient[..., i] = sign * heads["doutput"][..., int(place)]
    return {"output": output, "ddata": gradient}
