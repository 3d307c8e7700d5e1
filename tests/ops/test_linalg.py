"""What the references of products and factors do not say: which triangle is read, singular matrices."""

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.shapes import ShapeError, Shapes


def test_sizes_of_products_follow_from_each_other():
    """What one matrix says about another one is learnt, in any direction."""
    facts = Shapes({"lhs": (4, None), "rhs": (3, None), "output": (None, 5)})
    find("dot")().shape(facts)
    assert facts.known == {"lhs": (4, 3), "rhs": (3, 5), "output": (4, 5)}

    facts = Shapes({"A": None, "B": (2, 3, 4), "C": None, "output": (2, None, None)})
    find("linalg_gemm")(transpose_a=True).shape(facts)
    assert facts.known == {"A": (2, 3, None), "B": (2, 3, 4), "C": (2, None, 4), "output": (2, None, 4)}

    facts = Shapes({"A": None, "B": (2, 3, 4), "output": None})
    find("linalg_trsm")(rightside=True).shape(facts)
    assert facts.known == {"A": (2, 4, 4), "B": (2, 3, 4), "output": (2, 3, 4)}


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("rightside", [True, False])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("name", ["linalg_trmm", "linalg_trsm"])
def test_the_other_triangle_is_never_read(name, transpose, rightside, lower, kernels):
    """NaN there changes nothing, and its gradient is zero."""
    op = find(name)(transpose=transpose, rightside=rightside, lower=lower)
    run = kernels(op, {"A": (2, 5, 5), "B": (2, 5, 5)})
    outside = np.triu_indices(5, 1) if lower else np.tril_indices(5, -1)
    clean = run.forward()["output"]
    gradients = run.backward()
    run.arrays["A"][:, outside[0], outside[1]] = np.nan

    np.testing.assert_array_equal(run.forward()["output"], clean)
    for gradient, expected in zip(run.backward().values(), gradients.values()):
        np.testing.assert_array_equal(gradient, expected)
    assert not gradients["dA"][:, outside[0], outside[1]].any()


