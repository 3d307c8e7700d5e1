"""Commands as a user calls them: what they print and how they exit."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from netdef.cli import COMMANDS, main
from netdef.cli.options import CONV_ALGORITHMS
from netdef.diag import Code
from netdef.ops.conv_choice import ALGORITHMS, AUTO
from netdef.spec.layers import LAYERS
from netdef.spec.layers.operators import operator_layer, operator_names

ROOT = Path(__file__).parents[2]
LENET = str(ROOT / "configs" / "digits" / "lenet.yaml")
TRANSFORMER = str(ROOT / "configs" / "transformer" / "reverse.yaml")
SOLVER = str(ROOT / "configs" / "digits" / "solver.yaml")


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


def test_help_lists_every_command(run):
    """From the table alone."""
    status, output, _ = run("--help")

    assert status == 0
    for name, (_, _, line) in COMMANDS.items():
        assert name in output
        assert line.split()[0] in output


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(run, name):
    """`netdef COMMAND --help` works and describes the options."""
    status, output, _ = run(name, "--help")

    assert status == 0
    assert "Usage: netdef" in output
    assert "--help" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lnit"], "did you mean lint?"),
        (["lint"], "Missing argument"),
        (["lint", "configs", "--format", "xml"], "json"),
        (["infer-shape", LENET, "--input", "data"], "--input data=1,1,28,28"),
        (["infer-shape", LENET, "--input", "dta=1,1,8,8"], "did you mean data?"),
        (["explain", "ND999"], "there is no code ND999"),
        (["layers", "Convolutoin"], "did you mean Convolution?"),
        (["train", SOLVER, "--weights", "a.npz", "--resume", "b.npz"], "give one of them"),
        (["train", SOLVER, "--partial"], "--weights"),
        (["train", LENET], "has no solver"),
        (["test", LENET], "--weights"),
        (["train", SOLVER, "--max-iter", "-1"], "--max-iter"),
        (["train", SOLVER, "--set", "basse_lr=3"], "did you mean base_lr?"),
        (["lint", "--set", "a=b", LENET], "No such option"),
        (
            ["infer-shape", str(ROOT / "configs/mnist/lenet.yaml"), "--set", "variables.mnsit=/x"],
            "mean mnist?",
        ),
        (["show", LENET, "--set", "base_lr"], "there is no = in it"),
        (["show", LENET, "--set", "=3"], "no path before the ="),
        (["show", LENET, "--set", "layer..top=3"], "a part of the path is empty"),
        (["show", LENET, "--set", "layer.conv9.top=x"], "did you mean conv"),
        (["show", LENET, "--set", "variables=3"], "name one variable"),
    ],
)
def test_wrong_usage_exits_with_2(run, arguments, words):
    """One message that says what would be right, and nothing on standard output."""
    status, output, errors = run(*arguments)

    assert status == 2, errors
    assert words in errors
    assert "Traceback" not in output + errors


@pytest.mark.parametrize(
    "arguments",
    [
        ["lint", "absent.yaml"],
        ["infer-shape", "absent.yaml"],
        ["train", "absent.yaml"],
        ["test", LENET, "--weights", "absent.npz"],
        ["train", SOLVER, "--weights", "absent.npz"],
        ["train", SOLVER, "--resume", "absent.npz"],
        ["show", str(ROOT / "configs")],
    ],
)
def test_what_the_machine_refuses_exits_with_3(run, arguments, tmp_path, monkeypatch):
    """A file that is missing or is a folder."""
    monkeypatch.chdir(tmp_path)
    status, output, errors = run(*arguments)

    assert status == 3, errors
    assert "Traceback" not in output + errors
    assert list(tmp_path.iterdir()) == []


def test_colour_is_for_terminals_that_want_it(run, monkeypatch, tmp_path):
    """NO_COLOR and a dumb terminal take it away, a pipe has none."""
    from netdef.cli import _colour

    for name, value, expected in (("NO_COLOR", "1", False), ("TERM", "dumb", False), ("TERM", "xterm", None)):
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv(name, value)
        assert _colour() is expected
    bad = tmp_path / "esc\x1b[31m.yaml"
    bad.write_text("a: 1\n")

    assert "\x1b" not in run("lint", str(bad))[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_one_line(unbuffered):
    """A full disk behind standard output: exit status 3, no traceback; Python may hold output back."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "netdef", "infer-shape", LENET]
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        streams = {"stdout": full, "stderr": subprocess.PIPE}
        result = subprocess.run(command, **streams, env=environment, text=True, cwd=ROOT, check=False)

    assert result.returncode == 3
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_errors_that_cannot_be_written_keep_their_status(unbuffered):
    """Nothing can be told, but scripts still see what went wrong."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "netdef", "infer-shape"]
        streams = {"stdout": full, "stderr": full}
        statuses = [
            subprocess.run([*command, file], **streams, env=environment, cwd=ROOT, check=False).returncode
            for file in (LENET, "absent.yaml")
        ]

    assert statuses == [3, 3]


def test_a_reader_that_goes_away_is_no_finding():
    """`netdef layers | head -1` and its kind: exit status 0 and not a word."""
    for arguments in (["layers"], ["infer-shape", LENET], ["schema", "net"]):
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, "-m", "netdef", *arguments]
        result = subprocess.run(
            command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False
        )
        os.close(write)

        assert (result.returncode, result.stderr) == (0, ""), arguments


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes the stream")
@pytest.mark.parametrize(
    "arguments", ["layers", f"infer-shape {LENET}", f"check-grad {LENET}", "lint x.yaml"]
)
def test_standard_output_may_be_closed(arguments):
    """Nothing is printed, the status is what it is."""
    result = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m netdef {arguments} >&-"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert result.returncode == (3 if arguments.startswith("lint") else 0), result.stderr
    assert result.stderr == ""


def test_names_are_printed_as_they_are(run, tmp_path):
    """Brackets and colons are no markup of tables."""
    (tmp_path / "net.yaml").write_text(
        "name: ':smile:'\nlayer:\n"
        "- {name: 'a[/b]', type: Input, top: '[bold]x[/bold]', input_param: {shape: {dim: [1, 3]}}}\n"
    )
    status, output, _ = run("infer-shape", str(tmp_path / "net.yaml"))

    assert status == 0
    for name in (":smile:", "a[/b]", "[bold]x[/bold]"):
        assert name in output


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals on Windows")
@pytest.mark.parametrize("columns", ["0", "20"])
def test_a_narrow_terminal_loses_nothing(columns):
    """The terminal wraps the lines of a table; no layer is left out."""
    import pty

    outside, inside = pty.openpty()
    environment = {**os.environ, "COLUMNS": columns, "TERM": "dumb"}
    command = [sys.executable, "-m", "netdef", "infer-shape", LENET]
    process = subprocess.Popen(command, stdout=inside, env=environment, cwd=ROOT)
    os.close(inside)
    output = b""
    with contextlib.suppress(OSError):  # what a terminal says at its end
        while part := os.read(outside, 4096):
            output += part
    os.close(outside)

    assert process.wait() == 0
    for name in (b"conv1", b"pool2", b"ip1", b"65,664"):
        assert name in output


def test_a_prototxt_is_recognised(run, tmp_path):
    """The message says what to write instead, not what is wrong with it as YAML."""
    (tmp_path / "net.prototxt").write_text('layer { name: "data" type: "Input" }')
    status, output, _ = run("lint", str(tmp_path / "net.prototxt"))

    assert status == 1
    assert "write YAML" in output


def test_a_phase_without_data_is_not_used(run, tmp_path):
    """lint judges as train does: a net with data in TRAIN only is not checked for TEST."""
    layers = [
        "{name: data, type: Input, top: [data, label], include: {phase: TRAIN},"
        " input_param: {shape: [{dim: [2, 4]}, {dim: 2}]}}",
        "{name: ip, type: InnerProduct, bottom: data, top: ip,"
        " inner_product_param: {num_output: 3, weight_filler: {type: xavier}}}",
        "{name: loss, type: SoftmaxWithLoss, bottom: [ip, label], top: loss}",
    ]
    net, solver = "layer:\n" + "".join(f"- {layer}\n" for layer in layers), "base_lr: 1\nlr_policy: fixed\n"
    (tmp_path / "net.yaml").write_text(net)
    (tmp_path / "solver.yaml").write_text(f"net: net.yaml\nmax_iter: 1\n{solver}")

    assert run("lint", str(tmp_path)) == (0, "", "")
    assert run("infer-shape", str(tmp_path / "net.yaml"), "--phase", "TEST")[0] == 1

    (tmp_path / "net.yaml").write_text(net.replace("phase: TRAIN", "phase: TEST"))
    for command in ("lint", "train"):
        status, output, errors = run(command, str(tmp_path / "solver.yaml"))
        assert status == 1, f"a solver trains, so {command} needs data in TRAIN"
        assert "another phase" in output + errors


def test_a_broken_data_layer_hides_no_other_finding(run, tmp_path):
    """Its phase is checked as if it fed the net."""
    (tmp_path / "net.yaml").write_text(
        "layer:\n"
        "- {name: a, type: Input, top: data, include: {phase: TRAIN}, input_param: {shape: {dim: [2, 4]}}}\n"
        "- {name: b, type: Input, top: data, include: {phase: TEST}, inptu_param: {shape: {dim: [2, 4]}}}\n"
        "- {name: r, type: ReLU, bottom: dtaa, include: {phase: TEST}}\n"
    )
    _, output, _ = run("lint", str(tmp_path / "net.yaml"), "--format", "concise")

    assert "inptu_param" in output
    assert "dtaa" in output


def test_a_solver_that_names_a_solver(run, tmp_path):
    """One finding at `net`, not one for each of its fields."""
    for name, other in (("one", "two"), ("two", "one")):
        text = f"net: {other}.yaml\nbase_lr: 1\nlr_policy: fixed\nmax_iter: 1\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    status, output, _ = run("lint", str(tmp_path / "one.yaml"), "--format", "concise")

    assert status == 1
    assert len(output.splitlines()) == 1
    assert "holds a solver" in output


def test_infer_shape_as_json(run):
    """The form that scripts rely on."""
    status, output, _ = run(
        "infer-shape", LENET, "--phase", "TEST", "--input", "data=1,1,8,8", "--format", "json"
    )
    data = json.loads(output)

    assert status == 0
    assert list(data) == ["name", "phase", "inputs", "outputs", "layers", "totals"]
    assert data["inputs"] == {"data": [1, 1, 8, 8], "label": [1]}
    assert data["outputs"] == {"accuracy": [], "loss": []}
    layers = {layer["name"]: layer for layer in data["layers"]}
    assert list(layers["conv1"]) == ["name", "type", "tops", "params", "macs"]
    assert layers["conv1"]["tops"] == {"conv1": [1, 32, 8, 8]}
    assert layers["conv1"]["params"] == {"conv1_weight": [32, 1, 3, 3], "conv1_bias": [32]}
    assert layers["conv1"]["macs"] == 32 * 9 * 64
    params = 32 * 10 + 32 * (32 * 9 + 1) + 128 * (32 * 16 + 1) + 10 * 129
    assert data["totals"] == {"params": params, "macs": sum(layer["macs"] for layer in data["layers"])}


def test_infer_shape_as_a_table(run):
    """Layer, type, shape, parameters and MACs, and the totals."""
    status, output, _ = run("infer-shape", LENET)

    assert status == 0
    for word in ("conv1", "Convolution", "64x32x8x8", "9,248", "digits-lenet"):
        assert word in output


def test_lint_is_silent_when_all_is_well(run):
    """No output, exit status 0."""
    assert run("lint", LENET, SOLVER) == (0, "", "")


def test_lint_reads_standard_input(run, monkeypatch, capsys):
    """`-` is standard input; the source line is shown from there."""
    import io
    import sys

    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b"name: n\nlayer:\n  - {name: x, type: Relu}\n"))
    )
    status, output, _ = run("lint", "-")

    assert status == 1
    assert output.startswith("<stdin>:3:21: error ND005")
    assert "3 |   - {name: x, type: Relu}" in output


def test_lint_as_json(run, tmp_path):
    """A list of findings with places, for other tools."""
    (tmp_path / "net.yaml").write_text("name: n\nlayer:\n  - {name: x, type: Relu}\n")
    status, output, _ = run("lint", str(tmp_path), "--format", "json")
    (finding,) = json.loads(output)

    assert status == 1
    assert (finding["code"], finding["line"], finding["column"]) == ("ND005", 3, 21)
    assert "ReLU" in finding["hint"]


def test_lint_passes_over_other_files_in_a_folder(run, tmp_path):
    """A workflow is no net; named, it is an error."""
    workflow = tmp_path / "ci.yaml"
    workflow.write_text("on: push\njobs: {}\n")

    assert run("lint", str(tmp_path)) == (0, "", "")
    assert run("lint", str(workflow))[0] == 1


def test_every_code_has_a_page(run):
    """`netdef explain` lists them, `netdef explain CODE` prints what, why and when to ignore."""
    _, listing, _ = run("explain")

    assert len(listing.splitlines()) == len(Code.registry)
    for code in Code.registry.values():
        status, page, _ = run("explain", code.id)
        assert status == 0
        assert code.name in page
        assert "Why:" in page
        assert run("explain", code.name)[1] == page


@pytest.mark.parametrize("name", list(LAYERS))
def test_every_layer_type_has_a_page(run, name):
    """`netdef layers TYPE` prints each field of the type's own blocks."""
    status, output, _ = run("layers", name)

    assert status == 0
    assert output.startswith(name)


