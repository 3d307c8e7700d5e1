"""Caffe's layer types, by the name that `type` gives them.

The list is written out: a type that is not in it does not exist, whatever is imported.  MXNet's operators,
which are layer types as well, are derived in `spec.layers.operators`.
"""

from __future__ import annotations

from netdef.spec.layers.activation import ReLU, Sigmoid, TanH
from netdef.spec.layers.base import Layer
from netdef.spec.layers.common import Concat, Dropout, Eltwise, Flatten, InnerProduct, Softmax
from netdef.spec.layers.data import ArrayData, IdxData, Input
from netdef.spec.layers.loss import Accuracy, SoftmaxWithLoss
from netdef.spec.layers.normalization import BatchNorm, Scale
from netdef.spec.layers.vision import LRN, Convolution, Pooling

LAYERS: dict[str, type[Layer]] = {
    "Accuracy": Accuracy,
    "ArrayData": ArrayData,
    "BatchNorm": BatchNorm,
    "Concat": Concat,
    "Convolution": Convolution,
    "Dropout": Dropout,
    "Eltwise": Eltwise,
    "Flatten": Flatten,
    "IdxData": IdxData,
    "InnerProduct": InnerProduct,
    "Input": Input,
    "LRN": LRN,
    "Pooling": Pooling,
    "ReLU": ReLU,
    "Scale": Scale,
    "Sigmoid": Sigmoid,
    "Softmax": Softmax,
    "SoftmaxWithLoss": SoftmaxWithLoss,
    "TanH": TanH,
}

#: Caffe's layer types that netdef does not have
_NOT_YET = """
    AbsVal ArgMax BNLL BatchReindex Bias Clip ContrastiveLoss Crop Data Deconvolution DummyData ELU Embed
    EuclideanLoss Exp Filter HDF5Data HDF5Output HingeLoss Im2col ImageData InfogainLoss LSTM LSTMUnit Log MVN
    MemoryData MultinomialLogisticLoss PReLU Parameter Power Python RNN Reduction Reshape SPP
    SigmoidCrossEntropyLoss Silence Slice Split Swish Threshold Tile WindowData
"""
CAFFE_ONLY = frozenset(_NOT_YET.split())
