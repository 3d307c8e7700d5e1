"""Tables and drawings of nets; the numbers and labels are those of MXNet 1.9.1, where those are right."""

import importlib
import sys
import types

import pytest

import netdef as mx

V = mx.sym.Variable


def mlp():
    """Two layers and a softmax."""
    hidden = mx.sym.FullyConnected(V("data"), num_hidden=8, name="fc1")
    hidden = mx.sym.Activation(hidden, act_type="relu", name="relu1")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(hidden, num_hidden=3, name="fc2"), name="softmax")


def residual_unit():
    """Batch normalization, grouped convolution and a shortcut."""
    first = mx.sym.BatchNorm(V("data"), fix_gamma=False, name="bn1")
    active = mx.sym.Activation(first, act_type="relu", name="relu")
    body = mx.sym.Convolution(active, kernel=(3, 3), pad=(1, 1), num_filter=4, no_bias=True, name="conv1")
    body = mx.sym.BatchNorm(body, name="bn2")
    body = mx.sym.Convolution(body, kernel=(3, 3), pad=(1, 1), num_filter=4, num_group=2, name="conv2")
    shortcut = mx.sym.Convolution(active, kernel=(1, 1), num_filter=4, name="sc")
    return mx.sym.elemwise_add(body, shortcut, name="sum")


def rows(capsys, symbol, shape=None):
    """The lines of the table as (layer, output, parameters, layer before), and the total."""
    mx.viz.print_summary(symbol, shape=shape)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip("_=")]
    cells = [tuple(line[a:b].strip() for a, b in ((0, 52), (52, 76), (76, 88), (88, 120))) for line in lines]
    return cells[1:-1], lines[-1]


def test_the_table_is_laid_out_as_mxnets(capsys):
    """To the space, for a width of 60 and columns in line lengths."""
    mx.viz.print_summary(mlp(), {"data": (4, 5)}, line_length=60, positions=[0.3, 0.6, 0.8, 1.0])

    line = "_" * 60
    assert capsys.readouterr().out.splitlines() == [
        line,
        "Layer (type)      Output Shape      Param #     Previous Lay",
        "=" * 60,
        "data(null)        5                 0                       ",
        line,
        "fc1(FullyConnected8                 48          data        ",
        line,
        "relu1(Activation) 8                 0           fc1         ",
        line,
        "fc2(FullyConnected3                 27          relu1       ",
        line,
        "softmax(SoftmaxOut3                 0           fc2         ",
        "=" * 60,
        "Total params: 75",
        line,
    ]


def test_positions_may_be_characters(capsys):
    """The last column then ends where it is said to."""
    mx.viz.print_summary(V("data"), {"data": (4, 5)}, positions=[20, 50, 70, 90])

    assert capsys.readouterr().out.splitlines()[3] == "data(null)" + " " * 10 + "5".ljust(30) + "0".ljust(40)


def test_the_table_of_a_residual_unit(capsys):
    """All sources of a layer are listed; moving averages are no parameters."""
    table, total = rows(capsys, residual_unit(), {"data": (2, 2, 6, 6)})

    assert table == [
        ("data(null)", "2x6x6", "0", ""),
        ("bn1(BatchNorm)", "2x6x6", "4", "data"),
        ("relu(Activation)", "2x6x6", "0", "bn1"),
        ("conv1(Convolution)", "4x6x6", "72", "relu"),
        ("bn2(BatchNorm)", "4x6x6", "8", "conv1"),
        ("conv2(Convolution)", "4x6x6", "76", "bn2"),
        ("sc(Convolution)", "4x6x6", "12", "relu"),
        ("sum(elemwise_add)", "4x6x6", "0", "conv2"),
        ("", "", "", "sc"),
    ]
    assert total == "Total params: 172"


@pytest.mark.parametrize(
    ("symbol", "shape", "count"),
    [
        (mx.sym.Embedding(V("data"), input_dim=10, output_dim=4), (2, 3), 40),
        (mx.sym.Deconvolution(V("data"), kernel=(4, 4), num_filter=3), (1, 2, 4, 4), 96),
        (mx.sym.LeakyReLU(V("data"), act_type="prelu"), (2, 3, 4, 4), 3),
        (mx.sym.LayerNorm(V("data")), (2, 3, 5), 10),
        (mx.sym.FullyConnected(V("data"), num_hidden=2, flatten=False), (2, 3, 5), 12),
        (mx.sym.broadcast_mul(V("data"), V("scale", shape=(1, 5))), (2, 5), 5),
        (mx.sym.LinearRegressionOutput(V("data"), V("target")), (2, 5), 0),
    ],
)
def test_all_kinds_of_parameters_are_counted(capsys, symbol, shape, count):
    """By their shapes, whatever the operator; what stands in a loss's place for labels is none."""
    assert rows(capsys, symbol, {"data": shape})[1] == f"Total params: {count}"


