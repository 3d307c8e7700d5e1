"""Functions of elements, of pairs and of a number: dtypes, infinities, NaN and ties."""

import math

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.shapes import ShapeError, Shapes, Types

NAN, INF = math.nan, math.inf


def result(kernels, name, dtype, attributes=None, **inputs):
    """The output of an operator for inputs of one dtype, with the dtype that it infers."""
    arrays = {tensor: np.array(values, dtype) for tensor, values in inputs.items()}
    run = kernels(find(name)(**(attributes or {})), {key: a.shape for key, a in arrays.items()}, dtype)
    for tensor, array in arrays.items():
        run.set(tensor, array)
    return next(iter(run.forward().values()))


def gradients(kernels, name, dtype="float64", attributes=None, **inputs):
    """The gradients for inputs of one dtype and heads of one."""
    shapes = {tensor: np.shape(values) for tensor, values in inputs.items()}
    run = kernels(find(name)(**(attributes or {})), shapes, dtype)
    for tensor, values in inputs.items():
        run.set(tensor, values)
    run.forward()
    return run.backward({name: np.ones_like(head) for name, head in run.head_gradients().items()})


# -- whole numbers ------------------------------------------------


#: operator, number, data, what MXNet gives; the number is cut to an integer first
OF_INTEGERS = [
    ("_plus_scalar", 2.7, [-3, 4], [-1, 6]),
    ("_div_scalar", 2, [-7, 7], [-3, 3]),
    ("_rdiv_scalar", -7, [2, -2], [-3, 3]),
    ("_mod_scalar", 3, [-7, 7], [2, 1]),
    ("_mod_scalar", -3, [-7, 7], [-1, -2]),
    ("_power_scalar", -1, [2, -1], [0, -1]),
    ("_rpower_scalar", 2, [3, -1], [8, 0]),
    ("_hypot_scalar", 2, [2, 3], [2, 3]),
    ("_maximum_scalar", 2.9, [-3, 4], [2, 4]),
    ("_equal_scalar", 2.9, [2, 3], [1, 0]),
    ("_logical_and_scalar", 0.5, [2, 0], [0, 0]),
]


@pytest.mark.parametrize(("name", "scalar", "data", "expected"), OF_INTEGERS)
def test_integers_stay_integers(name, scalar, data, expected, kernels):
    """The number is cut towards 0 before, the result after, as in MXNet; the dtype stays."""
    for dtype in ("int32", "int64", "int8"):
        output = result(kernels, name, dtype, {"scalar": scalar}, data=data)

        assert output.dtype == dtype
        assert output.tolist() == expected


@pytest.mark.parametrize(
    ("data", "is_int", "output"),
    [
        ("int32", True, "int32"),
        ("uint8", True, "uint8"),
        ("int32", False, "float64"),
        ("bool", True, "int64"),
        ("bool", False, "float64"),
        ("float16", False, "float16"),
        ("float32", True, "float32"),
        ("float64", False, "float64"),
        (None, True, None),
    ],
)
def test_the_dtype_of_a_tensor_and_a_number(data, is_int, output):
    """MXNet's rule: floats stay what they are, integers unless `is_int` is off, truth values are int64."""
    types = Types({"data": data, "output": None})

    find("_plus_scalar")(scalar=2, is_int=is_int).types(types)

    assert types["output"] == output


def test_one_node_may_meet_several_dtypes(kernels):
    """The number that the last dtype was given is not taken for the next one."""
    op = find("_plus_scalar")(scalar=0.1)
    for dtype, expected in (("float64", 1.1), ("float32", np.float32(1.1)), ("int32", 1), ("float64", 1.1)):
        run = kernels(op, {"data": (2,)}, dtype)
        run.set("data", 1)

        assert run.forward()["output"].tolist() == [expected] * 2


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("sqrt", [10, 9], [3, 3]),
        ("reciprocal", [1, 2], [1, 0]),
        ("exp", [1, 2], [2, 7]),
        ("degrees", [1, -1], [57, -57]),
        ("abs", [-3, 2], [3, 2]),
        ("square", [-3, 2], [9, 4]),
        ("sign", [-3, 2], [-1, 1]),
        ("gamma", [4, 5], [6, 24]),
        ("erfinv", [1, 0], [0, 0]),
        ("logical_not", [-3, 0], [0, 1]),
    ],
)
def test_functions_of_integers_are_cut(name, data, expected, kernels):
    """The real value is cut towards 0 to the dtype of the data."""
    for dtype in ("int32", "int64"):
        output = result(kernels, name, dtype, data=data)

        assert output.dtype == dtype
        assert output.tolist() == expected


@pytest.mark.parametrize("name", ["exp", "elemwise_add", "broadcast_mul", "clip", "gamma"])
def test_arithmetic_refuses_truth_values(name):
    """As MXNet does; the message says what is needed."""
    op = find(name)(**({"a_min": 0, "a_max": 1} if name == "clip" else {}))
    types = Types(dict.fromkeys((*op.input_names(), "output"), "bool"))

    with pytest.raises(ShapeError, match="is bool, but numbers are needed") as refused:
        op.types(types)

    assert refused.value.kind == "dtype-mismatch"


