"""Steps of optimizers: two precisions, and what a step does to its tensors."""

import numpy as np
import pytest

from netdef.ops import find

TWO_PRECISIONS = {
    "mp_sgd_update": {},
    "mp_sgd_mom_update": {"momentum": 0.9},
    "mp_nag_mom_update": {"momentum": 0.9},
}


@pytest.mark.parametrize("name", TWO_PRECISIONS)
def test_a_weight_in_half_precision_follows_its_copy(name, kernels):
    """The copy takes the step of the operator in single precision; the weight is the copy, rounded."""
    attributes = {"lr": 0.1, "wd": 0.2, "rescale_grad": 0.5, "clip_gradient": 0.3, **TWO_PRECISIONS[name]}
    run = kernels(find(name)(**attributes), {"weight": (4, 3)}, "float16")
    plain = kernels(find(name.removeprefix("mp_"))(**attributes), {"weight": (4, 3)}, "float32")
    plain.set("weight", run.arrays["weight32"])
    plain.set("grad", run.arrays["grad"])
    if "mom" in plain.arrays:
        plain.set("mom", run.arrays["mom"])

    output, expected = run.forward()["output"], plain.forward()["output"]

    assert output.dtype == "float16"
    np.testing.assert_allclose(run.arrays["weight32"], expected, rtol=1e-6)
    np.testing.assert_array_equal(output, run.arrays["weight32"].astype("float16"))
    for state in plain.first_states:
        np.testing.assert_allclose(run.arrays[state], plain.arrays[state], rtol=1e-6)


def test_the_copy_is_in_single_precision(kernels):
    """The states of an operator in two precisions are float32."""
    op = find("mp_sgd_update")(lr=1)

    types = kernels(op, {"weight": (2,)}, "float16").types

    assert types["weight32"] == "float32"


@pytest.mark.parametrize("limit", [-1, 0, 0.5])
def test_a_limit_of_zero_clips_everything_and_a_negative_one_nothing(limit, kernels):
    """MXNet's documentation says that 0 turns clipping off; its kernels do not."""
    run = kernels(find("sgd_update")(lr=1, clip_gradient=limit), {"weight": (3,)})
    run.set("weight", 0)
    run.set("grad", [-2, 0.25, 1])

    expected = {-1: [2, -0.25, -1], 0: [0, 0, 0], 0.5: [0.5, -0.25, -0.5]}[limit]

    np.testing.assert_array_equal(run.forward()["output"], expected)


def test_states_go_on_from_where_they_are(kernels):
    """Two steps with momentum: 1, then 1 + 0.5."""
    run = kernels(find("sgd_mom_update")(lr=1, momentum=0.5), {"weight": (1,)})
    for name, value in (("weight", 0), ("grad", -1), ("mom", 0)):
        run.set(name, value)

    steps = [float(run.forward(keep_states=True)["output"][0]) for _ in range(3)]

    assert steps == [1, 1.5, 1.75]


@pytest.mark.parametrize("norms", [(0, 2), (2, 0)])
def test_a_norm_of_zero_leaves_the_rate_alone(norms, kernels):
    """LAMB divides by the norm of the step only where both norms say something."""
    run = kernels(find("lamb_update_phase2")(lr=0.5), {"weight": (2,)})
    for name, value in zip(("weight", "g", "r1", "r2"), (1, 1, *norms)):
        run.set(name, value)

    np.testing.assert_array_equal(run.forward()["output"], [0.5, 0.5])


def test_a_layer_without_length_keeps_its_rate(kernels):
    """Where weight or gradient is 0 there is no quotient."""
    run = kernels(find("multi_lars")(eta=0.5, eps=0), {"lrs": (3,)})
    values = {"lrs": [1, 2, 3], "weights_sum_sq": [4, 0, 1], "grads_sum_sq": [1, 1, 0], "wds": [0, 0, 0]}
    for name, value in values.items():
        run.set(name, value)

    np.testing.assert_array_equal(run.forward()["output"], [1, 2, 3])
