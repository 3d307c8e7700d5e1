"""Folding for inference: the same outputs with fewer steps, and nothing folded that somebody reads."""

import numpy as np
import pytest
from builds import build

from netdef.graph.node import topological
from netdef.runtime.report import describe_plan, plan_net
from netdef.train.blobs import Blobs
from netdef.train.runner import Runner, input_shapes

FILL = "weight_filler: {type: gaussian, std: 0.4}, bias_filler: {type: uniform, min: -1, max: 1}"
INPUT = "- {name: data, type: Input, top: data, input_param: {shape: {dim: [3, 4, 6, 6]}}}"


def conv(name, bottom, top=None, more="bias_term: true", fields="num_output: 4, kernel_size: 3, pad: 1"):
    """A convolution that keeps the shape of its bottom."""
    return (
        f"- {{name: {name}, type: Convolution, bottom: {bottom}, top: {top or name},"
        f" convolution_param: {{{fields}, {more}, {FILL}}}}}"
    )


def layer(name, kind, bottom, top=None, more=""):
    """A layer of another type."""
    return f"- {{name: {name}, type: {kind}, bottom: {bottom}, top: {top or name}{more}}}"


def scale(name, bottom, top=None, fields="bias_term: true"):
    """A Scale with random factors."""
    fillers = "filler: {type: uniform, min: 0.5, max: 2}, bias_filler: {type: uniform, min: -1, max: 1}"
    return layer(name, "Scale", bottom, top, f", scale_param: {{{fields}, {fillers}}}")


def loaded_of(*layers):
    """The TEST net of layers after an input of 3x4x6x6."""
    return build("\n".join(["name: net", "layer:", INPUT, *layers]), phase="TEST")


def runners_of(loaded, dtype="float32", seed=0):
    """An unfolded and a folded runner over the same blobs, whose states hold statistics of a made-up run."""
    blobs = Blobs(seed, dtype)
    blobs.add(loaded.net, loaded.shapes)
    random = np.random.default_rng(seed)
    for name, value in blobs.values().items():
        if name.endswith("_mean"):
            value[...] = random.normal(0, 30, value.shape)
        elif name.endswith("_variance"):
            value[...] = random.uniform(1, 300, value.shape)
        elif name.endswith("_factor"):
            value[...] = 17.5
    shapes = input_shapes(loaded.net, loaded.shapes)
    runners = [Runner(loaded.net, shapes, blobs, folds=folds) for folds in (False, True)]
    for top in loaded.net.inputs:
        runners[0].inputs[top][...] = random.normal(0, 1, shapes[top])
        runners[1].inputs[top][...] = runners[0].inputs[top]
    return runners


def outputs_of(runner):
    """Copies of the outputs of a pass, by blob."""
    runner.forward(train=False)
    return {blob: np.array(value) for blob, value in runner.outputs.items()}


def assert_agree(runners, tolerance):
    """Every output agrees relative to the largest number in it."""
    plain, folded = map(outputs_of, runners)
    assert plain.keys() == folded.keys()
    for blob, expected in plain.items():
        assert folded[blob].shape == expected.shape
        assert np.abs(folded[blob] - expected).max() <= tolerance * np.abs(expected).max(), blob


def steps_of(runner):
    """The operators that a pass runs, by name."""
    return [type(step.op).__name__ for step in runner.executor.plan(False).steps]


