import sys
import threading

import pytest

from watchkeeper.interpreter import behind_requests, giving_way, rest


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how long was rested, by a clock that goes on by 5 ms at each look."""
    found: list[float] = []
    now = iter(range(1_000))
    monkeypatch.setattr("watchkeeper.interpreter.time.sleep", found.append)
    monkeypatch.setattr("watchkeeper.interpreter.time.perf_counter", lambda: 0.005 * next(now))
    return found


def test_given_a_thread_that_gives_way_when_it_rests_then_for_as_long_as_it_has_worked(
    slept: list[float],
) -> None:
    rest()
    with giving_way():
        rest()
        with giving_way():
            rest()
        rest()
        other = threading.Thread(target=rest)
        other.start()
        other.join(60)
    rest()

    assert slept == pytest.approx([0.005] * 3)


def test_given_long_work_without_a_rest_when_it_rests_then_not_for_long(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with giving_way():
        monkeypatch.setattr("watchkeeper.interpreter.time.perf_counter", lambda: 60.0)
        rest()

    assert slept == [0.02]


def test_given_two_that_give_way_when_one_ends_then_the_interval_stays_until_the_last() -> None:
    usual = sys.getswitchinterval()
    inside: list[float] = []

    with giving_way():
        behind_requests(lambda: inside.append(sys.getswitchinterval()))
        inside.append(sys.getswitchinterval())

    assert inside == pytest.approx([0.0005] * 2)
    assert sys.getswitchinterval() == usual
