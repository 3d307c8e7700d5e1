"""Which module has which operators: every name, written out.

An operator that is not listed does not exist, whatever is imported; a test compares this with the modules.
"""

#: module of `netdef.ops` -> all names of its operators
FAMILIES = {
    "activation": "relu _sparse_relu sigmoid _sparse_sigmoid softsign hard_sigmoid Activation",
    "adaptive": """
        adam_update _sparse_adam_update rmsprop_update rmspropalex_update ftrl_update _sparse_ftrl_update
        ftml_update lamb_update_phase1 lamb_update_phase2
    """,
    "amp": "amp_cast amp_multicast all_finite multi_all_finite",
    "attention": "masked_softmax masked_log_softmax MultiHeadAttention",
    "binary": """
        elemwise_add _plus _Plus _add _sparse_elemwise_add _grad_add elemwise_sub _minus _Minus _sub
        _sparse_elemwise_sub elemwise_mul _mul _Mul _sparse_elemwise_mul elemwise_div _div _Div
        _sparse_elemwise_div _scatter_elemwise_div _mod _Mod _power _Power _hypot _Hypot _maximum _Maximum
        _minimum _Minimum _equal _Equal _not_equal _Not_Equal _greater _Greater _greater_equal
        _Greater_Equal _lesser _Lesser _lesser_equal _Lesser_Equal _logical_and _Logical_And _logical_or
        _Logical_Or _logical_xor _Logical_Xor
    """,
    "boxcoding": "_contrib_box_encode _contrib_box_decode",
    "broadcast": """
        broadcast_add broadcast_plus _sparse_broadcast_add _sparse_broadcast_plus broadcast_sub
        broadcast_minus _sparse_broadcast_minus _sparse_broadcast_sub broadcast_mul _sparse_broadcast_mul
        broadcast_div _sparse_broadcast_div broadcast_mod broadcast_power broadcast_hypot
        broadcast_maximum broadcast_minimum broadcast_equal broadcast_not_equal broadcast_greater
        broadcast_greater_equal broadcast_lesser broadcast_lesser_equal broadcast_logical_and
        broadcast_logical_or broadcast_logical_xor
    """,
    "broadcast_shape": "broadcast_axis broadcast_axes broadcast_to broadcast_like",
    "choice": "_random_randint random_randint _sample_multinomial sample_multinomial _shuffle shuffle",
    "columns": "im2col col2im",
    "contrib": """
        _contrib_quadratic _contrib_div_sqrt_dim _contrib_gradientmultiplier _contrib_arange_like
        _contrib_index_array _contrib_allclose
    """,
    "convolution": "Convolution Convolution_v1",
    "correlation": "Correlation",
    "creation": "_zeros _ones _full _zeros_without_dtype _arange _linspace _eye shape_array size_array",
    "ctc": "CTCLoss ctc_loss _contrib_CTCLoss _contrib_ctc_loss",
    "custom": "Custom",
    "decompositions": """
        _linalg_potrf linalg_potrf _linalg_potri linalg_potri _linalg_inverse linalg_inverse _linalg_det
        linalg_det _linalg_slogdet linalg_slogdet _linalg_gelqf linalg_gelqf _linalg_syevd
    """,
    "deconvolution": "Deconvolution",
    "dense": "FullyConnected",
    "densities": """
        _random_pdf_uniform random_pdf_uniform _random_pdf_normal random_pdf_normal _random_pdf_gamma
        random_pdf_gamma _random_pdf_exponential random_pdf_exponential
    """,
    "detection": """
        _contrib_box_iou _contrib_box_nms _contrib_box_non_maximum_suppression _contrib_bipartite_matching
    """,
    "diagonals": """
        _linalg_sumlogdiag linalg_sumlogdiag _linalg_extractdiag linalg_extractdiag _linalg_makediag
        linalg_makediag _linalg_extracttrian linalg_extracttrian _linalg_maketrian linalg_maketrian
    """,
    "draws": """
        _sample_uniform sample_uniform _sample_normal sample_normal _sample_gamma sample_gamma
        _sample_exponential sample_exponential _sample_poisson sample_poisson _sample_negative_binomial
        sample_negative_binomial _sample_generalized_negative_binomial
        sample_generalized_negative_binomial
    """,
    "elementwise": """
        add_n ElementWiseSum _sparse_ElementWiseSum _sparse_add_n _copy identity BlockGrad stop_gradient
        _sparse_stop_gradient make_loss _sparse_make_loss _identity_with_attr_like_rhs zeros_like
        _sparse_zeros_like ones_like Cast cast clip _sparse_clip
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
    "leaky": "LeakyReLU",
    "linalg": """
        _linalg_gemm linalg_gemm _linalg_gemm2 linalg_gemm2 _linalg_syrk linalg_syrk _linalg_trmm
        linalg_trmm _linalg_trsm linalg_trsm
    """,
    "loss": "SoftmaxWithLoss Accuracy",
    "lrn": "LRN",
    "makeloss": "MakeLoss IdentityAttachKLSparseReg",
    "matrix": "dot _sparse_dot batch_dot khatri_rao",
    "multi": "multi_sum_sq multi_lars",
    "multi_index": "_ravel_multi_index ravel_multi_index _unravel_index unravel_index",
    "multibox": "_contrib_MultiBoxPrior _contrib_MultiBoxTarget _contrib_MultiBoxDetection",
    "normalization": "BatchNorm CuDNNBatchNorm BatchNorm_v1 _contrib_SyncBatchNorm",
    "ordering": "argmax argmin argmax_channel sort argsort topk",
    "permute": "transpose SwapAxis swapaxes reverse flip depth_to_space space_to_depth diag",
    "pooling": "Pooling",
    "pooling_v1": "Pooling_v1",
    "probabilities": """
        _random_pdf_poisson random_pdf_poisson _random_pdf_negative_binomial random_pdf_negative_binomial
        _random_pdf_generalized_negative_binomial random_pdf_generalized_negative_binomial
        _random_pdf_dirichlet random_pdf_dirichlet
    """,
    "proposal": "_contrib_MultiProposal _contrib_Proposal",
    "quantization": "_contrib_quantize _contrib_quantize_v2 _contrib_requantize _contrib_dequantize",
    "random": """
        _random_uniform random_uniform uniform _random_uniform_like _random_normal random_normal normal
        _random_normal_like _random_gamma random_gamma _random_gamma_like _random_exponential
        random_exponential _random_exponential_like _random_poisson random_poisson _random_poisson_like
        _random_negative_binomial random_negative_binomial _random_negative_binomial_like
        _random_generalized_negative_binomial random_generalized_negative_binomial
        _random_generalized_negative_binomial_like
    """,
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
    "reshape": "Reshape reshape reshape_like expand_dims squeeze",
    "rnn": "RNN",
    "roi": "ROIPooling",
    "roi_align": "_contrib_ROIAlign",
    "rounding": """
        sign _sparse_sign floor _sparse_floor ceil _sparse_ceil trunc _sparse_trunc fix _sparse_fix round
        _sparse_round _contrib_round_ste _sparse__contrib_round_ste _contrib_sign_ste
        _sparse__contrib_sign_ste rint _sparse_rint logical_not
    """,
    "scalar": """
        _plus_scalar _PlusScalar _minus_scalar _MinusScalar _scatter_plus_scalar _scatter_minus_scalar
        _rminus_scalar _RMinusScalar _mul_scalar _MulScalar _div_scalar _DivScalar _rdiv_scalar
        _RDivScalar _mod_scalar _ModScalar _rmod_scalar _RModScalar _power_scalar _PowerScalar
        _rpower_scalar _RPowerScalar _hypot_scalar _HypotScalar _maximum_scalar _MaximumScalar
        _minimum_scalar _MinimumScalar _equal_scalar _EqualScalar _not_equal_scalar _NotEqualScalar
        _greater_scalar _GreaterScalar _greater_equal_scalar _GreaterEqualScalar _lesser_scalar
        _LesserScalar _lesser_equal_scalar _LesserEqualScalar _logical_and_scalar _LogicalAndScalar
        _logical_or_scalar _LogicalOrScalar _logical_xor_scalar _LogicalXorScalar
    """,
    "scaling": "Scale",
    "scatter": """
        gather_nd scatter_nd _backward_gather_nd _scatter_set_nd _contrib_index_copy fill_element_0index
    """,
    "sequence": "SequenceLast SequenceMask SequenceReverse",
    "sketching": "_contrib_fft _contrib_ifft _contrib_count_sketch",
    "slicing": """
        slice crop _sparse_slice slice_axis slice_like Crop _slice_assign _crop_assign
        _slice_assign_scalar _crop_assign_scalar
    """,
    "softmax": "softmax softmin log_softmax SoftmaxActivation",
    "softmax_output": "SoftmaxOutput Softmax softmax_cross_entropy",
    "spatial": "GridGenerator BilinearSampler SpatialTransformer",
    "special": "erf erfinv gamma _sparse_gamma gammaln _sparse_gammaln",
    "splitting": "SliceChannel split _split_v2",
    "structure": "Flatten flatten Reinterpret Concat concat _sparse_concat _rnn_param_concat stack",
    "tiles": "tile repeat Pad pad",
    "trigonometry": """
        degrees _sparse_degrees radians _sparse_radians sin _sparse_sin cos _sparse_cos tan _sparse_tan
        arcsin _sparse_arcsin arccos _sparse_arccos arctan _sparse_arctan sinh _sparse_sinh cosh
        _sparse_cosh tanh _sparse_tanh arcsinh _sparse_arcsinh arccosh _sparse_arccosh arctanh
        _sparse_arctanh
    """,
    "unary": """
        negative _sparse_negative abs _sparse_abs reciprocal square _sparse_square sqrt _sparse_sqrt rsqrt
        _sparse_rsqrt cbrt _sparse_cbrt rcbrt exp _sparse_exp expm1 _sparse_expm1 log _sparse_log log10
        _sparse_log10 log2 _sparse_log2 log1p _sparse_log1p smooth_l1
    """,
    "update": """
        sgd_update _sparse_sgd_update mp_sgd_update sgd_mom_update _sparse_sgd_mom_update
        mp_sgd_mom_update nag_mom_update mp_nag_mom_update signsgd_update signum_update
    """,
    "upsampling": "UpSampling",
}
