"""The classic Symbol tutorial, run with netdef: what it prints is stated beside each step and checked."""

import netdef as mx

# A net is composed of symbols.
net = mx.sym.Variable("data")
net = mx.sym.FullyConnected(data=net, name="fc1", num_hidden=128)
net = mx.sym.Activation(data=net, name="relu1", act_type="relu")
net = mx.sym.FullyConnected(data=net, name="fc2", num_hidden=64)
net = mx.sym.SoftmaxOutput(data=net, name="out")
assert isinstance(net, mx.sym.Symbol)
assert net.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"]

# Parameters can be named explicitly.
net = mx.sym.Variable("data")
w = mx.sym.Variable("myweight")
net = mx.sym.FullyConnected(data=net, weight=w, name="fc1", num_hidden=128)
assert net.list_arguments() == ["data", "myweight", "fc1_bias"]

# Inputs can be expressions.
lhs = mx.sym.Variable("data1")
rhs = mx.sym.Variable("data2")
net = mx.sym.FullyConnected(data=lhs + rhs, name="fc1", num_hidden=128)
assert net.list_arguments() == ["data1", "data2", "fc1_weight", "fc1_bias"]

# A net can be applied to another one; with a name, its nodes are prefixed.
net = mx.sym.Variable("data")
net = mx.sym.FullyConnected(data=net, name="fc1", num_hidden=10)
net2 = mx.sym.Variable("data2")
net2 = mx.sym.FullyConnected(data=net2, name="net2", num_hidden=10)
composed = net(data=net2, name="compose")
assert composed.list_arguments() == [
    *("data2", "net2_weight", "net2_bias"),
    *("compose_fc1_weight", "compose_fc1_bias"),
]
assert net(data=net2).list_arguments() == ["data2", "net2_weight", "net2_bias", "fc1_weight", "fc1_bias"]

# Shapes follow from those of the inputs.
net = mx.sym.Variable("data")
net = mx.sym.FullyConnected(data=net, name="fc1", num_hidden=10)
arg_shapes, out_shapes, aux_shapes = net.infer_shape(data=(100, 100))
assert dict(zip(net.list_arguments(), arg_shapes)) == {
    "data": (100, 100),
    "fc1_weight": (10, 100),
    "fc1_bias": (10,),
}
assert out_shapes == [(100, 10)]
assert aux_shapes == []
assert net.infer_shape() == (None, None, None)

# A symbol is bound to arrays and run.
A = mx.sym.Variable("A")
B = mx.sym.Variable("B")
C = A * B
a = mx.nd.ones(3) * 4
b = mx.nd.ones(3) * 2
executor = C.bind(ctx=mx.cpu(), args={"A": a, "B": b})
executor.forward()
assert executor.outputs[0].asnumpy().tolist() == [8, 8, 8]

# Or the arrays are made from the shapes of the inputs.
executor = net.simple_bind(data=(2, 100))
executor.forward(is_train=True)
assert executor.outputs[0].shape == (2, 10)
executor.backward(mx.nd.ones((2, 10)))
assert executor.grad_dict["fc1_bias"].asnumpy().tolist() == [2] * 10

print("The tutorial ran as written.")
