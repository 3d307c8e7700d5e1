"""`netdef predict` as a user calls it: files in, predictions out, and every wrong input told."""

import io
import json

import numpy as np
import pytest

from netdef.cli import main
from netdef.train import predict as predicting

NET = """\
name: images
layer:
  - name: train
    type: ArrayData
    top: [data, label]
    transform_param: {crop_size: 4, scale: 0.1, mean_value: 100}
    array_data_param: {source: absent.npz, batch_size: 5, shape: [{dim: [2, 5, 6]}, {dim: []}]}
  - {name: conv, type: Convolution, bottom: data, top: conv,
     convolution_param: {num_output: 3, kernel_size: 3, weight_filler: {type: xavier}}}
  - {name: bn, type: BatchNorm, bottom: conv, top: conv}
  - {name: relu, type: ReLU, bottom: conv, top: conv}
  - {name: score, type: InnerProduct, bottom: conv, top: score,
     inner_product_param: {num_output: 4, weight_filler: {type: xavier}}}
  - {name: accuracy, type: Accuracy, bottom: [score, label], include: {phase: TEST}}
  - {name: loss, type: SoftmaxWithLoss, bottom: [score, label]}
"""


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Call the command line in a folder of its own: exit status, standard output and error."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return ended.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture
def weights():
    """Weights of the net by Caffe's keys, written to `w.npz` in the folder of the test."""
    random = np.random.default_rng(0)
    shapes = {"conv/0": (3, 2, 3, 3), "conv/1": (3,), "bn/0": (3,), "score/0": (4, 12), "score/1": (4,)}
    arrays = {key: random.normal(0, 0.5, shape).astype(np.float32) for key, shape in shapes.items()}
    arrays["bn/1"] = np.array([2, 3, 4], np.float32)
    return {**arrays, "bn/2": np.array([2], np.float32)}


@pytest.fixture
def images(run, weights, tmp_path):
    """13 images in `a.npy` (7) and `b.npz` (6), the net and its weights; returns the images."""
    data = np.random.default_rng(1).integers(0, 255, (13, 2, 5, 6)).astype(np.uint8)
    (tmp_path / "net.yaml").write_text(NET)
    np.savez(tmp_path / "w.npz", **weights)
    np.save(tmp_path / "a.npy", data[:7])
    np.savez(tmp_path / "b.npz", data=data[7:], other=np.zeros(3))
    return data


def expected(images, weights):
    """The scores and probabilities of the net, by hand in float64."""
    x = (
        images[:, :, 0:4, 1:5].astype(np.float64) - 100
    ) * 0.1  # an odd pixel of the border is cut at the end
    top = (images.shape[2] - 4) // 2, (images.shape[3] - 4) // 2
    x = (images[:, :, top[0] : top[0] + 4, top[1] : top[1] + 4].astype(np.float64) - 100) * 0.1
    conv = np.zeros((len(x), 3, 2, 2))
    for i in range(2):
        for j in range(2):
            conv[:, :, i, j] = np.einsum("nckl,ockl->no", x[:, :, i : i + 3, j : j + 3], weights["conv/0"])
    conv += weights["conv/1"][:, None, None]
    mean, variance = weights["bn/0"] / 2, weights["bn/1"] / 2
    conv = (conv - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-5)
    score = np.maximum(conv, 0).reshape(len(x), -1) @ weights["score/0"].T + weights["score/1"]
    odds = np.exp(score - score.max(1, keepdims=True))
    return score, odds / odds.sum(1, keepdims=True)


