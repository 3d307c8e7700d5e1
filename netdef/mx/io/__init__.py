"""MXNet's `mx.io`: what feeds a Module or a FeedForward model."""

from netdef.mx.io.batch import DataBatch, DataDesc, DataIter
from netdef.mx.io.csv_iter import CSVIter
from netdef.mx.io.libsvm_iter import LibSVMIter
from netdef.mx.io.mnist_iter import MNISTIter
from netdef.mx.io.ndarray_iter import NDArrayIter
from netdef.mx.io.wrap import PrefetchingIter, ResizeIter

__all__ = [
    "CSVIter",
    "DataBatch",
    "DataDesc",
    "DataIter",
    "LibSVMIter",
    "MNISTIter",
    "NDArrayIter",
    "PrefetchingIter",
    "ResizeIter",
]
