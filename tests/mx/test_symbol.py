"""Symbols as MXNet's users write them: operators, methods, functions, modules of operators, refusals."""

import json

import numpy as np
import pytest

import netdef as mx
from netdef.mx.fluent import METHODS
from netdef.ops import OPERATORS


@pytest.fixture(autouse=True)
def fresh_names():
    """Automatic names are counted from 0 in each test."""
    with mx.name.NameManager():
        yield


def V(name):
    return mx.sym.Variable(name)


def operator_of(symbol):
    """The head's operator as its file names it, and its attributes."""
    node = json.loads(symbol.tojson())["nodes"][-1]
    return node["op"], node.get("attrs", {})


def evaluate(symbol, **arrays):
    return symbol.eval(**{name: mx.nd.array(value) for name, value in arrays.items()})[0].asnumpy()


A, B = np.array([1.0, -2.0, 3.0]), np.array([2.0, 2.0, -0.5])


@pytest.mark.parametrize(
    ("expression", "name", "expected"),
    [
        (lambda a, b: a + b, "_plus0", A + B),
        (lambda a, b: 1 + a, "_plusscalar0", 1 + A),
        (lambda a, b: a - 1, "_minusscalar0", A - 1),
        (lambda a, b: 1 - a, "_rminusscalar0", 1 - A),
        (lambda a, b: 2 / a, "_rdivscalar0", 2 / A),
        (lambda a, b: a**2, "_powerscalar0", A**2),
        (lambda a, b: 2**a, "_rpower_scalar0", 2**A),
        (lambda a, b: a % b, "_mod0", A % B),
        (lambda a, b: 5 % a, "_rmodscalar0", 5 % A),
        (lambda a, b: -a, "_mulscalar0", -A),
        (lambda a, b: abs(a), "abs0", abs(A)),
        (lambda a, b: a > b, "_greater0", A > B),
        (lambda a, b: a < 2, "_lesser_scalar0", A < 2),
        (lambda a, b: a == 1, "_equal_scalar0", A == 1),
        (lambda a, b: a != b, "_not_equal0", A != B),
        (lambda a, b: a + True, "_plusscalar0", A + 1),
        (lambda a, b: a * np.float32(0.5), "_mulscalar0", A * 0.5),
        (lambda a, b: np.float64(2) * a, "_mulscalar0", A * 2),
        (lambda a, b: mx.sym.maximum(a, 0), "_maximumscalar0", np.maximum(A, 0)),
        (lambda a, b: mx.sym.minimum(0, a), "_minimumscalar0", np.minimum(A, 0)),
        (lambda a, b: mx.sym.pow(2, a), "_rpowerscalar0", 2**A),
        (lambda a, b: mx.sym.hypot(a, b), "_hypot0", np.hypot(A, B)),
    ],
)
def test_arithmetic_is_named_and_computed_as_in_mxnet(expression, name, expected):
    """Operators with symbols and numbers on either side."""
    net = expression(V("a"), V("b"))

    assert net.name == name
    arrays = {key: {"a": A, "b": B}[key] for key in net.list_arguments()}
    np.testing.assert_allclose(evaluate(net, **arrays), expected, rtol=1e-6)


def test_functions_of_numbers_give_numbers():
    """maximum and its kin serve both, as in MXNet."""
    assert (mx.sym.maximum(2, 3), mx.sym.minimum(2, 3), mx.sym.pow(2, 3)) == (3, 2, 8)
    assert mx.sym.hypot(3, 4) == 5
    mx.sym.max(V("a"))  # an operator of this name must not take the place of Python's function
    assert mx.sym.maximum(2, 3) == 3


@pytest.mark.parametrize("other", ["x", None, [1], np.ones(3)])
def test_other_things_are_no_operands(other):
    """The type is named; equality is no exception."""
    for use in (lambda: V("a") + other, lambda: V("a") == other, lambda: mx.sym.maximum(V("a"), other)):
        with pytest.raises(TypeError, match="not supported"):
            use()


def test_symbols_have_no_values():
    """What only arrays can do says so; equality being an operator, symbols cannot be hashed."""
    a = V("a")
    for use in (lambda: bool(a), a.asnumpy, a.asscalar, a.wait_to_read, a.backward, a.copy):
        with pytest.raises(mx.base.NotImplementedForSymbol, match="Symbol"):
            use()
    with pytest.raises(mx.MXNetError, match=r"\+="):
        a += 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


@pytest.mark.parametrize("method", METHODS.split())
def test_every_method_is_an_operator(method):
    """The names written out in fluent.py exist; symbols and arrays have them."""
    assert method in OPERATORS
    assert callable(getattr(V("a"), method))
    assert callable(getattr(mx.nd.ones(1), method))


