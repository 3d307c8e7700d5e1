"""Custom operators: what users write in Python takes part in a net like any other operator."""

import pickle
import traceback

import builds
import numpy as np
import pytest

import netdef as mx
from netdef.ops.custom import REGISTERED


@pytest.fixture
def register():
    """`mx.operator.register` whose operators are gone after the test."""
    before = dict(REGISTERED)
    yield mx.operator.register
    REGISTERED.clear()
    REGISTERED.update(before)


def custom(register, name, forward=None, backward=None, **overrides):
    """Register an operator of two functions; `overrides` are methods of its property or `need_top_grad`."""
    need_top_grad = overrides.pop("need_top_grad", True)
    methods = {
        key: kernel for key, kernel in (("forward", forward), ("backward", backward)) if kernel is not None
    }
    operation = type("Operation", (mx.operator.CustomOp,), methods)

    class Property(mx.operator.CustomOpProp):
        def __init__(self, **parameters):
            super().__init__(need_top_grad=need_top_grad)
            self.parameters = parameters

        def create_operator(self, ctx, in_shapes, in_dtypes):
            made = operation()
            made.parameters, made.created_with = self.parameters, (ctx, in_shapes, in_dtypes)
            return made

    for key, method in overrides.items():
        setattr(Property, key, method)
    return register(name)(Property)


def double(self, is_train, req, in_data, out_data, aux):
    self.assign(out_data[0], req[0], in_data[0] * 2)


def double_gradient(self, req, out_grad, in_data, out_data, in_grad, aux):
    self.assign(in_grad[0], req[0], out_grad[0] * 2)


X = mx.sym.Variable("x")


def bound(symbol, grad_req="write", **arrays):
    """An executor whose arguments hold these arrays."""
    executor = symbol.simple_bind(grad_req=grad_req, **{name: np.shape(a) for name, a in arrays.items()})
    for name, array in arrays.items():
        executor.arg_dict[name][:] = np.asarray(array, "float32")
    return executor


def step(executor, *heads):
    """A training pass; returns the first output and the gradients as numpy arrays."""
    executor.forward(is_train=True)
    executor.backward([mx.nd.array(head) for head in heads] or None)
    return executor.outputs[0].asnumpy(), {
        n: g.asnumpy() for n, g in executor.grad_dict.items() if g is not None
    }


# -- the tutorial's operator ------------------------------------------------


class Softmax(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        x = in_data[0].asnumpy()
        y = np.exp(x - x.max(axis=1, keepdims=True))
        self.assign(out_data[0], req[0], mx.nd.array(y / y.sum(axis=1, keepdims=True)))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        gradient = out_data[0].asnumpy()
        label = in_data[1].asnumpy().astype(int)
        gradient[np.arange(label.size), label] -= 1
        self.assign(in_grad[0], req[0], mx.nd.array(gradient))


class SoftmaxProp(mx.operator.CustomOpProp):
    def __init__(self):
        super().__init__(need_top_grad=False)

    def list_arguments(self):
        return ["data", "label"]

    def infer_shape(self, in_shape):
        return [in_shape[0], (in_shape[0][0],)], [in_shape[0]], []

    def create_operator(self, ctx, shapes, dtypes):
        return Softmax()


def trained(head, steps=5):
    """The outputs and weights of a small net after a few steps of gradient descent."""
    hidden = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=6, name="fc1")
    hidden = mx.sym.Activation(hidden, act_type="relu")
    net = head(mx.sym.FullyConnected(hidden, num_hidden=3, name="fc2"))
    executor = net.simple_bind(data=(8, 4))
    random = np.random.default_rng(2)
    for _, array in sorted(executor.arg_dict.items()):
        array[:] = random.normal(0, 0.5, array.shape)
    executor.arg_dict["softmax_label"][:] = random.integers(0, 3, 8)
    for _ in range(steps):
        executor.forward(is_train=True)
        executor.backward()
        for name, gradient in executor.grad_dict.items():
            if name.startswith("fc"):
                executor.arg_dict[name][:] -= gradient * 0.1
    return {"output": executor.outputs[0], **executor.arg_dict}, executor.grad_dict


