"""Which module has which operators: every name, written out.

An operator that is not listed does not exist, whatever is imported; a test compares this with the modules.
"""

#: module of `netdef.ops` -> all names of its operators
FAMILIES = {
    "activation": "Activation LeakyReLU softmax",
    "attention": "masked_softmax masked_log_softmax MultiHeadAttention",
    "convolution": "Convolution Convolution_v1",
    "correlation": "Correlation",
    "deconvolution": "Deconvolution",
    "dense": "FullyConnected",
    "elementwise": """
        BlockGrad stop_gradient _copy identity elemwise_div _div _Div _div_scalar _DivScalar
        ElementWiseSum add_n _maximum _Maximum _minimum _Minimum elemwise_sub _minus _Minus _sub
        _minus_scalar _MinusScalar elemwise_mul _mul _Mul _mul_scalar _MulScalar elemwise_add _plus _Plus
        _add _plus_scalar _PlusScalar _rdiv_scalar _RDivScalar _rminus_scalar _RMinusScalar
    """,
    "interleaved": """
        _contrib_interleaved_matmul_selfatt_qk _contrib_interleaved_matmul_selfatt_valatt
        _contrib_interleaved_matmul_encdec_qk _contrib_interleaved_matmul_encdec_valatt
    """,
    "loss": "Accuracy SoftmaxOutput Softmax SoftmaxWithLoss",
    "lrn": "LRN",
    "normalization": "BatchNorm Scale",
    "pooling": "Pooling",
    "pooling_v1": "Pooling_v1",
    "regularization": "Dropout",
    "rnn": "RNN",
    "roi": "ROIPooling",
    "roi_align": "_contrib_ROIAlign",
    "spatial": "BilinearSampler GridGenerator SpatialTransformer",
    "structure": "Concat Flatten Reinterpret",
    "upsampling": "UpSampling",
}