def test_attributes_may_follow_the_inputs_by_position():
    """In the operator's order, as in MXNet's generated functions."""
    a = V("a")

    assert operator_of(a.sum(1, True)) == ("sum", {"axis": "1", "keepdims": "True"})
    assert operator_of(mx.sym.clip(a, -1, 1)) == ("clip", {"a_min": "-1", "a_max": "1"})
    assert operator_of(a.reshape((0, -1))) == ("Reshape", {"shape": "(0, -1)"})
    assert operator_of(a.reshape(2, 3)) == ("Reshape", {"shape": "(2, 3)"})
    assert operator_of(a.astype("int32")) == ("Cast", {"dtype": "int32"})
    assert operator_of(mx.sym.FullyConnected(a, None, None, 4))[1] == {"num_hidden": "4"}
    assert operator_of(mx.sym.sort(a, axis=None))[1] == {"axis": "None"}
    with pytest.raises(mx.MXNetError, match=r"exp takes 1 inputs \(data\), not 2"):
        mx.sym.exp(a, a)
    with pytest.raises(mx.MXNetError, match="data is given twice"):
        mx.sym.exp(a, data=a)
    with pytest.raises(mx.MXNetError, match="must be a Symbol, not 3"):
        mx.sym.exp(3)


def test_modules_of_operators():
    """Names without their prefix, automatic names after them; unknown names with the nearest."""
    a, b = V("a"), V("b")

    assert mx.sym.linalg.gemm2(a, b).name == "gemm20"
    assert mx.sym.contrib.ROIAlign(a, b, pooled_size=(1, 1), spatial_scale=1).name == "roialign0"
    assert mx.sym._internal._plus_scalar(a, scalar=1).name == "_plus_scalar0"
    assert mx.sym.op.exp(a).name == "exp0"
    assert "gemm2" in dir(mx.sym.linalg)
    unknown = ((mx.sym.linalg, "gem2", "did you mean gemm2"), (mx.sym, "NoSuchOp", "NoSuchOp"))
    for module, name, words in unknown:
        with pytest.raises(AttributeError, match=words):
            getattr(module, name)


@pytest.mark.parametrize(
    ("net", "name", "attributes"),
    [
        (lambda: mx.sym.zeros((2, 3)), "_zeros0", {"shape": "(2, 3)", "dtype": "float32"}),
        (lambda: mx.sym.ones(2, "int32", name="q"), "q", {"shape": "2", "dtype": "int32"}),
        (lambda: mx.sym.full((2,), 3), "_full0", {"shape": "(2,)", "dtype": "float32", "value": "3.0"}),
        (lambda: mx.sym.eye(2, k=1), "_eye0", {"N": "2", "M": "0", "k": "1", "dtype": "float32"}),
        (
            lambda: mx.sym.split_v2(V("a"), (1, 3), axis=1)[0],
            "_split_v20",
            {"indices": "[0, 1, 3]", "sections": "0", "axis": "1", "squeeze_axis": "False"},
        ),
        (lambda: mx.sym.histogram(V("a"), 3, (0, 1))[0], "_histogram0", {"bin_cnt": "3", "range": "(0, 1)"}),
        (
            lambda: mx.sym.random.uniform(0, 1, (2,)),
            "_random_uniform0",
            {"low": "0", "high": "1", "shape": "(2,)"},
        ),
        (lambda: mx.sym.random.uniform(V("a"), V("b"), 2), "_sample_uniform0", {"shape": "2"}),
        (lambda: mx.sym.random.exponential(2.0), "_random_exponential0", {"lam": "0.5"}),
        (lambda: mx.sym.random.normal_like(V("a")), "normal_like0", {}),
    ],
)
def test_functions_write_what_mxnet_writes(net, name, attributes):
    """Attributes in files, and automatic names."""
    made = net()
    assert made.name == name
    assert operator_of(made)[1] == attributes


def test_parameters_of_laws_are_of_one_kind():
    """Numbers or tensors, not both."""
    with pytest.raises(ValueError, match="low is Symbol, high is int"):
        mx.sym.random.uniform(V("a"), 1)


def test_gradient_is_a_graph():
    """It computes what backward computes; an argument that plays no part has zeros."""
    net = mx.sym.FullyConnected(V("x"), num_hidden=2, name="a")
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.tanh(net), num_hidden=3, name="b"), name="s")
    wanted = ["a_weight", "b_bias", "x", "s_label"]
    gradient = net.gradient(wanted)
    assert gradient.infer_shape(x=(4, 5))[1] == [(2, 5), (3,), (4, 5), (4,)]

    executor = net.simple_bind(x=(4, 5))
    random = np.random.default_rng(0)
    for name, array in executor.arg_dict.items():
        array[:] = [0, 2, 1, 1] if name == "s_label" else random.standard_normal(array.shape)
    executor.forward(is_train=True)
    executor.backward()
    arguments = {name: executor.arg_dict[name] for name in gradient.list_arguments()}
    for name, output in zip(wanted, gradient.bind(args=arguments).forward(is_train=True)):
        np.testing.assert_allclose(output.asnumpy(), executor.grad_dict[name].asnumpy(), rtol=1e-5, atol=1e-7)


