"""The benchmarks run: tiny sizes, no peers, and no test asks how fast anything was."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import common, growth, jobs, memory, process, results, speed, startup, worker  # noqa: E402
from benchmarks.jobs import INFER, TRAIN, Case  # noqa: E402
from netdef.passes.net import costs  # noqa: E402

NETDEF = process.System("netdef", "", sys.executable)

#: learnable parameters and multiply-adds for one image, as the papers' tables and model zoos have them
PUBLISHED = {
    "mlp": (109_386, 109_184),
    "lenet": (431_080, 2_293_000),
    "cifar10_quick": (145_578, 12_354_176),
    "caffenet": (60_965_224, 724_406_816),
    "resnet50": (25_557_032, 3_857_973_248),
    "vgg16": (138_357_544, 15_470_264_320),
    "squeezenet": (1_248_424, None),
    "mobilenet": (4_231_976, 568_740_352),
}


def counted(net: str, task: str) -> tuple[int, int]:
    """Learnable parameters, and multiply-adds of convolutions and fully connected layers, for one image."""
    loaded = jobs.load(Case(task, net, 1))
    names = set(loaded.net.params())
    rows = costs(loaded.net, loaded.shapes)
    shapes = {name: shape for row in rows for name, shape in row.params.items()}
    return sum(math.prod(shapes[name]) for name in names), sum(row.macs for row in rows)


@pytest.mark.parametrize("net", list(PUBLISHED))
def test_nets_have_their_published_size(net):
    """A layer that is missing, or of another size, would change the counts."""
    parameters, macs = PUBLISHED[net]
    task = next(case.task for case in speed.CASES if case.net == net)

    assert counted(net, task)[0] == parameters
    if macs is not None:
        assert counted(net, task)[1] == macs


def test_resnet20_has_its_published_size():
    """0.27 million (He et al. 2015), here with two 1x1 convolutions at the shortcuts."""
    assert 270_000 <= counted("resnet20", TRAIN)[0] <= 275_000


def test_every_case_is_named_once_and_has_a_net():
    """The rows of the table are the specs of benchmarks/nets."""
    assert len({case.name for case in speed.CASES}) == len(speed.CASES) == 16
    assert {case.net for case in speed.CASES} == {path.stem for path in jobs.NETS.glob("*.yaml")}


def test_a_job_says_all_that_a_peer_needs(tmp_path):
    """Layers with their defaults filled in, their weights, the data; nothing of netdef's own."""
    job = json.loads(jobs.write_job(Case(INFER, "mobilenet", 1), tmp_path, threads=1).read_text())
    weights = np.load(tmp_path / "weights.npz")
    layers = {layer["name"]: layer for layer in job["layers"]}

    assert layers["conv1"]["kernel"] == [3, 3]
    assert layers["conv1"]["stride"] == [2, 2]
    assert layers["conv1"]["pad"] == [1, 1]
    assert layers["conv2_dw"]["group"] == 32
    assert layers["conv2_pw"]["stride"] == [1, 1]
    assert "scale_conv1" not in layers
    assert layers["bn_conv1"]["blobs"] == [
        *(f"bn_conv1/{i}" for i in range(3)),
        "scale_conv1/0",
        "scale_conv1/1",
    ]
    assert layers["prob"]["bottom"] == ["score"]
    assert {key for layer in job["layers"] for key in layer["blobs"]} == set(weights)
    assert weights["bn_conv1/2"] == 1
    assert (weights["bn_conv1/1"] > 0).all()
    assert np.load(tmp_path / "data.npz")["data"].shape == (1, 3, 224, 224)