@pytest.mark.parametrize(
    ("layers", "steps"),
    [
        ([conv("c", "data"), layer("b", "BatchNorm", "c"), scale("s", "b")], ["Convolution"]),
        ([conv("c", "data", more="bias_term: false"), layer("b", "BatchNorm", "c")], ["Convolution"]),
        ([conv("c", "data"), layer("b", "BatchNorm", "c", "c"), scale("s", "c", "c")], ["Convolution"]),
        (
            [conv("c", "data", fields="num_output: 4, kernel_size: 3, group: 2"), scale("s", "c")],
            ["Convolution"],
        ),
        (
            [
                conv("c", "data"),
                layer("d", "Dropout", "c"),
                scale("s", "d", fields="bias_term: false"),
                layer("b", "BatchNorm", "s"),
            ],
            ["Convolution"],
        ),
        (
            [
                layer("i", "InnerProduct", "data", more=f", inner_product_param: {{num_output: 5, {FILL}}}"),
                layer("b", "BatchNorm", "i"),
            ],
            ["FullyConnected"],
        ),
        (
            [
                layer("i", "InnerProduct", "data", more=f", inner_product_param: {{num_output: 5,"
                      f" transpose: true, bias_term: false, {FILL}}}"),
                scale("s", "i"),
            ],
            ["FullyConnected"],
        ),
        ([layer("b", "BatchNorm", "data"), conv("c", "b")], ["Scale", "Convolution"]),
        (
            [layer("b", "BatchNorm", "data"), scale("s", "b"), layer("r", "ReLU", "s")],
            ["Scale", "Activation"],
        ),
        ([scale("s", "data"), layer("r", "ReLU", "s")], ["Scale", "Activation"]),
        ([conv("c", "data"), scale("s", "c", fields="axis: 2")], ["Convolution", "Scale"]),
        ([conv("c", "data"), scale("s", "c", fields="num_axes: 2")], ["Convolution", "Scale"]),
        (
            [conv("c", "data"), scale("s", "[c, data]", fields="num_axes: -1, axis: 0")],
            ["Convolution", "Scale"],
        ),
        (
            [conv("c", "data"), layer("r", "ReLU", "c"), layer("b", "BatchNorm", "r")],
            ["FusedConvolution", "Scale"],
        ),
        (  # both branches read the convolution
            [conv("c", "data"), layer("b", "BatchNorm", "c"), layer("e", "Eltwise", "[b, c]")],
            ["Convolution", "Scale", "ElementWiseSum"],
        ),
        (  # one reads it through a Dropout
            [
                conv("c", "data"),
                layer("d", "Dropout", "c"),
                layer("b", "BatchNorm", "d"),
                layer("e", "Eltwise", "[b, c]"),
            ],
            ["Convolution", "Scale", "ElementWiseSum"],
        ),
        (  # the value in between is asked for, since it is weighted
            [
                layer("c", "Flatten", "data"),
                layer("i", "InnerProduct", "c", more=f", inner_product_param: {{num_output: 5, {FILL}}}"
                      ", loss_weight: 1"),
                layer("b", "BatchNorm", "i"),
            ],
            ["FullyConnected", "Scale"],
        ),
        (  # two layers with one weight, one of them folded
            [
                conv("c", "data", more="bias_term: false").replace("type:", "param: [{name: w}], type:", 1),
                layer("b", "BatchNorm", "c"),
                conv("c2", "b", more="bias_term: false").replace("type:", "param: [{name: w}], type:", 1),
            ],
            ["Convolution", "Convolution"],
        ),
    ],
)  # fmt: skip
def test_what_is_folded_and_what_is_not(layers, steps):
    """The steps that are left; outputs are those of the unfolded net, to 1e-5 and in float64 to 1e-12."""
    loaded = loaded_of(*layers)
    runners = runners_of(loaded)

    assert steps_of(runners[1]) == steps
    assert_agree(runners, 1e-5)
    assert_agree(runners_of(loaded, "float64"), 1e-12)


def test_weights_that_change_are_folded_again():
    """`refold` takes them over; before it the pass computes with those that it knew."""
    runners = runners_of(loaded_of(conv("c", "data"), layer("b", "BatchNorm", "c"), scale("s", "b")))
    before = outputs_of(runners[1])
    for value in runners[1].blobs.values().values():
        value *= 1.5

    np.testing.assert_array_equal(outputs_of(runners[1])["s"], before["s"])
    runners[1].refold()
    assert_agree(runners, 1e-5)
    assert np.abs(outputs_of(runners[1])["s"] - before["s"]).max() > 0.1


