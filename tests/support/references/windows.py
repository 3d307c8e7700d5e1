"""What the references of operators with windows share."""

import numpy as np


def numbers(value, rank, default):
    """An attribute as one number for each axis."""
    return tuple(value) if len(value) == rank else (tuple(value) or (default,)) * rank


def turned(op, array, back=False):
    """An array with the channels second, or back in the layout of the operator."""
    if not (getattr(op, "layout", None) or "").endswith("C"):
        return array
    return np.moveaxis(array, 1, -1) if back else np.moveaxis(array, -1, 1)
