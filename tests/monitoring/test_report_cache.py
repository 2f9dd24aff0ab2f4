"""Reports as they last were: when they are made anew, and what is told meanwhile."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from watchkeeper.monitoring.report_cache import Asked, Reports

START = datetime(2026, 3, 1, tzinfo=UTC)
LONG = 60.0  # seconds that are waited for what takes none


class Timer:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def reports(timer: Timer) -> Iterator[Reports]:
    reports = Reports(patience=LONG, most=2, timer=timer)
    yield reports
    reports.close()


def asked(
    make: Callable[[], str],
    *,
    of: object = 1,
    name: str = "june",
    lasting: bool = False,
    hours: int = 0,
) -> Asked[str]:
    return Asked("experiment", name, of, START + timedelta(hours=hours), make, lasting)


def test_given_a_report_when_asked_again_then_it_is_made_anew_only_after_a_while(
    reports: Reports, timer: Timer
) -> None:
    assert reports.latest(asked(lambda: "first")).report == "first"
    timer.now += 3
    assert reports.latest(asked(lambda: "second", hours=1)).report == "first"
    timer.now += 2

    found = reports.latest(asked(lambda: "third", hours=2))

    assert (found.report, found.at) == ("third", START + timedelta(hours=2))
    assert (found.current, found.making, found.error) == (True, False, "")


def test_given_a_report_that_took_long_when_asked_then_it_rests_ten_times_as_long(
    reports: Reports, timer: Timer
) -> None:
    def slow() -> str:
        timer.now += 7
        return "slow"

    reports.latest(asked(slow))
    timer.now += 60
    assert reports.latest(asked(lambda: "new")).report == "slow"
    timer.now += 20
    assert reports.latest(asked(lambda: "new")).report == "new"


def test_given_several_reports_when_asked_together_then_they_rest_as_long_as_all_of_them_took(
    reports: Reports, timer: Timer
) -> None:
    def quick() -> str:
        timer.now += 1
        return "made"

    both = [asked(quick, name="june"), asked(quick, name="july")]
    reports.latest_of(both)
    later = [asked(lambda: "anew", name=each.name) for each in both]
    timer.now += 15  # ten times as long as each

    assert [each.report for each in reports.latest_of(later)] == ["made", "made"]
    timer.now += 5
    assert [each.report for each in reports.latest_of(later)] == ["anew", "anew"]


def test_given_several_reports_that_take_long_together_when_asked_then_none_is_waited_for(
    reports: Reports, timer: Timer
) -> None:
    def long() -> str:
        timer.now += 0.7 * LONG
        return "made"

    both = [asked(long, name="june"), asked(long, name="july")]
    reports.latest_of(both)
    timer.now += 100 * LONG
    held = threading.Event()

    def waits() -> str:
        held.wait(60)
        return "anew"

    found = reports.latest_of([asked(waits, name=each.name) for each in both])
    held.set()

    assert [(each.report, each.making) for each in found] == [("made", True), ("made", True)]


def test_given_another_state_when_asked_then_the_report_is_made_at_once(reports: Reports) -> None:
    reports.latest(asked(lambda: "running"))

    assert reports.latest(asked(lambda: "paused", of=2)).report == "paused"


def test_given_a_report_that_lasts_when_asked_much_later_then_it_is_the_same(
    reports: Reports, timer: Timer
) -> None:
    reports.latest(asked(lambda: "kept", lasting=True))
    timer.now += 1_000_000

    assert reports.latest(asked(lambda: "other", lasting=True)).report == "kept"


def test_given_a_report_that_takes_long_when_asked_then_the_last_one_is_told_meanwhile(
    timer: Timer,
) -> None:
    reports, go_on = Reports(patience=0.0, timer=timer), threading.Event()

    def waits() -> str:
        go_on.wait(LONG)
        return "first"

    found = reports.latest(asked(waits))
    assert (found.report, found.at, found.making) == (None, None, True)
    assert reports.latest(asked(lambda: "never")).making  # one at a time
    go_on.set()
    reports.close()

    assert reports.latest(asked(lambda: "never")).report == "first"


def test_given_a_failure_when_asked_then_it_is_told_beside_the_last_report(
    reports: Reports, timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> str:
        raise OSError("the disk is gone")

    assert reports.latest(asked(fails, lasting=True)).report is None
    timer.now += 5  # what failed is tried again, also what lasts
    assert reports.latest(asked(lambda: "well", lasting=True)).report == "well"
    found = reports.latest(asked(fails, of=2, hours=1))

    assert (found.report, found.at, found.error) == ("well", START, "the disk is gone")
    assert "could not be made" in caplog.text


def test_given_more_than_are_kept_when_asked_then_those_asked_last_stay(reports: Reports) -> None:
    for name in ("a", "b", "a", "c"):
        reports.latest(asked(lambda: "old", name=name))

    found = reports.latest_of([asked(lambda: "new", name=name) for name in ("a", "c")])
    assert [each.report for each in found] == ["old", "old"]
    assert reports.latest(asked(lambda: "new", name="b")).report == "new"