def test_files_become_one_array_of_rows(run, images, weights, tmp_path):
    """In the order of the files, in batches of five that straddle them, transformed as in training."""
    status, output, errors = run(
        "predict", "net.yaml", "--weights", "w.npz", "a.npy", "b.npz", "--out", "p.npz"
    )

    assert (status, errors) == (0, "")
    assert output == "p.npz: prob of 13 samples\n"
    with np.load(tmp_path / "p.npz") as found:
        assert set(found) == {"prob"}
        assert found["prob"].dtype == np.float32
        np.testing.assert_allclose(found["prob"], expected(images, weights)[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batch", ["1", "4", "13", "100"])
def test_the_batch_size_changes_nothing(run, images, weights, tmp_path, batch):
    """But the last bits, which follow the order of sums."""
    arguments = ("--weights", "w.npz", "a.npy", "b.npz", "--batch-size", batch, "--out", "p.npy")
    status, _, errors = run("predict", "net.yaml", *arguments)

    assert status == 0, errors
    np.testing.assert_allclose(
        np.load(tmp_path / "p.npy"), expected(images, weights)[1], rtol=1e-5, atol=1e-7
    )


def test_json_lines_say_which_sample_they_are_of(run, images, weights, tmp_path):
    """On standard output unless a file is named; every output that is asked for."""
    arguments = ("predict", "net.yaml", "--weights", "w.npz", "b.npz", "a.npy", "--output", "score")
    status, output, _ = run(*arguments, "--output", "prob")
    lines = [json.loads(line) for line in output.splitlines()]
    score, prob = expected(images, weights)

    assert status == 0
    assert [(line["file"], line["sample"]) for line in lines] == [
        *(("b.npz", number) for number in range(6)),
        *(("a.npy", number) for number in range(7)),
    ]
    assert all(list(line["outputs"]) == ["score", "prob"] for line in lines)
    np.testing.assert_allclose(
        [line["outputs"]["score"] for line in lines[6:]], score[:7], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        [line["outputs"]["prob"] for line in lines[:6]], prob[7:], rtol=1e-5, atol=1e-7
    )

    status, told, _ = run(*arguments, "--output", "prob", "--out", "p.jsonl")
    assert status == 0
    assert told == "p.jsonl: score, prob of 13 samples\n"
    assert (tmp_path / "p.jsonl").read_text() == output


def test_a_net_with_an_input_layer_takes_samples_as_they_are(run, tmp_path, weights):
    """Its shape may be left out; a deploy net needs no transformation."""
    text = "layer:\n  - {name: data, type: Input, top: data}\n"
    text += "  - {name: ip, type: InnerProduct, inner_product_param: {num_output: 2, bias_term: false}}\n"
    (tmp_path / "net.yaml").write_text(text)
    np.savez(tmp_path / "w.npz", **{"ip/0": np.array([[1, 0, 1], [0, 2, 0]], np.float32)})
    np.savez(tmp_path / "x.npz", only=np.arange(6.0).reshape(2, 3))
    status, output, _ = run("predict", "net.yaml", "--weights", "w.npz", "x.npz")

    assert status == 0
    assert [json.loads(line)["outputs"]["ip"] for line in output.splitlines()] == [[2, 2], [8, 8]]


def stored(array):
    """The bytes of an array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "more", "words"),
    [
        ("x.npy", stored(np.zeros((2, 3, 5, 6))), [], "ND507 its samples are 3x4x4, but data takes 2x4x4"),
        ("x.npy", stored(np.zeros((2, 2, 3, 3))), [], "ND507 train: crop_size 4 is larger"),
        ("x.npy", stored(np.zeros((2, 4, 4))), [], "a first axis, array[None]"),
        ("x.npy", stored(np.zeros(4)), [], "ND507"),
        ("x.npy", stored(np.float32(4)), [], "ND504 the array is one number"),
        ("x.npy", stored(np.zeros((0, 2, 5, 6))), [], "ND504 the array is 0x2x5x6: it holds no samples"),
        ("x.npy", b"", [], "ND504 x.npy is no .npy array"),
        ("x.npz", b"PK", [], "ND504 x.npz is no .npz archive"),
        ("x.npy", stored(np.zeros((9, 2, 5, 6)))[:200], [], "holds only"),
        ("x.npy", stored(np.full((2, 2, 5, 6), np.nan)), [], "ND502 sample 0 holds nan at index (0, 0, 0)"),
        ("x.npz", None, [], "ND504 which of its arrays holds the samples? There are one, two"),
        ("x.npz", None, ["--key", "tow"], "did you mean two?"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used_are_findings(run, images, tmp_path, name, content, more, words):
    """Named, with what would be right; nothing is written, not even beside."""
    if content is None:
        np.savez(tmp_path / name, one=images, two=images)
    else:
        (tmp_path / name).write_bytes(content)
    before = set(tmp_path.iterdir())
    status, output, errors = run(
        "predict", "net.yaml", "--weights", "w.npz", "a.npy", name, *more, "--out", "p.npy"
    )

    assert status == 1, errors
    assert words in errors
    assert name in errors
    assert output == ""
    assert set(tmp_path.iterdir()) == before


def test_every_file_that_is_wrong_is_told_at_once(run, images, tmp_path):
    """From the headers, before anything is computed."""
    np.save(tmp_path / "x.npy", images[:, :1])
    np.save(tmp_path / "y.npy", images[:0])
    status, _, errors = run("predict", "net.yaml", "--weights", "w.npz", "x.npy", "a.npy", "y.npy")

    assert status == 1
    assert "x.npy: error ND507" in errors
    assert "y.npy: error ND504" in errors
    assert "a.npy" not in errors


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "Missing argument 'FILES...'"),
        (["a.npy", "--output", "scores"], "--output scores: there is no such blob; did you mean score?"),
        (["a.npy", "--output", "accuracy"], "--output accuracy: it hangs on other inputs"),
        (["a.npy", "--out", "p.txt"], "a file that ends in .npz, .npy or .jsonl"),
        (["a.npy", "--format", "npy"], "--format npy needs --out"),
        (["a.npy", "--out", "a.npy"], "the file is also read"),
        (["a.npy", "--out", "./w.npz"], "the file is also read"),
        (["a.npy", "--out", "p.npy", "--output", "prob", "--output", "score"], "one array, not prob, score"),
        (["a.npy", "--key", "data"], "--key names an array of .npz files"),
        (["a.npy", "--batch-size", "0"], "--batch-size"),
    ],
)
def test_wrong_usage_exits_with_2(run, images, more, words):
    """One message that says what would be right."""
    status, output, errors = run("predict", "net.yaml", "--weights", "w.npz", *more)

    assert status == 2, errors
    assert words in errors
    assert output == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "absent.npz", "a.npy"], "absent.npz: there is no such file"),
        (["--weights", "w.npz", "absent.npy"], "absent.npy: there is no such file"),
        (["--weights", "w.npz", "a.npy", "--out", "none/p.npy"], "there is no folder none"),
        (["--weights", "w.npz", "a.npy", "--out", "sub.npy"], "it is a folder"),
    ],
)
def test_what_the_machine_refuses_exits_with_3(run, images, tmp_path, arguments, words):
    """Files and folders that are missing."""
    (tmp_path / "sub.npy").mkdir()
    status, _, errors = run("predict", "net.yaml", *arguments)

    assert status == 3
    assert words in errors


def test_weights_of_another_net_are_refused(run, images, weights, tmp_path):
    """Unless taken in part; those of layers that prediction leaves out are passed over."""
    del weights["score/1"]
    np.savez(tmp_path / "w.npz", **weights, **{"loss/0": np.zeros(1)})
    status, _, errors = run("predict", "net.yaml", "--weights", "w.npz", "a.npy")
    assert status == 1
    assert "ND512 score/1 is missing in the file" in errors

    status, output, errors = run("predict", "net.yaml", "--weights", "w.npz", "a.npy", "--partial")
    assert status == 0
    assert len(output.splitlines()) == 7
    assert "blob 1 of score is not in the file" in errors


def test_outputs_that_are_not_finite_exit_with_4(run, images, weights, tmp_path):
    """The sample is told, and no file is written."""
    np.savez(tmp_path / "w.npz", **{**weights, "score/1": np.full(4, np.inf, np.float32)})
    status, _, errors = run("predict", "net.yaml", "--weights", "w.npz", "b.npz", "--out", "p.npz")

    assert status == 4
    assert "prob is nan for sample 0 of b.npz" in errors
    assert not list(tmp_path.glob("*p.npz*"))


def test_a_net_of_fixed_batches_says_how_to_feed_it(run, tmp_path):
    """Thirteen samples are no multiple of five."""
    text = "layer:\n  - {name: data, type: Input, top: data, input_param: {shape: {dim: [5, 2]}}}\n"
    text += "  - {name: same, type: reshape, reshape_param: {shape: [5, 2]}}\n"
    (tmp_path / "net.yaml").write_text(text)
    np.savez(tmp_path / "w.npz")
    np.save(tmp_path / "x.npy", np.zeros((13, 2)))
    np.save(tmp_path / "y.npy", np.zeros((10, 2)))
    status, _, errors = run("predict", "net.yaml", "--weights", "w.npz", "x.npy", "--out", "p.npy")
    assert status == 2
    assert "no batch of 3 samples" in errors
    assert not (tmp_path / "p.npy").exists()

    assert run("predict", "net.yaml", "--weights", "w.npz", "y.npy", "--out", "p.npy")[0] == 0


def test_a_net_that_nothing_feeds_is_refused(run, tmp_path):
    """Its only layers belong to another phase."""
    (tmp_path / "net.yaml").write_text("layer: [{name: data, type: Input, include: {phase: TEST}}]")
    status, _, errors = run("predict", "net.yaml", "--weights", "w.npz", "x.npy", "--phase", "TRAIN")

    assert status == 2
    assert "no layer feeds the net" in errors


def test_a_net_whose_outputs_need_more_is_refused(run, images, tmp_path):
    """FILES feed one blob; the others are named."""
    shape = "input_param: {shape: {dim: [4, 2, 5, 6]}}"
    text = f"layer:\n  - {{name: data, type: Input, top: [data, more], {shape}}}\n"
    text += "  - {name: sum, type: Eltwise, bottom: [data, more]}\n"
    (tmp_path / "net.yaml").write_text(text)
    status, _, errors = run("predict", "net.yaml", "--weights", "w.npz", "a.npy")

    assert status == 2
    assert "no output has one row for each sample: FILES give data, not more" in errors


def test_buffers_are_used_again(run, images, monkeypatch):
    """One runner for full batches and one for the rest, however many batches there are."""
    made = []

    class Counted(predicting.Runner):
        def __init__(self, *arguments, **options):
            made.append(1)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(predicting, "Runner", Counted)
    run("predict", "net.yaml", "--weights", "w.npz", "a.npy", "b.npz", "a.npy", "a.npy", "--batch-size", "4")

    assert len(made) == 2
