"""What an experiment says of its cells: contrasts, looks, guardrails, the verdict."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps
from statsmodels.stats.contingency_tables import StratifiedTable

from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.experiments import (
    Allocation,
    Arm,
    Cell,
    Experiment,
    ExperimentReport,
    Exposed,
    Guardrail,
    Metric,
    Mode,
    Namespace,
    Observations,
    Sums,
    Verdict,
    analyse,
)
from watchkeeper.experiments.analysis import standing
from watchkeeper.experiments.contrast import contrast
from watchkeeper.stats import bayesian_report

START = datetime(2026, 3, 1, tzinfo=UTC)


def arm(events: int, units: int) -> Sums:
    return Sums(units, events, events, units, units, events)


def sums(values: np.ndarray, weights: np.ndarray | None = None) -> Sums:
    d = np.ones(len(values)) if weights is None else weights
    parts = (values.sum(), values @ values, d.sum(), d @ d, values @ d)
    return Sums(len(values), *(float(each) for each in parts))


def experiment(**changes: Any) -> Experiment:
    arms = (Arm("control", 5_000, "1.0.0"), Arm("new", 5_000, "2.0.0"))
    fields: dict[str, Any] = {
        "model": "flights",
        "allocation": Allocation(experiment="smarter", arms=arms),
        "metric": Metric.named("accuracy"),
        "planned_units": 10_000,
    }
    return Experiment(**{**fields, **changes})


def seen(
    days: list[dict[str, tuple[int, int]]], metric: str = "accuracy", **more: list[Any]
) -> Observations:
    """Return what was seen when each day brought so many events and units to each arm."""
    cells, exposed = [], []
    for day, of in enumerate(days):
        for name, (events, units) in of.items():
            start = START + timedelta(days=day)
            cells.append(Cell(metric, name, 1, start, arm(events, units)))
            exposed.append(Exposed(name, 1, start, units))
    for other, values in more.items():
        cells += [
            Cell(other, name, 1, START, own)
            for name, own in zip(("control", "new"), values, strict=True)
        ]
    at = START + timedelta(days=len(days) + 1)
    return Observations(at, tuple(exposed), tuple(cells), 0, {})


def days(control: int, new: int, units: int = 1_000, count: int = 5) -> Any:
    return [{"control": (control, units), "new": (new, units)}] * count


def test_given_the_reference_case_when_contrasted_then_z_is_that_of_the_pooled_test() -> None:
    found = contrast([(arm(2_000, 10_000), arm(220, 1_000))])

    assert found.z == pytest.approx(1.502458873782, abs=1e-11)
    assert found.standard_error == pytest.approx(0.013696714935, abs=1e-11)
    assert found.difference == pytest.approx(0.02)
    assert found.shares


@settings(deadline=None)
@given(
    tables=st.lists(
        st.tuples(*[st.integers(20, 200)] * 2, *[st.integers(250, 900)] * 2),
        min_size=1,
        max_size=4,
    )
)
def test_given_strata_when_contrasted_then_z_is_that_of_cochran(
    tables: list[tuple[int, int, int, int]],
) -> None:
    found = contrast([(arm(a, m), arm(b, n)) for a, b, m, n in tables])
    peer = StratifiedTable([np.array([[b, n - b], [a, m - a]]) for a, b, m, n in tables])

    # Mantel and Haenszel divide a stratum's variance by one less than its size.
    variance = sum((a + b) * (m + n - a - b) * m * n / (m + n) ** 3 for a, b, m, n in tables)
    theirs = sum(
        (a + b) * (m + n - a - b) * m * n / (m + n) ** 2 / (m + n - 1) for a, b, m, n in tables
    )
    statistic = float(peer.test_null_odds().statistic) * theirs / variance
    assert found.z**2 == pytest.approx(statistic, rel=1e-9, abs=1e-12)


def test_given_a_ramp_and_another_base_rate_when_contrasted_then_there_is_no_lift() -> None:
    ramp = [(arm(1_900, 19_000), arm(100, 1_000)), (arm(2_000, 10_000), arm(2_000, 10_000))]

    assert contrast(ramp).difference == pytest.approx(0.0, abs=1e-15)
    pooled = contrast([(ramp[0][0] + ramp[1][0], ramp[0][1] + ramp[1][1])])
    assert pooled.treatment / pooled.control == pytest.approx(1.419580, abs=1e-6)


def test_given_means_when_contrasted_then_z_is_that_of_welch() -> None:
    rng = np.random.default_rng(3)
    control, new = rng.normal(5, 2, 400), rng.normal(5.3, 4, 90)

    found = contrast([(sums(control), sums(new))])

    assert found.z == pytest.approx(sps.ttest_ind(new, control, equal_var=False).statistic)
    assert not found.shares


def test_given_units_of_many_predictions_when_contrasted_then_the_error_knows_of_it() -> None:
    rng = np.random.default_rng(4)

    def ratio(size: int) -> tuple[float, float]:
        weights = rng.integers(1, 9, size).astype(float)
        own = rng.beta(2, 2, size)  # a unit's predictions resemble each other
        control = sums(rng.binomial(weights.astype(int), own).astype(float), weights)
        found = contrast([(control, control)], events=True)
        return found.control, found.standard_error / np.sqrt(2)

    drawn = [ratio(400) for _ in range(300)]

    assert np.std([rate for rate, _ in drawn]) == pytest.approx(
        np.mean([error for _, error in drawn]), rel=0.1
    )


@pytest.mark.parametrize(
    ("given_days", "changes", "verdict", "told"),
    [
        (days(800, 870), {}, Verdict.SHIP, "new: accuracy 0.87 of 5,000 units against 0.8"),
        (days(870, 800), {}, Verdict.DO_NOT_SHIP, "worse than control"),
        (days(800, 803), {}, Verdict.DO_NOT_SHIP, "no difference shown at the planned sample"),
        (
            days(800, 803, count=3),
            {},
            Verdict.UNDECIDED,
            "3 of 5 planned interim analyses, with 60%",
        ),
        (days(800, 870, count=4), {"mode": Mode.FIXED}, Verdict.UNDECIDED, "80% of the planned"),
        (days(800, 870), {"mode": Mode.FIXED}, Verdict.SHIP, "better than control"),
        (days(800, 870), {"mode": Mode.ANYTIME, "planned_units": None}, Verdict.SHIP, "better"),
        (days(800, 802), {"mode": Mode.ANYTIME, "planned_units": None}, Verdict.UNDECIDED, "p = 1"),
        (days(3, 3, units=10, count=1), {}, Verdict.UNDECIDED, "too few units or events"),
        ([], {}, Verdict.UNDECIDED, "no units of both variants"),
    ],
)
def test_given_an_experiment_when_analysed_then_the_verdict_and_its_reason_are_right(
    given_days: Any, changes: dict[str, Any], verdict: Verdict, told: str
) -> None:
    own = experiment(**changes).started(START)

    report = analyse(own, seen(given_days))

    assert report.decision.verdict is verdict
    assert told in report.decision.reason
    assert report.decision.arm == ("new" if verdict is Verdict.SHIP else None)
    assert own.decide(seen(given_days)) == report.decision


def test_given_an_error_rate_when_it_falls_then_that_is_better() -> None:
    own = experiment(metric=Metric.named("error-rate")).started(START)

    assert analyse(own, seen(days(80, 30), "error-rate")).decision.verdict is Verdict.SHIP


@pytest.mark.parametrize(
    ("errors", "verdict", "safety"),
    [
        ((0, 0), Verdict.SHIP, "acceptable"),  # nothing ever failed: that can be shown, too
        ((50, 52), Verdict.SHIP, "acceptable"),
        ((50, 400), Verdict.DO_NOT_SHIP, "harmful"),
        ((50, 90), Verdict.UNDECIDED, "undecided"),
    ],
)
def test_given_a_guardrail_when_analysed_then_only_what_is_shown_to_keep_it_is_shipped(
    errors: tuple[int, int], verdict: Verdict, safety: str
) -> None:
    guardrail = Guardrail(metric=Metric.named("error-rate"), margin=0.01)
    own = experiment(guardrails=(guardrail,)).started(START)

    kept = {"error-rate": [arm(each, 5_000) for each in errors]}
    report = analyse(own, seen(days(800, 870), "accuracy", **kept))

    assert [each.safety.value for each in report.guardrails] == [safety]
    assert report.decision.verdict is verdict


def test_given_shares_that_are_not_as_set_when_analysed_then_the_experiment_is_invalid() -> None:
    report = analyse(
        experiment().started(START),
        seen([{"control": (800, 1_000), "new": (1_200, 1_500)}] * 5),
    )

    assert report.decision.verdict is Verdict.INVALID
    assert "sample ratio mismatch" in report.decision.reason
    assert report.sample_ratio is not None
    assert report.sample_ratio.mismatch


def test_given_units_in_two_arms_when_they_are_many_then_the_experiment_is_invalid() -> None:
    some = seen(days(800, 870))
    many = Observations(some.at, some.exposed, some.cells, 200, {})

    report = analyse(experiment().started(START), many)

    assert report.decision.verdict is Verdict.INVALID
    assert "2.0% of the units were exposed to two variants" in report.decision.reason


def test_given_three_arms_when_one_is_better_then_it_is_the_one_to_ship() -> None:
    arms = tuple(Arm(key, 3_333, "1") for key in ("control", "new", "newer"))
    own = experiment(
        allocation=Allocation(experiment="three", arms=arms), planned_units=15_000
    ).started(START)
    brought = {"control": (800, 1_000), "new": (801, 1_000), "newer": (880, 1_000)}

    report = analyse(own, seen([brought] * 5))

    assert (report.decision.verdict, report.decision.arm) == (Verdict.SHIP, "newer")


def test_given_a_secondary_metric_when_analysed_then_it_never_decides() -> None:
    own = experiment(secondary=(Metric.named("score"),)).started(START)

    report = analyse(own, seen(days(800, 803), score=[arm(100, 5_000), arm(900, 5_000)]))

    assert report.decision.verdict is Verdict.DO_NOT_SHIP
    assert report.secondary[0].adjusted_p_value == pytest.approx(0.0, abs=1e-12)


def test_given_shares_of_one_phase_when_analysed_then_the_report_has_the_bayesian_figures() -> None:
    own = experiment(metric=Metric.named("error-rate"), alpha=0.1).started(START)

    report = analyse(own, seen(days(8, 6), "error-rate"))

    expected = bayesian_report(
        {"control": (40, 5_000), "new": (30, 5_000)}, credibility=0.9, higher_is_better=False
    )
    assert report.bayesian == expected
    assert expected.arms["new"].probability_best > 0.5
    assert f"<td>{expected.arms['new'].probability_best:.1%}</td>" in report._repr_html_()
    stored = report.to_dict()
    assert stored["bayesian"]["arms"]["new"]["events"] == 30
    del stored["bayesian"]  # reports were stored before there was one
    assert ExperimentReport.from_dict(stored) == replace(report, bayesian=None)


@pytest.mark.parametrize("case", ["means", "two phases", "one arm", "nothing"])
def test_given_what_has_no_simple_posterior_when_analysed_then_there_is_none(case: str) -> None:
    some = seen(days(800, 870))
    cells = {
        "means": tuple(replace(each, sums=Sums(9, 4.0, 3.5, 9, 9, 4.0)) for each in some.cells),
        "two phases": (*some.cells[:-1], replace(some.cells[-1], phase=2)),
        "one arm": some.cells[:1],
        "nothing": (),
    }[case]

    report = analyse(experiment().started(START), replace(some, cells=cells))

    assert report.bayesian is None
    assert "Bayesian" not in report._repr_html_()


def test_given_unknown_outcomes_when_arms_differ_then_the_report_warns() -> None:
    some = seen(days(800, 870))
    unknown = {"accuracy": {"control": 0.1, "new": 0.3}}
    late = Observations(some.at, some.exposed, some.cells, 0, unknown)

    (warning,) = analyse(experiment().started(START), late).warnings

    assert warning.startswith("accuracy: outcomes are not known of 30.0% of the predictions of new")


def test_given_the_null_when_looked_at_every_day_then_it_seldom_decides() -> None:
    rng = np.random.default_rng(8)
    own = experiment(
        allocation=Allocation(
            experiment="rare", arms=(Arm("control", 9_500, "1"), Arm("new", 500, "2"))
        ),
        metric=Metric.named("error-rate"),
        planned_units=40_000,
    ).started(START)

    def decides() -> bool:
        drawn = [
            {
                "control": (int(rng.binomial(1_900, 0.05)), 1_900),
                "new": (int(rng.binomial(100, 0.05)), 100),
            }
            for _ in range(20)
        ]
        looked = [standing(own, seen(drawn[:upto], "error-rate"), "new") for upto in (4, 12, 20)]
        return any(each.standing.value in {"better", "worse"} for each in looked)

    wrong = sum(decides() for _ in range(100))

    assert wrong <= sps.binom.ppf(0.999, 100, 0.05)


def test_given_an_experiment_when_it_lives_then_its_states_follow_each_other() -> None:
    draft = experiment(guardrails=(Guardrail(metric=Metric.named("latency"), margin=5.0),))
    running = draft.started(START)
    further = running.with_weights(START + timedelta(days=1), {"control": 2_000, "new": 8_000})
    ended = further.stopped(START + timedelta(days=2), {"verdict": "ship"})

    assert [phase.weights["new"] for phase in ended.phases] == [5_000, 8_000]
    assert further.allocation.phase == 2
    assert Experiment.from_dict(ended.to_dict()) == ended
    with pytest.raises(ConflictError, match="is draft; only one that runs can be stopped"):
        draft.stopped(START)
    with pytest.raises(ConflictError, match="can get other weights"):
        draft.with_weights(START, {"new": 1})
    with pytest.raises(ConflictError, match="only a draft can be started"):
        running.started(START)
    with pytest.raises(ConflictError, match="is stopped"):
        ended.stopped(START)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"alpha": 0}, "alpha is 0; expected a number strictly between 0 and 1"),
        ({"power": 1.0}, "power is 1.0"),
        ({"planned_units": None}, "planned_units is None"),
        ({"planned_units": 1}, "planned_units is 1; expected at least 2"),
        ({"looks": 0}, "looks is 0"),
        ({"secondary": (Metric.named("accuracy"),)}, "each name once"),
        ({"model": "no/slash"}, "model is 'no/slash'"),
        (
            {"allocation": Allocation(experiment="one", arms=(Arm("control", 5_000, "1"),))},
            "a control and another",
        ),
    ],
)
def test_given_a_wrong_experiment_when_made_then_the_error_says_what_is_wrong(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told.replace("(", r"\(")):
        experiment(**changes)


def test_given_two_experiments_when_their_namespaces_are_apart_then_they_share_no_unit() -> None:
    def part(name: str, start: int, end: int) -> Experiment:
        arms = (Arm("control", 5_000, "1"), Arm("new", 5_000, "2"))
        space = Namespace("search", start, end)
        return experiment(allocation=Allocation(experiment=name, arms=arms, namespace=space))

    assert part("a", 0, 5_000).apart_from(part("b", 5_000, 10_000))
    assert not part("a", 0, 5_001).apart_from(part("b", 5_000, 10_000))
    assert not experiment().apart_from(part("b", 5_000, 10_000))


@pytest.mark.parametrize(
    ("name", "source", "kind"),
    [("accuracy", "correct", "ratio"), ("any:bought", "value", "proportion"),
     ("value:revenue", "value", "mean"), ("slower-than-250", "latency_ms", "ratio")],
)  # fmt: skip
def test_given_a_name_when_it_stands_for_a_metric_then_it_is_found(
    name: str, source: str, kind: str
) -> None:
    found = Metric.named(name, conversion_window=60.0)

    assert (found.source, found.kind, found.conversion_window) == (source, kind, 60.0)


@pytest.mark.parametrize("name", ["precision", "slower-than-soon", "value:", "any"])
def test_given_a_name_that_stands_for_none_when_asked_then_the_error_lists_them(name: str) -> None:
    with pytest.raises(InvalidValueError, match="one of accuracy"):
        Metric.named(name)