@pytest.mark.parametrize("name", list(operator_names()))
def test_every_operator_has_a_page(run, name):
    """Its inputs, its block, each attribute with its default."""
    status, output, _ = run("layers", name)

    assert status == 0
    assert output.startswith(f"{name}\n")
    assert "bottoms: " in output
    layer = operator_layer(name)
    if layer.block:
        lines = output.partition(f"{layer.block}:\n")[2].splitlines()
        assert [line.split(":")[0].strip() for line in lines if line[2] != " "] == list(
            layer.fields[layer.block].message.fields
        )


def test_layers_lists_operators_on_demand(run):
    """By family; the list of Caffe's layers says how to get there."""
    assert "netdef layers --operators" in run("layers")[1]
    status, output, _ = run("layers", "--operators")

    assert status == 0
    for name in operator_names():
        assert f"\n  {name} " in output
    assert "\nLayer normalisation.\n  LayerNorm " in output


@pytest.mark.parametrize(
    ("asked", "found"), [("softmax", "softmax"), ("Softmax", "Softmax"), ("layernorm", "LayerNorm")]
)
def test_a_page_is_found_in_any_case(run, asked, found):
    """The exact name first."""
    assert run("layers", asked)[1].startswith(f"{found}\n")


def test_the_page_of_an_operator_says_what_is_learnt(run):
    """Inputs that are blobs unless a bottom stands for them; losses without a value."""
    assert "bottoms: data; learnt unless given: gamma, beta\n" in run("layers", "LayerNorm")[1]
    assert "makes its own gradient" in run("layers", "SoftmaxOutput")[1]


