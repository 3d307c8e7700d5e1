"""References of netdef.ops.quantization."""

import numpy as np

from references import ELSEWHERE, each, exempt, reference, sample

exempt(
    "the_outputs_have_the_dtype_of_the_data",
    "the operator is there to change it",
    *("Quantize", "QuantizeV2", "Requantize", "Dequantize"),
)
ELSEWHERE["Dequantize"] = "tests/ops/test_contrib.py, with data of its own types"


@sample("Quantize", "Requantize")
def a_range(op, shapes, random):
    return {"min_range": [-1.5], "max_range": [1.25]}


@sample("Dequantize")
def small_integers(op, shapes, random):
    return {"data": random.integers(-128, 128, shapes.full("data")), "min_range": [-1], "max_range": [2]}


@reference("Quantize")
def quantize(op, x, heads):
    low, levels = (-128, 127) if op.out_type == "int8" else (0, 255)
    whole = each(lambda v: min(max(round(v * levels / 1.5), low), levels), x["data"])
    ends = (-1.5, 1.5) if op.out_type == "int8" else (-1.5, 1.25)
    return {"output0": whole, "output1": ends[0], "output2": ends[1]}


def integers(data, factor, signed):
    low, high = (-128, 127) if signed else (0, 255)
    return each(lambda v: min(max(round(v * factor), low), high), data)


@reference(
    "QuantizeV2",
    more=[({"out_type": "auto", "min_calib_range": 0.5, "max_calib_range": 2}, {"data": (9,)})],
)
def quantize_v2(op, x, heads):
    low, high = op.min_calib_range, op.max_calib_range
    if low is None or high is None:
        low, high = x["data"].min(), x["data"].max()
    most = max(abs(low), abs(high))
    signed = op.out_type == "int8" or (op.out_type == "auto" and low < 0)
    output = integers(x["data"], (127.5 if signed else 255.5) / most, signed)
    ends = (-most, most) if signed else (low, high)
    return {"output0": output, "output1": np.float32(ends[0]), "output2": np.float32(ends[1])}


@reference("Requantize", more=[({"out_type": "auto", "min_calib_range": -1}, {"data": (9,)})])
def requantize(op, x, heads):
    real = x["data"] * 1.5 / (2**31 - 1)
    most = abs(real).max()
    if op.min_calib_range is not None and op.max_calib_range is not None:
        most = max(abs(op.min_calib_range), abs(op.max_calib_range))
    signed = op.out_type != "uint8"
    output = integers(real, (127 if signed else 255) / most, signed)
    return {"output0": output, "output1": np.float32(-most if signed else 0), "output2": np.float32(most)}
