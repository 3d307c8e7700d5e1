"""References of netdef.ops.creation."""

import numpy as np

from references import exempt, reference


def asked(op, x, shape=(4, 3)):
    """The shape that the attributes say, where they say it in full; else that of the examples."""
    wanted = tuple(op.shape_ or ())
    return wanted if wanted and 0 not in wanted else shape


@reference("Zeros", "ZerosWithoutDType")
def zeros(op, x, heads):
    return {"output": np.zeros(asked(op, x))}


@reference("Ones")
def ones(op, x, heads):
    return {"output": np.ones(asked(op, x))}


@reference("Fill", more=[({"value": "inf", "shape": (2,)}, {})])
def fill(op, x, heads):
    value = op.value if op.dtype.startswith("float") else int(op.value)
    return {
        "output": np.array([[value] * 9] * 9, float)[tuple(map(slice, asked(op, x)))]
        if len(asked(op, x)) == 2
        else np.array([value] * asked(op, x)[0])
    }


@reference("Arange")
def arange(op, x, heads):
    start, step, numbers = op.start, op.step, []
    if not op.dtype.startswith("float"):
        start, step = int(start), int(step)
    stop = op.stop
    if stop is None and not op.infer_range:
        start, stop = 0, start
    count = (
        3 if stop is None else len([i for i in range(99) if (i * op.step + op.start - stop) * op.step < 0])
    )
    if stop is not None and op.stop is None:
        count = int(stop)
    for i in range(count):
        numbers += [start + i * step] * op.repeat
    return {"output": np.array(numbers)}


@reference("Linspace")
def linspace(op, x, heads):
    gaps = op.num - 1 if op.endpoint else op.num
    numbers = [op.start + (op.stop - op.start) * i / gaps if gaps else op.start for i in range(op.num)]
    return {"output": np.array(numbers).astype(op.dtype)}


@reference("Eye", more=[({"N": 3, "k": -1}, {}), ({"N": 2, "M": 3, "k": 2, "dtype": "int64"}, {})])
def eye(op, x, heads):
    columns = op.M or op.N
    return {"output": np.array([[float(j - i == op.k) for j in range(columns)] for i in range(op.N)])}


@reference("ShapeArray")
def shape_array(op, x, heads):
    return {"output": np.array(x["data"].shape)}


@reference("SizeArray")
def size_array(op, x, heads):
    return {"output": np.array([len(list(x["data"].flat))])}


exempt(
    "the_outputs_have_the_dtype_of_the_data",
    "the dtype is an attribute, or int64 for sizes",
    *("Zeros", "Ones", "Fill", "ZerosWithoutDType", "Arange", "Linspace", "Eye", "ShapeArray", "SizeArray"),
)
