"""netdef: neural networks written as data.

`import netdef as mx` offers MXNet's names (`mx.sym`, `mx.nd`, `mx.cpu()`, ...).  They are loaded when they
are first used, so that `import netdef` itself loads next to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: public name -> the module that has it, and its name there (none: the module itself)
_PUBLIC = {
    "sym": ("netdef.mx.symbol", ""),
    "symbol": ("netdef.mx.symbol", ""),
    "nd": ("netdef.mx.ndarray", ""),
    "ndarray": ("netdef.mx.ndarray", ""),
    "name": ("netdef.mx.name", ""),
    "base": ("netdef.mx.base", ""),
    "callback": ("netdef.mx.callback", ""),
    "init": ("netdef.mx.initializer", ""),
    "initializer": ("netdef.mx.initializer", ""),
    "io": ("netdef.mx.io", ""),
    "kv": ("netdef.mx.kvstore", ""),
    "kvstore": ("netdef.mx.kvstore", ""),
    "lr_scheduler": ("netdef.mx.lr_scheduler", ""),
    "metric": ("netdef.mx.metric", ""),
    "mod": ("netdef.mx.module", ""),
    "model": ("netdef.mx.model", ""),
    "module": ("netdef.mx.module", ""),
    "mon": ("netdef.mx.monitor", ""),
    "monitor": ("netdef.mx.monitor", ""),
    "operator": ("netdef.mx.operator", ""),
    "opt": ("netdef.mx.optimizer", ""),
    "optimizer": ("netdef.mx.optimizer", ""),
    "random": ("netdef.mx.random", ""),
    "registry": ("netdef.mx.registry", ""),
    "test_utils": ("netdef.mx.test_utils", ""),
    "visualization": ("netdef.mx.visualization", ""),
    "viz": ("netdef.mx.visualization", ""),
    "FeedForward": ("netdef.mx.model", "FeedForward"),
    "Monitor": ("netdef.mx.monitor", "Monitor"),
    "rnn": ("netdef.mx.rnn", ""),
    "Symbol": ("netdef.mx.symbol", "Symbol"),
    "NDArray": ("netdef.mx.ndarray", "NDArray"),
    "Executor": ("netdef.mx.executor", "Executor"),
    "AttrScope": ("netdef.graph.naming", "AttrScope"),
    "Context": ("netdef.runtime.context", "Context"),
    "context": ("netdef.runtime.context", ""),
    "cpu": ("netdef.runtime.context", "cpu"),
    "cpu_pinned": ("netdef.runtime.context", "cpu_pinned"),
    "current_context": ("netdef.runtime.context", "current_context"),
    "executor": ("netdef.mx.executor", ""),
    "gpu": ("netdef.runtime.context", "gpu"),
    "Error": ("netdef.diag", "Error"),
    "MXNetError": ("netdef.diag", "MXNetError"),
    "EnvironmentFault": ("netdef.diag", "EnvironmentFault"),
    "NumericFault": ("netdef.diag", "NumericFault"),
    "UsageError": ("netdef.diag", "UsageError"),
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'netdef' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    found = importlib.import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
