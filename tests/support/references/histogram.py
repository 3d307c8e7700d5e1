"""References of netdef.ops.histogram."""

import numpy as np

from references import exempt, reference, sample

exempt("the_outputs_have_the_dtype_of_the_data", "counts are int64", "Histogram")


@sample("Histogram")
def ascending(op, shapes, random):
    return {} if op.bin_cnt else {"bins": np.sort(random.standard_normal(shapes.full("bins")))}


@reference("Histogram", more=[({"bin_cnt": 1, "range": (0, 1)}, {"data": (20,)})])
def histogram(op, x, heads):
    if op.bin_cnt:
        low, high = op.range
        bounds = np.array([low + (high - low) * i / op.bin_cnt for i in range(op.bin_cnt + 1)])
    else:
        bounds = x["bins"]
    counts = np.zeros(len(bounds) - 1)
    for number in x["data"].flat:
        inside = [i for i in range(len(counts)) if bounds[i] <= number < bounds[i + 1]]
        if inside or number == bounds[-1]:
            counts[inside[0] if inside else -1] += 1
    return {"output0": counts, "output1": bounds}
