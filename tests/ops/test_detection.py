"""Boxes: overlaps at their ends, suppression in order, anchors and targets by hand, and what is refused."""

import math

import numpy as np
import pytest
from inference import inferred

from netdef.ops import find
from netdef.ops.shapes import ShapeError


@pytest.mark.parametrize(
    ("left", "right", "share"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0),
        ((0, 0, 2, 2), (5, 5, 6, 6), 0),
        ((0, 0, 2, 2), (0.5, 0.5, 1.5, 1.5), 0.25),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0),
        ((2, 2, 0, 0), (0, 0, 2, 2), 0),
    ],
)
def test_overlaps(left, right, share, kernels):
    """Boxes that touch share nothing, nor do those without an area or turned inside out."""
    run = kernels(find("_contrib_box_iou")(), {"lhs": (1, 4), "rhs": (1, 4)})
    run.set("lhs", left)
    run.set("rhs", right)

    assert run.forward()["output"] == pytest.approx(share)


def test_overlaps_of_boxes_by_their_centres(kernels):
    """The same boxes give the same overlaps in both formats."""
    corner = kernels(find("_contrib_box_iou")(), {"lhs": (2, 4), "rhs": (1, 4)})
    centre = kernels(find("_contrib_box_iou")(format="center"), {"lhs": (2, 4), "rhs": (1, 4)})
    corner.set("lhs", [[0, 0, 2, 4], [1, 1, 5, 3]])
    centre.set("lhs", [[1, 2, 2, 4], [3, 2, 4, 2]])
    corner.set("rhs", [[1, 0, 4, 2]])
    centre.set("rhs", [[2.5, 1, 3, 2]])

    np.testing.assert_allclose(centre.forward()["output"], corner.forward()["output"])


#: class, score and box: the second shares 1/2 with the first, 1/3 with the third; the fourth stands alone
ROWS = [[0, 0.5, 0, 0, 3, 1], [0, 0.9, 1, 0, 4, 1], [1, 0.7, 2.5, 0, 5.5, 1], [1, 0.1, 9, 9, 10, 10]]


@pytest.mark.parametrize(
    ("attributes", "order"),
    [
        ({}, [1, 2, 0, 3]),
        ({"overlap_thresh": 0.49}, [1, 2, 3]),
        ({"overlap_thresh": 0.3}, [1, 3]),
        ({"overlap_thresh": 0.3, "id_index": 0}, [1, 2, 3]),
        ({"overlap_thresh": 0.3, "id_index": 0, "force_suppress": True}, [1, 3]),
        ({"valid_thresh": 0.5}, [1, 2]),
        ({"topk": 1}, [1]),
        ({"topk": 0}, [0, 1, 2, 3]),
        ({"topk": 2, "overlap_thresh": 0.3}, [1]),
        ({"id_index": 0, "background_id": 0}, [2, 3]),
        ({"valid_thresh": 2}, []),
    ],
)
def test_the_best_boxes(attributes, order, kernels):
    """They stand in front, the best first, -1 behind them; gradients go back to where they came from."""
    run = kernels(find("_contrib_box_nms")(**attributes), {"data": (4, 6)})
    run.set("data", ROWS)
    heads = run.head_gradients()

    output = run.forward()["output0"]
    gradient = run.backward(heads)["ddata"]

    kept = len(order)
    np.testing.assert_array_equal(output[:kept], np.array(ROWS)[order].reshape(kept, 6))
    assert (output[kept:] == -1).all()
    np.testing.assert_array_equal(gradient[order], heads["doutput0"][:kept])
    assert not np.delete(gradient, order, axis=0).any()


def test_boxes_of_equal_scores_stay_in_order(kernels):
    """The first of them removes the others."""
    run = kernels(find("_contrib_box_nms")(), {"data": (3, 6)})
    run.set("data", [[0, 0.5, 0, 0, 1, 1], [1, 0.5, 0, 0, 1, 1], [2, 0.5, 5, 5, 6, 6]])

    np.testing.assert_array_equal(run.forward()["output0"][:, 0], [0, 2, -1])


def test_formats_change_on_the_way(kernels):
    """Corners in, centres out; only the four numbers of the box are others."""
    run = kernels(find("_contrib_box_nms")(out_format="center"), {"data": (1, 6)})
    run.set("data", [[7, 0.5, 0, 2, 4, 3]])

    np.testing.assert_allclose(run.forward()["output0"], [[7, 0.5, 2, 2.5, 4, 1]])


@pytest.mark.parametrize(
    ("attributes", "rows", "columns"),
    [
        ({"threshold": 1e-12}, [1, -1, 0], [2, 0]),
        ({"threshold": 0.35}, [1, -1, -1], [-1, 0]),
        ({"threshold": 9, "is_ascend": True}, [-1, 0, 1], [1, 2]),
        ({"threshold": 0, "topk": 0}, [1, -1, 0], [2, 0]),
    ],
)
def test_pairs(attributes, rows, columns, kernels):
    """The example of MXNet's documentation, and others."""
    run = kernels(find("_contrib_bipartite_matching")(**attributes), {"data": (3, 2)})
    run.set("data", [[0.5, 0.6], [0.1, 0.2], [0.3, 0.4]])

    outputs = run.forward()

    assert (outputs["output0"].tolist(), outputs["output1"].tolist()) == (rows, columns)


