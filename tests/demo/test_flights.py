"""Nothing that a flight's features are made of was known after its hour began."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from watchkeeper.demo.flights import FEATURES, WEATHER, flights_of_2013, prepared, sample

NEW_YORK = ZoneInfo("America/New_York")

KNOWN_TOO_LATE = {
    "dep_time",
    "dep_delay",
    "arr_time",
    "arr_delay",
    "air_time",
    "tailnum",
    "late",
    "landed",
}


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    return flights_of_2013()


def published(**changes: object) -> pa.Table:
    """Return one flight as it is published: 17:30 on 1 July, an hour late in Houston."""
    row = {
        "year": 2013,
        "month": 7,
        "day": 1,
        "dep_time": 1830,
        "sched_dep_time": 1730,
        "dep_delay": 60,
        "arr_time": 2110,
        "sched_arr_time": 2010,
        "arr_delay": 60,
        "carrier": "UA",
        "flight": 1,
        "tailnum": "N1",
        "origin": "EWR",
        "dest": "IAH",
        "air_time": 200,
        "distance": 1400,
        "hour": 17,
        "minute": 30,
        "time_hour": datetime(2013, 7, 1, 21, tzinfo=UTC),
        **changes,
    }
    return pa.Table.from_pylist([row]).set_column(
        18, "time_hour", pa.array([row["time_hour"]], pa.timestamp("s", "UTC"))
    )


def weather(values: dict[int, float]) -> pa.Table:
    """Return observations at Newark by their hour on 1 July, UTC."""
    hours = [datetime(2013, 7, 1, hour, tzinfo=UTC) for hour in values]
    return pa.table(
        {
            "origin": ["EWR"] * len(hours),
            "time_hour": pa.array(hours, pa.timestamp("s", "UTC")),
            **{name: pa.array(list(values.values()), pa.float64()) for name in WEATHER},
        }
    )


def test_given_the_features_when_listed_then_none_is_known_too_late() -> None:
    assert not KNOWN_TOO_LATE.intersection(FEATURES)


def test_given_weather_hour_by_hour_when_prepared_then_only_what_was_seen_before_counts() -> None:
    seen = weather({19: 1.0, 20: 2.0, 21: 3.0, 22: 4.0})

    row = prepared(published(), seen).to_pylist()[0]

    assert {row[name] for name in WEATHER} == {2.0}


@pytest.mark.parametrize(
    "change",
    [
        {"dep_time": 1900, "dep_delay": 90},
        {"arr_time": 2300, "arr_delay": 170, "air_time": 310},
        {"dep_time": None, "dep_delay": None, "arr_time": None, "arr_delay": None},
        {"tailnum": None},
    ],
)
def test_given_another_fate_of_the_same_flight_when_prepared_then_its_features_are_the_same(
    change: dict[str, object],
) -> None:
    seen = weather({20: 2.0})
    usual = published()
    other = published(**change).cast(usual.schema)

    assert prepared(other, seen).select(FEATURES) == prepared(usual, seen).select(FEATURES)


def test_given_no_observation_when_prepared_then_the_weather_is_missing_and_the_flight_is_not() -> (
    None
):
    row = prepared(published(), weather({3: 1.0})).to_pylist()[0]

    assert row["temp"] is None
    assert row["distance"] == 1400.0


def test_given_two_time_zones_when_prepared_then_departure_and_landing_are_in_utc() -> None:
    row = prepared(published(), weather({20: 2.0})).to_pylist()[0]

    assert row["departs"] == datetime(2013, 7, 1, 17, 30, tzinfo=NEW_YORK)
    assert row["landed"] == datetime(2013, 7, 1, 21, 10, tzinfo=ZoneInfo("America/Chicago"))
    assert row["late"] == 1


def test_given_all_flights_when_prepared_then_they_are_in_order_and_land_after_departure(
    flights: pa.Table,
) -> None:
    departs = flights["departs"].combine_chunks().cast(pa.int64()).to_numpy()
    flown = flights.filter(flights["late"].is_valid())
    in_the_air = pc.subtract(flown["landed"], flown["departs"]).cast(pa.int64())

    assert flights.num_rows == 336_776
    assert (departs[1:] >= departs[:-1]).all()
    assert pc.min(in_the_air).as_py() > 0
    assert flights["late"].null_count == flights["landed"].null_count == 9_430


def test_given_all_flights_when_prepared_then_the_hour_is_new_yorks_also_in_summer(
    flights: pa.Table,
) -> None:
    for row in flights.take(list(range(0, flights.num_rows, 5_000))).to_pylist():
        local = row["departs"].astimezone(NEW_YORK)
        assert (local.hour, local.weekday()) == (row["hour"], row["weekday"])


def test_given_a_share_when_sampled_then_the_same_flights_come_in_order(
    flights: pa.Table,
) -> None:
    chosen = sample(flights, 0.01)

    assert chosen == sample(flights, 0.01)
    assert chosen.num_rows == 3_368
    assert chosen["departs"].to_pylist() == sorted(chosen["departs"].to_pylist())
    assert len(pc.unique(pc.month(chosen["departs"]))) == 12
