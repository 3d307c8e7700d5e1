"""Attention: what its references cannot say, and a transformer's layer as a net."""

import math

import numpy as np
import pytest

import netdef as mx
from netdef.ops import find
from netdef.ops.shapes import ShapeError, Shapes

# -- softmax under a mask ------------------------------------------------


@pytest.mark.parametrize("name", ["masked_softmax", "masked_log_softmax"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_values_far_out_and_left_out_give_limits(name, dtype, kernels):
    """Neither overflow nor NaN (warnings are errors), wherever the largest value stands."""
    run = kernels(find(name)(), {"data": (3, 3), "mask": (3, 3)}, dtype)
    run.set("data", [[3e4, -3e4, 3e4], [-3e4, -3e4, 3e4], [3e4, 0, 1]])
    run.set("mask", [[1, 1, 0], [1, 1, 0], [0, 0, 0]])

    output = run.forward()["output"]

    expected = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]])
    np.testing.assert_allclose(np.exp(output) if "log" in name else output, expected, rtol=2e-3)
    assert all(np.isfinite(gradient).all() for gradient in run.backward().values())


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_masks_may_have_any_dtype(dtype, kernels):
    """A mask of truth values, of integers or of floats."""
    run = kernels(find("masked_softmax")(), {"data": (1, 4), "mask": (4,)}, "float64")
    run.set("data", 0)
    run.arrays["mask"] = np.array([1, 0, 1, 0], dtype)

    np.testing.assert_array_equal(run.forward()["output"], [[0.5, 0, 0.5, 0]])


def test_the_gradient_of_the_masked_logarithm_is_its_derivative(kernels):
    """Along random directions, with heads only where the output is finite."""
    run = kernels(find("masked_log_softmax")(axis=1, temperature=1.5), {"data": (3, 5), "mask": (3, 5)})
    heads = run.head_gradients()
    output = run.forward()["output"].copy()
    gradient = run.backward(heads)["ddata"]
    finite = np.isfinite(output)
    assert finite.any()
    assert not finite.all()
    point, random = run.arrays["data"].copy(), np.random.default_rng(3)

    for _ in range(3):
        direction = random.standard_normal(point.shape)
        values = []
        for sign in (1, -1):
            run.arrays["data"][...] = point + sign * 1e-6 * direction
            values.append((run.forward()["output"][finite] * heads["doutput"][finite]).sum())
        assert (gradient * direction).sum() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6)
    assert not gradient[~finite].any()


# -- refusals ------------------------------------------------

QK, AV = "_contrib_interleaved_matmul_encdec_qk", "_contrib_interleaved_matmul_selfatt_valatt"
REFUSED = [
    ("masked_softmax", {}, {"data": (2, 3), "mask": (2, 4)}, "mask 2x4 does not broadcast to data 2x3"),
    ("masked_softmax", {}, {"data": (3,), "mask": (1, 3)}, "mask 1x3 has more axes"),
    ("masked_softmax", {"axis": 2}, {"data": (2, 3), "mask": (2, 3)}, "axis 2 is out of range"),
    ("MultiHeadAttention", {"num_heads": 3}, {"query": (2, 3, 4)}, "4 channels are no 3 equal heads"),
    ("MultiHeadAttention", {"num_heads": 1}, {"query": (2, 4)}, "batch x steps x channels"),
    ("MultiHeadAttention", {"num_heads": 1}, {"query": (2, 3, 4), "key": (3, 3, 4)}, "key is 3x3x4"),
    ("MultiHeadAttention", {"num_heads": 1}, {"key": (2, 3, 4), "value": (2, 5, 4)}, "both must be equal"),
    (QK, {"heads": 2}, {"queries": (3, 2, 5)}, "5 values are no multiple of 2"),
    (QK, {"heads": 2}, {"queries": (3, 2, 4), "keys_values": (5, 3, 8)}, "2 samples of 4 values"),
    (AV, {"heads": 2}, {"queries_keys_values": (3, 2, 12), "attention": (4, 3, 5)}, "3 steps"),
    (AV, {"heads": 2}, {"attention": (5, 3, 3)}, "5 matrices are no multiple of 2"),
]


