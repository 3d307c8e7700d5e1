"""What is refused before anything is trained or tested: phases that disagree, no data, too little memory."""

import numpy as np
import pytest

from netdef.cli import main
from netdef.diag import EnvironmentFault, Findings
from netdef.lint.check import check_file
from netdef.train import memory
from netdef.train.memory import within_memory
from netdef.train.setup import prepare_job

CROPPED = """\
layer:
  - name: data
    type: ArrayData
    top: [data, label]
    include: {phase: TRAIN}
    array_data_param: {source: images.npz, batch_size: 4}
    transform_param: {crop_size: 6}
  - name: test
    type: ArrayData
    top: [data, label]
    include: {phase: TEST}
    array_data_param: {source: images.npz, batch_size: 4}
  - {name: ip, type: InnerProduct, bottom: data, inner_product_param: {num_output: 3}}
  - {name: loss, type: SoftmaxWithLoss, bottom: [ip, label]}
solver: {base_lr: 0.1, lr_policy: fixed, max_iter: 1}
"""
#: the same blob under two layers, one for each phase
OWNED = CROPPED.replace(
    "  - {name: ip, type: InnerProduct, bottom: data, inner_product_param: {num_output: 3}}\n",
    "".join(
        f"  - {{name: {name}, type: InnerProduct, bottom: data, top: ip, include: {{phase: {phase}}},"
        " param: [{name: w}, {name: b}], inner_product_param: {num_output: 3}}\n"
        for name, phase in (("one", "TRAIN"), ("other", "TEST"))
    ),
)


@pytest.fixture
def net(tmp_path):
    """Writes a net beside images of 8 x 8 and returns its path."""
    np.savez(tmp_path / "images.npz", data=np.zeros((9, 1, 8, 8)), label=np.zeros(9))

    def write(text):
        path = tmp_path / "net.yaml"
        path.write_text(text)
        return str(path)

    return write


def lint(path):
    """The findings of `netdef lint`."""
    return check_file(path).findings


def prepare(path):
    """The findings of `netdef train`."""
    findings = Findings()
    assert prepare_job(path, (), findings) is None
    return list(findings)


@pytest.mark.parametrize("check", [lint, prepare])
def test_phases_whose_blobs_differ_are_refused(net, check):
    """Cropped for training and not for testing: one finding for the layer, none for its bias."""
    (finding,) = check(net(CROPPED))

    assert finding.code.id == "ND215"
    assert finding.message == "ip: ip_weight is 3x64 in the TEST phase, but 3x36 in the TRAIN phase"
    assert finding.span.line == 13
    assert finding.related == ()


def test_one_finding_stands_for_all_blobs_of_a_layer(net):
    """Both blobs of a Scale layer differ, for one reason."""
    scale = "  - {name: scale, type: Scale, bottom: data, scale_param: {axis: 3, bias_term: true}}\n"
    (finding,) = lint(net(CROPPED[: CROPPED.index("  - {name: ip")] + scale))

    assert finding.code.id == "ND215"


@pytest.mark.parametrize("check", [lint, prepare])
def test_both_layers_of_a_shared_blob_are_shown(net, check):
    """Where two layers have the blob, both places are told."""
    (finding,) = check(net(OWNED))

    assert finding.message == "other: w is 3x64 in the TEST phase, but 3x36 in the TRAIN phase"
    assert (finding.span.line, finding.related[0].span.line) == (14, 13)


def test_phases_that_agree_are_accepted(net):
    """The same crop in both."""
    text = CROPPED.replace("TEST}\n", "TEST}\n    transform_param: {crop_size: 6}\n")

    assert lint(net(text)) == []


def call(capsys, *arguments):
    """Exit status and standard error of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code or 0, capsys.readouterr().err


def test_a_phase_without_data_is_refused(net, tmp_path, capsys):
    """`netdef test` on a net that has data for training only: one finding, exit status 1."""
    np.savez(tmp_path / "weights.npz", **{"ip/0": np.zeros((3, 36)), "ip/1": np.zeros(3)})
    text = CROPPED.replace("phase: TEST", "phase: TEST, stage: never")
    for layer in ("ip", "loss"):
        text = text.replace(f"{{name: {layer},", f"{{name: {layer}, include: {{phase: TRAIN}},")
    path = net(text)
    status, errors = call(capsys, "test", path, "--weights", str(tmp_path / "weights.npz"))

    assert status == 1
    assert errors.count("error ND") == 1
    assert "ND506 no layer feeds the net in the TEST phase" in errors


def test_a_net_that_cannot_fit_is_refused_before_it_is_made(net, tmp_path, monkeypatch, capsys):
    """Exit status 3, the bytes of blobs and batches, and what to make smaller; no folder is left behind."""
    monkeypatch.setattr(memory, "_memory_limit", lambda: 1000)
    status, errors = call(
        capsys, "train", net(CROPPED.replace("{crop_size: 6}", "{}")), "--run", str(tmp_path / "r")
    )

    assert status == 3
    # ip is 3 x 64 + 3 numbers, each kept with its gradient and its momentum
    assert f"needs {(3 * 64 + 3) * 3 * 4:,} bytes" in errors
    assert "only 1,000 bytes" in errors
    assert "make batch_size smaller" in errors
    assert not (tmp_path / "r").exists()


def test_memory_that_runs_out_is_said():
    """Whatever allocates."""
    with pytest.raises(EnvironmentFault, match=r"not enough memory.*batch_size"), within_memory([]):
        raise MemoryError


def test_data_that_do_not_fit_in_memory_are_said(net, monkeypatch):
    """The layer and the file are named, and how to store what is large."""

    def too_large(path, key):
        raise MemoryError

    monkeypatch.setattr("netdef.data.dataset.read_npz_array", too_large)
    with pytest.raises(EnvironmentFault, match=r"data: there is not enough memory for .*images.npz.*\.npy"):
        prepare_job(net(CROPPED), (), Findings())


def test_there_is_a_limit_to_memory():
    """What the machine or the container has, where the system tells it."""
    limit = memory._memory_limit()

    assert limit is None or limit > 2**20