def test_a_softmax_in_python_trains_like_the_built_in_one(register):
    """MXNet's tutorial operator and SoftmaxOutput lead to the same weights; the label's gradient is 0."""
    register("softmax")(SoftmaxProp)

    mine, gradients = trained(lambda net: mx.sym.Custom(net, op_type="softmax", name="softmax"))
    theirs, _ = trained(lambda net: mx.sym.SoftmaxOutput(net, name="softmax"))

    assert not gradients["softmax_label"].asnumpy().any()
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        np.testing.assert_allclose(array.asnumpy(), theirs[name].asnumpy(), rtol=1e-5, atol=1e-6)


# -- names, parameters and files ------------------------------------------------


def test_names_come_from_the_property(register):
    """Arguments, outputs and states are `<node>_<name>` with the user's names, whatever these are."""
    custom(
        register,
        "named",
        double,
        list_arguments=lambda self: ["x", "dx", "args"],
        list_outputs=lambda self: ["x", "doutput"],
        list_auxiliary_states=lambda self: ["xp"],
        infer_shape=lambda self, shapes: ([shapes[0]] * 3, [shapes[0]] * 2, [[1]]),
    )

    net = mx.sym.Custom(X, op_type="named", name="n")

    assert net.list_arguments() == ["x", "n_dx", "n_args"]
    assert net.list_outputs() == ["n_x", "n_doutput"]
    assert net.list_auxiliary_states() == ["n_xp"]
    assert net.get_internals().list_outputs() == ["x", "n_dx", "n_args", "n_xp", "n_x", "n_doutput"]
    assert net.infer_shape(x=(2, 3)) == ([(2, 3)] * 3, [(2, 3)] * 2, [(1,)])
    assert mx.sym.Custom(dx=X, op_type="named", name="n").list_arguments() == ["n_x", "x", "n_args"]
    assert mx.sym.Custom(op_type="named").list_outputs()[0].startswith("custom")
    executor = bound(net, x=[1.0, 2.0])
    outputs = executor.forward()
    assert [output.asnumpy().tolist() for output in outputs] == [[2, 4], [0, 0]]


def test_parameters_reach_the_property_as_texts(register):
    """What stands beside op_type arrives as MXNet's text; attributes of the form __x__ stay with the node."""
    seen = []

    class Property(mx.operator.CustomOpProp):
        def __init__(self, factor, **more):
            super().__init__()
            seen.append({"factor": factor, **more})

    register("texts")(Property)

    net = mx.sym.Custom(
        X, op_type="texts", name="n", factor=3, sizes=(3, 4), none=None, attr={"own": "1"}, lr_mult="2"
    )

    assert seen == [{"factor": "3", "sizes": "(3, 4)", "none": "None", "own": "1"}]
    assert net.list_attr() == {**seen[0], "op_type": "texts", "__lr_mult__": "2", "lr_mult": "2"}
    with pytest.raises(
        mx.MXNetError, match=r"operator texts: missing a required argument: 'factor'; it takes"
    ):
        mx.sym.Custom(X, op_type="texts")


def scaled(register):
    class Scale(mx.operator.CustomOp):
        def __init__(self, factor):
            self.factor = factor

        def forward(self, is_train, req, in_data, out_data, aux):
            self.assign(out_data[0], req[0], in_data[0] * self.factor)

        def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
            self.assign(in_grad[0], req[0], out_grad[0] * self.factor)

    class ScaleProp(mx.operator.CustomOpProp):
        def __init__(self, factor="1"):
            super().__init__(need_top_grad=True)
            self.factor = float(factor)

        def create_operator(self, ctx, in_shapes, in_dtypes):
            return Scale(self.factor)

    return register("scale")(ScaleProp)


def test_two_in_one_graph_have_their_own_parameters(register):
    """Twice in one graph and in a group: values and gradients are those of each."""
    scaled(register)
    first = mx.sym.Custom(X, op_type="scale", factor=3, name="a")
    net = mx.sym.Group([mx.sym.Custom(first, op_type="scale", factor=5, name="b"), first + X])

    executor = bound(net, x=[1.0, -2.0])
    output, gradients = step(executor, [1, 1], [10, 10])

    assert output.tolist() == [15, -30]
    assert executor.outputs[1].asnumpy().tolist() == [4, -8]
    assert gradients["x"].tolist() == [15 + 30 + 10] * 2


