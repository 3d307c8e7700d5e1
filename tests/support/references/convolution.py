"""Where the operators with windows, and the random ones, are tested."""

from references import ELSEWHERE

ELSEWHERE.update(
    Convolution="tests/ops/test_convolution.py",
    ConvolutionV1="tests/ops/test_convolution.py",
    Dropout="tests/ops/test_references.py",
    LRN="tests/ops/test_lrn.py",
)
