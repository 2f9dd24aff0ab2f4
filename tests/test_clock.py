"""Times of arrival: what is settled is written, and stays what it is."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.clock import Arrivals, ReplayClock

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


@given(steps=st.lists(st.tuples(st.sampled_from(["begin", "settle", "end"]), st.integers(0, 5))))
def test_given_writes_in_any_order_when_settled_then_all_that_arrived_by_then_is_written(
    steps: list[tuple[str, int]],
) -> None:
    clock = ReplayClock(NOON)
    arrivals = Arrivals(clock)
    open_: list[tuple[AbstractContextManager[datetime, bool | None], datetime]] = []
    written: list[datetime] = []
    told: list[tuple[datetime, int]] = []
    for number, (step, which) in enumerate(steps):
        if step == "begin":
            clock.advance_to(NOON + timedelta(minutes=number // 7))
            made = arrivals.writing()
            open_.append((made, made.__enter__()))
        elif step == "settle":
            at = arrivals.settled()
            told.append((at, sum(each <= at for each in written)))
        elif which < len(open_):
            writing, at = open_.pop(which)
            written.append(at)
            writing.__exit__(None, None, None)
    for writing, at in open_:
        written.append(at)
        writing.__exit__(None, None, None)

    assert [(at, sum(each <= at for each in written)) for at, _ in told] == told
    assert [at for at, _ in told] == sorted(at for at, _ in told)
    newest = arrivals.settled()
    assert all(each <= newest for each in written)


def test_given_threads_that_write_when_settled_then_nothing_is_added_before_that_moment() -> None:
    arrivals = Arrivals(ReplayClock(NOON))
    written: list[datetime] = []
    rounds, writers = 30, 4
    met = threading.Barrier(writers + 1, timeout=60)  # so that each round comes after the looks

    def write() -> None:
        for _ in range(rounds):
            met.wait()
            for _ in range(50):
                with arrivals.writing() as at:
                    written.append(at)

    told = []
    with ThreadPoolExecutor(writers) as pool:
        writing = [pool.submit(write) for _ in range(writers)]
        for _ in range(rounds):
            met.wait()
            for _ in range(10):
                at = arrivals.settled()
                told.append((at, sum(each <= at for each in list(written))))
        for each in writing:
            each.result(60)

    assert [(at, sum(each <= at for each in written)) for at, _ in told] == told
    assert told[-1][0] > told[0][0]


def test_given_a_write_that_fails_when_settled_then_it_is_not_waited_for() -> None:
    arrivals = Arrivals(lambda: NOON)

    with pytest.raises(OSError, match="full"), arrivals.writing():
        raise OSError("full")

    assert arrivals.settled() == NOON