@pytest.mark.parametrize(
    "through",
    [lambda net: mx.sym.load_json(net.tojson()), lambda net: pickle.loads(pickle.dumps(net))],
    ids=["json", "pickle"],
)
def test_a_net_survives_its_file(register, through):
    """JSON and pickle keep op_type and parameters; the loaded net computes the same."""
    scaled(register)
    net = mx.sym.Custom(X, op_type="scale", factor="2.5", name="n") + X

    again = through(net)

    assert again.attr_dict()["n"] == {"op_type": "scale", "factor": "2.5"}
    assert again.tojson() == net.tojson()
    assert '"op": "Custom"' in net.tojson()
    assert bound(again, x=[2.0]).forward()[0].asnumpy().tolist() == [7]


def test_loading_needs_the_operator(register):
    """A file whose operator is not registered says which."""
    scaled(register)
    text = mx.sym.Custom(X, op_type="scale", name="n").tojson()
    del REGISTERED["scale"]

    with pytest.raises(mx.MXNetError, match=r"\(n\).*there is no custom operator scale.*register it"):
        mx.sym.load_json(text)


def test_a_composed_net_keeps_the_operator(register):
    """Composition renames the nodes and leaves the user's names of the inputs."""
    scaled(register)
    net = mx.sym.Custom(op_type="scale", factor=2, name="n")

    both = net(n_data=net(name="inner"), name="outer")

    assert both.list_arguments() == ["inner_n_data"]
    assert bound(both, inner_n_data=[1.0]).forward()[0].asnumpy().tolist() == [4]


# -- gradients ------------------------------------------------


def test_requests_say_what_happens_to_each_gradient(register):
    """write, add and null arrive as such where the gradient is the caller's; add keeps what was there."""
    seen = []

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        seen.append(list(req))
        for request, gradient in zip(req, in_grad):
            self.assign(gradient, request, out_grad[0] * 3)

    custom(register, "three", double, backward, list_arguments=lambda self: ["a", "b", "c"])
    net = mx.sym.Custom(*map(mx.sym.Variable, "abc"), op_type="three")
    executor = bound(net, grad_req={"a": "write", "b": "add", "c": "null"}, a=[1], b=[1], c=[1])
    executor.grad_dict["b"][:] = 100

    for expected in (103, 106):
        _, gradients = step(executor, [1])
        assert {name: g.tolist() for name, g in gradients.items()} == {"a": [3], "b": [expected]}
    assert seen == [["write", "add", "null"]] * 2


def test_gradients_of_one_variable_add_up(register):
    """A variable that is read twice, with grad_req add: both gradients are added to what was there."""
    custom(
        register,
        "twice",
        double,
        lambda self, req, out_grad, in_data, out_data, in_grad, aux: [
            self.assign(g, r, number) for g, r, number in zip(in_grad, req, (1, 10))
        ],
        list_arguments=lambda self: ["a", "b"],
    )
    executor = bound(mx.sym.Custom(X, X, op_type="twice"), grad_req="add", x=[5, 5])
    executor.grad_dict["x"][:] = 100

    assert step(executor, [1, 1])[1]["x"].tolist() == [111, 111]


def test_without_need_top_grad_it_is_a_loss(register):
    """backward needs no head gradient, out_grad is not there, and the gradient flows from here."""
    seen = []

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        seen.append(out_grad)
        self.assign(in_grad[0], req[0], out_data[0] + 1)

    custom(register, "loss", double, backward, need_top_grad=False)

    _, gradients = step(bound(mx.sym.Custom(X * 3, op_type="loss"), x=[1, 2]))

    assert gradients["x"].tolist() == [(6 + 1) * 3, (12 + 1) * 3]
    assert seen == [[None]]
    custom(register, "layer", double, double_gradient)
    with pytest.raises(mx.MXNetError, match="is no loss"):
        step(bound(mx.sym.Custom(X, op_type="layer"), x=[1, 2]))


