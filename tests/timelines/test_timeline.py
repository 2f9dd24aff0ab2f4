from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from tests.timelines.rows import HOUR, START, many, table

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import roc_auc, wilson
from watchkeeper.timelines import (
    RELATIVE_ERROR,
    cells_of,
    empty_cells,
    timeline_of,
    timelines_by,
)
from watchkeeper.timelines.buckets import EPOCH, unit_for
from watchkeeper.timelines.scales import score_bins, wait_bins, wait_of

DAY = timedelta(days=1)


def bucket_rows(rows: pa.Table, start: datetime, end: datetime) -> pa.Table:
    moments = [pa.scalar(at, pa.timestamp("us", "UTC")) for at in (start, end)]
    inside = pc.and_(
        pc.greater_equal(rows["timestamp"], moments[0]), pc.less(rows["timestamp"], moments[1])
    )
    return rows.filter(inside)


def labelled(rows: pa.Table) -> pa.Table:
    kept = pc.and_(pc.equal(rows["status"].cast(pa.string()), "success"), rows["actual"].is_valid())
    return rows.filter(kept)


def test_given_a_binary_task_when_drawn_then_figures_are_those_of_numpy_and_scikit_learn() -> None:
    rows = many(3_000, 3)
    found = timeline_of(cells_of(rows, task="binary"), START, START + 2 * DAY, points=8)

    assert (found.bucket, len(found.starts)) == ("6 hours", 8)
    for n, (start, end) in enumerate(zip(found.starts, found.ends, strict=True)):
        part = bucket_rows(rows, start, end)
        known = labelled(part)
        failed = pc.sum(pc.equal(part["status"].cast(pa.string()), "error")).as_py()
        assert found.predictions[n] == part.num_rows
        assert found.failed[n] == failed
        assert found.labelled[n] == known.num_rows
        assert found.coverage[n] == known.num_rows / (part.num_rows - failed)
        assert found.error_share.value[n] == failed / part.num_rows
        assert (found.error_share.low[n], found.error_share.high[n]) == pytest.approx(
            wilson(failed, part.num_rows)
        )
        latency = part["latency_ms"].drop_null().to_numpy()
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            exact = np.quantile(latency, share, method="inverted_cdf")
            assert found[f"latency_{name}"][n] == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)
        told, true = known["prediction"].to_numpy(), known["actual"].to_numpy()
        assert found.accuracy is not None
        assert found.accuracy.value[n] == pytest.approx(sk.accuracy_score(true, told))
        assert (found.accuracy.low[n], found.accuracy.high[n]) == pytest.approx(
            wilson(int((told == true).sum()), len(true))
        )
        assert found.precision is not None
        assert found.recall is not None
        assert found.precision.value[n] == pytest.approx(sk.precision_score(true, told))
        assert found.recall.value[n] == pytest.approx(sk.recall_score(true, told))
        scored = known.filter(known["score"].is_valid())
        score, truth = scored["score"].to_numpy(), scored["actual"].to_numpy()
        assert found.brier is not None
        assert found.brier.value[n] == pytest.approx(sk.brier_score_loss(truth, score))
        squares = (score - truth) ** 2
        half = 1.959964 * squares.std(ddof=1) / np.sqrt(len(squares))
        assert found.brier.high[n] - found.brier.value[n] == pytest.approx(half, rel=1e-5)
        assert found.auc is not None
        assert found.auc_off_by is not None
        assert abs(found.auc.value[n] - sk.roc_auc_score(truth, score)) <= found.auc_off_by[n]
        assert found.auc_off_by[n] < 0.01
        binned = roc_auc(score_bins(score), truth == 1)
        assert binned is not None
        assert (found.auc.low[n], found.auc.high[n]) == pytest.approx(binned.interval())
        waited = pc.subtract(known["actual_timestamp"], known["timestamp"]).cast(pa.int64())
        seconds = waited.to_numpy() / 1e6
        middle = np.quantile(seconds, 0.5, method="inverted_cdf")
        assert found.label_delay[n] == pytest.approx(middle, rel=RELATIVE_ERROR + 1e-9)
        assert found.label_delay_mean[n] == pytest.approx(seconds.mean())
    assert found.mae is None


