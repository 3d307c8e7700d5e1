"""Random operators have no reference: tests/ops/test_random.py looks at the statistics of what they draw."""

from references import ELSEWHERE, exempt, sample

LAWS = (
    "Uniform",
    "Normal",
    "Gamma",
    "Exponential",
    "Poisson",
    "NegativeBinomial",
    "GeneralizedNegativeBinomial",
)
DRAWN = [f"Random{law}" for law in LAWS]
SAMPLED = [f"Sample{law}" for law in LAWS]

ELSEWHERE.update(
    dict.fromkeys(
        (
            *DRAWN,
            *(f"{name}Like" for name in DRAWN),
            *SAMPLED,
            "RandomRandint",
            "SampleMultinomial",
            "Shuffle",
        ),
        "test_random.py",
    )
)


@sample(*SAMPLED)
def parameters(op, shapes, random):
    """Positive numbers, those of `p` and low ends below 1, the upper ends above."""
    drawn = {name: random.uniform(0.2, 0.9, shapes[name]) for name in op.input_names()}
    if "high" in drawn:
        drawn["high"] += 1
    return drawn


@sample("SampleMultinomial")
def probabilities(op, shapes, random):
    rows = random.uniform(0.1, 1, shapes["data"])
    return {"data": rows / rows.sum(axis=-1, keepdims=True)}


exempt(
    "the_outputs_have_the_dtype_of_the_data",
    "the dtype is an attribute",
    *(*DRAWN, *SAMPLED, "RandomRandint", "SampleMultinomial"),
)
