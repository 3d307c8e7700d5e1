"""Layers that feed the net: Input, ArrayData, IdxData."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netdef.diag import Findings, Span
from netdef.ops.fields import Bool, Float, Int, Str
from netdef.ops.shapes import Full, Shape, show
from netdef.source import BadFile, idx_header, npy_header, npz_headers
from netdef.spec import codes
from netdef.spec.layers.base import BlobShape, Builder, Entry, Layer
from netdef.spec.layers.rules import count_text
from netdef.spec.message import Message, Report, Sub


class InputParameter(Message):
    """Settings of Input."""

    shape = Sub(BlobShape, "the shape of all tops, or one for each top", number=1, repeated=True)


def _shape_for_all_or_each(layer: Any, report: Report) -> None:
    """Caffe: no shape, one for all tops, or one for each."""
    shapes, tops = len(layer.input_param.shape), len(layer.top) or 1
    if shapes not in (0, 1, tops):
        told = f"{shapes} shapes are given for {count_text((tops, tops), 'top')}"
        report(codes.WRONG_COUNT, "input_param.shape", told, "give one for all tops, or one for each")


class Input(Layer):
    """Blobs that whoever runs the net fills, with declared shapes.

    No bottoms, one or more tops.  Without a shape the net can be built, but its shapes have to be given
    otherwise.
    """

    input_param = Sub(InputParameter, "settings of the layer", number=143)

    rules = (*Layer.rules, _shape_for_all_or_each)
    bottoms = (0, 0)
    tops = (1, None)

    def input_shapes(self, findings: Findings) -> list[Shape]:
        shapes: list[Shape] = [shape.dim for shape in self.input_param.shape] or [None]
        return shapes * len(self.top) if len(shapes) == 1 else shapes

    def lower(self, net: Builder) -> list[Entry]:
        return [net.input(top) for top in range(len(self.top))]


class TransformationParameter(Message):
    """How the samples of the first top are transformed: crop, mirror, then (x - mean_value) * scale."""

    scale = Float(1.0, "factor after the mean is subtracted", number=1)
    mirror = Bool(False, "flip half of the training images from left to right", number=2)
    crop_size = Int(
        0, "cut a square of this size: at random in training, else from the centre; 0: none", min=0, number=3
    )
    mean_value = Float(help="what is subtracted: once, or once for each channel", number=5, repeated=True)


class FileData(Layer):
    """Base of the layers that read arrays of samples from files, one array for each top."""

    transform_param = Sub(
        TransformationParameter, "how the samples of the first top are transformed", number=100
    )

    bottoms = (0, 0)

    @property
    def block(self) -> Any:
        """The layer's own parameter block."""
        raise NotImplementedError

    @property
    def batch_size(self) -> int:
        """Samples in a batch."""
        return int(self.block.batch_size)

    @property
    def shuffle(self) -> bool:
        """Whether each epoch has an order of its own."""
        return bool(self.block.shuffle)

    def files(self) -> list[tuple[Path, str]]:
        """For each top the path of its file, and its array's name there ("" in a file of one)."""
        raise NotImplementedError

    def source_span(self) -> Span:
        """The place of the field that names the files."""
        return self.block.span("source")

    def resolve(self, source: str) -> Path:
        """The path of a source, which is relative to the spec's folder."""
        folder = os.path.dirname(self.document.file) if self.document else ""
        return Path(os.path.join(folder, source))

    def declared(self) -> list[Full | None]:
        """For each top the shape of a sample that the layer declares."""
        raise NotImplementedError

    def stored(self, path: Path, keys: Sequence[str]) -> list[Full]:
        """The shapes of arrays as the header of their file says them; raises `BadFile`."""
        raise NotImplementedError

    def input_shapes(self, findings: Findings) -> list[Shape]:
        """(batch_size, sample...) for each top, as declared or as the files' headers say."""
        declared = self.declared()
        stored: Sequence[Full | None] = self._all_stored() or [
            self._stored(top, declared[top], findings) for top in range(len(self.top))
        ]
        self._check_lengths(stored, findings)
        samples: list[Full | None] = []
        for top, (wanted, found) in enumerate(zip(declared, stored)):
            if wanted is not None and found is not None and wanted != found[1:]:
                told = (
                    f"{self.name}: {self.top[top]} is {show(wanted)} here, but {show(found[1:])} in its file"
                )
                findings.add(
                    codes.DATA_SHAPE_DIFFERS,
                    self.block.span("shape", top),
                    told,
                    "mend the one that is wrong",
                )
            samples.append(wanted if found is None else found[1:])
        samples[0] = self.transformed(samples[0], findings)
        return [None if sample is None else (self.batch_size, *sample) for sample in samples]

    def _all_stored(self) -> list[Full]:
        """The shapes of all arrays, read together; none where something is wrong with any of them."""
        files = self.files()
        found: dict[tuple[Path, str], Full] = {}
        try:
            for path in dict.fromkeys(path for path, _ in files):
                keys = [key for where, key in files if where == path]
                found.update(((path, key), shape) for key, shape in zip(keys, self.stored(path, keys)))
        except BadFile:
            return []
        return [found[file] for file in files] if all(shape and shape[0] for shape in found.values()) else []

    def _stored(self, top: int, declared: Full | None, findings: Findings) -> Full | None:
        """The shape of one top's array; a file that is not there is no fault where the shape is declared."""
        path, key = self.files()[top]
        try:
            shape = self.stored(path, [key])[0]
            if not shape or not shape[0]:
                what = "holds no samples" if shape else "is one number"
                raise BadFile(f"{path.name}: {key or 'the array'} {what}", "store one row for each sample")
        except BadFile as bad:
            missing = not os.path.exists(path)
            if not missing or declared is None:
                code = codes.DATA_FILE_MISSING if missing else codes.DATA_FILE_WRONG
                hint = f"{bad.hint}, or declare shape" if missing else bad.hint
                findings.add(code, self.file_span(top), f"{self.name}: {bad.message}", hint)
            return None
        return shape

    def file_span(self, top: int) -> Span:
        """The place where the file of a top is named."""
        return self.block.span("source", top)

    def _check_lengths(self, stored: Sequence[Full | None], findings: Findings) -> None:
        """All arrays have the same number of samples."""
        lengths = {top: shape[0] for top, shape in zip(self.top, stored) if shape is not None}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{top} {length}" for top, length in lengths.items())
            message = f"{self.name}: the arrays differ in their number of samples: {told}"
            findings.add(
                codes.DATA_FILE_WRONG, self.source_span(), message, "give files that belong together"
            )

    def transformed(self, sample: Full | None, findings: Findings) -> Full | None:
        """The shape of a sample of the first top after its transformation; None where it does not fit."""
        transform: TransformationParameter = self.transform_param
        if sample is None:
            return None
        mean, channels = len(transform.mean_value), sample[0] if sample else 1
        if mean not in (0, 1, channels):
            message = f"{self.name}: mean_value has {mean} entries, but a sample is {show(sample)}"
            hint = f"give one, or one for each of {channels} channels"
            findings.add(codes.BAD_TRANSFORM, transform.span("mean_value"), message, hint)
        crop = transform.crop_size
        if len(sample) < 3:
            flipped = [name for name in ("crop_size", "mirror") if getattr(transform, name)]
            if flipped:
                message = f"{self.name}: {flipped[0]} is for images, but a sample is {show(sample)}"
                hint = f"remove {flipped[0]}, or store samples as channels x height x width"
                findings.add(codes.BAD_TRANSFORM, transform.span(flipped[0]), message, hint)
                return None if crop else sample
        elif crop > min(sample[-2:]):
            message = f"{self.name}: crop_size {crop} is larger than the images, {show(sample)}"
            findings.add(
                codes.BAD_TRANSFORM, transform.span("crop_size"), message, f"at most {min(sample[-2:])}"
            )
            return None
        return (*sample[:-2], crop, crop) if crop else sample

    def lower(self, net: Builder) -> list[Entry]:
        return [net.input(top) for top in range(len(self.top))]


