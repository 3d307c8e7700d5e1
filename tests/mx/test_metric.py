"""Metrics: values from their definitions, running averages, names, refusals."""

import itertools
import json
import math

import mxnet_parts
import numpy as np
import pytest

import netdef as mx


def arrays(*values):
    """Each as an NDArray."""
    return [mx.nd.array(value) for value in values]


def value(metric, *pairs):
    """The value after one update with these pairs of label and prediction."""
    metric = mx.metric.create(metric)
    metric.update(arrays(*(label for label, _ in pairs)), arrays(*(pred for _, pred in pairs)))
    return metric.get()[1]


def drawn(number, classes=3, samples=7):
    """Labels and the probabilities of classes."""
    random = np.random.default_rng(number)
    scores = random.random((samples, classes))
    return random.integers(0, classes, samples), scores / scores.sum(1, keepdims=True)


@pytest.mark.parametrize("case", mxnet_parts.recorded("metrics"))
def test_mxnet_recordings(case):
    """Names and values after every update are those of MXNet."""
    metric = eval(case["expr"], {"mx": mx, "np": np})
    stored = mxnet_parts.arrays(case)
    assert plain(metric.get()) == case["initial"]
    for u, (labels, preds) in enumerate(case["updates"]):
        metric.update(
            arrays(*(stored[f"label/{u}/{j}"] for j in range(labels))),
            arrays(*(stored[f"pred/{u}/{j}"] for j in range(preds))),
        )
        name, number = metric.get()
        assert name == case["values"][u][0]
        assert number == pytest.approx(case["values"][u][1], rel=1e-5)
    assert [name for name, _ in metric.get_name_value()] == [name for name, _ in case["name_value"]]
    metric.reset()
    assert plain(metric.get()) == case["after_reset"]


def plain(result):
    """A result as JSON has it, with nan as text."""
    return json.loads(json.dumps(result).replace("NaN", '"nan"'))


# --- classes ---


def test_accuracy_counts_elements():
    """Class scores along an axis, or classes of the shape of the labels; ties go to the first."""
    assert value("acc", ([1, 0], [[0.4, 0.6], [0.3, 0.7]])) == 0.5
    assert value("accuracy", ([1, 0, 2], [1, 0, 0])) == pytest.approx(2 / 3)
    assert value("acc", ([0], [[0.5, 0.5]])) == 1
    scores = np.random.default_rng(0).random((2, 4, 3))
    for axis in (1, -1):
        labels = scores.argmax(axis)
        assert value(mx.metric.Accuracy(axis=axis), (labels, scores)) == 1
    assert value("acc", ([[1], [0]], [[0.4, 0.6], [0.3, 0.7]])) == 0.5


def test_top_k_accuracy_looks_at_the_k_largest():
    """As many as there are classes at most."""
    pair = ([2, 0], [[0.5, 0.3, 0.2], [0.3, 0.2, 0.5]])

    for k, expected in ((2, 0.5), (3, 1), (5, 1)):
        metric = mx.metric.TopKAccuracy(top_k=k)
        assert value(metric, pair) == expected
        assert metric.get()[0] == f"top_k_accuracy_{k}"


def confusion(label, pred):
    """True and false positives and negatives."""
    found = pred.argmax(1)
    return tuple(
        float(sum(1 for a, b in zip(label, found) if (a, b) == both))
        for both in ((1, 1), (0, 1), (1, 0), (0, 0))
    )


def f1(tp, fp, fn, tn):
    precision, recall = (tp / whole if whole else 0 for whole in (tp + fp, tp + fn))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0


def mcc(tp, fp, fn, tn):
    below = math.prod(part or 1 for part in (tp + fp, tp + fn, tn + fp, tn + fn))
    return (tp * tn - fp * fn) / math.sqrt(below)


@pytest.mark.parametrize(("name", "score"), [("f1", f1), ("mcc", mcc)])
def test_scores_of_two_classes(name, score):
    """Macro: the mean of each update's score; micro: the score of all counts."""
    batches = [drawn(i, classes=2) for i in range(4)]
    counts = [confusion(*batch) for batch in batches]
    macro, micro = (mx.metric.create(name, average=average) for average in ("macro", "micro"))
    for (label, pred), metric in itertools.product(batches, (macro, micro)):
        metric.update(arrays(label), arrays(pred))

    assert macro.get()[1] == pytest.approx(np.mean([score(*each) for each in counts]))
    assert micro.get()[1] == pytest.approx(score(*np.sum(counts, axis=0)))