@pytest.mark.parametrize("stage", ["spec", "expanded", "graph", "shapes", "plan"])
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_every_stage_can_be_shown(run, stage, phase):
    """Each stage prints something that names the first convolution."""
    status, output, _ = run("show", LENET, "--stage", stage, "--phase", phase)

    assert status == 0
    assert "conv1" in output


def test_the_plan_says_what_it_takes(run):
    """Memory of arrays, work, and what processes take besides, whatever their number."""
    *_, peak, work, besides = run("show", LENET, "--stage", "plan")[1].splitlines()

    assert peak.startswith("peak ")
    assert " FLOPs in " in work
    assert re.match(r"about [\d.]+ [KM]iB besides in \d+ process(es)?: ", besides)


def test_the_plan_says_how_convolutions_are_computed(run):
    """The algorithm of every pass; where the one that is wished for cannot serve, which one does and why."""
    output = run("show", LENET, "--stage", "plan", "--conv-algo", "winograd")[1]
    lines = {line.split()[1]: line.rpartition("; ")[2] for line in output.splitlines() if " conv" in line}
    assert lines["conv1"] == "winograd"
    assert lines["conv2_backward"] == "ddata winograd, dweight winograd"
    output = run("show", LENET, "--stage", "plan", "--conv-algo", "pointwise")[1]
    assert output.count("(pointwise cannot)") == 5
    assert run("show", LENET, "--stage", "plan", "--conv-algo", "fft")[0] == 2


