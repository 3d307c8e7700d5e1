"""Which module has which operators: every name, written out.

An operator that is not listed does not exist, whatever is imported; a test compares this with the modules.
"""

#: module of `netdef.ops` -> all names of its operators
FAMILIES = {
    "activation": "Activation LeakyReLU softmax",
    "attention": "masked_softmax masked_log_softmax MultiHeadAttention",
    "broadcast_shape": "broadcast_axis broadcast_axes broadcast_to broadcast_like",
    "convolution": "Convolution Convolution_v1",
    "correlation": "Correlation",
    "deconvolution": "Deconvolution",
    "decompositions": """
        _linalg_potrf linalg_potrf _linalg_potri linalg_potri _linalg_inverse linalg_inverse
        _linalg_det linalg_det _linalg_slogdet linalg_slogdet _linalg_gelqf linalg_gelqf _linalg_syevd
    """,
    "dense": "FullyConnected",
    "diagonals": """
        _linalg_sumlogdiag linalg_sumlogdiag _linalg_extractdiag linalg_extractdiag
        _linalg_makediag linalg_makediag _linalg_extracttrian linalg_extracttrian
        _linalg_maketrian linalg_maketrian
    """,
    "elementwise": """
        BlockGrad stop_gradient _copy identity elemwise_div _div _Div _div_scalar _DivScalar
        ElementWiseSum add_n _maximum _Maximum _minimum _Minimum elemwise_sub _minus _Minus _sub
        _minus_scalar _MinusScalar elemwise_mul _mul _Mul _mul_scalar _MulScalar elemwise_add _plus _Plus
        _add _plus_scalar _PlusScalar _rdiv_scalar _RDivScalar _rminus_scalar _RMinusScalar
    """,
    "histogram": "_histogram",
    "interleaved": """
        _contrib_interleaved_matmul_selfatt_qk _contrib_interleaved_matmul_selfatt_valatt
        _contrib_interleaved_matmul_encdec_qk _contrib_interleaved_matmul_encdec_valatt
    """,
    "linalg": """
        _linalg_gemm linalg_gemm _linalg_gemm2 linalg_gemm2 _linalg_syrk linalg_syrk
        _linalg_trmm linalg_trmm _linalg_trsm linalg_trsm
    """,
    "loss": "Accuracy SoftmaxOutput Softmax SoftmaxWithLoss",
    "lrn": "LRN",
    "matrix": "dot _sparse_dot batch_dot khatri_rao",
    "normalization": "BatchNorm Scale",
    "ordering": "argmax argmin argmax_channel sort argsort topk",
    "pooling": "Pooling",
    "pooling_v1": "Pooling_v1",
    "reduce": """
        sum sum_axis _sparse_sum mean _sparse_mean prod nansum nanprod max max_axis min min_axis
        norm _sparse_norm moments _np_cumsum cumsum
    """,
    "regularization": "Dropout",
    "rnn": "RNN",
    "roi": "ROIPooling",
    "roi_align": "_contrib_ROIAlign",
    "spatial": "BilinearSampler GridGenerator SpatialTransformer",
    "structure": "Concat Flatten Reinterpret",
    "upsampling": "UpSampling",
}