def test_statistics_that_nobody_gathered_are_folded_too():
    """A factor of zero means mean and variance zero, as in Caffe."""
    runners = runners_of(loaded_of(conv("c", "data"), layer("b", "BatchNorm", "c")))
    runners[0].blobs.values()["b_factor"][...] = 0
    runners[1].refold()

    assert_agree(runners, 1e-5)


def test_mxnets_batchnorm_is_folded():
    """With gamma and beta, whether gamma counts or not; channels last stay as they are."""
    for fix in ("true", "false"):
        param = f", batch_norm_param: {{fix_gamma: {fix}}}"
        norm = layer("b", "BatchNorm_v1", "c", more=param.replace("batch_norm_param", "batch_norm_v1_param"))
        runners = runners_of(loaded_of(conv("c", "data"), norm))
        random = np.random.default_rng(1)
        for name in ("b_gamma", "b_beta", "b_moving_mean", "b_moving_var"):
            value = runners[0].blobs.values()[name]
            value[...] = random.uniform(0.5, 2, value.shape)
        runners[1].refold()

        assert steps_of(runners[1]) == ["Convolution"]
        assert_agree(runners, 1e-5)


def random_layers(random):
    """A net of convolutions, norms, scales, activations and sums of what came before."""
    made, blobs = [], ["data"]
    for number in range(random.integers(3, 12)):
        name, bottom = f"n{number}", blobs[-1] if random.random() < 0.8 else str(random.choice(blobs))
        kind = random.integers(7)
        if kind == 0:
            bias = "true" if random.random() < 0.5 else "false"
            group = random.choice([1, 2, 4])
            fields = f"num_output: 4, kernel_size: 3, pad: 1, group: {group}"
            made.append(conv(name, bottom, more=f"bias_term: {bias}", fields=fields))
        elif kind in (1, 2):
            made.append(layer(name, "BatchNorm", bottom))
        elif kind == 3:
            options = ["bias_term: true", "bias_term: false", "axis: 2", "num_axes: -1", "num_axes: 0"]
            made.append(scale(name, bottom, fields=str(random.choice(options))))
        elif kind == 4:
            made.append(layer(name, str(random.choice(["ReLU", "Dropout", "TanH"])), bottom))
        elif kind == 5:
            made.append(layer(name, "Eltwise", f"[{bottom}, {random.choice(blobs)}]"))
        else:
            made.append(scale(name, f"[{bottom}, {random.choice(blobs)}]", fields="axis: 0, num_axes: -1"))
        blobs.append(name)
    return made


@pytest.mark.parametrize("seed", range(60))
def test_random_nets_agree(seed):
    """Folded and unfolded, to 1e-5 in float32 and 1e-11 in float64, with no more steps than before."""
    loaded = loaded_of(*random_layers(np.random.default_rng(seed)))
    runners = runners_of(loaded, seed=seed)

    assert len(steps_of(runners[1])) <= len(steps_of(runners[0]))
    assert_agree(runners, 1e-5)
    assert_agree(runners_of(loaded, "float64", seed), 1e-11)


def test_the_plan_of_a_test_net_is_folded():
    """That of the TRAIN phase is not."""
    layers = [conv("c", "data"), layer("b", "BatchNorm", "c"), scale("s", "b")]
    loaded = loaded_of(*layers)
    text = describe_plan(plan_net(loaded.net, loaded.shapes))

    assert "c+b+s" in text
    assert "BatchNorm" not in text
    train = build("\n".join(["name: net", "layer:", INPUT, *layers]))
    assert "BatchNorm" in describe_plan(plan_net(train.net, train.shapes))


def test_the_net_itself_is_left_alone():
    """Folding makes nodes of its own."""
    loaded = loaded_of(conv("c", "data"), layer("b", "BatchNorm", "c"))
    before = [(node, node.inputs) for node in topological(loaded.net.symbol.heads)]
    runners_of(loaded)

    assert [(node, node.inputs) for node in topological(loaded.net.symbol.heads)] == before
