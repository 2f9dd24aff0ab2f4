"""What holds for every chart of anything."""

import csv
import io
import re

from hypothesis import HealthCheck, given, settings
from tests.charts.drawn import CLASSES, STYLESHEET, drawn
from tests.charts.given_charts import charts

from watchkeeper.charts import Chart, mark_icon


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(chart=charts)
def test_given_any_data_when_drawn_then_it_is_well_formed_within_bounds_and_without_styles(
    chart: Chart,
) -> None:
    root = drawn(chart)

    assert all(
        not (link.get("href") or "").startswith(("javascript:", "//")) for link in root.iter("a")
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(chart=charts)
def test_given_any_data_when_tabled_then_every_row_has_all_columns_and_no_cell_is_a_formula(
    chart: Chart,
) -> None:
    table = chart.table()

    rows = list(csv.reader(io.StringIO(table.csv(), newline="")))

    assert len(rows) == len(table.rows) + 1
    assert {len(row) for row in rows} == {len(table.columns)}
    assert all(len(row) == len(table.columns) for row in table.texts())
    for cell in (cell for row in rows for cell in row):
        assert not cell.lstrip().startswith(("=", "+", "@"))
        assert not cell.lstrip().startswith("-") or re.fullmatch(r"-[\d.e+-]+", cell)
        assert cell not in {"nan", "inf", "-inf"}


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(chart=charts)
def test_given_the_same_data_when_drawn_twice_then_the_drawing_is_the_same(chart: Chart) -> None:
    assert chart.svg() == chart.svg()
    assert chart.gist()


def test_given_the_icons_of_marks_when_written_then_the_stylesheet_knows_them() -> None:
    classes = re.findall('class="([^"]+)"', mark_icon("incident"))

    assert {name for written in classes for name in written.split()} <= CLASSES


def test_given_the_stylesheet_when_read_then_dark_has_all_colours_by_choice_and_by_preference() -> (
    None
):
    light, preferred, chosen = (
        set(re.findall(r"(--c-[a-z0-9-]+):\s*(?=#)", block))
        for block in re.findall(r":root[^{]*\{([^}]*)\}", STYLESHEET)
    )

    assert light == preferred == chosen


def test_given_the_colours_when_set_against_the_surface_then_they_can_be_told_from_it() -> None:
    for block in re.findall(r":root[^{]*\{([^}]*)\}", STYLESHEET):
        colours = dict(re.findall(r"--c-([a-z0-9-]+):\s*#([0-9a-f]{6})", block))
        surface = colours["surface"]
        for name in ("text", "quiet"):
            assert _contrast(colours[name], surface) >= 4.5, name
        for name in ("0", "1", "2", "3", "4", "5", "good", "bad", "mute", "bar", "axis"):
            assert _contrast(colours[name], surface) >= 3.0, name
        shades = [_luminance(colours[f"h{shade}"]) for shade in range(5)]
        assert shades in (sorted(shades), sorted(shades, reverse=True))


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
