"""Learning rate schedulers: their curves, what they log, what they refuse."""

import logging
import math

import mxnet_parts
import pytest

import netdef as mx

UPDATES = range(12)


def curve(scheduler):
    """The rate at each of a dozen updates."""
    return [scheduler(update) for update in UPDATES]


@pytest.mark.parametrize("case", mxnet_parts.recorded("schedulers"))
def test_mxnet_recordings(case):
    """Rates and refusals are those of MXNet."""
    if case["kind"] == "error":
        with pytest.raises((ValueError, mx.MXNetError)):
            eval(case["expr"], {"mx": mx})
        return
    scheduler = eval(case["expr"], {"mx": mx})

    assert [scheduler(update) for update in case["num_update"]] == pytest.approx(case["lr"], rel=1e-12)


def test_factor_counts_updates_after_the_first():
    """Update `step` still has the old rate; the rate never falls below its limit."""
    scheduler = mx.lr_scheduler.FactorScheduler(step=3, factor=0.1, stop_factor_lr=0.05, base_lr=1.0)

    assert curve(scheduler) == pytest.approx([1.0] * 4 + [0.1] * 3 + [0.05] * 5)


def test_a_factor_scheduler_catches_up():
    """A call far ahead, as after resuming, applies every factor on the way."""
    scheduler = mx.lr_scheduler.FactorScheduler(step=10, factor=0.5, base_lr=1.0)

    assert scheduler(35) == pytest.approx(0.125)
    assert scheduler(2) == pytest.approx(0.125), "the rate does not rise again"


def test_multi_factor_changes_after_the_listed_updates():
    """The rate changes one update after each listed one."""
    scheduler = mx.lr_scheduler.MultiFactorScheduler([2, 5], factor=0.1, base_lr=1.0)

    assert curve(scheduler) == pytest.approx([1.0] * 3 + [0.1] * 3 + [0.01] * 6)


def test_poly_and_cosine_follow_their_formulas():
    """From base_lr after the warm-up to final_lr at max_update, constant from there on."""
    poly = mx.lr_scheduler.PolyScheduler(9, base_lr=1.0, pwr=3, final_lr=0.1, warmup_steps=2)
    cosine = mx.lr_scheduler.CosineScheduler(9, base_lr=1.0, final_lr=0.1, warmup_steps=2)
    way = [min(1, (update - 2) / 7) for update in UPDATES[2:]]

    assert curve(poly) == pytest.approx([0, 0.5, *(0.1 + 0.9 * (1 - t) ** 3 for t in way)])
    assert curve(cosine) == pytest.approx([0, 0.5, *(0.1 + 0.45 * (1 + math.cos(math.pi * t)) for t in way)])


def test_warm_up_is_linear_or_constant():
    """Before the last update of the warm-up; then the scheduler's own rate."""
    arguments = {"base_lr": 1.0, "warmup_steps": 4, "warmup_begin_lr": 0.2}
    linear = mx.lr_scheduler.FactorScheduler(100, **arguments)
    constant = mx.lr_scheduler.FactorScheduler(100, warmup_mode="constant", **arguments)

    assert curve(linear)[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert curve(constant)[:6] == pytest.approx([0.2] * 4 + [1.0] * 2)


def test_a_warm_up_until_the_end_leaves_the_final_rate():
    """There is no way left to go, and nothing to divide by."""
    scheduler = mx.lr_scheduler.PolyScheduler(3, base_lr=1.0, final_lr=0.1, warmup_steps=3)

    assert curve(scheduler)[2:5] == pytest.approx([2 / 3, 0.1, 0.1])


def test_changes_are_logged_as_in_mxnet(caplog):
    """Tools read these lines."""
    caplog.set_level(logging.INFO)
    mx.lr_scheduler.FactorScheduler(2, factor=0.5, stop_factor_lr=0.3, base_lr=1.0)(5)
    mx.lr_scheduler.MultiFactorScheduler([2], factor=0.5, base_lr=1.0)(3)

    assert caplog.messages == [
        "Update[5]: Change learning rate to 5.00000e-01",
        "Update[5]: now learning rate arrived at 3.00000e-01, will not change in the future",
        "Update[3]: Change learning rate to 5.00000e-01",
    ]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda s: s.FactorScheduler(0), "step is 0"),
        (lambda s: s.FactorScheduler(1, factor=1.5), "factor is 1.5"),
        (lambda s: s.FactorScheduler(1, warmup_steps=1.5), "warmup_steps is 1.5"),
        (lambda s: s.FactorScheduler(1, warmup_steps=-1), "positive or 0"),
        (lambda s: s.FactorScheduler(1, warmup_begin_lr=1), "more than base_lr 0.01"),
        (lambda s: s.FactorScheduler(1, warmup_mode="slow"), "legal: linear, constant"),
        (lambda s: s.MultiFactorScheduler((1, 2)), "give a list"),
        (lambda s: s.MultiFactorScheduler([]), "one or more"),
        (lambda s: s.MultiFactorScheduler([2, 2]), "must increase"),
        (lambda s: s.MultiFactorScheduler([0, 2]), "begin at 1"),
        (lambda s: s.PolyScheduler(0), "max_update is 0"),
        (lambda s: s.CosineScheduler(2.5), "must be an int"),
        (lambda s: s.LRScheduler(warmup_steps=2).get_warmup_lr(2), "after the warm-up"),
    ],
)
def test_wrong_arguments_are_told(make, words):
    """The message names the argument and what is legal."""
    with pytest.raises((ValueError, mx.MXNetError), match=words):
        make(mx.lr_scheduler)


def test_a_scheduler_of_ones_own_must_say_the_rate():
    """The base class knows none."""
    with pytest.raises(NotImplementedError, match="__call__"):
        mx.lr_scheduler.LRScheduler()(1)