def test_every_algorithm_can_be_wished_for():
    assert (AUTO, *ALGORITHMS) == CONV_ALGORITHMS


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "overlap", "rowwise", "winograd", "winograd1d"])
def test_gradients_pass_with_every_algorithm(run, algorithm):
    """The digits LeNet, whatever computes its convolutions."""
    small = ("--set", "layer.train.array_data_param.batch_size=2")
    assert run("check-grad", LENET, "--conv-algo", algorithm, *small)[0] == 0


@pytest.mark.parametrize("name", ["digits/lenet.yaml", "transformer/reverse.yaml"])
def test_the_expanded_net_is_a_net_again(run, tmp_path, name):
    """What `show --stage expanded` prints can be linted and has the same shapes."""
    net = ROOT / "configs" / name
    _, output, _ = run("show", str(net), "--stage", "expanded", "--phase", "TEST")
    expanded = tmp_path / "expanded.yaml"
    expanded.write_text(output.replace("source: [", f"source: [{net.parent}/"))
    before = json.loads(run("infer-shape", str(net), "--phase", "TEST", "--format", "json")[1])
    after = json.loads(run("infer-shape", str(expanded), "--phase", "TEST", "--format", "json")[1])

    assert after == before


def test_check_grad_passes_on_a_real_net(run):
    """Every blob of the digits LeNet agrees with finite differences."""
    status, output, errors = run("check-grad", LENET, "--set", "layer.train.array_data_param.batch_size=4")

    assert status == 0, errors
    assert "WRONG" not in output
    assert "conv2_weight" in output


