"""References of netdef.ops.linalg, diagonals and decompositions.

Each is a function of plain matrices, written with loops that also work for complex numbers: the gradients are
the imaginary parts of what comes out when one element gets a tiny imaginary part, exact up to rounding.
"""

import itertools
import math

import numpy as np

from references import exempt, reference, sample

STEP = 1e-30


def by_matrix(function, x, heads, core=2):
    """Apply a function of matrices (or vectors) to each of a batch.

    `function` takes the inputs by name and gives a dict of outputs; `core` is the number of their own axes.
    """
    names = list(x)
    outer = x[names[0]].shape[: x[names[0]].ndim - core]
    found = {f"d{name}": np.empty(x[name].shape) for name in names}
    for place in np.ndindex(outer):
        one = {name: x[name][place] for name in names}
        for name, value in function(**one).items():
            value = np.asarray(value)
            whole = found.setdefault(name, np.empty((*outer, *value.shape) or (1,)))
            whole[place or (slice(None) if value.ndim else 0,)] = value
        for name in names:
            for element in np.ndindex(one[name].shape):
                moved = one[name].astype(complex)
                moved[element] += STEP * 1j
                result = function(**{**one, name: moved})
                found[f"d{name}"][place][element] = (
                    sum(
                        np.sum(
                            np.imag(result[output])
                            * np.reshape(heads[f"d{output}"][place], result[output].shape)
                        )
                        for output in result
                        if heads.get(f"d{output}") is not None
                    )
                    / STEP
                )
    return found


def times(a, b):
    """A product of matrices with plain loops."""
    result = np.zeros((a.shape[0], b.shape[1]), np.result_type(a, b))
    for i, j, k in np.ndindex(a.shape[0], b.shape[1], a.shape[1]):
        result[i, j] += a[i, k] * b[k, j]
    return result


def turned(matrix, transpose):
    return matrix.T if transpose else matrix


def triangle(a, lower):
    """A triangle of a matrix with zeros beside it."""
    result = a.copy()
    for i, j in np.ndindex(a.shape):
        if (j > i) if lower else (j < i):
            result[i, j] = 0
    return result


def inverse_of(a):
    """Gauss and Jordan, with the largest pivot."""
    size = len(a)
    rows = np.concatenate([a, np.eye(size)], axis=1)
    for i in range(size):
        pivot = i + int(np.argmax(abs(rows[i:, i])))
        rows[[i, pivot]] = rows[[pivot, i]]
        rows[i] = rows[i] / rows[i, i]
        for k in range(size):
            if k != i:
                rows[k] = rows[k] - rows[k, i] * rows[i]
    return rows[:, size:]


def determinant(a):
    """Leibniz's sum over all permutations."""
    total = 0
    for order in itertools.permutations(range(len(a))):
        inversions = sum(order[i] > order[j] for i in range(len(a)) for j in range(i + 1, len(a)))
        total = total + (-1) ** inversions * np.prod([a[i, k] for i, k in enumerate(order)])
    return total


# -- products ------------------------------------------------


@reference(
    "LinalgGemm",
    "LinalgGemm2",
    more=[
        ({"transpose_b": True, "alpha": -1.5}, {"A": (2, 3), "B": (4, 3), "C": (2, 4)}),
        ({"axis": 0}, {"A": (2, 3), "B": (3, 4), "C": (2, 4)}),
        (
            {"axis": 0, "transpose_a": True, "transpose_b": True},
            {"A": (3, 2, 2), "B": (4, 2, 3), "C": (2, 2, 4)},
        ),
    ],
)
def gemm(op, x, heads):
    def at_the_end(array):
        return np.swapaxes(array, op.axis, -2)

    def function(A, B, C=None):
        output = op.alpha * times(turned(A, op.transpose_a), turned(B, op.transpose_b))
        return {"output": output if C is None else output + op.beta * C}

    inputs = {name: at_the_end(x[name]) for name in op.inputs}
    found = by_matrix(function, inputs, {"doutput": at_the_end(heads["doutput"])})
    return {name: at_the_end(array) for name, array in found.items()}


@reference("LinalgSyrk", more=[({"alpha": 0.5}, {"A": (3, 2)})])
def syrk(op, x, heads):
    def function(A):
        left = turned(A, op.transpose)
        return {"output": op.alpha * times(left, left.T)}

    return by_matrix(function, x, heads)