def test_anchors_of_one_place(kernels):
    """Sizes are parts of the height: on a map twice as wide as high a square is half as wide."""
    run = kernels(find("_contrib_MultiBoxPrior")(sizes=(0.5, 1), ratios=(1, 4)), {"data": (1, 1, 1, 2)})

    boxes = run.forward()["output"].reshape(1, 2, 3, 4)

    sizes = boxes[0, 0, :, 2:] - boxes[0, 0, :, :2]
    np.testing.assert_allclose(sizes, [[0.25, 0.5], [0.5, 1], [0.5, 0.25]])
    np.testing.assert_allclose((boxes[0, :, 0, 2:] + boxes[0, :, 0, :2]) / 2, [[0.25, 0.5], [0.75, 0.5]])


def target_of(kernels, anchors, labels, **attributes):
    """MultiBoxTarget of one image with scores that all are alike."""
    shapes = {"anchor": (1, len(anchors), 4), "label": (1, len(labels), 5), "cls_pred": (1, 2, len(anchors))}
    run = kernels(find("_contrib_MultiBoxTarget")(**attributes), shapes)
    run.set("anchor", [anchors])
    run.set("label", [labels])
    run.set("cls_pred", 0)
    return run.forward()


def test_the_target_of_an_anchor(kernels):
    """The distance of the centres and the logarithm of the sizes' ratio, divided by the variances."""
    outputs = target_of(kernels, [(0, 0, 0.4, 0.4), (0.6, 0.6, 1, 1)], [(3, 0.1, 0, 0.5, 0.2)])

    np.testing.assert_allclose(outputs["cls_target"], [[4, 0]])
    expected = [0.1 / 0.4 / 0.1, -0.1 / 0.4 / 0.1, 0, math.log(0.5) / 0.2]
    np.testing.assert_allclose(outputs["loc_target"], [[*expected, 0, 0, 0, 0]], atol=1e-12)
    np.testing.assert_array_equal(outputs["loc_mask"], [[1] * 4 + [0] * 4])


def test_every_box_gets_an_anchor(kernels):
    """Its best one, however little they share; boxes behind a class of -1 do not count."""
    anchors = [(0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1)]
    labels = [(0, 0.4, 0.4, 0.52, 0.52), (1, 0.5, 0.5, 1, 1), (-1, 0, 0, 1, 1)]

    np.testing.assert_array_equal(target_of(kernels, anchors, labels)["cls_target"], [[1, 2]])
    np.testing.assert_array_equal(target_of(kernels, anchors, labels[2:])["cls_target"], [[-1, -1]])


def test_background_for_each_match(kernels):
    """With mining, only so many; the others are ignored."""
    anchors = [(0, 0, 0.5, 0.5), *[(0.5 + n / 10, 0.5, 0.6 + n / 10, 0.6) for n in range(4)]]

    outputs = target_of(kernels, anchors, [(0, 0, 0, 0.5, 0.5)], negative_mining_ratio=2, ignore_label=7)

    assert sorted(outputs["cls_target"][0]) == [0, 0, 1, 7, 7]


@pytest.mark.parametrize(
    ("attributes", "classes"),
    [
        ({}, [1, 0, -1]),
        ({"nms_threshold": 0.99}, [1, 0, 0]),
        ({"force_suppress": True}, [1, -1, -1]),
        ({"threshold": 0.65}, [1, -1, -1]),
        ({"nms_topk": 1}, [1, -1, -1]),
        ({"nms_threshold": 0}, [0, 1, 0]),
    ],
)
def test_boxes_from_predictions(attributes, classes, kernels):
    """Three anchors on nearly one place: the best of a class removes the others of its class."""
    op = find("_contrib_MultiBoxDetection")(**attributes)
    run = kernels(op, {"cls_prob": (1, 3, 3), "loc_pred": (1, 12), "anchor": (1, 3, 4)})
    run.set("cls_prob", [[[0.4, 0.3, 0.4], [0.6, 0, 0.55], [0, 0.7, 0.05]]])
    run.set("loc_pred", 0)
    run.set("anchor", [[[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.51], [0.1, 0.1, 0.5, 0.52]]])

    output = run.forward()["output"]

    np.testing.assert_array_equal(output[0, :, 0], classes)
    assert ((output[0, :, 0] >= 0) <= (output[0, :, 1] >= op.threshold)).all()


def test_proposals_are_repeated_where_there_are_too_few(kernels):
    """One anchor on one place makes one box, clipped to the image, as often as wanted."""
    op = find("_contrib_Proposal")(scales=(2,), ratios=(1,), rpn_post_nms_top_n=3, output_score=True)
    run = kernels(op, {"cls_prob": (1, 2, 1, 1)})
    run.set("cls_prob", [[[[0.2]], [[0.8]]]])
    run.set("bbox_pred", 0)
    run.set("im_info", [[30, 20, 1]])

    outputs = run.forward()

    np.testing.assert_allclose(outputs["output"], [[0, 0, 0, 19, 23]] * 3)
    np.testing.assert_allclose(outputs["score"], [[0.8]] * 3)