def test_a_shared_weight_is_counted_once(capsys):
    """In the first layer that uses it."""
    weight = V("shared_weight")
    first = mx.sym.FullyConnected(V("data"), weight=weight, num_hidden=5, no_bias=True, name="a")
    net = mx.sym.FullyConnected(first, weight=weight, num_hidden=5, name="b")
    table, total = rows(capsys, net, {"data": (4, 5)})

    assert [row[2] for row in table] == ["0", "25", "5"]
    assert total == "Total params: 30"


def test_every_input_and_output_is_shown(capsys):
    """Inputs are those that have shapes; several outputs stand side by side."""
    parts = mx.sym.SliceChannel(V("left"), num_outputs=2, name="cut")
    net = mx.sym.Concat(parts[0], mx.sym.FullyConnected(V("right"), num_hidden=2, name="fc"), name="cat")
    table, total = rows(capsys, net, {"left": (4, 6), "right": (4, 3)})

    assert table == [
        ("left(null)", "6", "0", ""),
        ("cut(SliceChannel)", "3, 3", "0", "left"),
        ("right(null)", "3", "0", ""),
        ("fc(FullyConnected)", "2", "8", "right"),
        ("cat(Concat)", "5", "0", "cut"),
        ("", "", "", "fc"),
    ]
    assert total == "Total params: 8"


def test_without_shapes_unknown_things_stay_open(capsys):
    """Rather than being counted as nothing."""
    table, total = rows(capsys, mlp())

    assert [row[:3] for row in table] == [
        ("data(null)", "", "0"),
        ("fc1(FullyConnected)", "", "?"),
        ("relu1(Activation)", "", "0"),
        ("fc2(FullyConnected)", "", "?"),
        ("softmax(SoftmaxOutput)", "", "0"),
    ]
    assert total == "Total params: ?"


def test_wrong_arguments_of_the_table(capsys):
    """Nothing is printed before they are refused."""
    for call, error, message in (
        (lambda: mx.viz.print_summary(3), TypeError, "symbol must be a Symbol"),
        (lambda: mx.viz.print_summary(mlp(), (4, 5)), TypeError, "shape must be a dict"),
        (lambda: mx.viz.print_summary(mlp(), {}), ValueError, "the shape of data does not follow"),
        (lambda: mx.viz.print_summary(mlp(), {"dat": (4, 5)}), mx.MXNetError, "did you mean data"),
        (lambda: mx.viz.print_summary(mlp(), positions=[0.5, 1.0]), ValueError, "4 growing numbers"),
        (lambda: mx.viz.print_summary(mlp(), positions=[0.5, 0.2, 0.7, 1]), ValueError, "4 growing numbers"),
    ):
        with pytest.raises(error, match=message):
            call()
    assert capsys.readouterr().out == ""


class FakeDigraph:
    """Keeps what it is told, under graphviz's names."""

    def __init__(self, name, format):
        self.name, self.format = name, format
        self.nodes, self.edges = {}, []

    def node(self, name, label, **attributes):
        self.nodes[name] = (label, attributes)

    def edge(self, tail_name, head_name, label, **attributes):
        self.edges.append((tail_name, head_name, label))
        assert attributes == {"dir": "back", "arrowtail": "open"}


@pytest.fixture
def graphviz(monkeypatch):
    """A stand-in for the package, which need not be installed."""
    monkeypatch.setitem(sys.modules, "graphviz", types.SimpleNamespace(Digraph=FakeDigraph))


def test_a_drawing_has_a_node_for_each_layer(graphviz):
    """With what MXNet writes and paints; weights are left out."""
    drawing = mx.viz.plot_network(mlp(), "net", "svg", shape={"data": (4, 5)})

    assert (drawing.name, drawing.format) == ("net", "svg")
    told = {name: (label, form["shape"], form["fillcolor"]) for name, (label, form) in drawing.nodes.items()}
    assert told == {
        "data": ("data", "oval", "#8dd3c7"),
        "fc1": ("FullyConnected\n8", "box", "#fb8072"),
        "relu1": ("Activation\nrelu", "box", "#ffffb3"),
        "fc2": ("FullyConnected\n3", "box", "#fb8072"),
        "softmax_label": ("softmax_label", "oval", "#8dd3c7"),
        "softmax": ("softmax", "box", "#fccde5"),
    }
    assert drawing.edges == [
        ("fc1", "data", "5"),
        ("relu1", "fc1", "8"),
        ("fc2", "relu1", "8"),
        ("softmax", "fc2", "3"),
        ("softmax", "softmax_label", ""),
    ]


