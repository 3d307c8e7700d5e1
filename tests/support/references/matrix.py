"""References of netdef.ops.matrix."""

import numpy as np

from references import reference


def product(op, a, b):
    """The sum of products by einsum, the letters from the rule: K is summed over."""
    left, right = "abcdef"[: a.ndim - 1], "uvwxyz"[: b.ndim - 1]
    first = "K" + left if op.transpose_a else left + "K"
    second = right + "K" if op.transpose_b else "K" + right
    return first, second, left + right


def einsums(x, heads, first, second, result, a="lhs", b="rhs"):
    """A product and its gradients."""
    head = heads["doutput"]
    return {
        "output": np.einsum(f"{first},{second}->{result}", x[a], x[b]),
        f"d{a}": np.einsum(f"{result},{second}->{first}", head, x[b]),
        f"d{b}": np.einsum(f"{first},{result}->{second}", x[a], head),
    }


@reference(
    "Dot",
    more=[
        ({"transpose_a": True, "transpose_b": True}, {"lhs": (3, 4), "rhs": (2, 3)}),
        ({}, {"lhs": (2, 3, 4), "rhs": (4, 2, 2)}),
        ({"transpose_a": True}, {"lhs": (3,), "rhs": (3, 2)}),
        ({"transpose_a": True, "transpose_b": True}, {"lhs": (4, 3, 2), "rhs": (5, 2, 4)}),
        ({"transpose_b": True}, {"lhs": (3,), "rhs": (2, 3)}),
        ({}, {"lhs": (1, 1), "rhs": (1,)}),
    ],
)
def dot(op, x, heads):
    first, second, result = product(op, x["lhs"], x["rhs"])
    shaped = {"doutput": heads["doutput"].reshape(() if not result else heads["doutput"].shape)}
    found = einsums(x, shaped, first, second, result)
    return {**found, "output": np.atleast_1d(found["output"])}


@reference("BatchDot")
def batch_dot(op, x, heads):
    some = "PQRS"[: x["lhs"].ndim - 2]
    first = some + ("Ka" if op.transpose_a else "aK")
    second = some + ("uK" if op.transpose_b else "Ku")
    return einsums(x, heads, first, second, f"{some}au")


@reference("KhatriRao", more=[({"num_args": 4}, {f"arg{i}": (i + 1, 2) for i in range(4)})])
def khatri_rao(op, x, heads):
    args = [x[f"arg{i}"] for i in range(op.num_args)]
    sizes, columns = [len(array) for array in args], args[0].shape[1]
    output = np.empty((int(np.prod(sizes)), columns))
    gradients = [np.zeros(array.shape) for array in args]
    for row, places in enumerate(np.ndindex(*sizes)):
        for column in range(columns):
            factors = [array[place, column] for array, place in zip(args, places)]
            output[row, column] = np.prod(factors)
            for i, place in enumerate(places):
                others = np.prod(factors[:i] + factors[i + 1 :])
                gradients[i][place, column] += heads["doutput"][row, column] * others
    return {"output": output, **{f"darg{i}": gradient for i, gradient in enumerate(gradients)}}