def test_gradient_of_what_is_no_loss_takes_the_gradient_that_arrives():
    """It is an argument; the graph can neither be saved nor differentiated again."""
    x = V("x")
    gradient = (x * x).gradient(["x"])

    assert gradient.list_arguments() == ["_mul0_output_grad", "x"]
    assert evaluate(gradient, x=[1, 2], _mul0_output_grad=[1, 10]).tolist() == [2, 40]
    assert "Op:_backward_elemwise_mul, Name=_mul0_backward" in gradient.debug_str()
    with pytest.raises(mx.MXNetError, match="cannot be saved"):
        gradient.tojson()
    executor = gradient.simple_bind(x=(2,))
    executor.forward(is_train=True)
    with pytest.raises(mx.MXNetError, match="no gradients of these"):
        executor.backward(mx.nd.ones(2))
    with pytest.raises(mx.MXNetError, match="no argument y"):
        (V("x") * 2).gradient(["y"])


def test_debug_str_shows_every_node():
    """In MXNet's layout."""
    net = mx.sym.FullyConnected(V("a"), num_hidden=3, no_bias=True, name="fc")

    assert net.debug_str() == (
        "Symbol Outputs:\n\toutput[0]=fc(0)\nVariable:a\nVariable:fc_weight\n--------------------\n"
        "Op:FullyConnected, Name=fc\nInputs:\n\targ[0]=a(0) version=0\n\targ[1]=fc_weight(0) version=0\n"
        "Attrs:\n\tno_bias=True\n\tnum_hidden=3\n"
    )


def test_compose_in_place():
    """`_compose` is what calling the symbol does, on the symbol itself."""
    net = mx.sym.exp(V("x"), name="e")
    net._compose(x=V("y"))
    assert net.list_arguments() == ["y"]


def test_types_that_do_not_follow():
    """infer_type gives nothing, infer_type_partial what is known."""
    net = mx.sym.Cast(V("a"), dtype="int32") + V("b")
    assert net.infer_type() == (None, None, None)
    assert net.infer_type_partial() == ([None, np.int32], [np.int32], [])


def test_simple_bind_says_what_is_missing():
    """Unknown names are passed over, as in MXNet; shapes that do not follow are named."""
    net = mx.sym.FullyConnected(V("a"), num_hidden=3, name="fc")

    assert net.simple_bind(a=(2, 3), zzz=(4,)).outputs[0].shape == (2, 3)
    with pytest.raises(mx.MXNetError, match="the shapes of a, fc_weight, fc_bias do not follow"):
        net.simple_bind()
    with pytest.raises(mx.MXNetError, match="dense"):
        net.simple_bind(a=(2, 3), stype_dict={"a": "csr"})
    with pytest.raises(mx.MXNetError, match=r"group g is on gpu\(0\)"):
        net.simple_bind(a=(2, 3), group2ctx={"g": mx.gpu(0)})
    with pytest.raises(mx.MXNetError, match="no backend"):
        net.optimize_for("TensorRT")


#: calls by position -> the attributes that MXNet 1.9.1 takes the values for
BY_POSITION = [
    (lambda x: mx.sym.split(x, 3, 0, True), {"num_outputs": "3", "axis": "0", "squeeze_axis": "True"}),
    (lambda x: mx.sym.topk(x, 0, 2, "value"), {"axis": "0", "k": "2", "ret_typ": "value"}),
    (lambda x: mx.sym.norm(x, 1, 0), {"ord": "1", "axis": "0"}),
    (lambda x: mx.sym.log_softmax(x, 0), {"axis": "0"}),
    (
        lambda x: mx.sym.LRN(x, 0.1, 0.5, 1.0, 3),
        {"alpha": "0.1", "beta": "0.5", "knorm": "1.0", "nsize": "3"},
    ),
    (lambda x: mx.sym.Pooling(x, (2, 2), "avg"), {"kernel": "(2, 2)", "pool_type": "avg"}),
    (lambda x: mx.sym.Pooling_v1(x, (2, 2), "avg"), {"kernel": "(2, 2)", "pool_type": "avg"}),
    (lambda x: mx.sym.SequenceMask(x, None, False, 7.0), {"use_sequence_length": "False", "value": "7.0"}),
    (lambda x: mx.sym.BatchNorm(x, None, None, None, None, 0.1, 0.5), {"eps": "0.1", "momentum": "0.5"}),
    (lambda x: mx.sym.random_uniform(-1, 2, (3,)), {"low": "-1", "high": "2", "shape": "(3,)"}),
    (lambda x: mx.sym.sgd_update(x, x, 0.1, 0.2), {"lr": "0.1", "wd": "0.2"}),
    (
        lambda x: mx.sym.Deconvolution(x, None, None, (2, 2), (1, 1), (1, 1), (0, 0), (0, 0), (3, 3), 4),
        {"kernel": "(2, 2)", "target_shape": "(3, 3)", "num_filter": "4"},
    ),
]


