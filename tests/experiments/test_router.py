from datetime import UTC, datetime
from typing import Any

import pytest

import watchkeeper as wk
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.experiments import ABTestRouter, ModelVariant
from watchkeeper.testing import FixedClock

IDS = [f"request-{n}" for n in range(20_000)]


def answers(name: str) -> Any:
    return lambda features: f"{name} says {features}"


def router(*shares: float, **more: Any) -> ABTestRouter:
    made = ABTestRouter(**more)
    for name, share in zip("abcdefgh", shares, strict=False):
        made.add_variant(ModelVariant(name, f"{name}.0", share, answers(name)))
    return made


def routed(of: ABTestRouter) -> list[str]:
    return [of.route_prediction(own, None)["model_variant"] for own in IDS]


def test_given_a_split_when_requests_are_routed_then_each_variant_gets_its_share() -> None:
    found = routed(router(70.0, 20.0, 10.0))

    assert [found.count(name) / len(found) for name in "abc"] == pytest.approx(
        [0.7, 0.2, 0.1], abs=0.012
    )


def test_given_a_request_when_it_is_routed_then_its_variant_answers_and_the_log_tells() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    one = router(0.0, 100.0, clock=FixedClock(at))

    answer = one.route_prediction("r-1", {"x": 1})

    assert answer == {
        "prediction": "b says {'x': 1}",
        "model_variant": "b",
        "model_version": "b.0",
    }
    assert [dict(line) for line in one.prediction_log] == [
        {"timestamp": at, "request_id": "r-1", "features": {"x": 1}} | answer
    ]


def test_given_another_router_of_the_same_split_when_routed_then_ids_are_where_they_were() -> None:
    assert routed(router(50.0, 30.0, 20.0, salt="s")) == routed(router(50.0, 30.0, 20.0, salt="s"))
    assert routed(router(50.0, 30.0, 20.0, salt="s")) != routed(router(50.0, 30.0, 20.0, salt="t"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((95.0, 5.0), (50.0, 50.0)),
        ((90.0, 5.0, 5.0), (60.0, 30.0, 10.0)),
        ((34.0, 33.0, 33.0), (10.0, 80.0, 10.0)),
        ((40.0, 30.0, 20.0, 10.0), (40.0, 20.0, 35.0, 5.0)),
        ((25.0, 25.0, 25.0, 25.0), (15.0, 15.0, 15.0, 55.0)),
    ],
)
def test_given_a_larger_share_when_routed_then_its_ids_stay(
    before: tuple[float, ...], after: tuple[float, ...]
) -> None:
    old, new = routed(router(*before)), routed(router(*after))

    for name, less, more in zip("abcd", before, after, strict=False):
        if more > less:
            assert all(later == name for was, later in zip(old, new, strict=True) if was == name)


@pytest.mark.parametrize(
    ("shares", "valid"),
    [
        ((), False),
        ((100.0,), True),
        ((50.0, 50.0), True),
        ((33.33, 33.33, 33.34), True),
        ((33.33, 33.33, 33.33), True),  # 99.99
        ((50.0, 50.01), True),
        ((100 / 3, 100 / 3, 100 / 3), True),
        ((0.005, 33.335, 33.335, 33.335), True),
        ((50.0, 50.02), False),
        ((50.0, 49.98), False),
        ((60.0, 40.5), False),  # 100.5
    ],
)
def test_given_shares_when_validated_then_only_those_that_sum_to_100_pass(
    shares: tuple[float, ...], valid: bool
) -> None:
    one = router(*shares)

    assert one.validate_traffic_split() is valid
    if valid:
        assert one.route_prediction("r", 1)["model_variant"] in "abcd"
    else:
        with pytest.raises(InvalidValueError, match="sum to 100"):
            one.route_prediction("r", 1)
        assert one.prediction_log == []


def test_given_a_split_when_a_variant_completes_it_then_it_is_used_from_then_on() -> None:
    one = router(50.0)
    with pytest.raises(InvalidValueError, match="these sum to 50"):
        one.route_prediction("r", 1)

    one.add_variant(ModelVariant("b", "2", 50.0, answers("b")))

    assert set(routed(one)) == {"a", "b"}


@pytest.mark.parametrize("share", [-0.1, 100.5, float("nan"), float("inf"), True, "50", None])
def test_given_no_percentage_when_a_variant_is_made_then_it_is_refused(share: Any) -> None:
    with pytest.raises(InvalidValueError, match="traffic_percentage of variant a"):
        ModelVariant("a", "1", share, answers("a"))


def test_given_other_nonsense_when_a_variant_is_made_then_it_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="name"):
        ModelVariant("", "1", 1.0, answers("a"))
    with pytest.raises(InvalidValueError, match="predict_fn of variant a"):
        ModelVariant("a", "1", 1.0, "model")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="log_size"):
        ABTestRouter(log_size=-1)


def test_given_a_name_that_is_taken_when_added_then_it_is_refused() -> None:
    with pytest.raises(ConflictError, match="already"):
        router(50.0).add_variant(ModelVariant("a", "9", 50.0, answers("a")))


def test_given_a_model_that_raises_when_routed_then_its_own_error_comes_through() -> None:
    one = ABTestRouter()
    one.add_variant(ModelVariant("a", "1", 100.0, lambda features: features["missing"]))

    with pytest.raises(KeyError, match="missing"):
        one.route_prediction("r", {})
    assert one.prediction_log == []


def test_given_a_bounded_log_when_more_is_routed_then_the_oldest_leave() -> None:
    one = router(100.0, log_size=3)
    for own in IDS[:5]:
        one.route_prediction(own, None)

    assert [line.request_id for line in one.prediction_log] == IDS[2:5]


def test_given_the_top_of_the_package_when_asked_then_the_router_is_there() -> None:
    assert wk.ABTestRouter is ABTestRouter
    assert wk.ModelVariant is ModelVariant
