"""References of netdef.ops.quantization."""

from references import ELSEWHERE, each, exempt, reference, sample

exempt(
    "the_outputs_have_the_dtype_of_the_data", "the operator is there to change it", "Quantize", "Dequantize"
)
ELSEWHERE["Dequantize"] = "tests/ops/test_contrib.py, with data of its own types"


@sample("Quantize")
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