def test_given_a_regression_when_drawn_then_errors_are_those_of_scikit_learn() -> None:
    rows = many(2_000, 4, regression=True)
    found = timeline_of(cells_of(rows, task="regression"), START, START + 2 * DAY, points=4)

    assert found.bucket == "12 hours"
    assert found.mae is not None
    assert found.rmse is not None
    assert found.mean_error is not None
    for n, (start, end) in enumerate(zip(found.starts, found.ends, strict=True)):
        known = labelled(bucket_rows(rows, start, end))
        told, true = known["prediction"].to_numpy(), known["actual"].to_numpy()
        assert found.mae.value[n] == pytest.approx(sk.mean_absolute_error(true, told))
        assert found.rmse.value[n] == pytest.approx(sk.root_mean_squared_error(true, told))
        assert found.mean_error[n] == pytest.approx((told - true).mean())
        error = np.abs(told - true)
        half = 1.959964 * error.std(ddof=1) / np.sqrt(len(error))
        assert found.mae.high[n] - found.mae.value[n] == pytest.approx(half, rel=1e-5)
        assert found.rmse.low[n] < found.rmse.value[n] < found.rmse.high[n]
    assert (found.accuracy, found.auc, found.brier) == (None, None, None)


def test_given_several_classes_when_drawn_then_only_accuracy_is_measured() -> None:
    base = {"timestamp": START, "model_version": "1", "variant": "production", "status": "success"}
    pairs = [("a", "a"), ("b", "c"), ("c", "c")]
    rows = table([{**base, "prediction": p, "actual": a} for p, a in pairs], words=True)

    found = timeline_of(cells_of(rows, task="multiclass"))

    assert found.accuracy is not None
    assert found.accuracy.value.tolist() == [2 / 3]
    assert (found.auc, found.precision, found.mae) == (None, None, None)


def test_given_no_data_when_drawn_then_it_differs_from_zero() -> None:
    base = {"model_version": "1", "variant": "production", "latency_ms": 5.0}
    rows = [
        {**base, "timestamp": START, "status": "success", "prediction": 1.0, "score": 0.9},
        {**base, "timestamp": START + 2 * HOUR, "status": "error"},
    ]
    found = timeline_of(cells_of(table(rows), task="binary"), START - HOUR, START + 3 * HOUR)

    assert found.predictions.tolist() == [0, 1, 0, 1]
    assert np.isnan(found.error_share.value).tolist() == [True, False, True, False]
    assert found.error_share.value[1] == 0.0
    assert found.error_share.low[1] == 0.0
    assert found.error_share.high[1] > 0.5
    assert np.isnan(found.coverage).tolist() == [True, False, True, True]
    assert found.coverage[1] == 0.0
    assert found.accuracy is not None
    assert found.auc is not None
    for band in (found.accuracy, found.auc):
        assert np.isnan(band.value).all()
        assert np.isnan(band.low).all()
    assert np.isnan(found.label_delay).all()
    assert (found.first, found.last) == (START, START + 2 * HOUR)
    assert '"accuracy":{"value":[null,null,null,null]' in found.to_json()


def test_given_scores_that_are_no_probabilities_when_drawn_then_there_is_no_brier_score() -> None:
    base = {"timestamp": START, "model_version": "1", "variant": "production", "status": "success"}
    rows = [
        {**base, "prediction": 1.0, "score": score, "actual": actual}
        for score, actual in [(2.5, 1.0), (-1.0, 0.0), (0.5, 0.0)]
    ]
    found = timeline_of(cells_of(table(rows), task="binary"))

    assert found.brier is not None
    assert found.auc is not None
    assert np.isnan(found.brier.value[0])
    assert found.auc.value[0] == 1.0


def test_given_one_point_when_drawn_then_the_window_is_one_bucket() -> None:
    rows = many(400, 5)
    cells = cells_of(rows, task="binary")
    start, end = START + 3.5 * HOUR, START + 20.25 * HOUR

    whole = timeline_of(cells, start, end, points=1)
    parts = timeline_of(cells, start, end, points=24)

    assert (whole.bucket, parts.bucket) == ("whole", "hour")
    assert (whole.starts, whole.ends) == ((START + 3 * HOUR,), (end,))
    assert whole.predictions.tolist() == [parts.predictions.sum()]
    assert parts.ends[-1] == end
    assert parts.seconds.tolist() == [3_600.0] * 17 + [900.0]


def test_given_versions_and_variants_when_drawn_apart_then_they_add_up() -> None:
    cells = cells_of(many(600, 6), task="binary")
    every = timeline_of(cells, points=10)

    for column in ("model_version", "variant"):
        apart = timelines_by(cells, column, points=10)
        assert len(apart) == 2
        for name in ("predictions", "failed", "labelled"):
            added = np.sum([each[name] for each in apart.values()], axis=0)
            assert added.tolist() == every[name].tolist()
        assert {each.starts for each in apart.values()} == {every.starts}
    canary = timeline_of(cells, points=10, version="1.0.0", variant="canary")
    assert 0 < canary.predictions.sum() < every.predictions.sum()
    unknown = timeline_of(cells, points=10, version="9")
    assert (unknown.predictions.sum(), unknown.first) == (0, None)
    assert unknown.starts == every.starts


