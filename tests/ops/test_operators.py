"""One harness for all operators: every class of `netdef.ops.catalogue` with each of its examples."""

import tracemalloc

import numpy as np
import pytest
from references import EXEMPT

from netdef.ops import OPERATORS, every_operator, family, find
from netdef.ops.base import kernel_arguments
from netdef.ops.catalogue import FAMILIES
from netdef.ops.fields import BadValue
from netdef.ops.foreign import Lost
from netdef.ops.shapes import ShapeError, Shapes

OPERATOR_CLASSES = every_operator()
EXAMPLES = [
    pytest.param(operator, attributes, shapes, id=f"{operator.__name__}-{number}")
    for operator in OPERATOR_CLASSES
    for number, (attributes, shapes) in enumerate(operator.examples)
]
each_example = pytest.mark.parametrize(("operator", "attributes", "shapes"), EXAMPLES)
each_operator = pytest.mark.parametrize("operator", OPERATOR_CLASSES, ids=lambda operator: operator.__name__)
each_family = pytest.mark.parametrize("module", FAMILIES)


def in_turn(test):
    """One test of an operator from a test of one example, where a test of its own would take longer to start.

    The message of a failure says which example it was.
    """

    def every_example(operator, kernels):
        for number, (attributes, shapes) in enumerate(operator.examples):
            try:
                test(operator, attributes, shapes, kernels)
            except (Exception, pytest.fail.Exception) as error:
                raise AssertionError(f"example {number}, {attributes} with {shapes}: {error}") from error

    every_example.__name__, every_example.__doc__ = test.__name__, test.__doc__
    return each_operator(every_example)


#: inputs that may have one of several shapes beside the same data; tests of their own say which
SEVERAL_SHAPES = ("label", "scale")

#: elements of the buffers through which numpy converts dtypes: small, so that they do not count as arrays
BUFFER = 256


@pytest.fixture(autouse=True)
def _exemptions(request):
    """Skip what an operator's references say does not hold for it."""
    if "operator" in request.fixturenames:
        test = request.node.originalname.removeprefix("test_")
        operator = request.getfixturevalue("operator")
        if reason := EXEMPT.get((test, operator.__name__)):
            pytest.skip(reason)


def bound_by(test, module):
    """The operators of a family but for those that are exempt from a test."""
    return [operator for operator in family(module) if (test, operator.__name__) not in EXEMPT]


def enlarged(shapes, factor):
    """Example shapes with a batch `factor` times as large."""
    batch = next(iter(shapes.values()))[0] if shapes else 0
    return {
        name: (shape[0] * factor, *shape[1:]) if shape and shape[0] == batch else shape
        for name, shape in shapes.items()
    }


def agree(size, right):
    """Whether what is known of a size is right."""
    return size is None or size == right


def equal(left, right, tolerance=0.0, mode=""):
    """Compare two results by name; NaN is never equal, so what was not written shows.

    A failure tells `mode`, under which the results were made.
    """
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_allclose(
            left[name], right[name], rtol=tolerance, atol=tolerance, equal_nan=False, err_msg=f"{name} {mode}"
        )


# -- declarations ------------------------------------------------


@each_family
def test_operators_are_documented_and_have_examples(module):
    """Docstring, help for every attribute, at least one example."""
    for operator in bound_by("operators_are_documented_and_have_examples", module):
        assert operator.__doc__, operator
        assert operator.examples, operator
        assert all(field.help for field in operator.fields.values()), operator


@each_family
def test_the_catalogue_is_what_the_modules_declare(module):
    """Every name is written out under its module, and no other."""
    declared = [name for operator in family(module) for name in operator.names]

    assert sorted(declared) == sorted(FAMILIES[module].split())


def test_no_name_stands_twice_in_the_catalogue():
    """Two operators of one name would hide each other."""
    names = " ".join(FAMILIES.values()).split()

    assert len(names) == len(set(names)) == len(OPERATORS)


@each_family
def test_an_operator_is_found_by_each_of_its_names(module):
    """No name leads elsewhere."""
    for operator in family(module):
        for name in operator.names:
            assert find(name) is operator, name
            assert OPERATORS[name] is operator, name


@each_family
def test_an_unknown_attribute_is_refused_with_the_legal_ones(module):
    """A misspelt attribute says what there is."""
    for operator in bound_by("an_unknown_attribute_is_refused_with_the_legal_ones", module):
        with pytest.raises(BadValue) as refused:
            operator(no_such_attribute=1)

        assert "no_such_attribute" in refused.value.message, operator
        assert all(name in refused.value.hint for name in operator.fields), operator


@in_turn
def test_attributes_survive_as_text(operator, attributes, shapes, kernels):
    """MXNet's string form of the attributes gives the same operator."""
    op = operator(**attributes)

    texts = {name: operator.fields[name].text(op.values()[name]) for name in attributes}

    assert all(isinstance(text, str) for text in texts.values())
    assert operator(**texts) == op