SIDES = [
    ({"rightside": True, "transpose": True}, {"A": (3, 3), "B": (2, 3)}),
    ({"rightside": True, "lower": False, "alpha": 0.5}, {"A": (3, 3), "B": (2, 3)}),
    ({"transpose": True, "lower": False}, {"A": (4, 4), "B": (4, 2)}),
    ({"alpha": 3.0}, {"A": (7, 7), "B": (7, 1)}),
]


@reference("LinalgTrmm", more=SIDES)
def trmm(op, x, heads):
    def function(A, B):
        a = turned(triangle(A, op.lower), op.transpose)
        return {"output": op.alpha * (times(B, a) if op.rightside else times(a, B))}

    return by_matrix(function, x, heads)


@reference("LinalgTrsm", more=SIDES)
def trsm(op, x, heads):
    def function(A, B):
        a = inverse_of(turned(triangle(A, op.lower), op.transpose))
        return {"output": op.alpha * (times(B, a) if op.rightside else times(a, B))}

    return by_matrix(function, x, heads)


# -- diagonals and triangles ------------------------------------------------


@reference("LinalgSumLogDiag", more=[({}, {"A": (3, 3)})])
def sumlogdiag(op, x, heads):
    return by_matrix(lambda A: {"output": np.sum(np.log(np.diagonal(A)))}, x, heads)


@reference("LinalgExtractDiag", more=[({"offset": -1}, {"A": (3, 3)})])
def extractdiag(op, x, heads):
    return by_matrix(lambda A: {"output": np.diagonal(A, op.offset)}, x, heads)


@reference("LinalgMakeDiag", more=[({"offset": -1}, {"A": (3,)})])
def makediag(op, x, heads):
    return by_matrix(lambda A: {"output": np.diag(A, op.offset)}, x, heads, core=1)


def packed(op, size):
    """The places of a triangle in the order of its vector."""
    lower = op.offset < 0 or (op.offset == 0 and op.lower)
    inner = size - abs(op.offset)
    places = [(i, j) for i in range(inner) for j in range(i + 1)]
    return [(i + max(0, -op.offset), j) if lower else (j, i + max(0, op.offset)) for i, j in places]


@reference("LinalgExtractTrian", more=[({"offset": -1}, {"A": (3, 3)})])
def extracttrian(op, x, heads):
    def function(A):
        return {"output": np.array([A[place] for place in packed(op, len(A))])}

    return by_matrix(function, x, heads)


@reference("LinalgMakeTrian", more=[({"offset": 2}, {"A": (3,)})])
def maketrian(op, x, heads):
    def function(A):
        size = next(n for n in itertools.count(1) if n * (n + 1) == 2 * len(A)) + abs(op.offset)
        output = np.zeros((size, size), A.dtype)
        for number, place in zip(A, packed(op, size)):
            output[place] = number
        return {"output": output}

    return by_matrix(function, x, heads, core=1)


# -- decompositions ------------------------------------------------

LAPACK = ("LinalgPotrf", "LinalgInverse", "LinalgDet", "LinalgSlogDet", "LinalgGelqf", "LinalgSyevd")

exempt("the_outputs_have_the_dtype_of_the_data", "there are no factors of float16", *LAPACK)
exempt(
    "gradients_are_derivatives",
    "one triangle is read, the gradient is symmetric: tests of its own move both triangles",
    "LinalgPotrf",
    "LinalgSyevd",
)


def cholesky(a):
    factor = np.zeros_like(a)
    for j in range(len(a)):
        factor[j, j] = np.sqrt(a[j, j] - sum(factor[j, k] ** 2 for k in range(j)))
        for i in range(j + 1, len(a)):
            rest = a[i, j] - sum(factor[i, k] * factor[j, k] for k in range(j))
            factor[i, j] = rest / factor[j, j]
    return factor


def halves(gradient):
    """The gradient of a triangle, shared with the other one."""
    return (gradient + np.swapaxes(gradient, -1, -2)) / 2


@reference("LinalgPotrf", more=[({}, {"A": (5, 5)}), ({}, {"A": (1, 1)})])
def potrf(op, x, heads):
    found = by_matrix(lambda A: {"output": cholesky(A)}, x, heads)
    return {**found, "dA": halves(found["dA"])}