@pytest.mark.parametrize(
    ("symbol", "label", "colour"),
    [
        (mx.sym.Convolution(V("data"), kernel=(5, 3), num_filter=20, name="x"),
         "Convolution\n5x3/1, 20", "#fb8072"),
        (mx.sym.Convolution(V("data"), kernel=(3,), stride=(2,), num_filter=4, name="x"),
         "Convolution\n3/2, 4", "#fb8072"),
        (mx.sym.Pooling(V("data"), kernel=(2, 2), stride=(2, 2), pool_type="avg", name="x"),
         "Pooling\navg, 2x2/2x2", "#80b1d3"),
        (mx.sym.Pooling(V("data"), global_pool=True, name="x"), "Pooling\nmax, global", "#80b1d3"),
        (mx.sym.LeakyReLU(V("data"), act_type="elu", name="x"), "LeakyReLU\nelu", "#ffffb3"),
        (mx.sym.BatchNorm(V("data"), name="x"), "x", "#bebada"),
        (mx.sym.Concat(V("data"), V("data"), name="x"), "x", "#fdb462"),
        (mx.sym.Flatten(V("data"), name="x"), "x", "#fdb462"),
        (mx.sym.reshape(V("data"), shape=(-1,), name="x"), "x", "#fdb462"),
        (mx.sym.Deconvolution(V("data"), kernel=(2, 2), num_filter=3, name="x"), "x", "#fccde5"),
        (mx.sym.softmax(V("data"), name="x"), "x", "#fccde5"),
    ],
)  # fmt: skip
def test_labels_and_colours_tell_the_kind(graphviz, symbol, label, colour):
    """As MXNet has them."""
    found, form = mx.viz.plot_network(symbol).nodes["x"]

    assert (found, form["fillcolor"]) == (label, colour)


def test_weights_types_and_attributes_on_demand(graphviz):
    """Weights become ovals, edges name types, attributes reach every node."""
    drawing = mx.viz.plot_network(
        mlp(),
        shape={"data": (4, 5)},
        dtype={"data": "float64"},
        node_attrs={"shape": "circle", "fixedsize": "false"},
        hide_weights=False,
    )

    assert drawing.nodes["fc1_weight"][0] == "fc1_weight"
    assert ("fc1", "fc1_bias", "(float64)") in drawing.edges
    assert ("relu1", "fc1", "8(float64)") in drawing.edges
    assert {form["shape"] for _, form in drawing.nodes.values()} == {"circle"}
    assert {form["fixedsize"] for _, form in drawing.nodes.values()} == {"false"}


def test_edges_from_several_outputs_have_the_shape_of_the_right_one(graphviz):
    """And a colon in a name is no port."""
    normal = mx.sym.LayerNorm(V("a:b"), output_mean_var=True, name="normal")
    drawing = mx.viz.plot_network(mx.sym.exp(normal[1], name="e"), shape={"a:b": (4, 7)})

    assert ("e", "normal", "1") in drawing.edges
    assert ("normal", "a&#58;b", "7") in drawing.edges
    assert drawing.nodes["a&#58;b"][0] == "a:b"


def test_wrong_arguments_of_a_drawing(graphviz):
    """Are refused, naming what is wrong."""
    for options, error, message in (
        ({"symbol": 3}, TypeError, "symbol must be a Symbol"),
        ({"shape": 3}, TypeError, "shape must be a dict"),
        ({"dtype": 3}, TypeError, "dtype must be a dict"),
        ({"node_attrs": 3}, TypeError, "node_attrs must be a dict"),
        ({"shape": {}}, ValueError, "the shape of data does not follow"),
    ):
        with pytest.raises(error, match=message):
            mx.viz.plot_network(**{"symbol": mlp(), **options})


def test_a_missing_package_is_named(monkeypatch):
    """With what installs it."""
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r"pip install 'netdef\[viz\]'"):
        mx.viz.plot_network(mlp())


def test_the_source_of_a_drawing():
    """What the real package makes of it."""
    pytest.importorskip("graphviz", reason="the package graphviz is not installed")
    drawing = mx.viz.plot_network(mlp(), shape={"data": (4, 5)})

    lines = [line.strip() for line in drawing.source.splitlines()]
    assert lines[0] == "digraph plot {"
    assert "fc1 -> data [label=5 arrowtail=open dir=back]" in lines
    assert isinstance(drawing, importlib.import_module("graphviz").Digraph)


def test_both_names_of_the_module():
    """`viz` is short for `visualization`."""
    assert mx.viz is mx.visualization