@pytest.mark.parametrize(("call", "attributes"), BY_POSITION)
def test_values_by_position_are_attributes_in_the_order_of_mxnet(call, attributes):
    """Its order is not always that in which the attributes are declared."""
    assert attributes.items() <= call(mx.sym.Variable("x")).list_attr().items()


def test_an_operator_that_counts_its_inputs_by_its_outputs_takes_them_by_position():
    """amp_multicast has as many outputs as inputs."""
    net = mx.sym.amp_multicast(mx.sym.Variable("a"), mx.sym.Variable("b"), num_outputs=2)

    assert net.list_arguments() == ["a", "b"]
    assert len(net) == 2


@pytest.mark.parametrize(
    ("shape", "text", "known"),
    [((2, 3), "(2, 3)", (2, 3)), ([2, 3], "[2, 3]", (2, 3)), (5, "5", (5,)), ("(4,)", "(4,)", (4,))],
)
def test_a_variable_declares_its_shape_as_mxnet_writes_it(shape, text, known):
    """The attribute is what Python prints of the value; a single number is a shape of one axis."""
    net = mx.sym.Variable("x", shape=shape)

    assert net.attr("__shape__") == text
    assert net.infer_shape()[1] == [known]


def test_attributes_of_a_variable_declare_its_shape_and_type():
    """`__shape__` and `__dtype__` count however they were given."""
    net = mx.sym.Variable("x", attr={"__shape__": "(2, 3)", "__dtype__": "1"})

    assert net.infer_shape()[0] == [(2, 3)]
    assert net.infer_type()[0] == [np.float64]
    with pytest.raises(mx.MXNetError, match="no shape"):
        mx.sym.Variable("x", attr={"__shape__": "wide"})


@pytest.mark.parametrize("shape", [[2, 3], (2.0, 3), None, 3, "x"])
def test_shapes_are_given_as_tuples_of_whole_numbers(shape):
    """Anything else is a TypeError, as in MXNet."""
    with pytest.raises(TypeError, match="x"):
        mx.sym.Variable("x").infer_shape(x=shape)


def test_a_group_is_named_by_its_nodes_and_has_the_attributes_of_its_first():
    """`attr` is for one node: a group has none."""
    group = mx.sym.Group([mx.sym.Variable("a", __k__="v"), mx.sym.exp(V("b"), name="e")])

    assert str(group) == "<Symbol group [a, e]>"
    assert group.list_attr() == {"__k__": "v"}
    assert group.attr("__k__") is None
    assert group[0].attr("__k__") == "v"
    assert group[1].attr("name") == "e"


@pytest.mark.parametrize("symbols", [[], [1], None])
def test_a_group_needs_symbols(symbols):
    """MXNet raises TypeError, too."""
    with pytest.raises(TypeError):
        mx.sym.Group(symbols)


def test_an_auxiliary_state_is_composed_like_an_argument():
    """The statistics of BatchNorm are inputs, too."""
    net = mx.sym.BatchNorm(V("x"), name="bn")

    assert net(bn_moving_mean=V("mean")).list_auxiliary_states() == ["mean", "bn_moving_var"]


def test_a_scope_says_its_attributes():
    """`get` adds those of the scope to others, which win."""
    scope = mx.AttrScope(a="1", b="2")

    assert scope.get(None) == {"a": "1", "b": "2"}
    assert scope.get({"b": "3", "c": "4"}) == {"a": "1", "b": "3", "c": "4"}


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("Concat", {"num_args": 2**40}),
        ("split", {"num_outputs": 2**31}),
        ("_split_v2", {"sections": 2**62, "indices": ()}),
        ("UpSampling", {"num_args": 2**40, "scale": 2, "sample_type": "nearest"}),
        ("amp_multicast", {"num_outputs": 2**31}),
        ("multi_all_finite", {"num_arrays": 2**31}),
    ],
)
def test_a_number_of_tensors_has_a_bound(operator, attributes):
    """A wrong number in a file must not fill the memory with names."""
    with pytest.raises(mx.MXNetError, match="65536"):
        getattr(mx.sym, operator)(V("a"), **attributes)