def test_boxes_to_anchors_and_back(kernels):
    """What box_encode makes of a box, box_decode makes a box of; the others get nothing."""
    anchors, refs = [[[0, 0, 1, 1], [0.2, 0.1, 0.5, 0.8]]], [[[0.3, 0.2, 0.6, 0.6], [0.1, 0.1, 0.5, 0.9]]]
    there = kernels(find("_contrib_box_encode")(), {"samples": (1, 2), "refs": (1, 2, 4)})
    for name, value in (
        ("anchors", anchors),
        ("refs", refs),
        ("matches", [[1, 0]]),
        ("samples", [[1, 0.5]]),
        ("means", 0),
        ("stds", [0.1, 0.1, 0.2, 0.2]),
    ):
        there.set(name, value)
    op = find("_contrib_box_decode")(std0=0.1, std1=0.1, std2=0.2, std3=0.2, format="corner")
    back = kernels(op, {"data": (1, 2, 4)})
    target = there.forward()
    back.set("data", target["output0"])
    back.set("anchors", anchors)

    np.testing.assert_allclose(back.forward()["output"], [[refs[0][1], anchors[0][1]]])
    np.testing.assert_array_equal(target["output1"], [[[1] * 4, [0] * 4]])


#: operator, attributes, shapes, words of the message
REFUSED = [
    ("box_encode", {}, {"samples": (2, 3), "anchors": (2, 4, 4)}, "anchors is 2x4x4, but samples is 2x3"),
    ("box_encode", {}, {"samples": (2, 3), "refs": (1, 4, 4)}, "of the images of the anchors"),
    ("box_encode", {}, {"means": (3,)}, "one for each of the four numbers"),
    ("box_decode", {}, {"data": (2, 3, 5)}, "boxes (B, N, 4) are needed"),
    ("box_decode", {}, {"data": (2, 3, 4), "anchors": (2, 3, 4)}, "all images have the same"),
    ("box_decode", {}, {"data": (2, 3, 4), "anchors": (1, 4, 4)}, "anchors is 1x4x4, but data is 2x3x4"),
    ("box_iou", {}, {"lhs": (4,), "rhs": (2, 4)}, "a list of boxes is needed"),
    ("box_iou", {}, {"lhs": (2, 5)}, "a box has four numbers"),
    ("box_nms", {}, {"data": (4, 5)}, "coord_start is 2, but each box of data 4x5 has 5 numbers"),
    ("box_nms", {"score_index": 3}, {"data": (4, 6)}, "score_index is 3, within the box from 2 to 5"),
    ("box_nms", {"score_index": -1}, {"data": (4, 6)}, "score_index is -1"),
    ("box_nms", {"id_index": 6}, {"data": (4, 6)}, "id_index is 6"),
    ("bipartite_matching", {"threshold": 0}, {"data": (4,)}, "a matrix of scores is needed"),
    ("MultiBoxPrior", {"sizes": ()}, {}, "sizes is empty"),
    ("MultiBoxPrior", {"ratios": ()}, {}, "ratios is empty"),
    ("MultiBoxPrior", {"steps": (1,)}, {}, "steps has 1 numbers"),
    ("MultiBoxPrior", {"steps": (1, -1)}, {}, "give both or none"),
    ("MultiBoxPrior", {}, {"data": (4, 2, 2)}, "maps (N, C, H, W) are needed"),
    ("MultiBoxTarget", {"variances": (1, 1)}, {}, "variances has 2 numbers"),
    ("MultiBoxTarget", {}, {"anchor": (1, 7, 4), "cls_pred": (2, 2, 8)}, "anchor is 1x7x4"),
    ("MultiBoxTarget", {}, {"label": (2, 3, 4), "cls_pred": (2, 2, 8)}, "a class and a box, five numbers"),
    ("MultiBoxTarget", {}, {"label": (3, 3, 5), "cls_pred": (2, 2, 8)}, "numbers of samples"),
    ("MultiBoxDetection", {"variances": ()}, {}, "variances has 0 numbers"),
    ("MultiBoxDetection", {}, {"cls_prob": (2, 1, 8)}, "a class beside the background"),
    ("MultiBoxDetection", {}, {"cls_prob": (2, 3, 8), "loc_pred": (2, 31)}, "four numbers for each of 8"),
    ("Proposal", {}, {"cls_prob": (2, 24, 4, 4)}, "one image is needed"),
    ("MultiProposal", {}, {"cls_prob": (2, 8, 4, 4)}, "4 scales and 3 ratios make 12 anchors"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words"), REFUSED)
def test_boxes_that_do_not_fit_are_refused(name, attributes, shapes, words):
    """The message names the tensors, their shapes and the attribute."""
    with pytest.raises(ShapeError) as refused:
        inferred(f"_contrib_{name}", attributes, **shapes)

    assert words in refused.value.message