def test_several_outputs_have_a_gradient_each(register):
    """An output that nothing depends on has the gradient 0."""
    seen = []

    def forward(self, is_train, req, in_data, out_data, aux):
        self.assign(out_data[0], req[0], in_data[0] + 1)
        self.assign(out_data[1], req[1], in_data[0] + 2)

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        seen.append([gradient.asnumpy().tolist() for gradient in out_grad])
        self.assign(in_grad[0], req[0], out_grad[0] * 10 + out_grad[1])

    custom(register, "two", forward, backward, list_outputs=lambda self: ["low", "high"])
    net = mx.sym.Custom(X, op_type="two", name="n")

    assert len(net) == 2
    assert step(bound(net, x=[0]), [1], [2])[1]["x"].tolist() == [12]
    output, gradients = step(bound(net["n_high"] * 3, x=[0]), [1])
    assert (output.tolist(), gradients["x"].tolist()) == ([6], [3])
    assert seen == [[[1], [2]], [[0], [3]]]


def test_what_is_not_written_is_zero(register):
    """An operator without backward passes no gradient; outputs that it does not touch are 0."""
    custom(register, "idle", lambda self, **everything: None)

    output, gradients = step(bound(mx.sym.Custom(X * 2, op_type="idle") * 1, x=[7, 8]), [1, 1])

    assert output.tolist() == gradients["x"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("declared", "there"),
    [
        (lambda self, out_grad, in_data, out_data: [*out_grad], (True, False, False)),
        (lambda self, out_grad, in_data, out_data: [*in_data, *out_data], (False, True, True)),
        (None, (True, True, True)),
    ],
)
def test_declared_dependencies_are_what_is_kept(register, declared, there):
    """backward sees the arrays it declares, with the values of the forward pass, and None for the others."""
    seen = []

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        for (array,) in (out_grad, in_data, out_data):
            seen.append(None if array is None else array.asnumpy().tolist())

    more = {"declare_backward_dependency": declared} if declared else {}
    custom(register, "needs", double, backward, **more)
    # What follows works in place and would reuse the memory of anything that is not kept.
    net = mx.sym.Activation(mx.sym.Custom(X + 1, op_type="needs"), act_type="relu")

    step(bound(net * 1, x=[1, 2]), [5, 6])

    assert seen == [value if kept else None for value, kept in zip(([5, 6], [2, 3], [4, 6]), there)]


def test_an_executor_has_operators_of_its_own(register):
    """What forward keeps in self is what backward of the same executor finds."""

    def forward(self, is_train, req, in_data, out_data, aux):
        self.kept = in_data[0].asnumpy()
        self.assign(out_data[0], req[0], in_data[0])

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], mx.nd.array(self.kept))

    custom(register, "keeps", forward, backward)
    net = mx.sym.Custom(X, op_type="keeps")
    executors = [bound(net, x=[1]), bound(net, x=[2, 3])]
    for executor in executors:
        executor.forward(is_train=True)
    for executor in executors:
        executor.backward([mx.nd.array(np.ones(executor.outputs[0].shape))])

    assert [e.grad_dict["x"].asnumpy().tolist() for e in executors] == [[1], [2, 3]]


def test_a_random_net_with_custom_operators_is_the_built_in_one(register):
    """Among operators that share memory, scale and square in Python give what multiplication gives."""

    def square_gradient(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], out_grad[0] * in_data[0] * 2)

    custom(
        register,
        "square",
        lambda self, is_train, req, in_data, out_data, aux: self.assign(
            out_data[0], req[0], in_data[0] * in_data[0]
        ),
        square_gradient,
    )

    def net(square):
        h = mx.sym.FullyConnected(X, num_hidden=5, name="fc")
        left = mx.sym.Activation(square(h), act_type="tanh")
        right = square(mx.sym.Activation(h, act_type="sigmoid")) + h
        return square(mx.sym.FullyConnected(left * right, num_hidden=2, name="last"))

    random = np.random.default_rng(4)
    arrays = {
        "x": random.normal(size=(3, 4)),
        **{"fc_weight": random.normal(size=(5, 4)), "fc_bias": random.normal(size=5)},
        **{"last_weight": random.normal(size=(2, 5)), "last_bias": random.normal(size=2)},
    }
    head = random.normal(size=(3, 2))
    mine = step(bound(net(lambda x: mx.sym.Custom(x, op_type="square")), **arrays), head)
    theirs = step(bound(net(lambda x: x * x), **arrays), head)

    np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-5, atol=1e-6)
    for name, gradient in mine[1].items():
        np.testing.assert_allclose(gradient, theirs[1][name], rtol=1e-4, atol=1e-6, err_msg=name)


