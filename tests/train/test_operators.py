"""Nets with operators as layers: trained, tested, checked, and stopped where values are refused."""

import json

import builds
import numpy as np
import pytest
from click.testing import CliRunner

from netdef.cli import command
from netdef.diag import Error, NumericFault
from netdef.train import events, snapshot
from netdef.train.blobs import Blobs
from netdef.train.check_grad import check_gradients
from netdef.train.runner import Runner, input_shapes

NET = """\
name: small
layer:
  - name: data
    type: ArrayData
    top: [data, label]
    array_data_param: {source: data.npz, batch_size: 8, shuffle: true}
  - name: hidden
    type: FullyConnected
    bottom: data
    fully_connected_param: {num_hidden: 6}
  - {name: norm, type: BatchNorm_v1, batch_norm_v1_param: {fix_gamma: false}}
  - {name: gelu, type: LeakyReLU, leaky_relu_param: {act_type: gelu}}
  - {name: score, type: FullyConnected, fully_connected_param: {num_hidden: 3}}
  - {name: accuracy, type: Accuracy, bottom: [score, label], include: {phase: TEST}}
"""
CAFFES = "  - {name: loss, type: SoftmaxWithLoss, bottom: [score, label]}\n"
MXNETS = (
    "  - {name: out, type: SoftmaxOutput, bottom: [score, label],"
    " softmax_output_param: {normalization: valid}}\n"
)


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.events = []

    def hear(self, event):
        self.events.append(event)


def test_mxnets_loss_trains_as_caffes_does(folder, run_of):
    """SoftmaxOutput divided by the labels has the gradient of SoftmaxWithLoss: the weights are the same."""
    trained = []
    for name, loss in (("caffes", CAFFES), ("mxnets", MXNETS)):
        (folder / "net.yaml").write_text(NET + loss)
        run_of(name)
        trained.append(snapshot.load_weights(folder / name / "last.npz"))
    caffes, mxnets = trained

    assert caffes.keys() == mxnets.keys() >= {"hidden/0", "hidden/1", "norm/0", "norm/3", "score/1"}
    for key, values in caffes.items():
        np.testing.assert_allclose(values, mxnets[key], rtol=1e-4, atol=1e-5, err_msg=key)
    assert np.ptp(caffes["norm/0"]) > 0, "gamma is learnt"
    assert (caffes["norm/3"] != 1).all(), "the variance, which starts at 1, follows the batches"


def test_a_loss_without_a_value_is_not_shown(folder, run_of):
    """Neither while training nor as a score of the test, which has the accuracy."""
    (folder / "net.yaml").write_text(NET + MXNETS)
    heard = Heard()
    run = run_of("run", "display=5", listeners=[heard])

    steps = [event for event in heard.events if isinstance(event, events.Stepped)]
    assert len(steps) == 20
    assert {step.loss for step in steps} == {None}
    (tested,) = (event for event in heard.events if isinstance(event, events.Tested))
    assert set(tested.outputs) == {"accuracy"}
    assert tested.outputs["accuracy"] > 0.7
    assert run.trainer.scores() == {}


def test_what_a_run_without_a_loss_prints(folder, monkeypatch):
    """The rate alone, on the terminal and in the files of the run."""
    (folder / "net.yaml").write_text(NET + MXNETS)
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(
        command, ["train", "solver.yaml", "--set", "display=10", "--run", "run", "--progress", "plain"]
    )

    assert result.exit_code == 0, result.output
    assert "iteration 10: rate 0.05\n" in result.output
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [sorted(row) for row in rows if row["phase"] == "train"] == [
        ["iteration", "phase", "rate", "seconds"]
    ] * 2
    assert "iteration 10: rate 0.05\n" in (folder / "run" / "log.txt").read_text()


def test_an_output_that_is_not_finite_stops_the_run(folder, run_of):
    """Before the update, although there is no loss that would tell."""
    (folder / "net.yaml").write_text(NET + MXNETS)
    with pytest.raises(NumericFault, match="the output of a loss layer is not finite"):
        run_of("run", "base_lr=1e38")


def test_labels_are_checked_for_mxnets_losses(folder, job_of):
    """A label of -1 is wrong unless use_ignore says that it is passed over."""
    arrays = dict(np.load(folder / "data.npz"))
    arrays["label"] = np.where(arrays["label"] == 2, -1, arrays["label"])
    np.savez(folder / "data.npz", **arrays)
    text = NET.replace("  - {name: accuracy", "  #")
    (folder / "net.yaml").write_text(text + MXNETS)
    with pytest.raises(Error, match="out has 3 classes"):
        job_of()

    (folder / "net.yaml").write_text(text + MXNETS.replace("valid}", "valid, use_ignore: true}"))
    assert job_of().train.loaded.net.losses


