"""Heat maps, histograms, intervals, progress and graphs."""

import math
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from tests.charts.drawn import drawn, of_class, texts, titles

from watchkeeper.charts import (
    Edge,
    Graph,
    HeatCell,
    HeatMap,
    HeatRow,
    HistogramPair,
    Interval,
    IntervalChart,
    Node,
    ProgressBar,
    Step,
    Stepper,
)
from watchkeeper.errors import InvalidValueError

START = datetime(2026, 11, 20, tzinfo=UTC)
TIMES = [START + timedelta(days=day) for day in range(4)]
END = START + timedelta(days=4)
CALM, HOT = HeatCell(0.05, "not"), HeatCell(0.9, "drifted")


def heat(*rows: HeatRow) -> HeatMap:
    return HeatMap(title="Drift", times=TIMES, end=END, rows=rows, measure="PSI")


def test_given_neighbours_that_are_alike_when_drawn_then_they_are_one_and_say_so() -> None:
    root = drawn(heat(HeatRow("distance", [CALM, CALM, HOT, HOT], "/features/distance")))

    cells = of_class(root, "h0") + of_class(root, "h4")
    assert [cell.get("d") for cell in cells] == ["M0 7.5H500", "M500 7.5H1000"]
    assert "distance\n20 Nov 2026 to 21 Nov 2026\nPSI 0.05\nnot drifted" in titles(root)
    assert "distance\n22 Nov 2026 to 23 Nov 2026\nPSI 0.9\ndrifted" in titles(root)


def test_given_what_drifted_and_what_is_unknown_when_drawn_then_both_are_told_without_colour() -> (
    None
):
    root = drawn(heat(HeatRow("distance", [HOT, CALM, None, HeatCell(None)])))

    (drifted,) = [path for path in of_class(root, "hd") if path.get("d") != "M-9 0H9"]
    (unknown,) = [path for path in of_class(root, "hq") if path.get("d") != "M-9 0H9"]
    assert drifted.get("d") == "M0 16.5H250"
    assert unknown.get("d") == "M500 7.5H1000"


def test_given_rows_with_links_when_drawn_then_their_names_lead_there() -> None:
    root = drawn(heat(HeatRow("distance", [CALM] * 4, "/features/distance")))

    (link,) = root.iter("a")
    assert link.get("href") == "/features/distance"
    assert "".join(link.itertext()) == "distance"


def test_given_cells_with_links_when_drawn_then_the_keyboard_need_not_pass_them() -> None:
    root = drawn(heat(HeatRow("distance", [HeatCell(0.5, "not", f"/w/{day}") for day in range(4)])))

    assert [link.get("tabindex") for link in root.iter("a")] == ["-1"] * 4


def test_given_drift_when_told_then_the_worst_come_first() -> None:
    chart = heat(
        HeatRow("carrier", [CALM, CALM, CALM, HOT]),
        HeatRow("distance", [HOT, HOT, HOT, HOT]),
        HeatRow("origin", [CALM] * 4),
    )

    assert chart.gist() == (
        "20 Nov 2026 to 23 Nov 2026; 2 of 3 rows drifted; distance in 4 of 4; carrier in 1 of 4"
    )
    assert chart.table().rows[3] == ("carrier", TIMES[3], END, 0.9, "drifted", "")
    assert len(chart.table().rows) == 12


def test_given_the_largest_map_of_noise_when_drawn_then_the_page_stays_small() -> None:
    random = Random(3)
    times = [START + timedelta(days=day) for day in range(120)]
    rows = [
        HeatRow(f"feature_{row}", [HeatCell(random.random(), "not") for _ in times], f"/f/{row}")
        for row in range(60)
    ]

    chart = HeatMap(title="Drift", times=times, end=END + timedelta(days=120), rows=rows)

    assert len(chart.svg()) < 400_000


def pair(**changed: object) -> HistogramPair:
    given = {"title": "distance", "unit": "miles", "reference": [1, 2, 1], "current": [0, 1, 3],
             "edges": [-math.inf, 500, 1500, math.inf]}  # fmt: skip
    return HistogramPair(**(given | changed))  # type: ignore[arg-type]


def test_given_two_samples_when_tabled_then_as_shares() -> None:
    table = pair().table()

    assert table.columns == ("from (miles)", "to (miles)", "reference (%)", "current (%)")
    assert table.rows == [(None, 500, 25, 0), (500, 1500, 50, 25), (1500, None, 25, 75)]


def test_given_two_samples_when_drawn_then_each_bin_says_its_ends_and_shares() -> None:
    root = drawn(pair())

    assert titles(root) == [
        "up to 500 miles\nreference 25 %\ncurrent 0 %",
        "500 to 1,500 miles\nreference 50 %\ncurrent 25 %",
        "from 1,500 miles\nreference 25 %\ncurrent 75 %",
    ]
    assert {"500", "1.5k", "∞", "miles"} <= set(texts(root))


