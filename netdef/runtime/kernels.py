"""What holds while kernels run."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any


def quiet(xp: Any) -> Any:
    """A context without warnings: infinity and NaN are results.

    One around all kernels of a pass costs a microsecond; in the kernels there would be hundreds.  CuPy has
    none because it does not warn.
    """
    return xp.errstate(all="ignore") if hasattr(xp, "errstate") else nullcontext()
