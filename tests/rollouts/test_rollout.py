"""What a rollout does next, by tables of counts, and what it can never do."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.rollouts import (
    Counts,
    Event,
    Hold,
    Limit,
    LimitStanding,
    Plan,
    Rollout,
    RolloutDecision,
    RolloutState,
    Seen,
    after,
    decided,
    judged,
)
from watchkeeper.rollouts.plan import increments
from watchkeeper.rollouts.rollout import AnswerShift
from watchkeeper.rollouts.states import MOVES, TERMINAL

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=30)
ERRORS = (Limit(name="errors", share=0.05),)


def running(**changes: object) -> Rollout:
    plan = Plan(limits=ERRORS, **changes)  # type: ignore[arg-type]
    made = Rollout(name="june", model="flights", version="2.0.0", plan=plan)
    return made.moved(Event.START, START)


def seen(*steps: tuple[int, int], covered: float = 1_800.0) -> Seen:
    return Seen(tuple(Counts(n, {"errors": bad}) for n, bad in steps), covered)


def test_given_each_state_and_event_when_it_happens_then_it_is_in_the_table_or_refused() -> None:
    for state, event in product(RolloutState, Event):
        if (state, event) in MOVES:
            assert after(state, event) is MOVES[state, event]
        else:
            with pytest.raises(ConflictError, match=f"cannot {event.value}"):
                after(state, event)
    assert {state for state, _ in MOVES} == set(RolloutState) - TERMINAL
    assert set(MOVES.values()) | {RolloutState.DRAFT} == set(RolloutState)


@pytest.mark.parametrize(
    "state", sorted(set(RolloutState) - TERMINAL - {RolloutState.ROLLING_BACK})
)
def test_given_any_state_that_is_not_over_when_aborted_then_the_canary_ends_without_traffic(
    state: RolloutState,
) -> None:
    found = after(state, Event.ABORT)

    assert found in {RolloutState.CANCELLED, RolloutState.ROLLING_BACK}
    assert running().moved(Event.ABORT, START).weight == 0.0


@settings(deadline=None)
@given(events=st.lists(st.sampled_from(list(Event)), max_size=40))
def test_given_any_events_when_they_happen_then_the_rollout_stays_one_of_its_plan(
    events: list[Event],
) -> None:
    rollout = Rollout(name="june", model="flights", version="2", plan=Plan(steps=(10.0, 100.0)))
    for number, event in enumerate(events):
        before = rollout
        try:
            rollout = rollout.moved(event, START + number * WINDOW, Hold.NO_DATA)
        except ConflictError:
            assert rollout is before
            continue
        assert before.state not in TERMINAL
        assert rollout.number == before.number + 1
        assert rollout.weight in {0.0, 10.0, 100.0}
        assert rollout.step - before.step in {0, 1}
        if rollout.weight > before.weight:
            assert event in {Event.START, Event.STEP, Event.PROMOTE}
        assert Rollout.from_dict(json.loads(rollout.to_json())) == rollout


def test_given_a_window_that_is_over_and_well_when_decided_then_the_next_step_begins() -> None:
    rollout = running()

    early = decided(rollout, seen((500, 3)), START + WINDOW / 2)
    due = decided(rollout, seen((500, 25)), START + WINDOW)

    assert (early.event, early.reason) == (None, "the window ends in 0:15:00")
    assert due.event is Event.STEP
    assert due.reason == "errors: 5.00% (25 of 500), limit 5.00%"
    assert rollout.moved(Event.STEP, START + WINDOW).weight == 15.0


def test_given_evidence_of_a_breach_when_decided_then_it_is_taken_back_before_the_window_ends() -> (
    None
):
    found = decided(running(), seen((100, 14)), START + timedelta(minutes=2))

    assert found.event is Event.BREACH
    assert "14.00% (14 of 100), limit 5.00%; over all steps this is significant" in found.reason
    for state in (RolloutState.PAUSED, RolloutState.PROMOTING):
        event = Event.PAUSE if state is RolloutState.PAUSED else Event.PROMOTE
        assert decided(running().moved(event, START), seen((100, 14)), START).event is Event.BREACH


def test_given_more_than_the_limit_without_evidence_when_decided_then_it_is_extended_twice() -> (
    None
):
    rollout, counts, now = running(), seen((200, 12)), START

    for extension in (1, 2):
        now += WINDOW
        found = decided(rollout, counts, now)
        assert (found.event, found.hold) == (Event.HOLD, Hold.INCONCLUSIVE)
        rollout = rollout.moved(Event.HOLD, now, found.hold)
        assert (rollout.state, rollout.extensions) == (RolloutState.HOLDING, extension)
        assert rollout.weight == 5.0
    now += WINDOW
    assert decided(rollout, counts, now).event is Event.BREACH
    well = decided(rollout, seen((400, 20)), now)
    assert well.event is Event.STEP
    assert rollout.moved(Event.STEP, now).extensions == 0


@pytest.mark.parametrize(
    ("counts", "told"),
    [(seen((0, 0), covered=0.0), "no requests yet"),
     (seen((99, 0)), "at least 100 requests are needed"),
     (seen((500, 0), covered=1_400.0), "only 1,400 s of a window of 1,800 s had traffic")],
)  # fmt: skip
def test_given_too_little_when_decided_then_it_holds_and_never_passes_and_ends_at_the_deadline(
    counts: Seen, told: str
) -> None:
    rollout = running()

    found = decided(rollout, counts, START + WINDOW)
    assert (found.event, found.hold) == (Event.HOLD, Hold.NO_DATA)
    assert told in found.reason
    held = rollout.moved(Event.HOLD, START + WINDOW, Hold.NO_DATA)
    assert decided(held, counts, START + 2 * WINDOW).event is None
    late = decided(held, counts, START + timedelta(days=1))
    assert late.event is Event.EXPIRE
    assert held.moved(Event.EXPIRE, START + timedelta(days=1)).weight == 0.0
    assert late.reason.endswith("the deadline has passed")
    # Traffic comes back: the same window goes on and may pass.
    assert decided(held, seen((150, 1)), START + 3 * WINDOW).event is Event.STEP


def test_given_approval_when_a_step_is_well_then_a_person_decides() -> None:
    rollout = running(approval=True)

    asked = decided(rollout, seen((500, 3)), START + WINDOW)
    assert (asked.event, asked.hold) == (Event.HOLD, Hold.APPROVAL)
    waiting = rollout.moved(Event.HOLD, START + WINDOW, Hold.APPROVAL)
    assert decided(waiting, seen((600, 3)), START + 2 * WINDOW).event is None
    assert waiting.moved(Event.STEP, START + 2 * WINDOW).weight == 15.0


def test_given_the_last_step_when_it_is_well_then_it_is_promoted_and_watched() -> None:
    rollout = running(steps=(100.0,))

    found = decided(rollout, seen((500, 3)), START + WINDOW)
    assert found.event is Event.PROMOTE
    with pytest.raises(ConflictError, match="at its last step"):
        rollout.moved(Event.STEP, START + WINDOW)
    done = rollout.moved(Event.PROMOTE, START + WINDOW).moved(Event.PROMOTED, START + WINDOW)
    assert (done.state, done.weight, done.ended_at) == (
        RolloutState.COMPLETED,
        100.0,
        START + WINDOW,
    )
    bad = seen((500, 90))
    soon, late = START + WINDOW + timedelta(hours=23), START + WINDOW + timedelta(hours=25)
    assert decided(done, bad, soon).event is Event.BREACH
    assert done.moved(Event.BREACH, soon).weight == 0.0
    assert decided(done, bad, late).event is None
    with pytest.raises(ConflictError, match="so has its bake time"):
        done.moved(Event.BREACH, late)


def test_given_a_pause_when_it_is_resumed_then_the_window_begins_again() -> None:
    paused = running().moved(Event.PAUSE, START + WINDOW)
    resumed = paused.moved(Event.RESUME, START + 10 * WINDOW)

    assert decided(paused, seen((500, 3)), START + 5 * WINDOW).reason == "it is paused"
    assert decided(resumed, seen((500, 3)), START + 10 * WINDOW).event is None
    away = paused.moved(Event.RESUME, START + timedelta(days=2))
    due = START + timedelta(days=2) + WINDOW
    assert decided(away, seen((60, 0)), due).hold is Hold.NO_DATA  # the deadline begins again
    assert paused.weight == 5.0


def test_given_a_hold_without_a_cause_when_it_happens_then_it_is_refused() -> None:
    with pytest.raises(
        InvalidValueError,
        match="why: one of no_data, inconclusive, srm, signal, analysis_error, approval",
    ):
        running().moved(Event.HOLD, START)


def test_given_counts_when_judged_then_equality_is_well_and_figures_are_told() -> None:
    plan = Plan()
    errors, latency = plan.limits
    steps = [Counts(200, {"errors": 10, "latency": 11})]

    assert judged(plan, errors, steps).standing is LimitStanding.WITHIN
    over = judged(plan, latency, steps)
    assert over.standing is LimitStanding.OVER
    assert over.reason == "latency above 2000 ms: 5.50% (11 of 200), limit 5.00%"
    assert steps[0] + steps[0] == Counts(400, {"errors": 20, "latency": 22})


def test_given_shares_that_are_not_the_plans_when_decided_then_it_holds_until_they_are() -> None:
    rollout, due = running(), START + WINDOW
    astray = Seen((Counts(900, {"errors": 9}),), 1_800.0, units=((900, 9_100),))

    found = decided(rollout, astray, START + WINDOW / 2)
    assert (found.event, found.hold) == (Event.HOLD, Hold.SRM)
    assert found.reason.startswith("the canary has 900 of 10,000 units and was to have 500; ")
    held = rollout.moved(Event.HOLD, due, found.hold)
    assert decided(held, astray, due).event is None
    right = Seen((Counts(500, {"errors": 5}),), 1_800.0, units=((500, 9_500),))
    assert decided(held, right, due).event is Event.STEP
    bad = Seen((Counts(900, {"errors": 300}),), 1_800.0, units=((900, 9_100),))
    assert decided(held, bad, due).event is Event.BREACH  # which needs no comparison
    with pytest.raises(InvalidValueError, match=r"seen.units is 2; expected 1: one a step"):
        decided(rollout, Seen(right.steps, 1_800.0, units=((1, 9), (1, 9))), due)
    whole = running(steps=(100.0,))
    stray = Seen((Counts(500, {"errors": 5}),), 1_800.0, units=((500, 3),))  # still on their way
    assert decided(whole, stray, due).event is Event.PROMOTE


def test_given_a_plan_that_ends_below_all_traffic_when_it_is_well_then_a_person_promotes() -> None:
    rollout = running(steps=(50.0,))

    found = decided(rollout, seen((500, 3)), START + WINDOW)
    assert (found.event, found.hold) == (Event.HOLD, Hold.APPROVAL)
    assert found.reason.endswith("it waits for approval")
    held = rollout.moved(Event.HOLD, START + WINDOW, found.hold)
    assert decided(held, seen((900, 3)), START + 2 * WINDOW).event is None
    assert held.moved(Event.PROMOTE, START + 2 * WINDOW).weight == 100.0


COMPARED = Plan(limits=(Limit(name="errors", share=0.05, margin=0.01),))


def test_given_a_canary_within_its_limit_when_worse_than_production_then_it_is_taken_back() -> None:
    rollout = Rollout(name="june", model="flights", version="2", plan=COMPARED)
    rollout = rollout.moved(Event.START, START)
    canary, production = Counts(2_000, {"errors": 90}), Counts(38_000, {"errors": 190})

    alone = decided(rollout, Seen((canary,), 300.0), START + WINDOW / 6)
    beside = decided(rollout, Seen((canary,), 300.0, (production,)), START + WINDOW / 6)

    assert alone.event is None
    assert beside.event is Event.BREACH
    assert beside.reason.startswith("errors: 4.50% (90 of 2,000), limit 5.00%; at least ")
    assert beside.reason.endswith("above production at the same time, margin 1.00%")
    (own,) = beside.judgements
    assert own.comparison is not None
    assert own.comparison.estimate == pytest.approx(0.04)
    assert 0.01 < own.comparison.low < 0.04


def test_given_a_rate_that_rises_for_both_when_the_share_grows_then_the_canary_is_not_blamed() -> (
    None
):
    # Sums over both steps would say 3.82 % against 2.69 %: Simpson's paradox.
    canary = (Counts(1_000, {"errors": 20}), Counts(10_000, {"errors": 400}))
    production = (Counts(19_000, {"errors": 380}), Counts(10_000, {"errors": 400}))
    (limit,) = COMPARED.limits

    found = judged(COMPARED, limit, canary, production)

    assert found.standing is LimitStanding.WITHIN
    assert found.comparison is not None
    assert found.comparison.estimate == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    "production", [(), (Counts(0, {"errors": 0}),)], ids=["unknown", "without requests"]
)
def test_given_no_production_to_compare_with_when_judged_then_the_limit_alone_counts(
    production: tuple[Counts, ...],
) -> None:
    found = judged(COMPARED, COMPARED.limits[0], [Counts(200, {"errors": 8})], production)

    assert (found.standing, found.comparison) == (LimitStanding.WITHIN, None)
    whole = Plan(steps=(100.0,), limits=COMPARED.limits)
    both = [Counts(200, {"errors": 8})]
    assert judged(whole, whole.limits[0], both, both).comparison is None


def test_given_limits_with_margins_when_planned_then_they_share_the_error_rate() -> None:
    assert Plan(limits=ERRORS).alpha_each == 0.05
    assert COMPARED.alpha_each == 0.025
    assert Plan().alpha_each == 0.0125


def test_given_a_canary_like_production_when_played_then_it_is_hardly_ever_taken_back() -> None:
    # Without any margin, which is the hardest; 100 rollouts with a look at every sixth of a window.
    rng, wrong = np.random.default_rng(11), 0
    limit = Limit(name="errors", share=0.05, margin=0.0)
    plan = Plan(limits=(limit,))
    for _ in range(100):
        own: list[Counts] = []
        theirs: list[Counts] = []
        for percent, rate in zip(plan.steps, np.linspace(0.01, 0.04, 11), strict=True):
            own.append(Counts(0, {"errors": 0}))
            theirs.append(Counts(0, {"errors": 0}))
            for _ in range(6):
                n = int(rng.binomial(1_000, percent / 100))
                own[-1] += Counts(n, {"errors": int(rng.binomial(n, rate))})
                theirs[-1] += Counts(1_000 - n, {"errors": int(rng.binomial(1_000 - n, rate))})
                found = judged(plan, limit, own, theirs)
                if found.standing is LimitStanding.BREACH:
                    break
            else:
                continue
            wrong += 1
            break
    assert wrong <= 5


def test_given_wrong_counts_when_judged_then_the_error_says_what() -> None:
    plan = Plan(limits=ERRORS)

    with pytest.raises(InvalidValueError, match="bad requests of errors is 3; expected from 0"):
        Counts(2, {"errors": 3})
    with pytest.raises(InvalidValueError, match="also those of errors"):
        judged(plan, plan.limits[0], [Counts(2, {"slow": 1})])
    with pytest.raises(InvalidValueError, match="production is 2; expected 1: one a step"):
        judged(plan, plan.limits[0], [Counts(1, {"errors": 0})], [Counts(1, {"errors": 0})] * 2)
    with pytest.raises(InvalidValueError, match="margin of limit errors is 1"):
        Limit(name="errors", share=0.05, margin=1.0)
    with pytest.raises(InvalidValueError, match="counts of at least"):
        judged(plan, plan.limits[0], [])
    with pytest.raises(InvalidValueError, match="1: one a step"):
        decided(running(), seen((1, 0), (1, 0)), START)


def test_given_far_more_than_the_limit_when_a_second_window_ends_then_no_third_is_given() -> None:
    first = running().moved(Event.HOLD, START + WINDOW, Hold.INCONCLUSIVE)
    late = START + 2 * WINDOW

    # Of 400 at a rate of 5 %, 28 or more are seen in 4.8 of 100 cases, 27 in 7.3 of them.
    assert decided(running(), seen((400, 28)), START + WINDOW).hold is Hold.INCONCLUSIVE
    assert decided(first, seen((400, 27)), late).hold is Hold.INCONCLUSIVE
    found = decided(first, seen((400, 28)), late)
    assert (found.event, found.judgements[0].standing) == (Event.BREACH, LimitStanding.OVER)
    assert found.judgements[0].chance == pytest.approx(0.0480, abs=1e-4)
    assert found.reason == (
        "errors: 7.00% (28 of 400), limit 5.00%, by chance in 4.80%; no extension is left"
    )
    # Who has many windows asks often, and each time for more.
    many = running(extensions=20).moved(Event.HOLD, START + WINDOW, Hold.INCONCLUSIVE)
    assert decided(many, seen((400, 28)), late).hold is Hold.INCONCLUSIVE


def test_given_a_limit_that_is_to_hold_when_no_window_is_left_then_a_person_decides() -> None:
    limit = Limit(name="errors", share=0.05, on_breach="hold")
    plan = Plan(limits=(limit,), steps=(50.0, 100.0), extensions=1)
    rollout = Rollout(name="r", model="m", version="2", plan=plan).moved(Event.START, START)
    second = rollout.moved(Event.HOLD, START + WINDOW, Hold.INCONCLUSIVE)

    found = decided(second, seen((200, 13)), START + 2 * WINDOW)

    assert (found.event, found.hold) == (Event.HOLD, Hold.SIGNAL)
    assert found.reason.endswith("no further window is left; waiting for manual approval")
    accepted = second.moved(Event.HOLD, START + 2 * WINDOW, Hold.SIGNAL)
    accepted = accepted.moved(Event.RESUME, START + 2 * WINDOW)
    assert decided(accepted, seen((200, 13)), START + 3 * WINDOW).event is Event.STEP


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"steps": (50.0, 20.0)}, "steps"), ({"steps": ()}, "steps"), ({"steps": (0.0, 5.0)}, "steps"),
     ({"steps": (5.0, 101.0)}, "steps"), ({"limits": ()}, "limits"),
     ({"limits": ERRORS * 2}, "limits"), ({"alpha": 0.0}, "alpha is 0"),
     ({"min_samples": 0}, "min_samples is 0"), ({"extensions": -1}, "extensions is -1"),
     ({"window": 0.0}, "window is 0"), ({"deadline": 60.0}, "deadline is 60"),
     ({"bake_time": float("nan")}, "bake_time is nan")],
)  # fmt: skip
def test_given_a_wrong_plan_when_made_then_the_error_names_the_field(
    wrong: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        Plan(**wrong)  # type: ignore[arg-type]


def test_given_the_defaults_when_planned_then_steps_and_duration_are_those_of_reference() -> None:
    assert increments() == (5.0, *(float(each) for each in range(15, 96, 10)), 100.0)
    assert Plan().expected_duration(100_000) == timedelta(hours=5.5)
    # 200 requests a window: the step of 5 % alone needs ten windows for its 100 samples.
    assert 20 <= Plan().expected_duration(400) / WINDOW <= 30
    with pytest.raises(InvalidValueError, match="requests_an_hour is 0"):
        Plan().expected_duration(0)


def played(rate: float, requests: int, rng: np.random.Generator) -> tuple[RolloutDecision, float]:
    """Play a rollout of a canary that fails at `rate`; return its end and how long it took."""
    rollout, now = running(), START
    counts = [(0, 0)]
    while True:
        now += WINDOW / 6
        canary = rng.binomial(requests // 6, rollout.weight / 100)
        n, bad = counts[-1]
        counts[-1] = (n + int(canary), bad + int(rng.binomial(canary, rate)))
        found = decided(rollout, seen(*counts), now)
        if found.event in {Event.BREACH, Event.PROMOTE}:
            return found, (now - START) / WINDOW
        if found.event is not None:
            rollout = rollout.moved(found.event, now, found.hold)
            if found.event is Event.STEP:
                counts.append((0, 0))


@pytest.mark.parametrize(
    ("rate", "least", "most"), [(0.03, 0.93, 1.0), (0.06, 0.0, 0.03), (0.1, 0.0, 0.0)]
)
def test_given_canaries_when_played_then_the_good_complete_and_the_bad_do_not(
    rate: float, least: float, most: float
) -> None:
    # 60 rollouts each; benchmarks/rollouts.py plays 2,000 of each.
    rng = np.random.default_rng(8)
    ends = [played(rate, 2_000, rng) for _ in range(60)]

    completed = sum(end.event is Event.PROMOTE for end, _ in ends) / len(ends)
    assert least <= completed <= most
    if rate == 0.1:
        assert np.mean([windows for _, windows in ends]) <= 3.0


def test_given_a_canary_of_twice_the_limit_when_played_then_it_is_gone_within_two_windows() -> None:
    # 200 requests to the canary in a window: 5 % of 4,000.
    rng = np.random.default_rng(5)
    windows = [played(0.1, 4_000, rng)[1] for _ in range(100)]

    assert np.mean([each <= 2.0 for each in windows]) >= 0.93
    assert np.mean(windows) <= 1.5


def test_given_a_limit_that_is_to_hold_when_it_is_broken_then_a_person_decides() -> None:
    limit = Limit(name="errors", share=0.05, on_breach="hold")
    plan = Plan(limits=(limit,), steps=(50.0, 100.0))
    rollout = Rollout(name="r", model="m", version="2", plan=plan).moved(Event.START, START)

    found = decided(rollout, seen((100, 40)), START + WINDOW / 6)

    assert (found.event, found.hold) == (Event.HOLD, Hold.SIGNAL)
    held = rollout.moved(Event.HOLD, START + WINDOW / 6, Hold.SIGNAL)
    assert decided(held, seen((100, 40)), START + 2 * WINDOW).event is None
    assert held.moved(Event.STEP, START + WINDOW).step == 1


def test_given_outcomes_that_never_come_when_a_window_ends_then_no_step_waits_for_them() -> None:
    wrong = Limit(name="wrong", share=None, wrong=True, margin=0.05)
    plan = Plan(limits=(*ERRORS, wrong), steps=(50.0, 100.0))
    rollout = Rollout(name="r", model="m", version="2", plan=plan).moved(Event.START, START)
    counts = Counts(500, {"errors": 5, "wrong": 0}, {"wrong": 0})

    found = decided(rollout, Seen((counts,), 1_800.0, (counts,)), START + WINDOW)

    assert found.event is Event.STEP
    assert found.reason.endswith("wrong: no outcomes yet")


def test_given_answers_that_lie_apart_when_looked_at_then_it_holds_once_that_is_no_chance() -> None:
    plan = Plan(limits=ERRORS, max_prediction_shift=0.25)
    rollout = Rollout(name="r", model="m", version="2", plan=plan).moved(Event.START, START)

    def at(distance: float, canary: int) -> RolloutDecision:
        counts = Counts(canary, {"errors": 0})
        answers = AnswerShift(distance, canary, 20 * canary)
        own = Seen((counts,), 300.0, answers=answers)
        return decided(rollout, own, START + WINDOW / 6)

    assert at(0.5, 50).event is None
    assert at(0.5, 2_000).hold is Hold.SIGNAL
    assert at(0.2, 200_000).event is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": None},
        {"share": 1.0},
        {"share": 0.1, "margin": 1.0},
        {"share": 0.1, "slower_than_ms": 0.0},
        {"share": 0.1, "error_tolerance": 1.0},
        {"share": 0.1, "error_tolerance": 0.0, "wrong": True},
        {"share": 0.1, "label_delay": -1.0},
    ],
)
def test_given_a_limit_that_cannot_be_when_made_then_it_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError):
        Limit(name="x", **wrong)  # type: ignore[arg-type]


def test_given_a_plan_with_segments_when_stored_and_read_then_it_is_the_same() -> None:
    part = Limit(name="errors.UA", share=0.05, segment=("carrier", "UA"))
    plan = Plan(limits=(*ERRORS, part), max_prediction_shift=0.2)
    assert Plan.from_dict(json.loads(plan.to_json())) == plan


def test_given_a_plan_that_asks_for_proof_when_a_window_ends_then_few_requests_prove_nothing() -> (
    None
):
    end = START + WINDOW
    rollout = running(require_evidence=True, extensions=1)

    inconclusive = decided(rollout, seen((100, 1)), end)  # 134 with one bad prove a rate below 5 %
    assert (inconclusive.event, inconclusive.hold) == (Event.HOLD, Hold.INCONCLUSIVE)
    assert "there is no evidence that it is below" in inconclusive.reason
    rollout = rollout.moved(Event.HOLD, end, Hold.INCONCLUSIVE)
    waits = decided(rollout, seen((133, 1)), end + WINDOW)
    assert (waits.event, waits.hold) == (None, Hold.INCONCLUSIVE)
    assert decided(rollout, seen((134, 1)), end + WINDOW).event is Event.STEP

    strict = replace(rollout, plan=replace(rollout.plan, on_inconclusive="rollback"))
    assert decided(strict, seen((133, 1)), end + WINDOW).event is Event.BREACH
    with pytest.raises(InvalidValueError, match="hold or rollback"):
        Plan(on_inconclusive="promote")  # type: ignore[arg-type]


def test_given_a_rollout_for_later_when_stored_then_its_time_is_kept_and_it_has_no_traffic() -> (
    None
):
    made = Rollout(name="june", model="m", version="2", plan=Plan(), begins_at=START + WINDOW)
    planned = made.moved(Event.SCHEDULE, START)
    assert (planned.weight, planned.active, planned.started_at) == (0.0, False, None)
    assert Rollout.from_dict(json.loads(planned.to_json())) == planned
    older = planned.to_dict()
    del older["begins_at"]
    assert Rollout.from_dict(older).begins_at is None
