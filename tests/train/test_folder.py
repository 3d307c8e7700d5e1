"""The folder of a run: resumed, on a full disk, after a crash."""

import csv
import json
from pathlib import Path

import pytest

from netdef.diag import EnvironmentFault
from netdef.train import events
from netdef.train.folder import RunLog, create, keep_json


def stepped(iteration):
    """A displayed iteration."""
    return events.Stepped(iteration, 100, 0.5, 0.1, 1.0, True, {"loss": 0.25})


def evaluated(iteration):
    """A test before an iteration."""
    return events.Tested(iteration, 0, 10, {"accuracy": 0.75})


def rows_of(folder):
    """Iteration and phase of every row of both files of metrics; CSV has one row for each value."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    with (folder / "metrics.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["iteration", "phase", "name", "value"]
    return (
        [(row["iteration"], row["phase"]) for row in map(json.loads, lines)],
        list(dict.fromkeys((int(row[0]), row[1]) for row in rows)),
    )


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("LeNet-5 v1.2", "LeNet-5_v1.2-"),
        ("../../evil", "evil-"),
        ("a/b", "a_b-"),
        ("", "net-"),
        ("..", "net-"),
    ],
)
def test_the_name_of_a_net_never_leads_out_of_runs(tmp_path, monkeypatch, name, stem):
    """Of a name only what is safe in a file name is taken, and no more than a file name may have."""
    monkeypatch.chdir(tmp_path)

    made = create(None, name)
    assert made.parent == Path("runs")
    assert made.name.startswith(stem)
    assert len(create(None, name + "x" * 400).name) < 100


def test_a_resumed_run_replaces_the_metrics_that_it_makes_anew(tmp_path):
    """Rows from the snapshot's iteration on go; those before it and the log stay."""
    with RunLog(tmp_path) as log:
        for iteration in range(12):
            log.hear(evaluated(iteration))
            log.hear(stepped(iteration))
    before = (tmp_path / "log.txt").read_text()
    with RunLog(tmp_path, iteration=10) as log:
        log.hear(evaluated(10))
        log.hear(stepped(10))

    expected = [(iteration, phase) for iteration in range(11) for phase in ("test", "train")]
    assert rows_of(tmp_path) == (expected, expected)
    assert (tmp_path / "log.txt").read_text().startswith(before)
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.jsonl", "metrics.csv", "log.txt"}


def test_rows_that_a_crash_has_damaged_are_dropped(tmp_path):
    """Lines cut short, bytes that are no text and NULs, which some file systems leave at the end."""
    with RunLog(tmp_path) as log:
        log.hear(stepped(3))
    for name, tail in (("metrics.jsonl", b'{"iteration": 4, "ph'), ("metrics.csv", b"4,tr")):
        with (tmp_path / name).open("ab") as file:
            file.write(tail + b"\xff\0\0\0")
    with RunLog(tmp_path, iteration=9) as log:
        log.hear(stepped(9))

    assert rows_of(tmp_path) == ([(3, "train"), (9, "train")],) * 2


def test_what_a_run_was_made_with_is_kept_for_every_resumption(tmp_path):
    """environment.json, then environment-2.json and environment-3.json."""
    for number in range(3):
        keep_json(tmp_path, "environment", {"number": number})

    assert {path.name: json.loads(path.read_text())["number"] for path in tmp_path.iterdir()} == {
        "environment.json": 0,
        "environment-2.json": 1,
        "environment-3.json": 2,
    }


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("name", ["log.txt", "metrics.jsonl", "metrics.csv"])
def test_a_full_disk_is_said(tmp_path, name):
    """One message with the folder and the reason, from whichever file is full, while writing or closing."""
    (tmp_path / name).symlink_to("/dev/full")
    log = RunLog(tmp_path)

    with pytest.raises(EnvironmentFault, match="no run can be kept here: No space left"):
        log.hear(stepped(1))
    with pytest.raises(EnvironmentFault, match="No space left"), log:
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_hides_no_other_error(tmp_path):
    """What ended the run is what is told."""
    (tmp_path / "log.txt").symlink_to("/dev/full")
    log = RunLog(tmp_path)
    with pytest.raises(EnvironmentFault):
        log.hear(stepped(1))

    with pytest.raises(ZeroDivisionError), log:
        _ = 1 / 0