@in_turn
def test_onnx_tables_read_back_what_they_wrote(operator, attributes, shapes, kernels):
    """What a table can say is the same afterwards, and a foreign attribute is not swallowed."""
    op = operator(**attributes)
    for table in operator.onnx:
        foreign, lost = table.write(op.values())
        assert set(lost) <= set(operator.fields)
        if lost:
            continue
        values, unknown = table.read(foreign)
        kept = {name for name, rule in table.rules.items() if not isinstance(rule, Lost)}
        assert unknown == []
        assert {name: values[name] for name in kept} == {name: op.values()[name] for name in kept}
        assert table.read({**foreign, "no_such_attribute": 1})[1] == ["no_such_attribute"]


# -- shapes ------------------------------------------------


@in_turn
def test_inference_is_stable(operator, attributes, shapes, kernels):
    """All shapes follow from those of the example, and the rule accepts what it inferred."""
    op = operator(**attributes)
    facts = kernels.inferred(op, shapes)
    known = dict(facts.known)
    assert all(shape is not None and None not in shape for shape in known.values())

    op.shape(facts)

    assert facts.known == known


@in_turn
def test_less_knowledge_never_leads_elsewhere(operator, attributes, shapes, kernels):
    """From a part of the shapes follows a part of the same shapes, whichever tensor or size is missing."""
    op = operator(**attributes)
    full = kernels.inferred(op, shapes).known
    partial = []
    for name, shape in full.items():
        partial.append({**full, name: None})
        partial += [{**full, name: (*shape[:i], None, *shape[i + 1 :])} for i in range(len(shape))]
        partial += [{**dict.fromkeys(full), name: shape}]
    for given in partial:
        facts = Shapes(dict(given))
        op.shape(facts)
        for name, shape in facts.known.items():
            if shape is not None and (name not in SEVERAL_SHAPES or given[name] is not None):
                assert len(shape) == len(full[name]), f"{given} gave {name} {shape}"
                assert all(map(agree, shape, full[name])), f"{given} gave {name} {shape}"


@in_turn
def test_a_contradiction_is_refused(operator, attributes, shapes, kernels):
    """No output and no inferred input may have another number of axes or another size."""
    op = operator(**attributes)
    full = kernels.inferred(op, shapes).known
    for name in full.keys() - shapes.keys():
        for wrong in ((*full[name], 2), (*full[name][:-1], full[name][-1] + 1) if full[name] else (2,)):
            if name in SEVERAL_SHAPES:
                continue
            with pytest.raises(ShapeError):
                op.shape(Shapes({**full, name: wrong}))


@in_turn
def test_work_grows_with_the_batch(operator, attributes, shapes, kernels):
    """FLOPs are whole, not negative, and more for a larger batch unless the operator only moves data."""
    op = operator(**attributes)

    small, large = (op.flops(kernels.inferred(op, enlarged(shapes, factor))) for factor in (1, 3))

    assert isinstance(small, int)
    assert large > small if small else large == 0


# -- kernels ------------------------------------------------


@each_example
def test_every_element_is_written_and_inputs_are_not(operator, attributes, shapes, kernels):
    """Outputs and gradients have no poison left; inputs are what they were, states outside training, too."""
    for dtype in ("float32", "float64"):
        run = kernels(operator(**attributes), shapes, dtype)
        written_in_prediction(run, dtype)
        written_in_training(run, dtype)


def written_in_prediction(run, mode):
    """What `test_every_element_is_written_and_inputs_are_not` says of a forward pass outside training."""
    inputs = {name: run.arrays[name].copy() for name in run.op.input_names()}

    outputs = run.forward(train=False)

    equal(inputs, {name: run.arrays[name] for name in inputs}, mode=f"{mode}, prediction")
    equal(outputs, outputs, mode=f"{mode}, prediction")
    equal(run.first_states, {name: run.arrays[name] for name in run.first_states}, mode=mode)


def written_in_training(run, mode):
    """What that test says of both passes in training."""
    inputs = {name: run.arrays[name].copy() for name in run.op.input_names()}

    outputs = run.forward(train=True)

    equal(inputs, {name: run.arrays[name] for name in inputs}, mode=mode)
    equal(outputs, outputs, mode=mode)
    fixed = run.arrays.keys() - run.first_states.keys()
    before = {name: run.arrays[name].copy() for name in fixed}
    heads = run.head_gradients()
    given = {name: head.copy() for name, head in heads.items()}
    gradients = run.backward(heads)

    equal(gradients, gradients, mode=mode)
    equal(before, {name: run.arrays[name] for name in fixed}, mode=mode)
    equal(given, heads, mode=mode)


@in_turn
def test_the_outputs_have_the_dtype_of_the_data(operator, attributes, shapes, kernels):
    """One dtype goes through the whole net unless an operator says otherwise."""
    op = operator(**attributes)
    for dtype in ("float16", "float32", "float64"):
        types = kernels.inferred_types(op, dtype)

        assert {types[name] for name in op.output_names()[: op.visible_outputs()]} == {dtype}


