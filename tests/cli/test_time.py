"""`netdef time`: what it prints, which passes it runs, how it refuses; never how long anything took."""

import json
from pathlib import Path

import pytest

from netdef.cli import main

ROOT = Path(__file__).parents[2]
LENET = str(ROOT / "configs" / "digits" / "lenet.yaml")

RESIDUAL = """
name: residual
layer:
- {name: data, type: Input, top: data, input_param: {shape: {dim: [4, 6]}}}
- {name: label, type: Input, top: label, include: {phase: TRAIN}, input_param: {shape: {dim: 4}}}
- {name: a, type: InnerProduct, bottom: data, inner_product_param: {num_output: 6}}
- {name: b, type: InnerProduct, bottom: a, inner_product_param: {num_output: 6}}
- {name: sum, type: Eltwise, bottom: [a, b]}
- {name: loss, type: SoftmaxWithLoss, bottom: [sum, label], include: {phase: TRAIN}}
"""


@pytest.fixture
def run(capsys, monkeypatch):
    """Call the command line in this process: exit status, standard output and error."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture
def residual(tmp_path):
    """A net in which one blob is read twice."""
    path = tmp_path / "residual.yaml"
    path.write_text(RESIDUAL)
    return str(path)


def measured(run, *arguments):
    """The JSON of two iterations, and its layers by name."""
    status, output, errors = run("time", *arguments, "--iterations", "2", "--format", "json")
    assert (status, errors) == (0, "")
    data = json.loads(output)
    return data, {layer["name"]: layer for layer in data["layers"]}


def test_every_layer_is_timed_forward_and_backward(run):
    """In the TRAIN phase; a layer that only feeds the net takes part in neither pass."""
    data, layers = measured(run, LENET)

    assert list(data) == ["name", "phase", "iterations", "batch", "layers", "totals"]
    assert (data["phase"], data["iterations"], data["batch"]) == ("TRAIN", 2, 64)
    assert layers["train"]["forward_ms"] is layers["train"]["backward_ms"] is None
    for name in ("conv1", "relu1", "pool2", "ip2", "loss"):
        assert layers[name]["forward_ms"] > 0
        assert layers[name]["backward_ms"] > 0
    assert data["totals"]["images_per_second"] > 0


def test_work_is_counted_for_both_passes(run, residual):
    """An InnerProduct 4x6 by 6x6 multiplies and adds 144 times forward and twice that backward, for each."""
    _, layers = measured(run, residual)

    assert layers["a"]["flops"] >= 2 * 144 * 3
    assert layers["a"]["flops"] <= 2 * 144 * 3 + 6 * 4 * 3


def test_gradients_of_a_blob_that_is_read_twice_have_a_row(run, residual):
    """Their sum belongs to no layer; every layer of the file keeps its row before it."""
    data, layers = measured(run, residual)

    names = [layer["name"] for layer in data["layers"]]
    assert names[:6] == ["data", "label", "a", "b", "sum", "loss"]
    assert names[6:] in ([], ["sums of gradients"])
    if names[6:]:
        assert layers["sums of gradients"]["forward_ms"] is None


def test_the_test_phase_and_nets_without_a_loss_go_forward_only(run, residual, tmp_path):
    """There is no gradient to take, so there is no column and no number for it."""
    deploy = tmp_path / "deploy.yaml"
    deploy.write_text("\n".join(line for line in RESIDUAL.splitlines() if "TRAIN" not in line))
    for arguments in ([residual, "--phase", "test"], [str(deploy)]):
        data, layers = measured(run, *arguments)
        assert data["totals"]["backward_ms"] is None
        assert {layer["backward_ms"] for layer in layers.values()} == {None}
        assert "backward" not in run("time", *arguments, "--iterations", "1")[1]


def test_the_shape_of_an_input_can_be_given(run, residual):
    """`--input` sets the batch that is timed."""
    data, _ = measured(run, residual, "--input", "data=7,6", "--input", "label=7")

    assert data["batch"] == 7


def test_the_table_has_layers_totals_and_speed(run):
    """A row for each layer, the net's at the end, then images per second."""
    status, output, _ = run("time", LENET, "--iterations", "1")
    lines = [line.split() for line in output.splitlines() if line.strip()]

    assert status == 0
    assert lines[0] == ["layer", "type", "forward", "ms", "backward", "ms", "share", "GFLOP/s"]
    assert [line[0] for line in lines[2:5]] == ["train", "conv1", "relu1"]
    assert lines[-2][:2] == ["digits-lenet", "TRAIN"]
    assert " ".join(lines[-1][1:]) == "images/s: 1 iteration, batches of 64"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["absent.yaml"], 3, "no such file"),
        ([str(ROOT)], 3, "folder"),
        ([LENET, "--iterations", "0"], 2, "--iterations"),
        ([LENET, "--input", "data"], 2, "--input data=1,1,28,28"),
        ([LENET, "--input", "dta=1,1,8,8"], 2, "did you mean data?"),
        ([LENET, "--set", "layer.conv1.convolution_param.kernel_size=99"], 1, "conv1"),
    ],
)
def test_wrong_input_is_told(run, arguments, status, words):
    """One message, the status of every other command, nothing on standard output."""
    ended, output, errors = run("time", *arguments)

    assert (ended, output) == (status, "")
    assert words in errors
    assert "Traceback" not in errors
