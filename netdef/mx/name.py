"""MXNet's `name` module: how symbols that were given no name are named."""

from netdef.graph.naming import NameManager, Prefix

__all__ = ["NameManager", "Prefix"]