def test_check_grad_passes_on_a_transformer(run):
    """Every blob of a net of operators agrees with finite differences."""
    small = ("--set", "layer.train.array_data_param.batch_size=4")
    status, output, errors = run("check-grad", TRANSFORMER, *small)

    assert status == 0, errors
    assert "WRONG" not in output
    assert {"place_weight", "norm1_gamma", "digits"} <= set(output.split())


def test_check_grad_needs_a_loss_with_a_value(run, tmp_path):
    """A loss that makes its own gradient is no number that could be measured."""
    net = tmp_path / "net.yaml"
    net.write_text(
        "layer:\n  - {name: data, type: Input, top: [data, label], input_param: {shape: {dim: [2, 2]}}}\n"
        "  - {name: out, type: LinearRegressionOutput, bottom: [data, label]}\n"
    )
    status, _, errors = run("check-grad", str(net))

    assert status == 1
    assert "out makes its own gradient" in errors
    assert "SoftmaxWithLoss" in errors


def test_attributes_of_operators_can_be_set(run):
    """With --set, typed, with did-you-mean."""
    path = "layer.norm1.layer_norm_param"
    assert run("show", TRANSFORMER, "--set", f"{path}.eps=0.5")[1].count("eps: 0.5") == 1
    status, _, errors = run("show", TRANSFORMER, "--set", f"{path}.epsilon=0.5")

    assert status == 1
    assert "norm1.layer_norm_param has no field epsilon" in errors
    assert "did you mean eps?" in errors


def test_check_grad_needs_a_loss(run, tmp_path):
    """A net without a loss has no gradient; the message says what to add."""
    net = tmp_path / "net.yaml"
    net.write_text("name: n\nlayer:\n  - {name: data, type: Input, input_param: {shape: {dim: [1, 2]}}}\n")
    status, _, errors = run("check-grad", str(net))

    assert status == 1
    assert "add a loss layer" in errors


def test_schemas_are_printed(run):
    """`netdef schema` prints what schemas/ holds."""
    for kind in ("net", "solver"):
        status, output, _ = run("schema", kind)
        assert status == 0
        assert json.loads(output) == json.loads((ROOT / "schemas" / f"{kind}.schema.json").read_text())