class ArrayDataParameter(Message):
    """Settings of ArrayData."""

    source = Str(
        help="one .npz or .npy file for all tops, or one for each; relative to the spec", repeated=True
    )
    key = Str(help="the name of each top's array in its .npz file; default: the top's name", repeated=True)
    batch_size = Int(min=1, help="samples in a batch")
    shuffle = Bool(False, "draw the samples of each epoch in an order of its own")
    shape = Sub(
        BlobShape,
        "for each top the shape of a sample, without the batch; lets a net be checked without its files",
        repeated=True,
    )


def _array_sources(layer: Any, report: Report) -> None:
    """Files that can hold the arrays: .npz for any number of tops, .npy for one."""
    param, tops = layer.array_data_param, len(layer.top) or 1
    if not param.source:
        report(
            codes.MISSING_FIELD,
            "array_data_param.source",
            "array_data_param needs source",
            "name a .npz or .npy file",
        )
        return
    for number, source in enumerate(param.source):
        if not source.endswith((".npz", ".npy")):
            told = f"{source!r} is neither a .npz nor a .npy file"
            hint = "store the arrays with numpy.savez or numpy.save"
            report(codes.BAD_VALUE, f"array_data_param.source.{number}", told, hint)
            return
    single = len(param.source) == 1 and param.source[0].endswith(".npz")
    if len(param.source) != tops and not single:
        told = f"{count_text((len(param.source),) * 2, 'file')} for {count_text((tops, tops), 'top')}"
        hint = "give one .npz file for all tops, or one file for each"
        report(codes.WRONG_COUNT, "array_data_param.source", told, hint)
    npy = [source for source in param.source if source.endswith(".npy")]
    if npy and param.key:
        told = f"key names an array in a .npz file, but {npy[0]} holds one array only"
        report(codes.CONFLICT, "array_data_param.key", told, "remove key, or give .npz files")
    for name in ("key", "shape"):
        count = len(getattr(param, name))
        if count not in (0, tops):
            told = f"{name} has {count} entries for {count_text((tops, tops), 'top')}"
            report(
                codes.WRONG_COUNT, f"array_data_param.{name}", told, "give one for each top, or leave it out"
            )


