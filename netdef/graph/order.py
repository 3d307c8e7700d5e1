"""In which order layers are built, and which version of a blob each of them reads.

A layer may stand before those it reads from.  A blob that layers overwrite in place has several versions: a
reader sees the last one written before it in the file, or the final one if it stands before all of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from netdef.diag import Findings, Related, did_you_mean
from netdef.graph import codes
from netdef.spec.layers.base import Layer

#: how many unknown blobs are compared with the known ones for a hint
MOST_SUGGESTIONS = 50
#: how many layers of a cycle are told
LONGEST_CYCLE = 20

Version = tuple[int, str]  # the number of the layer that wrote it, and the blob


class Placed(NamedTuple):
    """A layer's turn: the versions it reads, and which of its tops are their blobs' last versions."""

    number: int
    reads: tuple[Version, ...]
    finals: frozenset[str]

    def final(self, blob: str) -> bool:
        return blob in self.finals


def in_order(layers: Sequence[Layer], findings: Findings, elsewhere: Collection[str]) -> Iterator[Placed]:
    """The layers that can be built, producers first, otherwise in the file's order."""
    writers = _writers(layers, findings)
    reads: dict[int, tuple[Version, ...]] = {}
    refused: set[int] = set()
    for number, layer in enumerate(layers):
        versions = []
        for index, blob in enumerate(layer.bottom):
            version = _version(number, layer, blob, writers)
            if version is None:
                refused.add(number)
                # Searching thousands of names for each of thousands of mistakes would take minutes.
                similar = list(writers) if len(refused) <= MOST_SUGGESTIONS else []
                _report_missing(layer, index, blob, similar, findings, elsewhere)
            else:
                versions.append((version, blob))
        reads[number] = tuple(versions)
    _check_inplace(layers, reads, findings)
    finals = {blob: numbers[-1] for blob, numbers in writers.items()}
    for number in _sorted(layers, reads, refused, findings):
        last = frozenset(blob for blob in layers[number].top if finals.get(blob) == number)
        yield Placed(number, reads[number], last)


def _writers(layers: Sequence[Layer], findings: Findings) -> dict[str, list[int]]:
    """The layers that write each blob: its producer, then those that overwrite it in place."""
    writers: dict[str, list[int]] = {}
    producer: dict[str, int] = {}
    for number, layer in enumerate(layers):
        for index, blob in enumerate(layer.top):
            if blob in layer.bottom:
                writers.setdefault(blob, []).append(number)
                continue
            if blob in producer:
                first = layers[producer[blob]]
                related = [Related(first.span("top"), f"{first.name} produces it here")]
                message = f"{layer.name} produces {blob}, which {first.name} produces already"
                findings.add(
                    codes.BLOB_PRODUCED_TWICE, layer.span("top", index), message, "rename one", related
                )
                continue
            producer[blob] = number
            writers.setdefault(blob, []).append(number)
    for blob, number in producer.items():
        # The producer comes first even where it stands after a layer that works in place on its blob.
        writers[blob].remove(number)
        writers[blob].insert(0, number)
    return {blob: numbers for blob, numbers in writers.items() if blob in producer}


def _version(number: int, layer: Layer, blob: str, writers: dict[str, list[int]]) -> int | None:
    """Which writer's version of `blob` layer `number` reads."""
    numbers = writers.get(blob)
    if not numbers:
        return None
    # The producer stands first, the layers that work in place after it in the file's order.
    place = bisect_left(numbers, number, 1)
    if place > 1 or numbers[0] < number:
        return numbers[place - 1]
    if blob in layer.top:
        return numbers[0] if numbers[0] != number else None
    return numbers[-1]


def _report_missing(
    layer: Layer, index: int, blob: str, produced: list[str], findings: Findings, elsewhere: Collection[str]
) -> None:
    span = layer.span("bottom", index) if layer.has("bottom") else layer.span("name")
    if blob in elsewhere:
        message = f"{layer.name} reads {blob}, which is produced in another phase, level or stage only"
        findings.add(
            codes.PHASE_MISMATCH, span, message, "add an include rule to this layer, or produce the blob here"
        )
    else:
        hint = did_you_mean(blob, produced) or "add a layer that produces it"
        findings.add(codes.DANGLING_BOTTOM, span, f"{layer.name} reads {blob}, which no layer produces", hint)