@pytest.mark.parametrize(("name", "attributes", "given", "words"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(name, attributes, given, words):
    """The message names the tensor, its shape and the rule."""
    op = find(name)(**attributes)

    with pytest.raises(ShapeError) as refused:
        op.shape(Shapes({**dict.fromkeys((*op.input_names(), *op.output_names())), **given}))

    assert words in refused.value.message


# -- heads ------------------------------------------------


def test_the_fused_operator_is_the_interleaved_products(kernels):
    """Scores, softmax and values in three steps give what MultiHeadAttention gives in one."""
    steps, batch, heads, size = 5, 2, 3, 4
    random = np.random.default_rng(0)
    parts = random.standard_normal((3, batch, steps, heads, size))
    fused = kernels(
        find("MultiHeadAttention")(num_heads=heads),
        dict.fromkeys(("query", "key"), (batch, steps, heads * size)),
    )
    for name, part in zip(("query", "key", "value"), parts):
        fused.set(name, part.reshape(batch, steps, -1))
    together = parts.transpose(2, 1, 3, 0, 4).reshape(steps, batch, -1)
    scores = kernels(
        find("_contrib_interleaved_matmul_selfatt_qk")(heads=heads), {"queries_keys_values": together.shape}
    )
    scores.set("queries_keys_values", together)
    mixture = kernels(
        find("_contrib_interleaved_matmul_selfatt_valatt")(heads=heads),
        {"queries_keys_values": together.shape},
    )
    mixture.set("queries_keys_values", together)
    logits = scores.forward()["output"]
    mixture.set("attention", np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True))

    np.testing.assert_allclose(
        fused.forward()["output"], mixture.forward()["output"].transpose(1, 0, 2), rtol=1e-12
    )


@pytest.mark.parametrize("use_length", [True, False])
def test_no_query_sees_later_keys(use_length, kernels):
    """With causal the outputs up to a step do not change with what comes after it."""
    op = find("MultiHeadAttention")(num_heads=2, causal=True, use_length=use_length)
    run = kernels(op, {"query": (2, 5, 4), "key": (2, 5, 4)})
    if use_length:
        run.set("valid_length", 5)
    before = run.forward()["output"].copy()
    run.arrays["key"][:, 3:] = 7
    run.arrays["value"][:, 3:] = -7
    after = run.forward()["output"]

    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).any(axis=2).all()


def test_dropout_acts_on_the_weights(kernels):
    """The output is that of the kept weights over 1-p; inference keeps all."""
    op = find("MultiHeadAttention")(num_heads=1, p=0.25)
    run = kernels(op, {"query": (2, 40, 4), "key": (2, 50, 4)})
    made = run.forward()
    used = made["weights"] * made["mask"] / 0.75

    np.testing.assert_allclose(made["output"], used[:, 0] @ run.arrays["value"], rtol=1e-12)
    np.testing.assert_allclose(made["weights"].sum(axis=3), 1)
    assert abs(made["mask"].mean() - 0.75) < 0.05
    heads = run.head_gradients()
    gradients = run.backward(heads)
    np.testing.assert_allclose(gradients["dvalue"], used[:, 0].swapaxes(1, 2) @ heads["doutput"], rtol=1e-10)
    kept = run.forward(train=False)
    np.testing.assert_allclose(kept["output"], kept["weights"][:, 0] @ run.arrays["value"], rtol=1e-12)


@pytest.mark.parametrize("p", [0.25, 1])
def test_gradients_through_dropped_weights_are_derivatives(p, kernels):
    """With the mask held still, as the generator starts anew in each pass."""
    run = kernels(find("MultiHeadAttention")(num_heads=2, p=p), {"query": (2, 3, 4), "key": (2, 5, 4)})
    heads = run.head_gradients()
    run.forward()
    random = np.random.default_rng(3)

    for name, gradient in run.backward(heads).items():
        point = run.arrays[name[1:]].copy()
        direction, values = random.standard_normal(point.shape), []
        for sign in (1, -1):
            run.arrays[name[1:]][...] = point + sign * 1e-6 * direction
            values.append((run.forward()["output"] * heads["doutput"]).sum())
        run.arrays[name[1:]][...] = point
        expected = (values[0] - values[1]) / 2e-6
        assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-6, abs=1e-8), name


# -- a net ------------------------------------------------


def block(data, width):
    """Attention of a sequence on itself with its projections, and what is added to it."""
    query, key, value = (
        mx.sym.FullyConnected(data, num_hidden=width, flatten=False, name=name)
        for name in ("query", "key", "value")
    )
    heads = mx.sym.MultiHeadAttention(query, key, value, num_heads=2, causal=True, name="attention")
    data = data + mx.sym.FullyConnected(heads, num_hidden=width, flatten=False, name="joined")
    inner = mx.sym.FullyConnected(data, num_hidden=2 * width, flatten=False, name="inner")
    inner = mx.sym.Activation(inner, act_type="relu")
    return data + mx.sym.FullyConnected(inner, num_hidden=width, flatten=False, name="outer")


def test_a_transformer_learns_to_copy_the_previous_step():
    """A small block of it as a symbol: gradients descend to a tenth of the loss."""
    batch, steps, width = 8, 5, 8
    net = block(mx.sym.Variable("data"), width)
    random = np.random.default_rng(0)
    executor = net.simple_bind(mx.cpu(), data=(batch, steps, width))
    for name, array in executor.arg_dict.items():
        scale = 0.5 / math.sqrt(width) if name.endswith("weight") else 0
        array[:] = scale * random.standard_normal(array.shape).astype("float32")
    place = np.zeros((1, steps, width), "float32")
    place[0, range(steps), range(steps)] = 1
    data = 0.5 * random.standard_normal((batch, steps, width)).astype("float32")
    data[..., 5:] *= 3
    data[..., :5] = place[..., :5]
    target = np.roll(data, 1, axis=1)
    target[:, 0] = 0
    losses = []
    for _ in range(300):
        output = executor.forward(is_train=True, data=mx.nd.array(data))[0].asnumpy()
        losses.append(float(((output - target) ** 2).mean()))
        executor.backward([mx.nd.array((output - target) / batch)])
        for name, gradient in executor.grad_dict.items():
            if name != "data":
                executor.arg_dict[name][:] = executor.arg_dict[name].asnumpy() - 0.05 * gradient.asnumpy()

    assert losses[-1] < losses[0] / 10
