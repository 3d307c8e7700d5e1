"""Symbols and arrays in MXNet's files."""

import copy
import json
import pickle

import numpy as np
import pytest

import netdef as mx


def net():
    data = mx.sym.Variable("data", lr_mult=2)
    normal = mx.sym.BatchNorm(mx.sym.FullyConnected(data, num_hidden=4, name="fc"), eps=2e-5, name="bn")
    return mx.sym.SoftmaxOutput(mx.sym.Dropout(normal, p=0.5, name="drop"), name="softmax")


def test_a_symbol_survives_json_pickle_and_copy(tmp_path):
    """Names, attributes, shapes and text are the same afterwards."""
    symbol = net()
    path = str(tmp_path / "net.json")
    symbol.save(path)
    again = (mx.sym.load(path), pickle.loads(pickle.dumps(symbol)), copy.deepcopy(symbol))
    for other in again:
        assert other.tojson() == symbol.tojson()
        assert other.attr_dict() == symbol.attr_dict()
        assert other.list_arguments() == symbol.list_arguments()
        assert other.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
        assert other.infer_shape(data=(3, 5)) == symbol.infer_shape(data=(3, 5))


def test_the_json_is_laid_out_as_mxnet_does():
    """Attributes are texts, made inputs carry the operator's, states have a version and an initializer."""
    graph = json.loads(net().tojson())
    nodes = {node["name"]: node for node in graph["nodes"]}

    assert nodes["fc_weight"]["attrs"] == {"num_hidden": "4"}
    assert nodes["data"]["attrs"] == {"__lr_mult__": "2"}
    assert nodes["bn"]["attrs"] == {"eps": "2e-05"}
    assert nodes["bn_moving_var"]["attrs"] == {"__init__": '["one", {}]', "eps": "2e-05"}
    assert [version for _, _, version in nodes["bn"]["inputs"]] == [0, 0, 0, 1, 1]
    assert graph["heads"] == [[len(graph["nodes"]) - 1, 0, 0]]


#: an operator, its attributes, and how many outputs MXNet 1.9 counts in its files
COUNTED = [
    ("Pooling", {"kernel": (2, 2)}, 2),
    ("Pooling", {"kernel": (2, 2), "pool_type": "lp", "p_value": 2}, 1),
    ("RNN", {"state_size": 2, "num_layers": 2, "mode": "lstm", "p": 0.5}, 1),
    ("RNN", {"state_size": 2, "num_layers": 1, "mode": "gru", "state_outputs": True}, 2),
    ("ROIPooling", {"pooled_size": (2, 2), "spatial_scale": 1}, 2),
    (
        "SpatialTransformer",
        {"target_shape": (2, 2), "transform_type": "affine", "sampler_type": "bilinear"},
        3,
    ),
    ("GridGenerator", {"transform_type": "affine", "target_shape": (2, 2)}, 2),
    ("BilinearSampler", {}, 2),
    ("Correlation", {}, 3),
    ("LRN", {"nsize": 3}, 2),
    ("Dropout", {}, 2),
    ("Concat", {"num_args": 2}, 1),
    ("Pooling", {"kernel": (2, 2)}, 2),
    ("Pooling", {"kernel": (2, 2), "layout": "NHWC"}, 1),
    ("Pooling", {"kernel": (2, 2), "pool_type": "avg"}, 1),
    ("Pooling", {"global_pool": True}, 1),
    ("linalg_det", {}, 3),
    ("linalg_slogdet", {}, 4),
    ("shuffle", {}, 1),
]


@pytest.mark.parametrize(("operator", "attributes", "count"), COUNTED)
def test_hidden_outputs_are_counted_as_in_mxnet(operator, attributes, count):
    """`node_row_ptr` is what a reader finds outputs by."""
    rows = json.loads(getattr(mx.sym, operator)(**attributes).tojson())["node_row_ptr"]

    assert rows[-1] - rows[-2] == count


def test_the_first_convolution_keeps_its_name():
    """A file says Convolution_v1 where the net does."""
    net = mx.sym.Convolution_v1(kernel=(1, 1), num_filter=2)

    assert json.loads(net.tojson())["nodes"][-1]["op"] == "Convolution_v1"