def _check_inplace(
    layers: Sequence[Layer], reads: dict[int, tuple[Version, ...]], findings: Findings
) -> None:
    """Refuse what Caffe refuses: overwriting a version that an earlier layer reads, and types that cannot."""
    first_reader: dict[Version, int] = {}
    for number, layer in enumerate(layers):
        for version in reads[number]:
            if version[1] not in layer.top:
                first_reader.setdefault(version, number)
    for number, layer in enumerate(layers):
        for version in reads[number]:
            blob = version[1]
            if blob not in layer.top:
                continue
            if not layer.inplace:
                message = f"{layer.name}: a {layer.type} layer cannot write over its bottom {blob}"
                findings.add(
                    codes.INPLACE_REFUSED, layer.span("top"), message, "give its top a name of its own"
                )
            if first_reader.get(version, number) < number:
                other = layers[first_reader[version]]
                related = [Related(other.span("bottom"), f"{other.name} reads it here")]
                message = f"{layer.name} writes over {blob}, which {other.name} reads as well"
                hint = f"give the top of {layer.name} a name of its own, or put the layer first"
                findings.add(codes.INPLACE_ON_SHARED_BLOB, layer.span("top"), message, hint, related)


def _sorted(
    layers: Sequence[Layer], reads: dict[int, tuple[Version, ...]], refused: set[int], findings: Findings
) -> Iterator[int]:
    """Producers before readers, otherwise in the file's order.

    What hangs on a refused layer or a cycle is left out.
    """
    as_written = all(producer < number for number, read in reads.items() for producer, _ in read)
    order = list(reads) if as_written else _depth_first(layers, reads, refused, findings)
    blocked = set(refused)
    for number in order if blocked else ():
        if number not in blocked and any(producer in blocked for producer, _ in reads[number]):
            blocked.add(number)
    return (number for number in order if number not in blocked)


def _depth_first(
    layers: Sequence[Layer], reads: dict[int, tuple[Version, ...]], refused: set[int], findings: Findings
) -> list[int]:
    """Producers before readers; the layers of a cycle are reported and added to `refused`."""
    state: dict[int, str] = {}
    order: list[int] = []
    for root in range(len(layers)):
        stack = [(root, iter(reads[root]))] if root not in state else []
        if stack:
            state[root] = "open"
        while stack:
            number, rest = stack[-1]
            version = next(rest, None)
            if version is None:
                stack.pop()
                state[number] = "done"
                order.append(number)
                continue
            producer = version[0]
            if producer not in state:
                state[producer] = "open"
                stack.append((producer, iter(reads[producer])))
            elif state[producer] == "open":
                open_layers = [n for n, _ in stack]
                cycle = open_layers[open_layers.index(producer) :]
                refused.update(cycle)
                _report_cycle([layers[n] for n in cycle], findings)
    return order


def _report_cycle(cycle: list[Layer], findings: Findings) -> None:
    # The circle is told from its first layer in the file; a layer reads from the one named after it.
    start = min(range(len(cycle)), key=lambda i: cycle[i].span("name"))
    turned = [*cycle[start:], *cycle[:start]]
    names = [layer.name for layer in [turned[0], *turned[:0:-1], turned[0]]]
    if len(names) > LONGEST_CYCLE:
        names = [*names[: LONGEST_CYCLE - 2], "...", names[-1]]
    told = " -> ".join(names)
    related = [
        Related(layer.span("name"), f"{layer.name} is part of it") for layer in turned[1:LONGEST_CYCLE]
    ]
    findings.add(
        codes.CYCLE,
        turned[0].span("name"),
        f"layers feed each other in a circle: {told}",
        "let one of them read another blob",
        related,
    )
