"""Sequences of different lengths in one batch."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import as_stored, count_up
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Float, Int
from netdef.ops.gather import any_index_type, put_rows, take_rows, whole
from netdef.ops.shapes import Full, ShapeError, Shapes, Types, show


class Sequences(Op, abstract=True):
    """An operator on a batch of sequences: data (T, N, S...), with `axis` 1 (N, T, S...).

    With `use_sequence_length`, sequence_length (N,) holds the length of each, of any type and truncated;
    without it all have length T.  It gets no gradient.
    """

    use_sequence_length = Bool(False, "take the length of each sequence as a second input")
    axis = Int(0, "the axis of time, 0 or 1; the other one is the batch")

    inputs = ("data", "sequence_length")
    work = 0

    def input_names(self) -> tuple[str, ...]:
        return self.inputs if self.use_sequence_length else self.inputs[:1]

    def merge_lengths(self, s: Shapes, last: int = 1) -> int:
        """Learn what data and lengths say of each other; returns the axis of the batch."""
        if not 0 <= self.axis <= last:
            legal = "0 or 1" if last else "0"
            raise ShapeError(f"axis is {self.axis}, but time lies along axis {legal}", attribute="axis")
        data, batch = s.rank("data", 2, "an axis of time and one of the batch"), 1 - self.axis
        if data is not None and self.use_sequence_length:
            s.merge("sequence_length", (data[batch],), f"data is {show(data)}")
            known = s["sequence_length"] or ()
            s.merge("data", (*data[:batch], *known, *data[batch + 1 :]))
        return batch

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("data", "output")
        if self.use_sequence_length:
            any_index_type(t, "sequence_length", "data")


class SequenceLast(Sequences):
    """The last element of each sequence: data (T, N, S...)[, sequence_length] -> output (N, S...).

    With `axis` 1 data is (N, T, S...).  Lengths are brought within 1 and T.  MXNet's SequenceLast.
    """

    scratch = ("row", "ramp")
    examples = (
        ({}, {"data": (4, 3, 2)}),
        ({"use_sequence_length": True}, {"data": (4, 3)}),
        ({"use_sequence_length": True, "axis": 1}, {"data": (4, 3, 2)}),
        ({"axis": 1}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        batch = self.merge_lengths(s)
        if (data := s["data"]) is not None:
            s.merge(
                "output", (data[batch], *data[2:]), f"data is {show(data)} and time along axis {self.axis}"
            )
            first, *rest = s["output"] or ()
            s.merge("data", (None, first, *rest) if batch else (first, None, *rest))
            self.merge_lengths(s)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        rows = Workspace(s.full("output")[:1], "int64")
        return {"row": rows, "ramp": rows} if self.use_sequence_length else {}

    def _rows(self, xp: Any, shape: Full, sequence_length: Any, row: Any, ramp: Any) -> None:
        """Write to `row` which of the first two axes' places, counted through, the last elements have."""
        time, batch = shape[self.axis], shape[1 - self.axis]
        whole(xp, sequence_length, row)
        xp.clip(row, 1, time, out=row)
        xp.subtract(row, 1, out=row)
        count_up(xp, ramp)
        if self.axis == 0:
            xp.multiply(row, batch, out=row)
        else:
            xp.multiply(ramp, time, out=ramp)
        xp.add(row, ramp, out=row)

    def _end(self, data: Any) -> Any:
        return data[-1] if self.axis == 0 else data[:, -1]

    def forward(self, xp: Any, data: Any, sequence_length: Any, output: Any, row: Any, ramp: Any) -> None:
        if sequence_length is None:
            xp.copyto(output, self._end(data))
            return
        self._rows(xp, data.shape, sequence_length, row, ramp)
        take_rows(xp, data, row, output)

    def backward(self, xp: Any, doutput: Any, sequence_length: Any, ddata: Any, row: Any, ramp: Any) -> None:
        xp.copyto(ddata, 0)
        if sequence_length is None:
            xp.copyto(self._end(ddata), doutput)
            return
        self._rows(xp, ddata.shape, sequence_length, row, ramp)
        put_rows(xp, doutput, row, ddata)


