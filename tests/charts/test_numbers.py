import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.charts import Table
from watchkeeper.charts.markup import link, number, tag
from watchkeeper.charts.numbers import as_tabled, exact, on_axis
from watchkeeper.charts.scale import fitted
from watchkeeper.charts.text_width import cut, isolated, width_of


@pytest.mark.parametrize(
    ("value", "step", "unit", "expected"),
    [
        (1200.0, 200.0, "predictions", "1.2k"),
        (0.925, 0.025, "%", "92.5 %"),
        (0.95, 0.025, "%", "95 %"),
        (0.005, 0.005, "%", "0.5 %"),
        (1500.0, 500.0, "ms", "1.5 s"),
        (20.0, 10.0, "ms", "20 ms"),
        (-0.02, 0.01, "%", "\u22122 %"),
        (2.5e6, 5e5, "", "2.5M"),
        (1e300, 1e299, "", "1e300"),
        (1e-17, 0.1, "", "0"),
        (0.0, 0.0, "", "0"),
    ],
)
def test_given_a_tick_when_labelled_then_it_is_short_and_true(
    value: float, step: float, unit: str, expected: str
) -> None:
    assert on_axis(value, step, unit) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.91234, "%", "91.23 %"),
        (1234567.0, "predictions", "1,234,567 predictions"),
        (12.0, "ms", "12 ms"),
        (1234.0, "ms", "1.234 s"),
        (-0.004, "%", "\u22120.4 %"),
        (math.nan, "%", "no data"),
        (-math.inf, "", "\u2212∞"),
        (1.7e308, "%", "1e+302 %"),
    ],
)
def test_given_a_value_when_told_then_with_its_unit(value: float, unit: str, expected: str) -> None:
    assert exact(value, unit) == expected


def test_given_shares_when_tabled_then_as_per_cent_without_noise() -> None:
    assert as_tabled(0.289, "%") == 28.9
    assert as_tabled(3.0, "predictions") == 3
    assert as_tabled(math.nan, "%") is None


@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=6),
    bands=st.lists(st.floats(), max_size=6),
    unit=st.sampled_from(["", "%"]),
    zero=st.booleans(),
    log=st.booleans(),
)
def test_given_any_values_when_scaled_then_they_and_the_ticks_lie_in_the_plot(
    values: list[float], bands: list[float], unit: str, zero: bool, log: bool
) -> None:
    values = [min(max(value, -1e300), 1e300) for value in values]

    scale = fitted(values, bands, top=10.0, bottom=110.0, unit=unit, zero=zero, log=log)

    assert scale.low < scale.high
    assert all(10.0 <= scale.at(value) <= 110.0 for value in [*values, *scale.ticks])
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)
    if not log:
        assert all(scale.low <= value <= scale.high for value in values)


def test_given_shares_that_never_move_when_scaled_then_the_axis_ends_at_all() -> None:
    scale = fitted([1.0, 1.0], top=0.0, bottom=100.0, unit="%")

    assert scale.high == 1.0


def test_given_an_early_band_that_is_huge_when_scaled_then_the_line_is_not_flat() -> None:
    scale = fitted([0.0, 0.01], [-50.0, 50.0], top=0.0, bottom=100.0)

    assert scale.at(0.0) - scale.at(0.01) > 15


def test_given_cells_when_written_as_csv_then_times_are_utc_and_formulas_are_text() -> None:
    at = datetime(2026, 11, 27, 9, tzinfo=ZoneInfo("America/New_York"))
    table = Table(
        columns=("at", "+x"), rows=[(at, "=1+1"), (None, -1.5), (True, " @x"), (3, 'a,"b')]
    )

    assert table.csv().splitlines() == [
        "at,'+x",
        "2026-11-27T14:00:00Z,'=1+1",
        ",-1.5",
        "true,' @x",
        '3,"a,""b"',
    ]
    assert table.texts(ZoneInfo("America/New_York")) == [
        ("2026-11-27 09:00", "=1+1"),
        ("no data", "\u22121.5"),
        ("yes", " @x"),
        ("3", 'a,"b'),
    ]


def test_given_markup_when_written_then_text_is_escaped_and_what_xml_forbids_is_replaced() -> None:
    written = tag("text", "<b>\0", class_='"', x=None)

    assert written == '<text class="&#34;">&lt;b&gt;\ufffd</text>'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_given_no_number_when_written_as_a_coordinate_then_it_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"nan|inf"):
        number(value)


@pytest.mark.parametrize("href", ["javascript:alert(1)", "//elsewhere", "data:text/html,x", None])
def test_given_an_address_that_is_no_page_when_linked_then_there_is_no_link(
    href: str | None,
) -> None:
    assert link(href, "text") == "text"


@given(text=st.text(max_size=300), width=st.floats(20, 300))
def test_given_any_text_when_cut_then_it_fits(text: str, width: float) -> None:
    assert width_of(cut(text, width)) <= width


def test_given_words_from_right_to_left_when_told_then_they_stay_apart() -> None:
    assert isolated("accuracy") == "accuracy"
    assert isolated("\u05e9\u05dc") == "\u2068\u05e9\u05dc\u2069"