@pytest.mark.parametrize("label", [0, 1])
def test_scores_of_one_class_are_no_division_by_zero(label):
    """Nothing but true positives, or nothing but true negatives."""
    pred = np.eye(2)[[label] * 3]

    assert value("f1", ([label] * 3, pred)) == label
    assert value("mcc", ([label] * 3, pred)) == 0


def test_pcc_is_mcc_for_two_classes_and_takes_more():
    """Against the sum over all pairs of classes (Gorodkin 2004); nan where one side does not vary."""
    label, pred = drawn(1, classes=2, samples=20)
    assert value("pcc", (label, pred)) == pytest.approx(value("mcc", (label, pred)))

    label, pred = drawn(2, classes=4, samples=50)
    counts = np.zeros((4, 4))
    for a, b in zip(label, pred.argmax(1)):
        counts[a, b] += 1
    three = list(itertools.product(range(4), repeat=3))
    both = sum(counts[k, k] * counts[m, n] - counts[n, k] * counts[k, m] for k, n, m in three)
    rows, columns = (
        sum(side[k] * side[n] for k in range(4) for n in range(4) if n != k)
        for side in (counts.sum(0), counts.sum(1))
    )
    assert value("pcc", (label, pred)) == pytest.approx(both / math.sqrt(rows * columns))
    assert math.isnan(value("pcc", ([1, 1], [[0, 1], [0, 1]])))
    assert value("pcc", ([0, 5], [0, 5])) == 1, "classes may be given instead of scores"


def test_likelihoods():
    """Cross entropy, its twin and perplexity, from the probability of each label."""
    label, pred = drawn(3)
    logs = [-math.log(row[k]) for k, row in zip(label, pred)]

    assert value("ce", (label, pred)) == pytest.approx(np.mean(logs), rel=1e-5)
    assert value("nll_loss", (label, pred)) == pytest.approx(np.mean(logs), rel=1e-5)
    assert value(mx.metric.CrossEntropy(eps=0.5), ([0], [[0.5, 0.5]])) == pytest.approx(0)
    assert value(mx.metric.Perplexity(None), (label, pred)) == pytest.approx(
        math.exp(np.mean(logs)), rel=1e-5
    )
    counted = [log for k, log in zip(label, logs) if k != 1]
    assert value(mx.metric.Perplexity(1), (label, pred)) == pytest.approx(
        math.exp(np.mean(counted)), rel=1e-5
    )
    assert value(mx.metric.Perplexity(None), ([0], [[0.0, 1.0]])) == pytest.approx(1e10, rel=1e-4)


def test_perplexity_along_an_axis():
    """Labels of any shape with as many elements as there are distributions."""
    label, pred = drawn(4, samples=6)
    turned = pred.reshape(2, 3, 3).transpose(0, 2, 1)

    expected = value(mx.metric.Perplexity(None), (label, pred))
    assert value(mx.metric.Perplexity(None, axis=1), (label.reshape(2, 3), turned)) == pytest.approx(expected)


# --- numbers ---


def test_errors_of_numbers():
    """The mean over updates of each update's mean; (n,) is (n, 1)."""
    pairs = [([1.0, 2.0], [[2.0], [4.0]]), ([0.0, 0.0], [3.0, 4.0])]

    assert value("mae", *pairs) == pytest.approx((1.5 + 3.5) / 2)
    assert value("mse", *pairs) == pytest.approx((2.5 + 12.5) / 2)
    assert value("rmse", *pairs) == pytest.approx((math.sqrt(2.5) + math.sqrt(12.5)) / 2)


def test_pearson_of_updates_or_of_everything():
    """Macro: the mean of coefficients; micro: that of all elements, however they were dealt out."""
    random = np.random.default_rng(5)
    pairs = [(random.normal(size=size), random.normal(size=size)) for size in (4, 9, 2)]
    every = [np.concatenate(side) for side in zip(*pairs)]

    macro, micro = (mx.metric.PearsonCorrelation(average=average) for average in ("macro", "micro"))
    for (label, pred), metric in itertools.product(pairs, (macro, micro)):
        metric.update(arrays(label), arrays(pred))
    assert macro.get()[1] == pytest.approx(np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs]), rel=1e-5)
    assert micro.get()[1] == pytest.approx(np.corrcoef(*every)[0, 1], rel=1e-5)
    assert math.isnan(value("pearsonr", ([1.0, 1.0], [1.0, 2.0])))