def test_attention_written_out_is_multi_head_attention():
    """Products, a softmax and transposes give what the one operator gives, and the same gradients."""
    data = "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [2, 5, 6]}}}\n"
    out = (
        "  - {name: heads, type: reshape, bottom: data, reshape_param: {shape: [0, 0, -4, 2, -1]}}\n"
        "  - {name: apart, type: transpose, transpose_param: {axes: [0, 2, 1, 3]}}\n"
        "  - {name: scaled, type: div_sqrt_dim}\n"
        "  - {type: batch_dot, bottom: [scaled, apart], batch_dot_param: {transpose_b: true}}\n"
        "  - {name: weights, type: softmax}\n"
        "  - {type: batch_dot, bottom: [weights, apart]}\n"
        "  - {type: transpose, transpose_param: {axes: [0, 2, 1, 3]}}\n"
        "  - {name: written, type: reshape, reshape_param: {shape: [0, 0, -3]}}\n"
    )
    one = (
        "  - {name: one, type: MultiHeadAttention, bottom: [data, data, data],"
        " multi_head_attention_param: {num_heads: 2}}\n"
    )
    both = "  - {name: difference, type: elemwise_sub, bottom: [written, one]}\n"
    loaded = builds.build(f"layer:\n{data}{out}{one}{both}  - {{type: square, loss_weight: 1}}\n")
    blobs = Blobs(0, "float64")
    blobs.add(loaded.net, loaded.shapes)
    runner = Runner(loaded.net, input_shapes(loaded.net, loaded.shapes), blobs, wanted=["data"])
    runner.inputs["data"][...] = np.random.default_rng(0).normal(0, 1, (2, 5, 6))
    runner.forward(train=True)

    assert runner.objective() < 1e-28
    for weighted in ("written", "one"):
        halves = f"  - {{name: cube, type: square, bottom: {weighted}, loss_weight: 1}}\n"
        (checked,) = check_gradients(builds.build(f"layer:\n{data}{out}{one}{halves}"), seed=2)
        assert checked.error < 1e-6


@pytest.mark.parametrize(
    "layers",
    [
        "  - {type: softmax, loss_weight: 1, softmax_param: {temperature: 2}}\n",
        "  - {type: LayerNorm, layer_norm_param: {axis: 1}}\n  - {type: square, loss_weight: 1}\n",
        "  - {type: transpose, transpose_param: {axes: [1, 0, 2]}}\n"
        "  - {name: part, type: split, top: [a, b, c], split_param: {num_outputs: 3, axis: 0}}\n"
        "  - {type: batch_dot, bottom: [a, b], batch_dot_param: {transpose_b: true}}\n"
        "  - {type: log_softmax, loss_weight: 0.5}\n  - {type: square, bottom: c, loss_weight: 2}\n",
        "  - {name: all, type: MultiHeadAttention, bottom: [data, data, data], loss_weight: 1,"
        " multi_head_attention_param: {num_heads: 2, causal: true}}\n",
    ],
)
def test_gradients_agree_with_differences(layers):
    """Through layers that are operators, down to the input."""
    data = "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [3, 3, 4]}}}\n"
    checked = list(check_gradients(builds.build(f"layer:\n{data}{layers}"), seed=1))

    assert "data" in [one.blob for one in checked]
    assert all(one.error < 1e-5 for one in checked), checked


REFUSED = [
    (
        "  - {name: x, type: take, bottom: [data, ids], loss_weight: 1, take_param: {mode: raise}}\n",
        "x: index [0-9.]+ is out of range",
    ),
    (
        "  - {name: noise, type: normal, normal_param: {shape: [3, 4]}}\n"
        "  - {name: x, type: broadcast_add, bottom: [data, noise], loss_weight: 1}\n",
        "gradients are checked in float64, where x refuses its inputs",
    ),
]


@pytest.mark.parametrize(("layers", "words"), REFUSED)
def test_what_cannot_be_computed_is_told_with_its_layer(layers, words):
    """An index outside of its table; numbers of a type that does not go with float64."""
    data = (
        "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [3, 4]}}}\n"
        "  - {name: count, type: arange_like, bottom: data, arange_like_param: {axis: 1}}\n"
        "  - {name: ids, type: square, bottom: count}\n"
    )
    with pytest.raises(Error, match=words):
        list(check_gradients(builds.build(f"layer:\n{data}{layers}"), seed=1))
