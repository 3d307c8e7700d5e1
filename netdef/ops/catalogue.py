"""Which module has which operators: every name, written out.

An operator that is not listed does not exist, whatever is imported; a test compares this with the modules.
"""

#: module of `netdef.ops` -> all names of its operators
FAMILIES = {
    "activation": "Activation LeakyReLU softmax",
    "adaptive": """
        adam_update _sparse_adam_update rmsprop_update rmspropalex_update ftrl_update _sparse_ftrl_update
        ftml_update lamb_update_phase1 lamb_update_phase2
    """,
    "attention": "masked_softmax masked_log_softmax MultiHeadAttention",
    "broadcast_shape": "broadcast_axis broadcast_axes broadcast_to broadcast_like",
    "contrib": """
        _contrib_quadratic _contrib_div_sqrt_dim _contrib_gradientmultiplier _contrib_arange_like
        _contrib_index_array _contrib_allclose
    """,
    "convolution": "Convolution Convolution_v1",
    "correlation": "Correlation",
    "ctc": "CTCLoss ctc_loss _contrib_CTCLoss _contrib_ctc_loss",
    "decompositions": """
        _linalg_potrf linalg_potrf _linalg_potri linalg_potri _linalg_inverse linalg_inverse _linalg_det
        linalg_det _linalg_slogdet linalg_slogdet _linalg_gelqf linalg_gelqf _linalg_syevd
    """,
    "deconvolution": "Deconvolution",
    "dense": "FullyConnected",
    "diagonals": """
        _linalg_sumlogdiag linalg_sumlogdiag _linalg_extractdiag linalg_extractdiag _linalg_makediag
        linalg_makediag _linalg_extracttrian linalg_extracttrian _linalg_maketrian linalg_maketrian
    """,
    "elementwise": """
        elemwise_add _plus _Plus _add elemwise_sub _minus _Minus _sub elemwise_mul _mul _Mul elemwise_div
        _div _Div _maximum _Maximum _minimum _Minimum _plus_scalar _PlusScalar _minus_scalar _MinusScalar
        _rminus_scalar _RMinusScalar _mul_scalar _MulScalar _div_scalar _DivScalar _rdiv_scalar
        _RDivScalar ElementWiseSum add_n _copy identity BlockGrad stop_gradient
    """,
    "embedding": "Embedding _sparse_Embedding _contrib_SparseEmbedding",
    "histogram": "_histogram",
    "indexing": "take pick choose_element_0index batch_take one_hot where _sparse_where",
    "instance": "InstanceNorm GroupNorm L2Normalization",
    "interleaved": """
        _contrib_interleaved_matmul_selfatt_qk _contrib_interleaved_matmul_encdec_qk
        _contrib_interleaved_matmul_selfatt_valatt _contrib_interleaved_matmul_encdec_valatt
    """,
    "layernorm": "LayerNorm",
    "linalg": """
        _linalg_gemm linalg_gemm _linalg_gemm2 linalg_gemm2 _linalg_syrk linalg_syrk _linalg_trmm
        linalg_trmm _linalg_trsm linalg_trsm
    """,
    "loss": "SoftmaxWithLoss Accuracy",
    "lrn": "LRN",
    "makeloss": "MakeLoss IdentityAttachKLSparseReg",
    "matrix": "dot _sparse_dot batch_dot khatri_rao",
    "normalization": "BatchNorm CuDNNBatchNorm BatchNorm_v1 _contrib_SyncBatchNorm Scale",
    "ordering": "argmax argmin argmax_channel sort argsort topk",
    "pooling": "Pooling",
    "pooling_v1": "Pooling_v1",
    "quantization": "_contrib_quantize _contrib_dequantize",
    "reduce": """
        sum sum_axis _sparse_sum mean _sparse_mean prod nansum nanprod max max_axis min min_axis norm
        _sparse_norm moments _np_cumsum cumsum
    """,
    "regression": """
        LinearRegressionOutput _sparse_LinearRegressionOutput MAERegressionOutput
        _sparse_MAERegressionOutput LogisticRegressionOutput _sparse_LogisticRegressionOutput SVMOutput
    """,
    "regularization": "Dropout",
    "resampling": "_contrib_AdaptiveAvgPooling2D _contrib_BilinearResize2D",
    "rnn": "RNN",
    "roi": "ROIPooling",
    "roi_align": "_contrib_ROIAlign",
    "scatter": """
        gather_nd scatter_nd _backward_gather_nd _scatter_set_nd _contrib_index_copy fill_element_0index
        _ravel_multi_index ravel_multi_index _unravel_index unravel_index
    """,
    "sequence": "SequenceLast SequenceMask SequenceReverse",
    "sketching": "_contrib_fft _contrib_ifft _contrib_count_sketch",
    "softmax_output": "SoftmaxOutput Softmax softmax_cross_entropy",
    "spatial": "GridGenerator BilinearSampler SpatialTransformer",
    "structure": "Flatten Reinterpret Concat",
    "update": """
        sgd_update _sparse_sgd_update mp_sgd_update sgd_mom_update _sparse_sgd_mom_update
        mp_sgd_mom_update nag_mom_update mp_nag_mom_update signsgd_update signum_update
    """,
    "upsampling": "UpSampling",
}