def test_a_file_of_the_first_layout_gets_its_states():
    """0.7 has `param`, inputs of two numbers and no auxiliary states."""
    nodes = [
        {"op": "null", "name": "x", "attr": {"lr_mult": "2"}, "param": {}, "inputs": []},
        {"op": "null", "name": "g", "inputs": []},
        {"op": "null", "name": "b", "inputs": []},
        {"op": "BatchNorm", "name": "bn", "param": {"eps": "0.1"}, "inputs": [[0, 0], [1, 0], [2, 0]]},
    ]
    symbol = mx.sym.load_json(json.dumps({"nodes": nodes, "arg_nodes": [0, 1, 2], "heads": [[3, 0]]}))

    assert symbol.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    assert symbol.attr_dict()["x"] == {"__lr_mult__": "2", "lr_mult": "2"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "is no json"),
        ("{}", "no list of nodes"),
        ('{"nodes": [], "heads": [[0, 0]]}', "names a node that does not stand before it"),
        ('{"nodes": [{"op": "Nope", "name": "x"}], "heads": []}', "Nope is not registered"),
        ('{"nodes": [{"op": "null", "name": "x"}], "heads": [[0, 1]]}', "output 1"),
        ('{"nodes": [{"op": "Flatten", "name": "f"}], "heads": []}', "needs data"),
        ('{"nodes": [{"op": "null"}], "heads": []}', "node 0 has no name"),
    ],
)
def test_corrupt_json_is_refused(text, words):
    """One message with the node at fault."""
    with pytest.raises(mx.MXNetError, match=words):
        mx.sym.load_json(text)


def test_what_an_old_file_says_of_inputs_goes_to_their_variables():
    """`weight_lr_mult` on an operator belongs to its weight; of a bias that is left out it means nothing."""
    param = {"num_hidden": "3", "no_bias": "True"}
    nodes = [
        {"op": "null", "name": "x", "inputs": []},
        {"op": "null", "name": "w", "attr": {"__shape__": "(3, -1)", "__dtype__": "1"}, "inputs": []},
        {"op": "FullyConnected", "name": "fc", "param": param, "inputs": [[0, 0], [1, 0]]}
        | {"attr": {"weight_lr_mult": "2", "bias_lr_mult": "0"}},
    ]
    symbol = mx.sym.load_json(json.dumps({"nodes": nodes, "heads": [[2, 0]]}))

    assert symbol.attr_dict()["w"]["lr_mult"] == "2"
    assert symbol.infer_shape(x=(2, 5))[0] == [(2, 5), (3, 5)]
    assert symbol.infer_type()[0] == [np.float64, np.float64]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    """A file is whole or as it was, and nothing else stays behind."""
    path = tmp_path / "net.json"
    mx.sym.Variable("x").save(str(path))
    before = path.read_bytes()

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(mx.MXNetError, match="No space left"):
        net().save(str(path))
    with pytest.raises(mx.MXNetError, match="No space left"):
        mx.nd.save(str(path), [mx.nd.ones((2,))])

    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.json"]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int32", "int8", "int64"])
def test_arrays_survive_a_file(dtype, tmp_path):
    """Lists and dicts, every dtype, with shape."""
    path = str(tmp_path / "arrays")
    array = mx.nd.array(np.arange(6).reshape(2, 3), dtype=dtype)
    mx.nd.save(path, [array, array])
    listed = mx.nd.load(path)
    mx.nd.save(path, {"arg:w": array})
    named = mx.nd.load(path)

    assert len(listed) == 2
    assert list(named) == ["arg:w"]
    for loaded in (*listed, named["arg:w"]):
        assert loaded.dtype == np.dtype(dtype).type
        np.testing.assert_array_equal(loaded.asnumpy(), array.asnumpy())


def test_a_file_that_is_cut_or_lies_is_refused(tmp_path):
    """Every prefix of a file, and every length made absurd, gives a message with the place."""
    path = tmp_path / "arrays"
    mx.nd.save(str(path), {"w": mx.nd.ones((2, 3))})
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(mx.MXNetError, match="arrays"):
            mx.nd.load(str(path))
    for place in (16, 32, 36, 44):
        path.write_bytes(whole[:place] + b"\xff\xff\xff\x7f" + whole[place + 4 :])
        with pytest.raises(mx.MXNetError, match="arrays"):
            mx.nd.load(str(path))
    with pytest.raises(mx.MXNetError, match="cannot be read"):
        mx.nd.load(str(tmp_path / "none"))