# -- states, devices, modes ------------------------------------------------


def test_states_persist(register):
    """Auxiliary states are the executor's arrays; is_train says which kind of pass it is."""
    modes = []

    def forward(self, is_train, req, in_data, out_data, aux):
        modes.append(is_train)
        aux[0][:] = aux[0] + 1
        self.assign(out_data[0], req[0], in_data[0] * 1)

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        aux[0][:] = aux[0] + 100

    custom(
        register,
        "counts",
        forward,
        backward,
        list_auxiliary_states=lambda self: ["count"],
        infer_shape=lambda self, shapes: (shapes, [shapes[0]], [(1,)]),
    )
    executor = bound(mx.sym.Custom(X, op_type="counts", name="n"), x=[1, 2])
    executor.aux_dict["n_count"][:] = 5
    executor.forward(is_train=False)
    step(executor, [1, 1])

    assert executor.aux_dict["n_count"].asnumpy().tolist() == [107]
    assert modes == [False, True]


def test_create_operator_is_told_what_it_is_for(register):
    """Once, when it is bound: device, shapes of inputs and states, MXNet's numbers of their dtypes."""
    seen = []

    def create(self, ctx, in_shapes, in_dtypes):
        seen.append((str(ctx), in_shapes, in_dtypes))
        operation = mx.operator.CustomOp()
        operation.forward = lambda **everything: None
        return operation

    custom(
        register,
        "told",
        create_operator=create,
        list_auxiliary_states=lambda self: ["s"],
        infer_shape=lambda self, shapes: (shapes, [shapes[0]], [[4]]),
        infer_type=lambda self, types: (types, [types[0]], [np.int32]),
    )

    executor = mx.sym.Custom(X, op_type="told").simple_bind(x=(2, 3), type_dict={"x": "float64"})
    executor.forward(is_train=True)
    executor.forward(is_train=False)

    assert seen == [("cpu(0)", [[2, 3], [4]], [1, 4])]


def test_inputs_cannot_be_written(register):
    """An operator that writes over its input would change what others read."""

    def forward(self, is_train, req, in_data, out_data, aux):
        in_data[0][:] = 0

    custom(register, "vandal", forward)
    with pytest.raises(ValueError, match="read-only"):
        bound(mx.sym.Custom(X, op_type="vandal"), x=[1]).forward()


# -- inference ------------------------------------------------


def test_shapes_are_asked_for_in_mxnets_words(register):
    """-1 is an unknown size, [] an unknown shape; the rule may say what the inputs are."""
    seen = []

    def infer(self, shapes):
        seen.append(shapes)
        return [shapes[0], [shapes[0][0]]], [[shapes[0][0], 7]], []

    custom(register, "rule", infer_shape=infer, list_arguments=lambda self: ["data", "label"])
    net = mx.sym.Custom(X, op_type="rule", name="n")

    assert net.infer_shape_partial(x=(0, 3)) == ([(0, 3), (0,)], [(0, 7)], [])
    assert seen[0] == [[-1, 3], []]
    assert net.infer_shape(x=(2, 3)) == ([(2, 3), (2,)], [(2, 7)], [])
    assert net.infer_shape() == (None, None, None)
    assert net.infer_shape_partial() == ([(), ()], [()], [])
    with pytest.raises(mx.MXNetError, match=r"n \(Custom\): label is 3, but infer_shape of rule says 2;"):
        net.infer_shape(x=(2, 3), n_label=(3,))