def test_losses_are_averaged_over_elements():
    """Whatever the labels are."""
    for name in ("loss", "torch", "caffe"):
        metric = mx.metric.create(name)
        metric.update([], arrays([[1.0, 2.0]], [6.0]))
        metric.update(None, mx.nd.array([3.0]))
        assert metric.get() == (name, 3)


def test_a_function_is_a_metric():
    """It gives a value, or a sum and how many instances it is of; it may change its arrays."""

    def spoil(label, pred):
        label[:] = 0
        return float(pred.max())

    label, pred = arrays([1.0], [4.0])
    metric = mx.metric.np(spoil)
    metric.update([label], [pred])
    assert metric.get() == ("spoil", 4)
    assert label.asscalar() == 1
    assert value(lambda a, b: (6.0, 3), ([1.0], [1.0])) == 2
    assert mx.metric.np(lambda a, b: 0).name == "custom(<lambda>)"
    assert mx.metric.np(lambda a, b: 0, name="mine").name == "mine"
    more = mx.metric.np(lambda a, b: float(b), allow_extra_outputs=True)
    more.update(arrays(1.0), arrays(5.0, 6.0))
    assert more.get()[1] == 5


# --- what all share ---


def every_metric():
    """One of each class with a batch that it understands."""
    two, three = drawn(6, classes=2), drawn(7)
    numbers = (np.arange(5.0), np.arange(5.0) ** 2)
    for name in ("f1", "mcc"):
        yield from ((mx.metric.create(name, average=average), two) for average in ("macro", "micro"))
    for name in ("acc", "ce", "nll_loss", "pcc"):
        yield mx.metric.create(name), three
    yield mx.metric.TopKAccuracy(2), three
    yield mx.metric.Perplexity(None), three
    for name in ("mae", "mse", "rmse", "loss"):
        yield mx.metric.create(name), numbers
    for average in ("macro", "micro"):
        yield mx.metric.PearsonCorrelation(average=average), numbers
    yield mx.metric.np(lambda label, pred: 3.0), numbers
    yield mx.metric.create(["acc", "ce"]), three


@pytest.mark.parametrize(
    ("metric", "batch"), [pytest.param(*each, id=each[0].name) for each in every_metric()]
)
def test_local_and_global_averages(metric, batch):
    """reset_local leaves what get_global tells; reset forgets it, too."""
    label, pred = batch
    metric.reset()
    metric.update(arrays(label), arrays(pred))
    once = metric.get()
    assert metric.get_global() == once
    metric.reset_local()
    assert np.isnan(metric.get()[1]).all()
    assert metric.get_global() == once
    metric.update(arrays(label), arrays(pred))
    assert metric.get() == once
    assert metric.get_global_name_value()[0][1] == pytest.approx(np.ravel(once[1])[0])
    metric.reset()
    assert np.isnan(metric.get_global()[1]).all()


def test_several_metrics_at_once():
    """Names and values in lists; other metrics may be inside."""
    label, pred = drawn(8)
    metric = mx.metric.CompositeEvalMetric(["acc", mx.metric.CrossEntropy()])
    metric.add(lambda a, b: 1.0)
    metric.update(arrays(label), arrays(pred))

    names, values = metric.get()
    assert names == ["accuracy", "cross-entropy", "custom(<lambda>)"]
    assert values[:2] == [value("acc", (label, pred)), value("ce", (label, pred))]
    assert metric.get_name_value() == list(zip(names, values))
    assert metric.get_metric(1).name == "cross-entropy"
    assert str(metric).startswith("EvalMetric: {'accuracy'")
    with pytest.raises(ValueError, match="no metric 7; there are 3"):
        metric.get_metric(7)


def test_arrays_are_chosen_by_name():
    """Of the outputs and labels of a net, in the order asked for; without names all are taken."""
    label, pred = drawn(9)
    named = {"softmax_label": mx.nd.array(label), "other": mx.nd.array(label * 0)}
    outputs = {"a_output": mx.nd.array(1 - pred), "softmax_output": mx.nd.array(pred)}
    choice = {"output_names": ["softmax_output"], "label_names": ["softmax_label"]}

    for metric in (mx.metric.Accuracy(**choice), mx.metric.CompositeEvalMetric(["acc"], **choice)):
        metric.update_dict(named, outputs)
        assert np.ravel(metric.get()[1])[0] == value("acc", (label, pred))
    with pytest.raises(ValueError, match="output_names asks for softmax; there are a_output, softmax_output"):
        mx.metric.Accuracy(output_names=["softmax"]).update_dict(named, outputs)


