"""What is done to the output of a convolution part by part, while its sums are still in the cache."""

from __future__ import annotations

from typing import Any, NamedTuple

from netdef.ops.arrays import batch_last, copy_rows, rectify


class Epilogue(NamedTuple):
    """A bias is added, then an array, then what is below 0 becomes 0."""

    #: (filters,)
    bias: Any = None
    #: like the output (N, filters, O...); it may be the output's memory
    addend: Any = None
    rectifies: bool = False

    @property
    def last(self) -> Any:
        """The addend with the batch as its last axis (filters, O..., N); None where there is none."""
        return None if self.addend is None else batch_last(self.addend)

    def finish(self, xp: Any, sums: Any, result: Any, bias: Any, addend: Any) -> None:
        """Write a part of the output from its sums, which are used up or are the result itself.

        `bias` and `addend` are seen so that they fit this part; None where there is none.
        """
        added = [operand for operand in (bias, addend) if operand is not None]
        for number, operand in enumerate(added, start=1):
            complete = number == len(added) and not self.rectifies
            xp.add(sums, operand, out=result if complete else sums)
        if self.rectifies:
            rectify(xp, sums, result)
        elif not added and sums is not result:
            copy_rows(xp, result, sums)

    def begin(self, xp: Any, result: Any, bias: Any, addend: Any) -> None:
        """Write to a part of the output what its sums begin with; then they are made in it, and `end`."""
        if addend is None:
            xp.copyto(result, 0 if bias is None else bias)
        elif bias is None:
            xp.copyto(result, addend)
        else:
            xp.add(addend, bias, out=result)

    def end(self, xp: Any, result: Any) -> None:
        """Do what comes after the sums."""
        if self.rectifies:
            rectify(xp, result, result)


#: for convolutions that only sum up, as gradients do
NOTHING = Epilogue()
