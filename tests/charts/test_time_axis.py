"""Lines, bars and sparklines: what is drawn, told and tabled."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from tests.charts.drawn import drawn, of_class, texts, titles

from watchkeeper.charts import BarChart, LineChart, Mark, Reference, Series, Span, Sparkline
from watchkeeper.charts.annotations import lanes
from watchkeeper.errors import InvalidValueError

START = datetime(2026, 11, 20, tzinfo=UTC)
TIMES = [START + timedelta(days=day) for day in range(5)]
END = START + timedelta(days=5)
ACCURACY = [0.92, None, 0.91, 0.85, 0.9]


def line(**changed: object) -> LineChart:
    given = {"title": "Accuracy", "unit": "%", "times": TIMES, "end": END,
             "series": [Series("accuracy", ACCURACY)]}  # fmt: skip
    return LineChart(**(given | changed))  # type: ignore[arg-type]


def test_given_a_gap_when_drawn_then_the_line_breaks_and_a_lone_point_is_a_dot() -> None:
    root = drawn(line())

    (path,) = of_class(root, "c-line")
    assert path.attrib["d"].count("M") == 1
    assert [dot.get("cx") for dot in of_class(root, "c-dot")] == ["10%", "90%"]


def test_given_a_line_when_told_then_last_lowest_and_highest_are_named() -> None:
    chart = line(
        references=[Reference("limit", 0.88)],
        spans=[Span(TIMES[3], TIMES[4], "below limit")],
        marks=[Mark(TIMES[4] + timedelta(hours=3), "v8", "promotion")],
    )

    assert chart.gist() == (
        "20 Nov 2026 to 24 Nov 2026; accuracy: last 90 %, between 85 % and 92 %; limit: 88 %; "
        "bad: below limit 23 Nov 2026; promotion v8 on 24 Nov 2026, 03:00"
    )
    assert drawn(chart).get("aria-label") == f"Accuracy: {chart.gist()}"


def test_given_a_line_when_tabled_then_there_is_a_row_a_bucket_and_notes_beside_it() -> None:
    chart = line(
        series=[Series("accuracy", ACCURACY, [0.9] * 5, [0.95] * 5)],
        references=[Reference("limit", 0.88)],
        marks=[
            Mark(TIMES[3], "v8", "promotion"),
            Mark(START - timedelta(days=9), "v7", "promotion"),
        ],
    )

    table = chart.table()

    assert table.columns == (
        "from", "to", "accuracy (%)", "accuracy, low (%)", "accuracy, high (%)",
        "limit (%)", "notes",
    )  # fmt: skip
    assert table.rows[1] == (TIMES[1], TIMES[2], None, 90, 95, 88, "")
    assert table.rows[3] == (TIMES[3], TIMES[4], 85, 90, 95, 88, "promotion v8")
    before = START - timedelta(days=9)
    assert table.rows[5] == (before, before, None, None, None, None, "promotion v7")


def test_given_marks_with_links_when_drawn_then_the_links_are_all_that_is_found() -> None:
    root = drawn(line(marks=[Mark(TIMES[2], "v8 & <v9>", "promotion", "/models/flights?a=1&b=2")]))

    assert root.get("role") == "group"
    (link,) = root.iter("a")
    assert link.get("href") == "/models/flights?a=1&b=2"
    assert link.get("aria-label") == "promotion v8 & <v9>, 22 Nov 2026, 00:00"
    assert of_class(root, "c-mark-promotion")


def test_given_a_point_when_hovered_over_then_it_says_when_and_what() -> None:
    root = drawn(line(series=[Series("accuracy", ACCURACY, [0.9] * 5, [0.95] * 5)]))

    (hit, *_) = of_class(root, "hit")
    assert hit.get("data-x") == "10"
    assert titles(root)[0] == "20 Nov 2026\naccuracy 92 % (90 % to 95 %)"
    assert titles(root)[1] == "21 Nov 2026\naccuracy no data"


def test_given_very_many_points_when_drawn_then_some_share_what_one_hovers_over() -> None:
    times = [START + timedelta(hours=hour) for hour in range(500)]
    chart = line(
        times=times,
        end=times[-1] + timedelta(hours=1),
        series=[Series("a", [index / 1000 for index in range(500)])],
    )

    root = drawn(chart)

    assert len(of_class(root, "hit")) == 125
    assert titles(root)[0] == "20 Nov 2026, 00:00 to 04:00\na 0 % to 0.3 %"


def test_given_no_data_when_drawn_then_the_chart_says_so() -> None:
    for chart in (
        line(series=[Series("a", [None] * 5)]),
        line(series=[]),
        line(times=[], series=[Series("a", [])]),
    ):
        assert "no data" in texts(drawn(chart))
        assert "no data" in chart.gist()


def test_given_infinite_values_when_drawn_then_they_are_gaps_and_their_bands_end_at_the_edge() -> (
    None
):
    chart = line(
        series=[
            Series("a", [1.0, math.inf, 2.0, 3.0, 2.0], [-math.inf] * 5, [math.inf] * 5),
        ]
    )

    root = drawn(chart)

    assert of_class(root, "c-band")
    assert of_class(root, "c-line")[0].attrib["d"].count("L") == 2


def test_given_a_logarithmic_axis_when_a_value_is_zero_then_it_is_a_gap() -> None:
    chart = line(unit="ms", log=True, series=[Series("p95", [1.0, 0.0, 10.0, 100.0, 20.0])])

    root = drawn(chart)

    assert {"1 ms", "10 ms", "100 ms"} <= set(texts(root))
    assert of_class(root, "c-line")[0].attrib["d"].count("L") == 2


def test_given_several_lines_when_drawn_then_a_key_names_them_and_their_dashes_differ() -> None:
    root = drawn(line(series=[Series("p50", ACCURACY), Series("p95", ACCURACY, style=1)]))

    assert {"p50", "p95"} <= set(texts(root))
    assert of_class(root, "c-line-0")
    assert of_class(root, "c-line-1")


def test_given_two_limits_at_one_place_when_drawn_then_their_labels_are_apart() -> None:
    root = drawn(line(references=[Reference("limit", 0.9), Reference("baseline", 0.9)]))

    heights = [float(label.attrib["y"]) for label in of_class(root, "c-label")]
    assert len(heights) == 2
    assert abs(heights[0] - heights[1]) >= 12


def test_given_a_span_that_began_before_when_drawn_then_it_is_clipped() -> None:
    root = drawn(line(spans=[Span(START - timedelta(days=3), TIMES[1], "x", "unknown")]))

    (span,) = of_class(root, "c-span-unknown")
    assert (span.get("x"), span.get("width")) == ("0%", "20%")


def test_given_marks_close_together_when_placed_then_they_take_two_lanes() -> None:
    assert lanes([0.1, 0.11, 0.5, 0.8, 0.81, 0.82], 0.04) == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    "changed",
    [
        {"series": [Series("a", [1.0])]},
        {"series": [Series("a", ACCURACY, [0.0], [1.0])]},
        {"times": [at.replace(tzinfo=None) for at in TIMES]},
        {"times": TIMES[::-1]},
        {"end": TIMES[-1]},
    ],
)
def test_given_wrong_buckets_when_created_then_it_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError):
        line(**changed)


def test_given_a_mark_without_a_zone_when_created_then_it_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="zone"):
        Mark(datetime(2026, 1, 1), "v7", "promotion")  # noqa: DTZ001 - that is what is wrong


def bars(**changed: object) -> BarChart:
    given = {"title": "Traffic", "times": TIMES, "end": END, "values": [1000, 900, None, 0, 1200],
             "failed": [0, 3, None, 0, 100]}  # fmt: skip
    return BarChart(**(given | changed))  # type: ignore[arg-type]


def test_given_traffic_when_told_then_sums_failures_and_gaps_are_named() -> None:
    assert bars().gist() == (
        "20 Nov 2026 to 24 Nov 2026; 3,203 predictions in all; 103 failed; "
        "between 0 and 1,300 in one bucket; no data in 1 of 5 buckets"
    )


def test_given_few_failures_among_many_when_drawn_then_they_can_be_seen() -> None:
    root = drawn(bars(values=[10**6] * 5, failed=[1, 0, 0, 0, 0]))

    (failed,) = [bar for bar in of_class(root, "c-bar-bad") if bar.get("y") != "-5"]
    assert float(failed.attrib["height"]) >= 1.9


def test_given_no_data_and_nothing_when_drawn_then_they_differ() -> None:
    root = drawn(bars())

    assert len(of_class(root, "c-gap-line")) == 1
    assert "22 Nov 2026\nno data" in titles(root)
    assert "23 Nov 2026\nanswered 0 predictions\nfailed 0 predictions" in titles(root)


def test_given_a_year_of_days_when_drawn_then_the_bars_are_one_shape() -> None:
    times = [START + timedelta(days=day) for day in range(365)]
    chart = bars(times=times, end=times[-1] + timedelta(days=1), values=[5] * 365, failed=None)

    root = drawn(chart)

    assert len(of_class(root, "c-bar")) == 1
    assert len(chart.svg()) < 60_000


def spark(**changed: object) -> Sparkline:
    given = {"title": "flights", "unit": "%", "times": TIMES, "end": END, "values": ACCURACY}
    return Sparkline(**(given | changed))  # type: ignore[arg-type]


def test_given_a_sparkline_when_drawn_then_it_is_small_and_says_all() -> None:
    chart = spark(limit=0.88, marks=[Mark(TIMES[1], "v8", "promotion")],
                  spans=[Span(TIMES[3], END, "below limit")])  # fmt: skip

    root = drawn(chart)

    assert len(chart.svg()) < 1200
    assert len(of_class(root, "c-reference")) == len(of_class(root, "c-span-bad")) == 1
    assert "last 90 %, between 85 % and 92 %; limit 88 %" in (root.get("aria-label") or "")


def test_given_a_line_that_never_moves_when_drawn_small_then_it_lies_in_the_middle() -> None:
    (dot,) = of_class(drawn(spark(values=[0.5] * 5)), "c-dot")

    assert dot.get("cy") == "14"


def test_given_no_data_when_drawn_small_then_a_dotted_line_says_so() -> None:
    assert of_class(drawn(spark(values=[None] * 5)), "c-gap-line")
