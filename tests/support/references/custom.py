"""What does not hold for netdef.ops.custom, whose operators exist once a user has registered them."""

from references import exempt

exempt(
    "operators_are_documented_and_have_examples",
    "tests/mx/test_custom.py registers operators of its own",
    "Custom",
)
exempt(
    "an_unknown_attribute_is_refused_with_the_legal_ones",
    "every further attribute is a parameter of the user's operator",
    "Custom",
)