@pytest.mark.parametrize(
    "metric",
    ["acc", mx.metric.TopKAccuracy(3), mx.metric.Perplexity(2, axis=1), mx.metric.create(["acc", "f1"])],
)
def test_a_config_makes_the_same_metric(metric):
    """By create, as dict or as JSON text."""
    config = mx.metric.create(metric).get_config()

    assert config["metric"] == type(mx.metric.create(metric)).__name__
    if "top_k" not in config:
        for described in (config, json.dumps(config)):
            assert type(mx.metric.create(described)).__name__ == config["metric"]


def test_a_metric_of_ones_own():
    """It adds to sum_metric and num_inst; register and alias make it known."""
    registry = mx.registry._REGISTRIES[mx.metric.EvalMetric]

    @mx.metric.register
    @mx.metric.alias("ones")
    class Ones(mx.metric.EvalMetric):
        def __init__(self):
            super().__init__("ones")

        def update(self, labels, preds):
            self.sum_metric += len(labels)
            self.num_inst += 1

    try:
        metric = mx.metric.create("ONES")
        metric.update(arrays(1.0, 2.0), arrays(1.0, 2.0))
        assert metric.get() == metric.get_global() == ("ones", 2)
    finally:
        del registry["ones"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: m.create("accuracies"), mx.MXNetError, "did you mean accuracy"),
        (lambda m: m.create("zzz"), mx.MXNetError, "legal: acc, accuracy"),
        (lambda m: m.create(3), mx.MXNetError, "3 is no metric"),
        (lambda m: m.create("[1]"), mx.MXNetError, "is no metric"),
        (lambda m: m.create("{broken"), mx.MXNetError, "no JSON"),
        (lambda m: m.create(m.Accuracy(), axis=1), mx.MXNetError, "no arguments beside"),
        (lambda m: m.TopKAccuracy(), ValueError, "top_k is 1"),
        (lambda m: m.F1(average="mean"), ValueError, "legal: macro, micro"),
        (lambda m: m.np(lambda a, b: 0).get_config(), mx.MXNetError, "no config"),
        (lambda m: m.register(int), mx.MXNetError, "subclass of EvalMetric"),
        (lambda m: m.EvalMetric("x").update([], []), NotImplementedError, "update"),
    ],
)
def test_wrong_arguments_are_told(call, error, words):
    """What is wrong, and what would be legal."""
    with pytest.raises(error, match=words):
        call(mx.metric)


@pytest.mark.parametrize(
    ("name", "label", "pred", "words"),
    [
        ("acc", [1, 2], [[0.5, 0.5]], "labels 2 does not match shape of predictions 1"),
        ("f1", [1, 0], [0.5, 0.5], r"\(N, classes\)"),
        ("f1", [0, 1, 2], [[0, 1]] * 3, "two classes"),
        ("ce", [1, 2], [[0.5, 0.5]], "does not match"),
        ("ce", [1, 2], [[0.5, 0.5]] * 2, "labels from 1 to 2 for 2 classes"),
        ("pearsonr", [1, 2], [[1], [2]], r"\(2,\) does not match shape of predictions \(2, 1\)"),
        ("mse", [[1, 2, 3]], [[1, 2]], r"\(1, 3\) does not match"),
        ("pcc", [-1, 2], [0, 1], "class -1"),
        (mx.metric.Perplexity(None), [1, 2, 3], [[0.5, 0.5]], "as many as distributions"),
        (mx.metric.TopKAccuracy(2), [1], [0.5], r"\(N, classes\)"),
    ],
)
def test_shapes_that_disagree_are_told(name, label, pred, words):
    """With both shapes."""
    with pytest.raises(ValueError, match=words):
        value(name, (label, pred))


def test_numbers_of_arrays_that_disagree_are_told():
    """Before anything is looked at; single arrays stand for lists of one."""
    with pytest.raises(ValueError, match="Shape of labels 1 does not match shape of predictions 2"):
        mx.metric.create("acc").update(arrays([1]), arrays([1], [2]))
    single = mx.metric.create("acc")
    single.update(*arrays([1, 1], [1, 0]))
    assert single.get()[1] == 0.5
