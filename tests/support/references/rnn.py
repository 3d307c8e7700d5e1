"""References of netdef.ops.rnn."""

import numpy as np

from references import reference, sample

#: so small that its square vanishes beside 1: the imaginary part of f(x + i*STEP) is STEP*f'(x), exactly
STEP = 1e-40


def by_complex_steps(function, op, x, heads, constant=()):
    """Outputs of a function of arrays with a leading axis of variants, and gradients of its inputs.

    Variant 0 holds the inputs, each other one a complex step in one of their elements.
    """
    smooth = [name for name in op.input_names() if name not in constant]
    count = 1 + sum(x[name].size for name in smooth)
    variants = {name: x[name] for name in op.input_names() if name in constant}
    place = 1
    for name in smooth:
        array = variants[name] = np.empty((count, *x[name].shape), complex)
        array[:] = x[name]
        array.reshape(count, -1)[range(place, place + x[name].size), range(x[name].size)] += 1j * STEP
        place += x[name].size
    found = function(op, variants)
    slopes = sum(
        (array.imag * heads[f"d{name}"]).reshape(count, -1).sum(axis=1) for name, array in found.items()
    )
    result = {name: array[0].real for name, array in found.items()}
    place = 1
    for name in smooth:
        result[f"d{name}"] = slopes[place : place + x[name].size].reshape(x[name].shape) / STEP
        place += x[name].size
    return result


@sample("RNN")
def sequences(op, shapes, random):
    """Samples of any number of steps, none and all of them among these."""
    if not op.use_sequence_length:
        return {}
    steps, batch, _ = shapes.full("data")
    lengths = random.integers(0, steps + 1, batch)
    lengths[:2] = (0, steps)[:batch]
    return {"sequence_length": lengths}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(op, x, weights, h, c):
    """One step of one cell, after the definitions; arrays have a leading axis of variants."""
    wi, wh, wr, bi, bh = weights
    i = np.einsum("kni,kgi->kng", x, wi) + bi[:, None]
    s = np.einsum("kni,kgi->kng", h, wh) + bh[:, None]
    if op.mode == "rnn_tanh":
        return np.tanh(i + s), c
    if op.mode == "rnn_relu":
        return np.where((i + s).real > 0, i + s, 0), c
    if op.mode == "gru":
        (xr, xz, xn), (hr, hz, hn) = np.split(i, 3, 2), np.split(s, 3, 2)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        n = np.tanh(xn + r * hn)
        return (1 - z) * n + z * h, c
    i, f, g, o = np.split(i + s, 4, 2)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    if op.lstm_state_clip_min is not None:
        c = np.where(c.real < op.lstm_state_clip_min, op.lstm_state_clip_min, c)
        c = np.where(c.real > op.lstm_state_clip_max, op.lstm_state_clip_max, c)
    h = sigmoid(o) * np.tanh(c)
    return (h if wr is None else np.einsum("knh,kph->knp", h, wr)), c


def unpack(op, flat, inputs):
    """The parameters of each layer and direction."""
    gates = {"lstm": 4, "gru": 3}.get(op.mode, 1) * op.state_size
    shown = op.projection_size or op.state_size
    directions = 1 + op.bidirectional
    groups, place = [], 0

    def take(*shape):
        nonlocal place
        place += np.prod(shape)
        return flat[:, place - np.prod(shape) : place].reshape(-1, *shape)

    for layer in range(op.num_layers):
        for _ in range(directions):
            wi = take(gates, directions * shown if layer else inputs)
            wh = take(gates, shown)
            groups.append([wi, wh, take(shown, op.state_size) if op.projection_size else None])
    for group in groups:
        group += [take(gates), take(gates)]
    assert place == flat.shape[1]
    return groups


def outputs(op, x):
    """The outputs for inputs with a leading axis of variants."""
    data = x["data"]
    steps, batch = data.shape[1:3]
    groups = unpack(op, x["parameters"], data.shape[3])
    lengths = [int(length) for length in x.get("sequence_length", [steps] * batch)]
    last_h, last_c = [], []
    parts = [data]
    for number, group in enumerate(groups):
        reverse = op.bidirectional and number % 2
        if number % (1 + op.bidirectional) == 0:
            below, parts = np.concatenate(parts, 3), []
            if number and op.p == 1:
                below = np.zeros_like(below)
        h = x["state"][:, number].copy()
        c = x["state_cell"][:, number].copy() if "state_cell" in x else None
        part = np.zeros((len(data), steps, batch, h.shape[2]), complex)
        for n in range(batch):
            order = range(lengths[n])
            for t in reversed(order) if reverse else order:
                one = slice(n, n + 1)
                hn, cn = step(op, below[:, t, one], group, h[:, one], None if c is None else c[:, one])
                h[:, one] = part[:, t, one] = hn
                if c is not None:
                    c[:, one] = cn
        parts.append(part)
        last_h.append(h)
        last_c.append(c)
    found = {"output": np.concatenate(parts, 3)}
    if op.state_outputs:
        found["state_output"] = np.stack(last_h, 1)
        if op.mode == "lstm":
            found["statecell_output"] = np.stack(last_c, 1)
    return found


@reference(
    "RNN",
    more=[
        ({"state_size": 1, "num_layers": 1, "mode": "lstm"}, {"data": (1, 1, 1)}),
        ({"state_size": 2, "num_layers": 3, "mode": "gru"}, {"data": (4, 2, 3)}),
        ({"state_size": 3, "num_layers": 2, "mode": "lstm", "bidirectional": True}, {"data": (3, 2, 2)}),
        ({"state_size": 3, "num_layers": 2, "mode": "rnn_relu", "state_outputs": True}, {"data": (3, 2, 2)}),
        ({"state_size": 2, "num_layers": 1, "mode": "lstm", "projection_size": 3}, {"data": (3, 2, 2)}),
        ({"state_size": 4, "num_layers": 2, "mode": "lstm", "projection_size": 2}, {"data": (3, 2, 2)}),
        (
            {"state_size": 2, "num_layers": 2, "mode": "gru", "bidirectional": True}
            | {"use_sequence_length": True, "state_outputs": True},
            {"data": (4, 5, 2)},
        ),
        (
            {"state_size": 2, "num_layers": 1, "mode": "rnn_tanh", "bidirectional": True}
            | {"use_sequence_length": True, "state_outputs": True},
            {"data": (4, 5, 2)},
        ),
    ],
)
def rnn(op, x, heads):
    """Sample by sample."""
    return by_complex_steps(outputs, op, x, heads, constant=("sequence_length",))