def test_given_categories_when_drawn_then_long_names_are_cut_and_whole_beside_the_bar() -> None:
    name = "United Air Lines Incorporated of Chicago"

    root = drawn(pair(edges=None, labels=[name, "AA", ""], unit=""))

    assert any(text.startswith("United Air") and text.endswith("…") for text in texts(root))
    assert f"{name}\nreference 25 %\ncurrent 0 %" in titles(root)
    assert "(empty)" in texts(root)


def test_given_very_many_categories_when_drawn_then_the_rest_is_in_the_table() -> None:
    chart = pair(
        edges=None, labels=[str(i) for i in range(75)], reference=[1] * 75, current=[1] * 75
    )

    assert "and 15 more in the table" in texts(drawn(chart))
    assert len(chart.table().rows) == 75


def test_given_one_side_that_is_empty_when_told_then_it_says_so() -> None:
    assert pair(current=[0, 0, 0]).gist() == (
        "3 bins; reference most often 500 to 1,500 miles (50 %), current no data"
    )
    assert "no data" in texts(drawn(pair(current=[0] * 3, reference=[0] * 3)))


@pytest.mark.parametrize(
    "changed",
    [{"current": [1]}, {"edges": [1, 2]}, {"edges": None}, {"labels": ["a", "b", "c"]}],
)
def test_given_bins_that_do_not_match_when_created_then_it_is_refused(
    changed: dict[str, object],
) -> None:
    with pytest.raises(InvalidValueError):
        pair(**changed)


def test_given_intervals_when_drawn_then_open_ends_are_arrows_and_lines_are_labelled() -> None:
    chart = IntervalChart(
        title="Difference",
        unit="%",
        rows=[Interval("all", 0.01, -math.inf, 0.02), Interval("EWR", None)],
        margin=-0.02,
    )

    root = drawn(chart)

    assert len(of_class(root, "c-arrow")) == len(of_class(root, "c-estimate")) == 1
    assert {"no difference", "margin", "1 % (\u2212∞ to 2 %)", "no data"} <= set(texts(root))
    assert chart.table().rows == [
        ("all", 1, "minus infinite", 2),
        ("EWR", None, None, None),
        ("no difference", 0, None, None),
        ("margin", -2, None, None),
    ]


def test_given_more_than_all_when_drawn_then_the_bar_is_full_and_the_figure_is_true() -> None:
    root = drawn(ProgressBar(title="Budget", label="used", share=1.3, tone="bad"))

    assert of_class(root, "c-filled")[0].get("width") == "100%"
    assert texts(root) == ["used", "130 %"]
    assert not of_class(drawn(ProgressBar(title="", label="x", share=None)), "c-filled")


def test_given_steps_when_drawn_then_their_signs_differ_and_the_gist_names_their_states() -> None:
    chart = Stepper(
        title="Rollout",
        steps=[Step("1 %", "done"), Step("5 %", "current", "since 03:10"), Step("100 %")],
    )

    root = drawn(chart)

    assert [len(of_class(root, f"c-step-{s}")) for s in ("done", "current", "next")] == [1, 1, 1]
    assert len(of_class(root, "c-sign")) == len(of_class(root, "c-now")) == 1
    assert chart.gist() == "1 % done; 5 % current (since 03:10); 100 % next"


def test_given_lineage_when_drawn_then_nodes_lead_to_their_pages_and_the_table_lists_edges() -> (
    None
):
    chart = Graph(
        title="Lineage",
        nodes=[
            Node("d", "2026-11", "reference"),
            Node("m", "flights 7", "champion", "good", "/m/7"),
        ],
        edges=[Edge("d", "m", "trained on"), Edge("m", "gone")],
    )

    root = drawn(chart)

    assert [link.get("href") for link in root.iter("a")] == ["/m/7"]
    assert len(of_class(root, "c-edge")) == 1
    assert chart.table().rows == [
        ("2026-11", "reference", "", "trained on", "flights 7"),
        ("flights 7", "champion", "good", "", "gone"),
    ]


def test_given_more_nodes_than_fit_when_drawn_then_the_rest_is_in_the_table() -> None:
    nodes = [Node(str(index), f"flights {index}") for index in range(70)]
    edges = [Edge(str(index), str(index + 1)) for index in range(69)]
    chart = Graph(title="Lineage", nodes=nodes, edges=edges)

    root = drawn(chart)

    assert len(of_class(root, "c-node")) == 60
    assert "and 10 more in the table" in texts(root)
    assert len(chart.table().rows) == 70
