"""MXNet's `mx.io`: what feeds a Module or a FeedForward model."""

from netdef.mx.io.batch import DataBatch, DataDesc, DataIter

__all__ = ["DataBatch", "DataDesc", "DataIter"]