@pytest.mark.parametrize("size", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("lower", [True, False])
def test_triangular_systems_of_any_size(size, lower, kernels):
    """The solution by halves solves the system."""
    run = kernels(find("linalg_trsm")(lower=lower), {"A": (size, size), "B": (size, 2)})
    run.arrays["A"] += size * np.eye(size)
    triangle = np.tril(run.arrays["A"]) if lower else np.triu(run.arrays["A"])

    np.testing.assert_allclose(triangle @ run.forward()["output"], run.arrays["B"], atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_a_triangle_with_a_zero_on_its_diagonal(kernels):
    """As in MXNet: infinite values and NaN, no error."""
    run = kernels(find("linalg_trsm")(), {"A": (2, 2), "B": (2, 1)})
    run.set("A", [[1, 0], [1, 0]])
    run.set("B", [[1], [2]])

    np.testing.assert_array_equal(run.forward()["output"], [[1], [np.inf]])


@pytest.mark.parametrize("name", ["linalg_potrf", "linalg_syevd"])
def test_gradients_of_symmetric_matrices(name, kernels):
    """Along symmetric directions the gradient is the central difference, and it is symmetric itself."""
    name = name if name != "linalg_syevd" else "_linalg_syevd"
    run = kernels(find(name)(), {"A": (3, 4, 4)})
    heads = run.head_gradients()
    run.forward()
    gradient = run.backward(heads)["dA"]
    np.testing.assert_allclose(gradient, np.swapaxes(gradient, -1, -2), atol=1e-12)
    point, random, step = run.arrays["A"].copy(), np.random.default_rng(3), 1e-6
    for _ in range(3):
        direction = random.standard_normal(point.shape)
        direction += np.swapaxes(direction, -1, -2)
        values = []
        for sign in (1, -1):
            run.arrays["A"][...] = point + sign * step * direction
            outputs = run.forward()
            values.append(sum(np.sum(outputs[head[1:]] * array) for head, array in heads.items()))

        assert np.sum(gradient * direction) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("name", ["linalg_potrf", "linalg_potri", "_linalg_syevd"])
def test_only_the_lower_triangle_is_read(name, kernels):
    """What stands above the diagonal changes nothing."""
    run = kernels(find(name)(), {"A": (3, 3)})
    before = {key: array.copy() for key, array in run.forward().items()}
    run.arrays["A"] += np.triu(np.ones((3, 3)), 1)

    after = run.forward()

    for key, array in before.items():
        np.testing.assert_array_equal(after[key], array)


@pytest.mark.parametrize("name", ["linalg_gelqf", "_linalg_syevd", "linalg_slogdet"])
@pytest.mark.parametrize("missing", ["doutput0", "doutput1"])
def test_factors_of_which_one_is_read(name, missing, kernels):
    """A gradient that does not arrive counts as zero."""
    run = kernels(find(name)(), {"A": (2, 3, 3)})
    run.forward()
    heads = {"doutput0": None, "doutput1": None, **run.head_gradients()}
    zero = {**heads, missing: np.zeros(run.arrays[missing[1:]].shape)}

    left_out = run.backward({**heads, missing: None})["dA"]

    np.testing.assert_allclose(left_out, run.backward(zero)["dA"], atol=1e-12)


def test_factors_make_up_the_matrix(kernels):
    """A = L Q with Q Q' = 1, and A = U' diag(L) U."""
    run = kernels(find("linalg_gelqf")(), {"A": (2, 3, 5)})
    factors = run.forward()
    q, lower = factors["output0"], factors["output1"]
    np.testing.assert_allclose(lower @ q, run.arrays["A"], atol=1e-12)
    np.testing.assert_allclose(q @ np.swapaxes(q, -1, -2), np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-12)

    run = kernels(find("_linalg_syevd")(), {"A": (2, 4, 4)})
    factors = run.forward()
    u, values = factors["output0"], factors["output1"]
    np.testing.assert_allclose(np.swapaxes(u, -1, -2) @ (values[..., None] * u), run.arrays["A"], atol=1e-12)
    assert (np.diff(values) > 0).all()
    assert (np.max(u, axis=-1) == np.max(abs(u), axis=-1)).all()


@pytest.mark.parametrize("name", ["linalg_det", "linalg_slogdet"])
def test_a_singular_matrix_has_no_gradient_but_its_neighbours_do(name, kernels):
    """MXNet's rule; slogdet of a singular matrix is 0 and -inf."""
    run = kernels(find(name)(), {"A": (2, 2, 2)})
    run.set("A", [[[1, 2], [2, 4]], [[1, 2], [3, 4]]])
    outputs = run.forward()
    heads = {f"d{key}": np.ones(2) for key in run.visible if f"d{key}" in run.step.reads}
    gradient = run.backward(heads)["dA"]

    assert outputs["output0"][0] == 0
    assert outputs.get("output1", [-np.inf])[0] == -np.inf
    assert not gradient[0].any()
    scale = -2 if name == "linalg_det" else 1
    np.testing.assert_allclose(gradient[1], scale * np.array([[-2, 1.5], [1, -0.5]]), 1e-12)


@pytest.mark.parametrize(
    ("name", "matrix", "words"),
    [
        ("linalg_potrf", [[1, 2], [2, 1]], "ositive definite"),
        ("linalg_potri", [[1, 0], [1, 0]], "a zero on its diagonal"),
        ("linalg_inverse", [[1, 2], [2, 4]], "ingular"),
    ],
)
def test_matrices_without_a_factor_or_an_inverse(name, matrix, words, kernels):
    """They are an error while the pass runs, as in MXNet."""
    run = kernels(find(name)(), {"A": (2, 2)})
    run.set("A", matrix)

    with pytest.raises((ValueError, np.linalg.LinAlgError), match=words):
        run.forward()


#: operator, attributes, shapes, words of the message
REFUSED = [
    ("dot", {}, {"lhs": (2, 3), "rhs": (4, 5)}, "rhs is 4x5, but it must agree with lhs 2x3"),
    ("dot", {}, {"lhs": (2, 3), "rhs": (4, 5)}, "the sizes that are summed over are 4 against 3"),
    ("dot", {"transpose_b": True}, {"lhs": (3,), "rhs": (3,)}, "vectors, which cannot be transposed"),
    ("dot", {}, {"lhs": (), "rhs": (3,)}, "a vector or a matrix is needed"),
    ("batch_dot", {}, {"lhs": (2, 3), "rhs": (3, 4)}, "a batch of matrices is needed"),
    ("batch_dot", {}, {"lhs": (1, 2, 3), "rhs": (2, 3, 4)}, "the sizes of batch axis 0 are 2 against 1"),
    ("batch_dot", {}, {"lhs": (1, 2, 3), "rhs": (1, 3, 4, 1)}, "must have 3 axes"),
    ("khatri_rao", {"num_args": 2}, {"arg0": (2, 3), "arg1": (2, 2)}, "arg1 is 2x2"),
    ("khatri_rao", {"num_args": 1}, {"arg0": (2,)}, "must have 2 axes"),
    ("linalg_gemm", {}, {"A": (2, 3), "B": (3, 4), "C": (2, 5)}, "C is 2x5"),
    ("linalg_gemm2", {"axis": -1}, {"A": (2, 3), "B": (3, 4)}, "axis -1 cannot be that of the rows"),
    ("linalg_gemm2", {}, {"A": (3,), "B": (3, 4)}, "axis -2 cannot be that of the rows"),
    ("linalg_syrk", {}, {"A": (3,)}, "a matrix is needed"),
    ("linalg_trmm", {}, {"A": (3, 2), "B": (3, 2)}, "A is 3x2, but it must agree with itself"),
    ("linalg_trsm", {"rightside": True}, {"A": (3, 3), "B": (3, 2)}, "the rows and columns of A are 2"),
    ("linalg_potrf", {}, {"A": (2, 3)}, "the rows and columns of A are 3 against 2"),
    ("linalg_det", {}, {"A": (3,)}, "a matrix is needed"),
    ("linalg_gelqf", {}, {"A": (3, 2)}, "as many columns as rows"),
    ("linalg_extractdiag", {"offset": -3}, {"A": (3, 3)}, "no diagonal -3"),
    ("linalg_extracttrian", {"offset": 3}, {"A": (3, 3)}, "no diagonal 3"),
    ("linalg_maketrian", {}, {"A": (2, 4)}, "4 numbers fill no triangle"),
    ("linalg_makediag", {}, {"A": ()}, "a vector is needed"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(name, attributes, shapes, words, kernels):
    """The message has both shapes and what must agree."""
    with pytest.raises(ShapeError) as refused:
        kernels(find(name)(**attributes), shapes)

    assert words in refused.value.message


@pytest.mark.parametrize(
    "name", ["linalg_potrf", "linalg_inverse", "linalg_det", "linalg_gelqf", "_linalg_syevd"]
)
@pytest.mark.parametrize("dtype", ["float16", "int32"])
def test_factors_of_other_dtypes_are_refused(name, dtype, kernels):
    """As in MXNet: float32 and float64 only, and it is said before anything runs."""
    with pytest.raises(ShapeError, match=f"A is {dtype}") as refused:
        kernels(find(name)(), {"A": (2, 2)}, dtype)

    assert refused.value.kind == "dtype-mismatch"
