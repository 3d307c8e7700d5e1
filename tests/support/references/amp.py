"""References of netdef.ops.amp."""

import math

import numpy as np

from references import exempt, reference

exempt(
    "the_outputs_have_the_dtype_of_the_data",
    "a test of its own says what they have",
    "AmpCast",
    "AmpMulticast",
)
exempt("the_outputs_have_the_dtype_of_the_data", "the answer is a float32", "AllFinite", "MultiAllFinite")
exempt("single_precision_is_double_precision_rounded", "float16 is what comes of float32", "AmpCast")


@reference("AmpCast")
def amp_cast(op, x, heads):
    return {"output": x["data"], "ddata": heads["doutput"]}


@reference("AmpMulticast")
def amp_multicast(op, x, heads):
    result = {}
    for number in range(op.num_outputs):
        result[f"output{number}"] = x[f"data_{number}"]
        result[f"ddata_{number}"] = heads[f"doutput{number}"]
    return result


@reference("AllFinite", "MultiAllFinite")
def all_finite(op, x, heads):
    arrays = [x[name] for name in op.input_names()]
    return {"output": np.array([all(math.isfinite(v) for array in arrays for v in array.flat)])}
