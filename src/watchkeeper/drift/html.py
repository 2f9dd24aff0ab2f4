"""A drift report as one HTML file that needs nothing else: no network, no server."""

import html
from typing import TYPE_CHECKING

from watchkeeper import pages
from watchkeeper.drift.charts import distribution_chart

if TYPE_CHECKING:
    from watchkeeper.drift.report import DriftReport, FeatureDrift

__all__ = ["page", "summary"]


def summary(report: "DriftReport") -> str:
    """Return the verdict and the table of features, for a notebook or the head of a page."""
    verdict = _verdict(report)
    head = "".join(
        f"<th>{name}</th>" for name in ("feature", "", "effect", "p", "adjusted p", "method", "")
    )
    rows = "".join(_row(name, report.features[name]) for name in ranked(report))
    return (
        f'<p class="verdict"><strong>{html.escape(verdict)}</strong></p>'
        f"<p>{html.escape(_sizes(report))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def page(report: "DriftReport", title: str = "Drift report") -> str:
    """Return a self-contained page: the verdict, the features by strength, and their histograms.

    Raises
    ------
    MissingExtraError
        If what draws the charts is not installed.
    """
    figures = [
        (name, distribution_chart(found).to_dict())
        for name in ranked(report)
        if (found := report.features[name].distribution) is not None
    ]
    changes = "".join(f"<li>{html.escape(each)}</li>" for each in _changes(report))
    told = f"<h2>Changes of the schema</h2><ul>{changes}</ul>" if changes else ""
    return pages.page(title, f"{summary(report)}{told}<h2>Reference and current</h2>", figures)


def ranked(report: "DriftReport") -> list[str]:
    """Return the features, those that drifted first, the strongest of them before the others."""
    return sorted(
        report.features,
        key=lambda name: (
            not report.features[name].drift_detected,
            -(report.features[name].effect_size or 0.0),
        ),
    )


def _verdict(report: "DriftReport") -> str:
    drifted, known = len(report.drifted), len(report.features)
    if report.drift_detected:
        return f"Drift in {drifted} of {known} features"
    return f"No drift in {known} features"


def _sizes(report: "DriftReport") -> str:
    over = f", over {report.checks:,} checks" if report.checks > 1 else ""
    return (
        f"{report.reference_size:,} reference rows, {report.current_size:,} current rows; level "
        f"{report.threshold:g}{over} ({report.correction}), smallest effect {report.min_effect:g}."
    )


def _row(name: str, each: "FeatureDrift") -> str:
    told = {True: "drift", False: "ok", None: "not tested"}[each.drift_detected]
    kind = ' class="drift"' if each.drift_detected else ""
    cells = [
        name,
        told,
        _number(each.effect_size),
        _number(each.p_value),
        _number(each.adjusted_p_value),
        each.method or "",
    ]
    drawn = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr{kind}>{drawn}<td class="note">{html.escape(each.error or "")}</td></tr>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _changes(report: "DriftReport") -> list[str]:
    changes = report.schema_changes
    return [
        *(f"{name} is missing" for name in changes.missing),
        *(f"{name} is new" for name in changes.new),
        *(f"{name} is {how}" for name, how in changes.retyped.items()),
    ]