def test_types_follow_from_the_property(register):
    """The default is that of the first input; numpy types, dtypes and names are understood."""
    custom(register, "same", double)
    for number, kind in enumerate((np.float64, np.dtype("float64"), "float64")):
        wide = f"wide{number}"
        custom(register, wide, double, infer_type=lambda self, types, k=kind: (types, [k], []))
        types = mx.sym.Custom(X, op_type=wide).infer_type(x=np.float32)
        assert types == ([np.float32], [np.float64], [])
    net = mx.sym.Custom(X, op_type="same")
    assert net.infer_type(x="float16") == ([np.float16], [np.float16], [])
    assert net.infer_type() == (None, None, None)
    custom(register, "half", double, infer_type=lambda self, types: ([np.float16], [np.float16], []))
    assert mx.sym.Custom(X, op_type="half").infer_type() == ([np.float16], [np.float16], [])
    with pytest.raises(mx.MXNetError, match="data is float32, but infer_type of half says float16"):
        mx.sym.Custom(X, op_type="half").infer_type(x="float32")


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "returned None; it must return 2 or 3 lists"),
        (([[2]],), "must return 2 or 3 lists"),
        (([[2]], [[2]], [], []), "must return 2 or 3 lists"),
        (([[2]], [[2], [2]], []), "one shape for each of 1 outputs (output)"),
        (([], [[2]], []), "one shape for each of 1 inputs (data)"),
        (([[2]], [[2]], [[2]]), "one shape for each of 0 auxiliary states"),
        (([[2]], [3], []), "3, which stands for output, is no shape"),
        (([[2]], [[1.5]], []), "[1.5], which stands for output, is no shape"),
        (([[2]], ["ab"], []), "'ab', which stands for output, is no shape"),
        (([[2]], [[-5]], []), "[-5], which stands for output, is no shape"),
        (([[9, 9]], [[2]], []), "data is 2, but infer_shape of bad says 9x9"),
    ],
)
def test_a_wrong_shape_rule_is_told(register, returned, words):
    """Number and form of what infer_shape returns are checked, by inference and by binding."""
    custom(register, "bad", double, infer_shape=lambda self, shapes: returned)
    net = mx.sym.Custom(X, op_type="bad", name="n")

    for use in (net.infer_shape, net.simple_bind):
        with pytest.raises(mx.MXNetError) as refused:
            use(x=(2,))
        assert words in str(refused.value)
        assert str(refused.value).startswith("n (Custom): ")
        assert "bad" in str(refused.value)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (([np.float32], [], []), "one type for each of 1 outputs (output)"),
        (([np.float32], ["foo"], []), "'foo', which stands for output, is no type"),
        (([np.float32], [np.complex64], []), "which stands for output, is no type"),
    ],
)
def test_a_wrong_type_rule_is_told(register, returned, words):
    """Likewise for infer_type."""
    custom(register, "bad", double, infer_type=lambda self, types: returned)

    with pytest.raises(mx.MXNetError, match="infer_type of bad returned") as refused:
        mx.sym.Custom(X, op_type="bad").simple_bind(x=(2,), type_dict={"x": "float32"})

    assert words in str(refused.value)


# -- errors ------------------------------------------------


def test_op_type_has_to_name_an_operator(register):
    """Missing, misspelt; unknown and superfluous inputs; what is registered has to be a property."""
    scaled(register)
    for arguments, inputs, words in (
        ({}, (X,), "Custom needs op_type"),
        ({"op_type": "scael"}, (X,), r"no custom operator scael \(did you mean scale\?\)"),
        ({"op_type": "scale", "dat": X}, (), r"has no input dat; did you mean data\?"),
        ({"op_type": "scale"}, (X, X), r"takes 1 inputs \(data\), not 2"),
        (
            {"op_type": "scale", "facto": 1},
            (X,),
            "operator scale: got an unexpected keyword argument 'facto'",
        ),
    ):
        with pytest.raises(mx.MXNetError, match=words):
            mx.sym.Custom(*inputs, **arguments)
    with pytest.raises(mx.MXNetError, match="register a subclass of CustomOpProp"):
        register("number")(int)
    with pytest.raises(TypeError, match="register takes a name"):
        register(mx.operator.CustomOpProp)


def test_registering_anew_replaces_and_is_logged(register, caplog):
    """Later nodes are of the new class; nodes that were made before keep theirs."""
    scaled(register)
    before = mx.sym.Custom(X, op_type="scale", factor=10)
    custom(register, "scale", double)
    after = mx.sym.Custom(X, op_type="scale")

    assert "scale is registered anew" in caplog.text
    assert [bound(net, x=[1]).forward()[0].asnumpy().tolist() for net in (before, after)] == [[10], [2]]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"list_arguments": lambda self: "data"}, "list_arguments returned 'data'"),
        ({"list_arguments": lambda self: ["a", "a"]}, "two inputs or states are called a"),
        ({"list_auxiliary_states": lambda self: ["data"]}, "two inputs or states are called data"),
        ({"list_outputs": lambda self: []}, "list_outputs returned no name"),
        ({"list_outputs": lambda self: [1]}, r"list_outputs returned \[1\]"),
    ],
)
def test_wrong_names_are_told(register, overrides, words):
    """Lists of names are lists of names."""
    custom(register, "bad", double, **overrides)

    with pytest.raises(mx.MXNetError, match=f"custom operator bad: {words}"):
        mx.sym.Custom(op_type="bad")