@reference("LinalgPotri", more=[({}, {"A": (5, 5)})])
def potri(op, x, heads):
    def function(A):
        factor = triangle(A, lower=True)
        return {"output": inverse_of(times(factor, factor.T))}

    return by_matrix(function, x, heads)


@reference("LinalgInverse", more=[({}, {"A": (4, 4)})])
def inverse(op, x, heads):
    return by_matrix(lambda A: {"output": inverse_of(A)}, x, heads)


@reference("LinalgDet", more=[({}, {"A": (4, 4)}), ({}, {"A": (1, 1)})])
def det(op, x, heads):
    return by_matrix(lambda A: {"output0": determinant(A)}, x, heads)


@reference("LinalgSlogDet", more=[({}, {"A": (4, 4)})])
def slogdet(op, x, heads):
    def function(A):
        value = determinant(A)
        sign = 1 if np.real(value) > 0 else -1
        return {"output0": sign, "output1": np.log(sign * value)}

    return by_matrix(function, x, heads)


@reference("LinalgGelqf", more=[({}, {"A": (2, 4)}), ({}, {"A": (1, 1)})])
def gelqf(op, x, heads):
    def function(A):
        """Householder's reflections of the columns of A': each starts with the other sign than before."""
        rest, q = A.T.copy(), np.eye(A.shape[1], dtype=A.dtype)
        for k in range(min(A.shape[0], A.shape[1] - 1)):
            v = np.zeros(A.shape[1], A.dtype)
            v[k:] = rest[k:, k]
            sign = 1 if np.real(v[k]) >= 0 else -1
            v[k] += sign * np.sqrt(np.sum(v * v))
            reflection = np.eye(len(v)) - 2 * np.outer(v, v) / np.sum(v * v)
            rest, q = times(reflection, rest), times(q, reflection)
        size = A.shape[0]
        return {"output0": q[:, :size].T, "output1": triangle(rest[:size].T, lower=True)}

    return by_matrix(function, x, heads)


@reference("LinalgSyevd", more=[({}, {"A": (4, 4)})])
def syevd(op, x, heads):
    """From numpy's solver for any matrix; the gradient is that of first-order perturbations."""
    A = x["A"]
    vectors, values, gradient = np.empty(A.shape), np.empty(A.shape[:-1]), np.zeros(A.shape)
    for place in np.ndindex(A.shape[:-2]):
        lower = triangle(A[place], lower=True)
        found, columns = np.linalg.eig(lower + lower.T - np.diag(np.diagonal(lower)))
        order = np.argsort(found)
        u = np.real(columns.T[order])
        u = np.array([row * math.copysign(1, row[np.argmax(abs(row))]) / math.hypot(*row) for row in u])
        vectors[place], values[place] = u, np.real(found[order])
        size = len(u)
        for i in range(size):
            gradient[place] += heads["doutput1"][place][i] * np.outer(u[i], u[i])
            for j in range(size):
                if j != i:
                    share = heads["doutput0"][place][i] @ u[j] / (values[place][i] - values[place][j])
                    gradient[place] += share * halves(np.outer(u[i], u[j]))
    return {"output0": vectors, "output1": values, "dA": gradient}


@sample("LinalgTrsm", "LinalgPotri", "LinalgSumLogDiag")
def positive_diagonal(op, shapes, random):
    A = random.standard_normal(shapes.full("A"))
    size = A.shape[-1]
    A[..., range(size), range(size)] = random.uniform(1, 2, A.shape[:-1])
    return {"A": A}


@sample("LinalgPotrf")
def positive_definite(op, shapes, random):
    A = random.standard_normal(shapes.full("A"))
    return {"A": A @ np.swapaxes(A, -1, -2) + np.eye(A.shape[-1])}


@sample("LinalgSyevd")
def apart(op, shapes, random):
    """Symmetric matrices whose eigenvalues are not close to each other."""
    A = 0.2 * halves(random.standard_normal(shapes.full("A")))
    return {"A": A + np.diag(np.arange(A.shape[-1]))}


@sample("LinalgInverse", "LinalgDet", "LinalgSlogDet")
def regular(op, shapes, random):
    A = 0.5 * random.standard_normal(shapes.full("A"))
    return {"A": A + np.diag((-1.0) ** np.arange(A.shape[-1]) * 2)}
