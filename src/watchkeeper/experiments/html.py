"""The report of an experiment as HTML: the verdict, the figures, the interval over time."""

import html
from typing import TYPE_CHECKING, Any

from watchkeeper import pages
from watchkeeper.errors import MissingExtraError

if TYPE_CHECKING:
    from watchkeeper.experiments.analysis import ArmResult, Comparison
    from watchkeeper.experiments.report import ExperimentReport

__all__ = ["page", "summary"]

_WIDTH, _HEIGHT = 560, 240


def page(report: "ExperimentReport") -> str:
    """Return a self-contained page.

    Raises
    ------
    MissingExtraError
        If what draws the charts is not installed.
    """
    figures = [
        (f"{own.arm}: difference of {report.metric}, with an interval that always holds", chart)
        for own in report.arms
        if own.moments and (chart := interval_chart(own, report.metric))
    ]
    return pages.page(f"Experiment {report.experiment}", summary(report), figures)


def summary(report: "ExperimentReport") -> str:
    """Return the verdict and the tables, for a notebook or the head of a page."""
    verdict = report.decision.verdict.value.replace("_", " ")
    units = "".join(
        f"<tr><td>{html.escape(arm)}</td><td>{count:,}</td></tr>"
        for arm, count in report.units.items()
    )
    rows = [("decides", own.comparison) for own in report.arms]
    rows += [(f"guardrail, {each.safety.value}", each.comparison) for each in report.guardrails]
    rows += [("secondary", each) for each in report.secondary]
    head = "".join(
        f"<th>{name}</th>"
        for name in ("metric", "arm", "control", "treatment", "difference", "low", "high", "p", "")
    )
    body = "".join(_row(role, each) for role, each in rows)
    warned = "".join(f"<li>{html.escape(each)}</li>" for each in report.warnings)
    return (
        f'<p class="verdict"><strong>{verdict.capitalize()}</strong></p>'
        f"<p>{html.escape(report.decision.reason)}.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + (f"<ul>{warned}</ul>" if warned else "")
        + f"<h2>Units</h2><table><tbody>{units}</tbody></table>"
        + _believed(report)
    )


def interval_chart(own: "ArmResult", metric: str) -> dict[str, Any]:
    """Return the difference over time with its interval, as Vega-Lite has it.

    Raises
    ------
    MissingExtraError
        If Altair is not installed.
    """
    try:
        import altair as alt
    except ImportError:
        raise MissingExtraError("a chart", "charts") from None
    values = [
        {
            "at": each.at.isoformat(),
            "difference": each.difference,
            "low": each.low,
            "high": each.high,
        }
        for each in own.moments
    ]
    base = alt.Chart(alt.Data(values=values)).encode(  # type: ignore[no-untyped-call]
        x=alt.X("at:T", title="first exposed")
    )
    title = f"difference of {metric}"
    band = base.mark_area(opacity=0.3, color="#8a94a6").encode(
        y=alt.Y("low:Q", title=title), y2="high:Q"
    )
    line = base.mark_line(color="#d1495b").encode(
        y="difference:Q",
        tooltip=[
            alt.Tooltip("at:T"),
            alt.Tooltip("difference:Q", format=".4g"),
            alt.Tooltip("low:Q", format=".4g"),
            alt.Tooltip("high:Q", format=".4g"),
        ],
    )
    none = alt.Chart(alt.Data(values=[{"none": 0}]))  # type: ignore[no-untyped-call]
    rule = none.mark_rule(strokeDash=[4, 4]).encode(y="none:Q")
    drawn = alt.layer(band, line, rule).properties(width=_WIDTH, height=_HEIGHT)
    spec: dict[str, Any] = drawn.to_dict()
    return spec


def _believed(report: "ExperimentReport") -> str:
    if report.bayesian is None:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(arm)}</td><td>{each.probability_best:.1%}</td>"
        f"<td>{each.expected_loss:.4g}</td></tr>"
        for arm, each in report.bayesian.arms.items()
    )
    return (
        "<h2>Bayesian, for information</h2>"
        "<p>It decides nothing: a probability above 95 % is not an error rate of 5 %, and looking "
        "often makes it worse.</p>"
        "<table><thead><tr><th>arm</th><th>best with probability</th><th>expected loss</th></tr>"
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _row(role: str, each: "Comparison") -> str:
    found = each.contrast
    p_value = each.p_value if each.adjusted_p_value is None else each.adjusted_p_value
    figures = (found.control, found.treatment, found.difference, each.low, each.high, p_value)
    cells = "".join(f"<td>{figure:.4g}</td>" for figure in figures)
    names = "".join(f"<td>{html.escape(name)}</td>" for name in (each.metric, each.arm))
    return f'<tr>{names}{cells}<td class="note">{html.escape(role)}</td></tr>'