@each_example
def test_any_strides_give_the_same_numbers(operator, attributes, shapes, kernels):
    """Inputs, outputs and gradients with the batch last in memory, or with holes and reversed axes."""
    plain = kernels(operator(**attributes), shapes)
    outputs, gradients = plain.forward(), plain.backward()

    for layout in ("last", "channels", "gaps"):
        other = kernels(operator(**attributes), shapes, layout=layout)
        equal(outputs, other.forward(), 1e-12, layout)
        equal(gradients, other.backward(), 1e-12, layout)


@each_example
def test_single_precision_is_double_precision_rounded(operator, attributes, shapes, kernels):
    """float32 results are those of float64 on the same inputs up to rounding."""
    single = kernels(operator(**attributes), shapes, "float32")
    double = kernels(operator(**attributes), shapes, "float64")
    for name, array in single.arrays.items():
        double.arrays[name][...] = array
    for name, first in single.first_states.items():
        double.first_states[name] = first
    heads = single.head_gradients()

    equal(single.forward(), double.forward(), 2e-5)
    equal(
        single.backward(heads),
        double.backward({name: head.astype("float64") for name, head in heads.items()}),
        2e-5,
    )


@in_turn
def test_what_nobody_reads_is_left_out(operator, attributes, shapes, kernels):
    """Without hidden outputs the visible ones are the same; each gradient is the same without the others."""
    run = kernels(operator(**attributes), shapes)
    whole = run.forward()
    gradients = run.backward()

    for name, gradient in gradients.items():
        equal({name: gradient}, run.backward(wanted=[name]))
    alone = run.forward(without=run.hidden)
    equal({name: whole[name] for name in run.visible}, alone)


def may_alias(run, pair):
    """Whether a declared pair exists for these attributes and shapes."""
    read, written = pair
    known = {**run.arrays, **run.head_gradients()}
    if read not in known or written not in (*run.outputs, *run.step.writes):
        return False
    target = run.empty(written)
    return known[read].size == target.size and known[read].dtype == target.dtype


@each_operator
def test_in_place_gives_the_same(operator, kernels):
    """Each pair that may be one array gives what separate arrays give, and is possible in some example."""
    pairs = set()
    for number, (attributes, shapes) in enumerate(operator.examples):
        plain = kernels(operator(**attributes), shapes)
        outputs, gradients = plain.forward(), plain.backward()
        for pair in (pair for pair in operator.inplace if may_alias(plain, pair)):
            mode = f"with {pair} in one place, example {number}"
            shared = kernels(plain.op, shapes)
            if pair[1] in plain.outputs:
                equal(outputs, shared.forward(alias=pair), mode=mode)
            else:
                shared.forward()
                equal(gradients, shared.backward(alias=pair), mode=mode)
            pairs.add(pair)
    assert pairs == set(operator.inplace)


@each_example
def test_kernels_allocate_nothing(operator, attributes, shapes, kernels):
    """The second call of a kernel on arrays of 128 KiB takes far less memory than one of them."""
    if operator.allocates:
        pytest.skip(operator.allocates)
    op = operator(**attributes)
    size = max((int(np.prod(shape)) for shape in shapes.values()), default=1)
    run = kernels(op, enlarged(shapes, 1 + 2**14 // size))
    spaces = [
        {
            name: np.empty(s.shape, s.dtype_for(run.dtype))
            for name, s in op.workspaces(run.shapes, back).items()
        }
        for back in (False, True)
    ]
    heads = run.head_gradients()
    run.forward()
    gradients = {name: run.empty(name) for name in run.step.writes}

    def peak(kernel, extra, back):
        injected = {"xp": np, "train": True, "random": np.random.default_rng(7)}
        bound = kernel_arguments(op, kernel, {**run.arrays, **extra, **spaces[back]}, injected)
        elements = np.setbufsize(BUFFER)
        try:
            with np.errstate(all="ignore"):  # as the executor does
                kernel(*bound)
                tracemalloc.start()
                kernel(*bound)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            np.setbufsize(elements)

    assert peak(op.forward, {}, False) < 2**15
    if gradients:
        assert peak(op.backward, {**heads, **gradients}, True) < 2**15


@each_example
def test_gradients_are_derivatives(operator, attributes, shapes, kernels):
    """Along random directions each gradient is the central difference of the outputs, in float64."""
    op = operator(**attributes)
    run = kernels(op, shapes)
    if not run.step.writes or not run.step.wants_head:
        return
    heads = run.head_gradients()
    run.forward()
    gradients = run.backward(heads)

    def objective():
        outputs = run.forward()
        return sum(float(np.sum(outputs[name[1:]] * head)) for name, head in heads.items())

    random = np.random.default_rng(3)
    step = 1e-6
    for name, gradient in gradients.items():
        point = run.arrays[name[1:]].copy()
        for _ in range(2):
            direction = random.standard_normal(point.shape)
            values = []
            for sign in (1, -1):
                run.arrays[name[1:]][...] = point + sign * step * direction
                values.append(objective())
            run.arrays[name[1:]][...] = point
            expected = (values[0] - values[1]) / (2 * step)
            found = float(np.sum(gradient * direction))
            assert found == pytest.approx(expected, rel=2e-6, abs=2e-7), name