# -- infinity, NaN, ties ------------------------------------------------


LEFT = [NAN, NAN, INF, INF, -INF, 1, 0, -0.0]
RIGHT = [NAN, 1, INF, -INF, 1, NAN, -0.0, 1]
COMPARED = {
    "equal": [0, 0, 1, 0, 0, 0, 1, 0],
    "not_equal": [1, 1, 0, 1, 1, 1, 0, 1],
    "greater": [0, 0, 0, 1, 0, 0, 0, 0],
    "greater_equal": [0, 0, 1, 1, 0, 0, 1, 0],
    "lesser": [0, 0, 0, 0, 1, 0, 0, 1],
    "lesser_equal": [0, 0, 1, 0, 1, 0, 1, 1],
    "logical_and": [1, 1, 1, 1, 1, 1, 0, 0],
    "logical_or": [1, 1, 1, 1, 1, 1, 0, 1],
    "logical_xor": [0, 0, 0, 0, 0, 0, 0, 1],
    "maximum": [NAN, NAN, INF, INF, 1, NAN, 0, 1],
    "minimum": [NAN, NAN, INF, -INF, -INF, NAN, 0, 0],
}


@pytest.mark.parametrize("name", COMPARED)
def test_infinity_and_nan_are_compared(name, kernels):
    """NaN differs from all, itself too, is true, and wins a maximum; a number on the right is the same."""
    for prefix in ("_", "broadcast_"):
        output = result(kernels, f"{prefix}{name}", "float32", lhs=LEFT, rhs=RIGHT)
        np.testing.assert_array_equal(output, COMPARED[name], prefix)
    for left, right, expected in zip(LEFT, RIGHT, COMPARED[name]):
        output = result(kernels, f"_{name}_scalar", "float32", {"scalar": right}, data=[left])
        np.testing.assert_array_equal(output, [expected], f"{left} with the number {right}")


def test_a_remainder_of_zero_is_zero(kernels):
    """x % 0 is 0, and the gradient still goes through; that of NaN is NaN."""
    assert result(kernels, "_mod_scalar", "float32", {"scalar": 0}, data=[3, -2, INF]).tolist() == [0, 0, 0]
    assert result(kernels, "_mod", "float32", lhs=[3, -2], rhs=[0, 0]).tolist() == [0, 0]
    assert gradients(kernels, "_mod", lhs=[3, -2], rhs=[0, 2])["dlhs"].tolist() == [1, 1]
    np.testing.assert_array_equal(result(kernels, "_mod", "float32", lhs=[NAN], rhs=[2]), [NAN])


@pytest.mark.parametrize(
    ("name", "attributes", "data", "expected"),
    [
        ("abs", {}, [NAN, -0.0, 0, -INF, INF, 3], [0, 0, 0, -1, 1, 1]),
        ("clip", {"a_min": -1, "a_max": 1}, [-1, 1, -2, 2, INF, -INF, 0], [1, 1, 0, 0, 0, 0, 1]),
        ("_maximum_scalar", {"scalar": 1}, [0, 1, 2, INF], [0, 1, 1, 1]),
        ("_minimum_scalar", {"scalar": 1}, [0, 1, 2, -INF], [1, 1, 0, 1]),
        ("relu", {}, [-0.0, 0, 1e-30, -1, INF], [0, 0, 1, 0, 1]),
        ("smooth_l1", {}, [-INF, -1, 0, 1, INF], [-1, -1, 0, 1, 1]),
        ("hard_sigmoid", {}, [-2.5, 2.5, 0, INF], [0, 0, 0.2, 0]),
    ],
)
def test_gradients_on_the_edge(name, attributes, data, expected, kernels):
    """Where a function has a corner the gradient is MXNet's."""
    np.testing.assert_allclose(gradients(kernels, name, attributes=attributes, data=data)["ddata"], expected)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("sign", [NAN, -0.0, INF, -INF], [0, 0, 1, -1]),
        ("rint", [0.5, 1.5, -0.5, -1.5, 2.5000002, INF], [0, 1, -1, -2, 3, INF]),
        ("round", [0.5, 1.5, -0.5, -1.5, 0.49999997, -INF], [1, 2, -1, -2, 0, -INF]),
        ("fix", [1.9, -1.9, NAN], [1, -1, NAN]),
        ("cbrt", [-8, 27], [-2, 3]),
        ("gamma", [0, -0.0, -3, INF, -INF, 40], [INF, -INF, NAN, INF, NAN, INF]),
        ("gammaln", [0, -3, INF, 1, 2], [INF, INF, INF, 0, 0]),
        ("erfinv", [1, -1, 1.5, 0], [INF, -INF, NAN, 0]),
        ("erf", [INF, -INF, NAN, 0], [1, -1, NAN, 0]),
        ("log", [0, -1, INF], [-INF, NAN, INF]),
        ("rsqrt", [0, INF, 4], [INF, 0, 0.5]),
        ("expm1", [1e-20, -INF], [1e-20, -1]),
        ("arccosh", [1, 0.5], [0, NAN]),
    ],
)
def test_values_far_out_and_between(name, data, expected, kernels):
    """Halves, poles and limits, as in MXNet; nothing warns."""
    np.testing.assert_allclose(result(kernels, name, "float32", data=data), expected, rtol=1e-6)


