"""Connectionist temporal classification."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops.arrays import count_up
from netdef.ops.base import WIDE, Op, Workspace, wide
from netdef.ops.fields import Bool, Enum
from netdef.ops.shapes import ShapeError, Shapes, show


class CTCLoss(Op):
    """-log of the probability that a sequence of distributions spells a label, without knowing where.

    data (T, N, C): for each of T steps and N samples C numbers, of which the softmax is taken; one class is
    the blank.  label (N, L): the classes in order.  output0 (N,): one loss for each sample.  A sequence of T
    classes spells what is left when equal neighbours become one and blanks are dropped.

    The blank is class 0 (`blank_label` first) or the last one.  A label ends at the first 0, with the blank
    last at the first -1, or where `label_lengths` (N,) says; a sequence after T steps, or where
    `data_lengths` (N,) says.  Class numbers are rounded.  Loss and gradient are 0 for a label that the
    sequence is too short for, as in MXNet.  The hidden output holds the gradient.

    Graves et al. 2006; MXNet's CTCLoss.  The sums over all sequences are made in logarithms, by step: `alpha`
    up to each step, `beta` from there on, over the label with a blank before, between and after its classes.
    """

    use_data_lengths = Bool(False, "whether there is an input data_lengths")
    use_label_lengths = Bool(False, "whether there is an input label_lengths")
    blank_label = Enum("first", "last", default="first", help="which class is the blank")

    names = ("CTCLoss", "ctc_loss", "_contrib_CTCLoss", "_contrib_ctc_loss")
    inputs = ("data", "label", "data_lengths", "label_lengths")
    outputs = ("output0", "slope")
    scratch = (
        *("scores", "row", "peak"),
        *("extended", "counts", "lengths", "steps", "places", "flags", "flag"),
        *("jump", "ends", "emission", "alpha", "beta", "part", "total"),
    )
    examples = (
        ({}, {"data": (5, 2, 4), "label": (2, 3)}),
        ({"blank_label": "last"}, {"data": (4, 3, 3), "label": (3, 2)}),
        (
            {"use_data_lengths": True, "use_label_lengths": True},
            {"data": (4, 3, 3), "label": (3, 2), "data_lengths": (3,), "label_lengths": (3,)},
        ),
        ({"use_label_lengths": True}, {"data": (3, 2, 3), "label": (2, 1), "label_lengths": (2,)}),
    )

    def input_names(self) -> tuple[str, ...]:
        lengths = (("data_lengths", self.use_data_lengths), ("label_lengths", self.use_label_lengths))
        return ("data", "label", *(name for name, used in lengths if used))

    def shape(self, s: Shapes) -> None:
        s.merge("data", (None, None, None), "(steps, batch, classes) is needed")
        s.merge("label", (None, None), "(batch, classes in order) is needed")
        steps, batch, _ = s["data"] or (None, None, None)
        longest = (s["label"] or (None, None))[1]
        for name in ("label", "data_lengths", "label_lengths", "output0"):
            rest = (longest,) if name == "label" else ()
            s.merge(name, (batch, *rest), f"data {show(s['data'])} holds {batch} samples")
            batch = (s.get(name) or (batch,))[0]
        s.merge("data", (steps, batch, None))
        s.same("data", "slope")
        if None not in (steps, longest) and steps < longest:  # type: ignore[operator]
            raise ShapeError(
                f"label {show(s['label'])} has up to {longest} classes, more than the {steps} steps of data "
                + show(s["data"]),
                tensor="label",
                hint=f"at most {steps}",
            )

    def types(self, t: Shapes) -> None:
        t.same("data", "output0")
        if (dtype := t["data"]) is not None:
            t.merge("slope", wide(dtype))  # type: ignore[arg-type]
            for name in self.input_names()[1:]:
                if t[name] is None:
                    t.merge(name, dtype)

    def flops(self, s: Shapes) -> int:
        steps, batch, classes = s.full("data")
        return steps * batch * (5 * classes + 20 * self._states(s))

    @staticmethod
    def _states(s: Shapes) -> int:
        """The length of a label with blanks around its classes."""
        return 2 * s.full("label")[1] + 1

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        if backward:
            return {}
        (steps, batch, classes), states = s.full("data"), self._states(s)
        wides = {
            "scores": (steps, batch, classes),
            "row": (batch, classes),
            "peak": (batch, 1),
            "jump": (batch, states + 2),
            "ends": (batch, states),
            "emission": (steps, batch, states),
            "alpha": (steps, batch, states + 2),
            "beta": (batch, states + 2),
            "part": (batch, states),
            "total": (batch, 1),
        }
        numbers = {
            "extended": (batch, states),
            "counts": s.full("label"),
            "lengths": (batch, 1),
            "steps": (batch, 1),
            "places": (max(states, batch),),
        }
        return {
            **{name: Workspace(shape, WIDE) for name, shape in wides.items()},
            **{name: Workspace(shape, "int64") for name, shape in numbers.items()},
            "flags": Workspace((batch, states), "bool"),
            "flag": Workspace((batch, 1), "bool"),
        }

    def forward(
        self,
        xp: Any,
        data: Any,
        label: Any,
        data_lengths: Any,
        label_lengths: Any,
        output0: Any,
        slope: Any,
        scores: Any,
        row: Any,
        peak: Any,
        extended: Any,
        counts: Any,
        lengths: Any,
        steps: Any,
        places: Any,
        flags: Any,
        flag: Any,
        jump: Any,
        ends: Any,
        emission: Any,
        alpha: Any,
        beta: Any,
        part: Any,
        total: Any,
    ) -> None:
        classes = data.shape[2]
        count_up(xp, places)
        _read_lengths(xp, data_lengths, "data_lengths", data.shape[0], steps)
        self._spell(xp, label, label_lengths, classes, extended, counts, lengths, places, flags, part)
        _moves(xp, extended, lengths, places, flags, jump, ends)
        # from here on the places of the classes in a flat (N, C)
        rows = places[: len(extended)].reshape(-1, 1)
        xp.multiply(rows, classes, out=lengths)
        xp.add(extended, lengths, out=extended)
        for t in range(len(data)):
            _log_softmax(xp, data[t], scores[t], row, peak)
            _take(xp, scores[t].reshape(-1), extended, emission[t])
        _upwards(xp, emission, jump, steps, alpha, part, flag)
        xp.add(alpha[-1, :, 2:], ends, out=part)
        xp.logaddexp.reduce(part, axis=1, keepdims=True, out=total)
        # what cannot be spelt costs nothing
        xp.equal(total, -math.inf, out=flag)
        xp.copyto(total, 0, where=flag)
        xp.negative(total.reshape(-1), out=output0)
        if slope is None:
            return
        xp.copyto(steps, 0, where=flag)
        flat, index = row.reshape(-1), extended.reshape(-1)
        beta.fill(-math.inf)
        for t in range(len(data) - 1, -1, -1):
            _downwards(xp, t, jump, ends, steps, beta, part, flag)
            xp.add(beta[:, :-2], alpha[t, :, 2:], out=part)
            xp.subtract(part, total, out=part)
            xp.exp(part, out=part)  # the probability to be here, given the label
            xp.exp(scores[t], out=row)
            xp.subtract.at(flat, index, part.reshape(-1))
            xp.greater(steps, t, out=flag)
            xp.multiply(row, flag, out=slope[t])
            xp.add(beta[:, :-2], emission[t], out=beta[:, :-2])

    def backward(self, xp: Any, doutput0: Any, slope: Any, ddata: Any) -> None:
        xp.multiply(slope, doutput0.reshape(-1, 1), out=ddata)

    def _spell(
        self,
        xp: Any,
        label: Any,
        label_lengths: Any,
        classes: int,
        extended: Any,
        counts: Any,
        lengths: Any,
        places: Any,
        flags: Any,
        part: Any,
    ) -> None:
        """Write the lengths of the labels, and the labels with blanks around their classes.

        What lies behind the end of a label counts as blank.  Raises `ValueError` for a label that is no
        class.
        """
        blank = 0 if self.blank_label == "first" else classes - 1
        spelt, flags = extended[:, 1::2], flags[:, 1::2]
        extended.fill(blank)
        xp.rint(label, out=part[:, 1::2])
        xp.copyto(spelt, part[:, 1::2], casting="unsafe")
        if label_lengths is None:
            xp.equal(spelt, 0 if self.blank_label == "first" else -1, out=flags)
            xp.cumsum(flags, axis=1, out=counts)
            xp.equal(counts, 0, out=flags)
            flags.sum(axis=1, keepdims=True, out=lengths)
        else:
            _read_lengths(xp, label_lengths, "label_lengths", label.shape[1], lengths)
        xp.greater_equal(places[: label.shape[1]], lengths, out=flags)
        xp.copyto(spelt, blank, where=flags)
        if spelt.size and not (spelt.min() >= 0 and spelt.max() < classes):
            sample, place = (int(axis) for axis in xp.argwhere((spelt < 0) | (spelt >= classes))[0])
            raise ValueError(
                f"label {label[sample, place].item()} of sample {sample} is no class: "
                f"there are {classes}, 0 to {classes - 1}"
            )


def _read_lengths(xp: Any, given: Any, name: str, most: int, lengths: Any) -> None:
    """Write the lengths, `most` where none are given; raises `ValueError` for one beyond 0 to `most`."""
    if given is None:
        lengths.fill(most)
        return
    xp.copyto(lengths, given.reshape(-1, 1), casting="unsafe")
    if lengths.size and not (lengths.min() >= 0 and lengths.max() <= most):
        sample = int(xp.argwhere((lengths < 0) | (lengths > most))[0][0])
        raise ValueError(f"{name} is {given[sample].item()} for sample {sample}, but only 0 to {most} fit")


def _moves(xp: Any, extended: Any, lengths: Any, places: Any, flags: Any, jump: Any, ends: Any) -> None:
    """Write 0 where a step may lead, minus infinity elsewhere.

    jump: from two places before, over a blank: between two classes that differ.  ends: where a sequence may
    end, the last class and the blank behind it.
    """
    jump.fill(-math.inf)
    differ = flags[:, 3::2]
    xp.not_equal(extended[:, 3::2], extended[:, 1:-2:2], out=differ)
    xp.copyto(jump[:, 3:-2:2], 0, where=differ)
    ends.fill(-math.inf)
    places = places[: ends.shape[1]]
    xp.multiply(lengths, 2, out=lengths)
    for _ in range(2):
        xp.equal(places, lengths, out=flags)
        xp.copyto(ends, 0, where=flags)
        xp.subtract(lengths, 1, out=lengths)


def _log_softmax(xp: Any, data: Any, scores: Any, row: Any, peak: Any) -> None:
    data.max(axis=1, keepdims=True, out=peak)
    xp.subtract(data, peak, out=scores)
    xp.exp(scores, out=row)
    row.sum(axis=1, keepdims=True, out=peak)
    xp.log(peak, out=peak)
    xp.subtract(scores, peak, out=scores)


def _take(xp: Any, flat: Any, index: Any, out: Any) -> None:
    """flat[index]; the indices are legal, and without a mode numpy would make a copy to check them."""
    xp.take(flat, index, out=out, mode="clip")


def _upwards(xp: Any, emission: Any, jump: Any, steps: Any, alpha: Any, part: Any, flag: Any) -> None:
    """Write alpha: the logarithm of the probability of all ways to each place, two columns before the first.

    Beyond the end of a sequence it stays as it is.
    """
    alpha[:, :, :2].fill(-math.inf)
    alpha[0].fill(-math.inf)
    xp.copyto(alpha[0, :, 2:4], emission[0, :, :2])
    xp.less(steps, 1, out=flag)
    xp.copyto(alpha[0], -math.inf, where=flag)
    for t in range(1, len(alpha)):
        before, here = alpha[t - 1], alpha[t, :, 2:]
        xp.logaddexp(before[:, 2:], before[:, 1:-1], out=here)
        xp.add(before[:, :-2], jump[:, :-2], out=part)
        xp.logaddexp(here, part, out=here)
        xp.add(here, emission[t], out=here)
        xp.less_equal(steps, t, out=flag)
        xp.copyto(here, before[:, 2:], where=flag)


def _downwards(xp: Any, t: int, jump: Any, ends: Any, steps: Any, beta: Any, part: Any, flag: Any) -> None:
    """Turn beta of the next step, emission included, into that of step t: all ways on from each place.

    Two columns behind the last place hold minus infinity.
    """
    here = beta[:, :-2]
    xp.add(beta[:, 2:], jump[:, 2:], out=part)
    xp.logaddexp(here, part, out=part)
    xp.logaddexp(part, beta[:, 1:-1], out=here)
    xp.equal(steps, t + 1, out=flag)
    xp.copyto(here, ends, where=flag)