class ArrayData(FileData):
    """Samples from NumPy arrays: .npz or .npy files.

    No bottoms; for each top an array whose first axis counts the samples.  A top is (batch_size, sample...);
    the first one goes through transform_param, the others, such as labels, are taken as they are.  A batch
    may straddle two epochs, as in Caffe.
    """

    array_data_param = Sub(ArrayDataParameter, "settings of the layer")

    rules = (*Layer.rules, _array_sources)
    tops = (1, None)

    @property
    def block(self) -> ArrayDataParameter:
        return self.array_data_param

    def files(self) -> list[tuple[Path, str]]:
        sources = self.block.source * (len(self.top) if len(self.block.source) == 1 else 1)
        keys = self.block.key or self.top
        paths = {source: self.resolve(source) for source in self.block.source}
        return [(paths[s], key if s.endswith(".npz") else "") for s, key in zip(sources, keys)]

    def declared(self) -> list[Full | None]:
        return [shape.dim for shape in self.block.shape] or [None] * len(self.top)

    def stored(self, path: Path, keys: Sequence[str]) -> list[Full]:
        if not all(keys):
            return [npy_header(path).shape] * len(keys)
        headers = npz_headers(path, keys)
        return [headers[key].shape for key in keys]


class IdxDataParameter(Message):
    """Settings of IdxData."""

    source = Str(help="the idx file of the images, gzipped or not; relative to the spec")
    label_source = Str(None, "the idx file of the labels, for the second top")
    batch_size = Int(min=1, help="samples in a batch")
    shuffle = Bool(False, "draw the samples of each epoch in an order of its own")
    shape = Sub(
        BlobShape,
        "the shape of an image, such as [1, 28, 28]; lets a net be checked without its files",
        optional=True,
    )


def _label_source(layer: Any, report: Report) -> None:
    """A label file exactly where there is a second top."""
    param: IdxDataParameter = layer.idx_data_param
    if len(layer.top) == 2 and not param.has("label_source"):
        told = f"the second top {layer.top[1]} has no file"
        report(codes.MISSING_FIELD, "idx_data_param", told, "give label_source")
    elif len(layer.top) != 2 and param.has("label_source"):
        told = "label_source has no top"
        report(codes.WRONG_ARITY, "idx_data_param.label_source", told, "name a second top, such as label")


class IdxData(FileData):
    """Images and labels from idx files, MNIST's format, gzipped or not (LeCun, Cortes and Burges 1998).

    No bottoms.  Tops: images (batch_size, 1, H, W), which go through transform_param; and, if a second top is
    named, labels (batch_size).  A batch may straddle two epochs, as in Caffe.
    """

    idx_data_param = Sub(IdxDataParameter, "settings of the layer")

    rules = (*Layer.rules, _label_source)
    tops = (1, 2)

    @property
    def block(self) -> IdxDataParameter:
        return self.idx_data_param

    def files(self) -> list[tuple[Path, str]]:
        sources = (self.block.source, self.block.label_source)
        return [(self.resolve(source), "") for source in sources[: len(self.top)]]

    def declared(self) -> list[Full | None]:
        image = self.block.shape
        return [None if image is None else image.dim, None if image is None else ()][: len(self.top)]

    def stored(self, path: Path, keys: Sequence[str]) -> list[Full]:
        shape = idx_header(path).shape
        # Images are written without a channel axis: (N, H, W) stands for one channel.
        return [(shape[0], 1, *shape[1:]) if len(shape) == 3 else shape] * len(keys)

    def file_span(self, top: int) -> Span:
        return self.block.span(("source", "label_source")[top])