def test_train_test_and_resume(run, tmp_path, monkeypatch):
    """The three commands of a day's work, in a process of their own each time a run is made."""
    monkeypatch.chdir(tmp_path)
    status, output, errors = run("train", SOLVER, "--max-iter", "30", "--run", "run", "--set", "snapshot=20")
    assert status == 0, errors
    assert "test at iteration 30: accuracy" in output
    assert output.splitlines()[-1] == "weights: run/last.npz"

    _, scores, _ = run("test", LENET, "--weights", "run/last.npz", "--format", "json")
    assert json.loads(scores)["samples"] == 360
    assert 0.5 < json.loads(scores)["scores"]["accuracy"] <= 1

    first = dict(np.load("run/last.npz"))
    status, _, errors = run(
        "train", SOLVER, "--max-iter", "30", "--resume", "run/iter_20.npz", "--set", "snapshot=20"
    )
    assert status == 0, errors
    again = dict(np.load("run/last.npz"))
    assert all(np.array_equal(first[key], again[key]) for key in first)


def test_a_folder_with_a_run_is_not_overwritten(run, tmp_path, monkeypatch):
    """Exit status 3, and the old files stay."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.npz").write_bytes(b"mine")
    status, _, errors = run("train", SOLVER, "--run", "run")

    assert status == 3
    assert "not empty" in errors
    assert (tmp_path / "run" / "last.npz").read_bytes() == b"mine"


def test_training_that_fails_for_numbers_exits_with_4(run, tmp_path, monkeypatch):
    """The message names the layer and what to do; snapshots taken before stay."""
    monkeypatch.chdir(tmp_path)
    status, _, errors = run("train", SOLVER, "--run", "run", "--set", "base_lr=1e20")

    assert status == 4
    assert "ND510" in errors
    assert "lower base_lr" in errors


def test_training_goes_on_when_nobody_listens(tmp_path):
    """`netdef train ... | head -1`: the run ends with its weights."""
    command = f"{sys.executable} -m netdef train {SOLVER} --max-iter 20 --set display=1 --run run | head -1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert "Traceback" not in result.stderr
    assert (tmp_path / "run" / "last.npz").exists()


def test_there_is_nothing_left_to_train(run, tmp_path, monkeypatch):
    """Resuming a finished run says so and leaves its weights alone."""
    monkeypatch.chdir(tmp_path)
    assert run("train", SOLVER, "--max-iter", "3", "--run", "run")[0] == 0
    before = Path("run/last.npz").read_bytes()
    status, _, errors = run("train", SOLVER, "--max-iter", "3", "--resume", "run/last.npz")

    assert status == 2
    assert "nothing is left to train" in errors
    assert Path("run/last.npz").read_bytes() == before


def test_weights_of_another_net_in_part(run, tmp_path, monkeypatch):
    """`--partial` names every blob that keeps its filler."""
    monkeypatch.chdir(tmp_path)
    run("train", SOLVER, "--max-iter", "1", "--run", "run")
    other = "layer.ip2.inner_product_param.num_output=12"
    status, _, errors = run("test", LENET, "--weights", "run/last.npz", "--partial", "--set", other)

    assert status == 0
    assert errors.splitlines() == [f"blob {i} of ip2 is not in the file and keeps its filler" for i in (0, 1)]


def test_weights_that_are_not_finite_are_no_success(run, tmp_path, monkeypatch):
    """Exit status 4, naming the score."""
    monkeypatch.chdir(tmp_path)
    run("train", SOLVER, "--max-iter", "1", "--run", "run")
    weights = {
        key: np.full_like(value, np.nan) for key, value in np.load("run/last.npz").items() if "/" in key
    }
    np.savez("nan.npz", **{key: value for key, value in weights.items() if "history" not in key})
    status, output, errors = run("test", LENET, "--weights", "nan.npz", "--format", "json")

    assert status == 4
    assert output == ""
    assert "of the TEST net is nan" in errors


def test_runs_are_passed_over_by_lint(run, tmp_path, monkeypatch):
    """What a run keeps is no spec of the project."""
    monkeypatch.chdir(tmp_path)
    run("train", SOLVER, "--max-iter", "1")

    assert run("lint", ".") == (0, "", "")


def test_a_solver_without_a_loss_is_found_by_lint(run, tmp_path):
    """What `train` would refuse, lint reports."""
    net = "name: n\nlayer:\n  - {name: data, type: Input, input_param: {shape: {dim: [1, 2]}}}\n"
    (tmp_path / "net.yaml").write_text(net + "solver: {base_lr: 1, lr_policy: fixed, max_iter: 1}\n")
    status, output, _ = run("lint", str(tmp_path))

    assert status == 1
    assert "ND511" in output