def test_given_no_cells_when_drawn_then_there_is_nothing_or_no_data() -> None:
    nothing = timeline_of(empty_cells("binary"))
    window = timeline_of(empty_cells("binary"), START, START + DAY)

    assert nothing.starts == ()
    assert nothing.predictions.tolist() == []
    assert window.predictions.tolist() == [0] * 24
    assert np.isnan(window.latency_p99).all()
    assert timelines_by(empty_cells("binary"), "variant") == {}


def test_given_what_cannot_be_drawn_when_asked_then_it_says_so() -> None:
    cells = empty_cells("binary")

    with pytest.raises(InvalidValueError, match="points is 0"):
        timeline_of(cells, points=0)
    with pytest.raises(InvalidValueError, match="end"):
        timeline_of(cells, START, START)
    with pytest.raises(InvalidValueError, match="column"):
        timelines_by(cells, "experiment")


@pytest.mark.parametrize(
    ("hours", "points", "name"),
    [(24, 24, "hour"), (24, 23, "3 hours"), (48, 10, "6 hours"), (48, 7, "12 hours"),
     (7 * 24, 7, "day"), (28 * 24, 7, "week"), (28 * 24, 3, "month"), (365 * 24, 366, "day"),
     (365 * 24, 60, "week"), (365 * 24, 13, "month"), (365 * 24, 5, "quarter"),
     (365 * 24, 2, "year"), (250 * 365 * 24, 2, "1000 years")],
)  # fmt: skip
def test_given_a_window_when_drawn_then_the_buckets_are_natural(
    hours: int, points: int, name: str
) -> None:
    found = timeline_of(empty_cells("binary"), START, START + hours * HOUR, points=points)

    assert found.bucket == name
    assert len(found.starts) <= points
    assert found.starts[0] == START
    assert found.ends[-1] == START + hours * HOUR


@settings(max_examples=200, deadline=None)
@given(first=st.integers(-10_000, 2_000_000), length=st.integers(1, 200_000),
       points=st.integers(2, 400))  # fmt: skip
def test_given_any_window_when_cut_then_each_hour_is_in_the_bucket_that_starts_before_it(
    first: int, length: int, points: int
) -> None:
    unit = unit_for(first, first + length - 1, points)
    hours = np.unique(np.linspace(first, first + length - 1, 50).astype(np.int64))
    places = unit.bucket_of(hours)

    assert places[-1] - places[0] < points
    assert (unit.start(places) <= hours).all()
    assert (unit.start(places + 1) > hours).all()


def test_given_weeks_and_months_when_cut_then_they_begin_on_mondays_and_firsts() -> None:
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)
    first, last = (int((at - EPOCH) / HOUR) for at in (begin, end))

    for points, months in ((60, False), (12, True)):
        unit = unit_for(first, last, points)
        places = np.unique(unit.bucket_of(np.arange(first, last, dtype=np.int64)))
        starts = [EPOCH + int(hour) * HOUR for hour in unit.start(places)]
        assert {at.hour for at in starts} == {0}
        assert {at.day if months else at.weekday() + 1 for at in starts} == {1}


@given(st.lists(st.floats(1.1e-3, 9e8), min_size=1, max_size=20))
def test_given_any_wait_when_binned_then_what_stands_for_it_is_close(values: list[float]) -> None:
    exact = np.array(values)

    found = wait_of(wait_bins(exact).astype(np.int64))

    assert np.abs(found / exact - 1).max() <= RELATIVE_ERROR * (1 + 1e-9)


def test_given_waits_beyond_all_bins_when_binned_then_they_are_in_the_outermost() -> None:
    found = wait_of(wait_bins(np.array([-5.0, 0.0, 1e-4, 1e12])).astype(np.int64))

    assert found[:3].tolist() == [0.0, 0.0, 0.0]
    assert found[3] == pytest.approx(1e9, rel=0.1)


@given(st.lists(st.floats(-2, 3), min_size=2, max_size=30))
def test_given_any_scores_when_binned_then_their_order_is_kept(values: list[float]) -> None:
    scores = np.sort(values)

    assert (np.diff(score_bins(scores)) >= 0).all()