def test_wrong_operators_and_dependencies_are_told(register):
    """create_operator and declare_backward_dependency are checked when the net is bound."""
    custom(register, "none", create_operator=lambda self, ctx, shapes, dtypes: None)
    custom(register, "far", declare_backward_dependency=lambda self, out_grad, in_data, out_data: [3])

    with pytest.raises(mx.MXNetError, match="operator none: create_operator returned None"):
        mx.sym.Custom(X, op_type="none").simple_bind(x=(2,))
    with pytest.raises(mx.MXNetError, match=r"operator far: declare_backward_dependency returned \[3\]"):
        mx.sym.Custom(X, op_type="far").simple_bind(x=(2,))
    custom(register, "empty")
    with pytest.raises(NotImplementedError, match="Operation has no forward"):
        mx.sym.Custom(X, op_type="empty").simple_bind(x=(2,)).forward()


def test_an_error_in_the_users_code_arrives_as_it_is(register):
    """Its class and its traceback; the executor works on afterwards, and stale memory is not used."""
    trouble = {"forward": True, "backward": False}

    def forward(self, is_train, req, in_data, out_data, aux):
        if trouble["forward"]:
            raise KeyError("in the user's forward")
        double(self, is_train, req, in_data, out_data, aux)

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        if trouble["backward"]:
            raise ZeroDivisionError("in the user's backward")
        double_gradient(self, req, out_grad, in_data, out_data, in_grad, aux)

    custom(register, "fails", forward, backward)
    executor = bound(mx.sym.Custom(X * 1, op_type="fails") * 1, x=[1])

    with pytest.raises(KeyError, match="in the user's forward") as failed:
        executor.forward(is_train=True)
    assert traceback.extract_tb(failed.tb)[-1].filename == __file__
    with pytest.raises(mx.MXNetError, match="backward needs forward"):
        executor.backward([mx.nd.array([1])])
    trouble.update(forward=False, backward=True)
    with pytest.raises(ZeroDivisionError, match="in the user's backward"):
        step(executor, [1])
    trouble["backward"] = False
    output, gradients = step(executor, [1])
    assert (output.tolist(), gradients["x"].tolist()) == ([2], [2])

    def infer(self, shapes):
        raise OverflowError("in the user's rule")

    custom(register, "rule fails", double, infer_shape=infer)
    with pytest.raises(OverflowError, match="in the user's rule"):
        mx.sym.Custom(X, op_type="rule fails").infer_shape(x=(2,))


def test_assign_obeys_the_request():
    """null leaves, write and inplace replace, add adds; another request is refused."""
    operation = mx.operator.CustomOp()
    target = mx.nd.array([1, 2])
    for request, source, expected in (
        ("null", 9, [1, 2]),
        ("write", mx.nd.array([3, 4]), [3, 4]),
        ("add", np.array([1, 1]), [4, 5]),
        ("inplace", 7, [7, 7]),
        ("add", 1, [8, 8]),
    ):
        operation.assign(target, request, source)
        assert target.asnumpy().tolist() == expected
    with pytest.raises(ValueError, match="legal: null, write, inplace, add"):
        operation.assign(target, "ad", 1)


def test_all_operators_are_listed(register):
    """Custom stands for the user's own, as in MXNet."""
    scaled(register)
    names = mx.operator.get_all_registered_operators()

    assert {"Custom", "Convolution"} <= set(names)
    assert "scale" not in names


def test_no_spec_file_can_name_one(register):
    """A file is data: neither Custom nor a registered name is a layer type."""
    scaled(register)
    for kind in ("Custom", "scale"):
        data = (
            "name: n\nlayer:\n- {name: data, type: Input, top: data, input_param: {shape: {dim: [2, 3]}}}\n"
        )
        _, found = builds.load(f"{data}- {{name: x, type: {kind}, bottom: data, top: x}}\n")
        assert [finding.code.id for finding in found] == ["ND005"]
