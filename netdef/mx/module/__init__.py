"""MXNet's modules: nets that are bound, initialized, trained and asked, step by step or by `fit`."""

from netdef.mx.module.base import BaseModule
from netdef.mx.module.bucketing import BucketingModule
from netdef.mx.module.module import Module
from netdef.mx.module.python import PythonLossModule, PythonModule
from netdef.mx.module.sequential import SequentialModule

__all__ = [
    "BaseModule",
    "BucketingModule",
    "Module",
    "PythonLossModule",
    "PythonModule",
    "SequentialModule",
]