class SequenceMask(Sequences):
    """`value` in place of what lies behind the end of each sequence: data[, sequence_length] -> output.

    data and output (T, N, S...), with `axis` 1 (N, T, S...).  Without lengths the output is the data.  No
    gradient passes where `value` stands.  MXNet's SequenceMask.
    """

    value = Float(0.0, "what stands behind the end", infinite=True)

    begins = ("data", "sequence_length", "use_sequence_length", "value")
    scratch = ("length", "ramp", "mask")
    inplace = (("data", "output"), ("doutput", "ddata"))
    examples = (
        ({}, {"data": (4, 3, 2)}),
        ({"use_sequence_length": True, "value": -1.5}, {"data": (4, 3)}),
        ({"use_sequence_length": True, "axis": 1}, {"data": (4, 3, 2, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        self.merge_lengths(s)
        s.same("data", "output")

    def view(self, train: bool) -> tuple[str, str] | None:
        return None if self.use_sequence_length else ("data", "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        if not self.use_sequence_length:
            return {}
        data = s.full("data")
        return {
            "length": Workspace(s.full("sequence_length"), "int64"),
            "ramp": Workspace((data[self.axis],), "int64"),
            "mask": Workspace(data[:2], "bool"),
        }

    def _fill(
        self, xp: Any, sequence_length: Any, array: Any, value: float, length: Any, ramp: Any, mask: Any
    ) -> None:
        """Write `value` behind the end of each sequence."""
        whole(xp, sequence_length, length)
        count_up(xp, ramp)
        over, of = (ramp[:, None], length) if self.axis == 0 else (ramp, length[:, None])
        xp.greater_equal(over, of, out=mask)
        mask = mask.reshape(mask.shape + (1,) * (array.ndim - 2))
        xp.copyto(array, as_stored(value, array.dtype), where=mask)

    def forward(
        self, xp: Any, data: Any, sequence_length: Any, output: Any, length: Any, ramp: Any, mask: Any
    ) -> None:
        xp.copyto(output, data)
        if sequence_length is not None:
            self._fill(xp, sequence_length, output, self.value, length, ramp, mask)

    def backward(
        self, xp: Any, doutput: Any, sequence_length: Any, ddata: Any, length: Any, ramp: Any, mask: Any
    ) -> None:
        xp.copyto(ddata, doutput)
        if sequence_length is not None:
            self._fill(xp, sequence_length, ddata, 0, length, ramp, mask)


class SequenceReverse(Sequences):
    """Each sequence from its end to its beginning: data (T, N, S...)[, sequence_length] -> output.

    What lies behind the end of a sequence stays where it is; lengths are brought within 0 and T.  Time must
    be axis 0.  MXNet's SequenceReverse.
    """

    scratch = ("length", "ramp", "row", "mask")
    examples = (
        ({}, {"data": (4, 3, 2)}),
        ({"use_sequence_length": True}, {"data": (4, 3)}),
        ({"use_sequence_length": True}, {"data": (4, 3, 2, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        self.merge_lengths(s, last=0)
        s.same("data", "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        if not self.use_sequence_length:
            return {}
        places = s.full("data")[:2]
        return {
            "length": Workspace(places[1:], "int64"),
            "ramp": Workspace((max(places),), "int64"),
            "row": Workspace(places, "int64"),
            "mask": Workspace(places, "bool"),
        }

    def _reverse(
        self, xp: Any, data: Any, lengths: Any, output: Any, length: Any, ramp: Any, row: Any, mask: Any
    ) -> None:
        if lengths is None:
            xp.copyto(output, data[::-1])
            return
        time, batch = data.shape[:2]
        whole(xp, lengths, length)
        xp.clip(length, 0, time, out=length)
        xp.subtract(length, 1, out=length)
        count_up(xp, ramp)
        step = ramp[:time].reshape(time, 1)
        xp.subtract(length, step, out=row)
        xp.less(row, 0, out=mask)
        xp.copyto(row, step, where=mask)
        xp.multiply(row, batch, out=row)
        xp.add(row, ramp[:batch], out=row)
        take_rows(xp, data, row, output)

    def forward(
        self,
        xp: Any,
        data: Any,
        sequence_length: Any,
        output: Any,
        length: Any,
        ramp: Any,
        row: Any,
        mask: Any,
    ) -> None:
        self._reverse(xp, data, sequence_length, output, length, ramp, row, mask)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        sequence_length: Any,
        ddata: Any,
        length: Any,
        ramp: Any,
        row: Any,
        mask: Any,
    ) -> None:
        # twice reversed is as it was
        self._reverse(xp, doutput, sequence_length, ddata, length, ramp, row, mask)