def test_a_layer_that_no_peer_knows_is_refused(tmp_path):
    """It must not be left out in silence."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "variables: {batch: 1}\n"
        "layer:\n"
        "- {name: data, type: Input, top: data, input_param: {shape: {dim: ['${batch}', 3]}}}\n"
        "- {name: odd, type: TanH}\n"
    )
    with pytest.raises(ValueError, match="odd: the peers know no TanH"):
        jobs.describe(jobs.load(Case(INFER, str(path), 1)))


@pytest.mark.parametrize("case", [Case(TRAIN, "mlp", 4), Case(INFER, "squeezenet", 1)])
def test_a_case_is_measured(case):
    """netdef alone: a number for each round, nothing to compare it with."""
    row = speed.measure(case, [NETDEF], seconds=0.01, rounds=2)

    assert row.problems == {}
    assert list(row.seconds) == ["netdef"]
    assert len(row.seconds["netdef"]) == 2
    assert row.speed("netdef") > 0
    assert row.ratio is row.best_ratio is row.fastest_peer is None


def test_a_system_that_fails_is_told_and_the_others_go_on():
    """With the last line that it printed."""
    broken = process.System("absent", "", sys.executable)
    row = speed.measure(Case(TRAIN, "mlp", 2), [NETDEF, broken], seconds=0.01, rounds=1)

    assert list(row.seconds) == ["netdef"]
    assert "No module named 'benchmarks.systems.of_absent'" in row.problems["absent"]


def test_ratios_are_of_medians_and_of_best_rounds():
    """Against the fastest peer of each."""
    seconds = {"netdef": [2.0, 1.0, 4.0], "a": [3.0, 1.5, 3.0], "b": [8.0, 0.5, 9.0]}
    row = speed.Row(Case(TRAIN, "mlp", 6), seconds, {})

    assert row.speed("netdef") == 3
    assert row.fastest_peer == "a"
    assert row.ratio == 1.5
    assert row.best_ratio == 0.5
    table = speed.table([row], ["netdef", "b", "a", "c"])
    assert table[0] == "| task | net | batch | netdef | b | a | fastest peer | netdef is | at best |"
    assert table[2] == "| train | mlp | 6 | 3.0 | 0.8 | 2.0 | a | 1.50 x | 0.50 x |"


class Told:
    """What a worker says of its net."""

    def __init__(self, parameters, values):
        self.parameters, self.values = parameters, values


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Told(3, [1.0, 2.0]), "3 parameters"),
        (Told(2, [1.0]), "1 values"),
        (Told(2, [1.0, 2.01]), "differ"),
        (Told(2, [1.0, math.nan]), "differ"),
    ],
)
def test_a_system_that_computes_something_else_is_not_measured(other, words):
    """Other parameters, other outputs, or no numbers at all."""
    ours = Told(2, [1.0, 2.0])

    speed.require_same(Told(2, [1.0005, 2.0005]), ours)
    with pytest.raises(ValueError, match=words):
        speed.require_same(other, ours)


def test_peers_are_found_in_this_interpreter_only_where_they_are(monkeypatch):
    """netdef always stands first; one that is asked for and missing is an error."""
    monkeypatch.setattr(process, "NEEDED", {"json": ("json",), "torch": ("there_is_no_such_module",)})

    assert [system.title for system in process.find_systems({})] == ["netdef", "json"]
    with pytest.raises(process.Failed, match="there_is_no_such_module"):
        process.find_systems({"torch": sys.executable})
    with pytest.raises(process.Failed, match="absent/python"):
        process.find_systems({"json": "/absent/python"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sped"], "there is no benchmark sped"),
        (["speed", "--only", "alexnet"], "caffenet"),
        (["speed", "--peer", "mxnet"], "write NAME=PYTHON"),
        (["speed", "--peer", "mxnte=python"], "mxnet"),
        (["speed", "--peer", "mxnet=/absent/python"], "/absent/python"),
        (["speed", "--rounds", "0"], "--rounds"),
    ],
)
def test_wrong_usage_is_told(capsys, arguments, words):
    """One message and status 2, before anything is measured."""
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)

    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_the_exponent_of_a_power_is_found():
    """3 n^1.5 grows to the power 1.5."""
    assert common.fitted_exponent({n: 3 * n**1.5 for n in (2, 5, 9)}) == pytest.approx(1.5)


def test_growth_is_measured():
    """One line for each size."""
    lines = growth.run([NETDEF], {"batch": (1, 2)}, seconds=0.01, rounds=1)

    assert lines[-1].startswith("| batch | 1: ")


def test_memory_is_compared_with_the_plan():
    """A plan promises at least the weights, gradients and history of an MLP: three times 109,386 floats."""
    case = Case(TRAIN, "mlp", 2)

    assert memory.promised(case).blobs >= 3 * 4 * 109_386
    assert memory.run([NETDEF], [case])[-1].startswith("| mlp | 2 | ")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_a_step_takes_about_what_is_promised():
    """Whether or not several processes compute; a figure of what each shares would be twice as large."""
    case = Case(TRAIN, "mlp", 512)
    promised = sum(memory.promised(case))

    assert 0.6 * promised < memory.taken(case, NETDEF) < 1.4 * promised


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_pages_of_files_are_no_memory_that_is_taken(tmp_path):
    """Those of an array in a file, in contrast to those of a copy."""
    size = 2**26  # so much is never memory that was there before
    np.save(tmp_path / "data.npy", np.ones(size, "uint8"))
    before = worker._in_use("VmRSS")
    mapped = np.load(tmp_path / "data.npy", mmap_mode="r")
    assert mapped.sum() == size
    read = worker._in_use("VmRSS")
    copy = np.array(mapped)

    assert read < before + size / 2 < worker._in_use("VmRSS")
    assert copy.all()


def test_starts_and_linting_are_measured():
    """Every command succeeds, and a deep net has no findings."""
    lines = startup.run([NETDEF], rounds=1, depths=(10, 20))

    assert any(line.startswith("| `netdef --help` |") for line in lines)
    assert any(line.startswith("| 20 layers |") for line in lines)


def test_results_replace_the_section_of_the_same_title(tmp_path):
    """The others stay as they are, in their order."""
    path = tmp_path / "RESULTS.md"
    for title, text in (("Speed", "old"), ("Memory", "kept"), ("Speed", "new \\1")):
        results.write(title, [text], path)
    sections = path.read_text().split("\n## ")[1:]

    assert sections == ["Speed\n\nnew \\1\n", "Memory\n\nkept\n"]


def test_conditions_say_what_is_needed_to_repeat():
    """Machine, versions, date, command."""
    lines = results.conditions("python -m benchmarks", ["PyTorch 9"])

    assert [line.partition(":")[0] for line in lines] == ["* machine", "* versions", "* date", "* command"]
    assert "PyTorch 9" in lines[1]


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").rglob("*.py")), ids=lambda p: p.name)
def test_benchmarks_stay_short(path):
    """As every module of netdef."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