# -- shapes ------------------------------------------------


def test_broadcast_sizes_that_do_not_fit_are_refused(kernels):
    """The message has both shapes, the axis and the sizes."""
    with pytest.raises(ShapeError, match="along axis 1 of 2 the sizes are 3 and 4") as refused:
        kernels(find("broadcast_add")(), {"lhs": (2, 3), "rhs": (2, 4)})

    assert refused.value.kind == "input-shapes-differ"
    assert "lhs is 2x3 and rhs is 2x4" in refused.value.message


@pytest.mark.parametrize(
    ("lhs", "rhs", "output"),
    [
        ((2, None), (3,), (2, 3)),
        ((None, 3), (2, 1), (2, 3)),
        ((None,), (1,), (None,)),
        ((None,), (None,), (None,)),
        (None, (2, 3), None),
        ((), (2, 3), (2, 3)),
        ((0, 3), (1, 3), (0, 3)),
    ],
)
def test_broadcast_sizes_from_a_part(lhs, rhs, output):
    """A size other than 1 settles it; what may still be 1 or more stays open."""
    for left, right in ((lhs, rhs), (rhs, lhs)):
        facts = Shapes({"lhs": left, "rhs": right, "output": None})
        find("broadcast_add")().shape(facts)

        assert facts["output"] == output


def test_a_missing_gradient_costs_nothing(kernels):
    """Only one of two broadcast inputs wants a gradient: the other one's is not needed for it."""
    for name in ("broadcast_add", "broadcast_mul", "broadcast_maximum"):
        run = kernels(find(name)(), {"lhs": (2, 3), "rhs": (3,)})
        run.forward()
        both = run.backward()

        for wanted in ("dlhs", "drhs"):
            np.testing.assert_array_equal(run.backward(wanted=[wanted])[wanted], both[wanted], name)


# -- casts ------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "data", "expected"),
    [
        ("float32", "int32", [1.9, -1.9], [1, -1]),
        ("float32", "bool", [0.5, 0], [True, False]),
        ("int32", "uint8", [257, 3], [1, 3]),
        ("float64", "float16", [1e6, 0.1], [INF, np.float16(0.1)]),
        ("bool", "float32", [True, False], [1, 0]),
    ],
)
def test_casts_cut(source, target, data, expected, kernels):
    """Fractions towards 0, whole numbers to the last bits, anything but 0 is true."""
    output = result(kernels, "Cast", source, {"dtype": target}, data=data)

    assert output.dtype == target
    assert output.tolist() == expected


@pytest.mark.parametrize(
    ("given", "narrow", "expected"),
    [
        (["float16", "float32"], False, ["float32", "float32"]),
        (["float16", "float32"], True, ["float16", "float16"]),
        (["float32", "float16", "int32"], False, ["float32", "float32", "int32"]),
        (["float16", "float64"], False, ["float16", "float64"]),
        (["int32", "float16"], False, ["int32", "int32"]),
        (["int32", "float16"], True, ["int32", "float16"]),
        (["float32", None], False, [None, None]),
    ],
)
def test_mixed_precision_casts_what_it_may(given, narrow, expected):
    """amp_multicast gives the dtypes that MXNet infers; nothing while one of them is open."""
    op = find("amp_multicast")(num_outputs=len(given), cast_narrow=narrow)
    types = Types({**dict(zip(op.input_names(), given)), **dict.fromkeys(op.output_names())})

    op.types(types)

    assert [types[name] for name in op.output_names()] == expected


@pytest.mark.parametrize(
    ("source", "target"), [("float16", "float32"), ("float32", "float16"), ("int32", "int32")]
)
def test_a_cast_of_mixed_precision_spares_integers(source, target):
    """amp_cast to float32 or float16 changes floats of at most 32 bits only."""
    types = Types({"data": source, "output": None})

    find("amp_cast")(dtype="float16" if target == "float16" else "float32").types(types)

    assert types["output"] == target


@pytest.mark.parametrize(("bad", "expected"), [(1.0, 1), (NAN, 0), (INF, 0), (-INF, 0)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_one_number_that_is_not_finite_is_found(bad, expected, dtype, kernels):
    """Wherever it stands; the answer is a float32, and no gradient passes."""
    for name, attributes in (("all_finite", {}), ("multi_all_finite", {"num_arrays": 2})):
        op = find(name)(**attributes)
        run = kernels(op, dict.fromkeys(op.input_names(), (3, 2)), dtype)
        run.arrays[op.input_names()[-1]][2, 1] = bad

        output = run.forward()["output"]

        assert output.dtype == "float32"
        assert output.tolist() == [expected]
        assert run.backward() == {}
