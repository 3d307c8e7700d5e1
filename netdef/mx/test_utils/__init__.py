"""MXNet's `mx.test_utils`: comparing arrays, and an operator's results and gradients with expected ones."""

from netdef.mx.test_utils.check import (
    check_numeric_gradient,
    check_symbolic_backward,
    check_symbolic_forward,
    numeric_grad,
    simple_forward,
)
from netdef.mx.test_utils.compare import (
    almost_equal,
    assert_almost_equal,
    default_atols,
    default_numeric_eps,
    default_rtols,
    get_atol,
    get_rtol,
    get_tols,
    same,
)
from netdef.mx.test_utils.defaults import default_context, default_dtype, list_gpus, set_default_context
from netdef.mx.test_utils.draw import (
    rand_ndarray,
    rand_shape_2d,
    rand_shape_3d,
    rand_shape_nd,
    random_arrays,
)

__all__ = [
    "almost_equal",
    "assert_almost_equal",
    "check_numeric_gradient",
    "check_symbolic_backward",
    "check_symbolic_forward",
    "default_atols",
    "default_context",
    "default_dtype",
    "default_numeric_eps",
    "default_rtols",
    "get_atol",
    "get_rtol",
    "get_tols",
    "list_gpus",
    "numeric_grad",
    "rand_ndarray",
    "rand_shape_2d",
    "rand_shape_3d",
    "rand_shape_nd",
    "random_arrays",
    "same",
    "set_default_context",
    "simple_forward",
]
