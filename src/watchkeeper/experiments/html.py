"""The report of an experiment as HTML: the verdict, the figures, the interval over time."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from watchkeeper import pages
from watchkeeper.errors import MissingExtraError
from watchkeeper.experiments.analysis import ArmResult, Comparison
from watchkeeper.experiments.decision import ExperimentDecision
from watchkeeper.stats import BayesianReport

__all__ = ["page", "summary"]

_WIDTH, _HEIGHT = 560, 240


def page(title: str, head: str, metric: str, arms: Iterable[ArmResult]) -> str:
    """Return a self-contained page.

    Parameters
    ----------
    title : str
    head : str
        What `summary` returned.
    metric : str
        The one that decides.
    arms : iterable of ArmResult
        Treatments, each drawn over time.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    MissingExtraError
        If what draws the charts is not installed.
    """
    figures = [
        (f"{result.arm}: difference of {metric}, with an interval that always holds", chart)
        for result in arms
        if result.moments and (chart := interval_chart(result, metric))
    ]
    return pages.page(title, head, figures)


def summary(
    decision: ExperimentDecision,
    comparisons: Sequence[tuple[str, Comparison]],
    units: Mapping[str, int],
    *,
    bayesian: BayesianReport | None,
    warnings: Sequence[str],
) -> str:
    """Return the verdict and the tables, for a notebook or the head of a page.

    Parameters
    ----------
    decision : ExperimentDecision
    comparisons : sequence of (str, Comparison)
        Each with its role.
    units : mapping of str to int
        Units exposed to each arm.
    bayesian : BayesianReport or None
    warnings : sequence of str

    Returns
    -------
    str
        HTML.
    """
    verdict = decision.verdict.value.replace("_", " ")
    exposed = "".join(
        f"<tr><td>{html.escape(arm)}</td><td>{count:,}</td></tr>" for arm, count in units.items()
    )
    head = "".join(
        f"<th>{name}</th>"
        for name in ("metric", "arm", "control", "treatment", "difference", "low", "high", "p", "")
    )
    body = "".join(_row(role, comparison) for role, comparison in comparisons)
    items = "".join(f"<li>{html.escape(warning)}</li>" for warning in warnings)
    return (
        f'<p class="verdict"><strong>{verdict.capitalize()}</strong></p>'
        f"<p>{html.escape(decision.reason)}.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + (f"<ul>{items}</ul>" if items else "")
        + f"<h2>Units</h2><table><tbody>{exposed}</tbody></table>"
        + _probabilities(bayesian)
    )


def interval_chart(own: ArmResult, metric: str) -> dict[str, Any]:
    """Return the difference over time with its interval, as Vega-Lite has it.

    Parameters
    ----------
    own : ArmResult
    metric : str

    Returns
    -------
    dict of str to Any
        A specification of Vega-Lite, with its data.

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
            "at": moment.at.isoformat(),
            "difference": moment.difference,
            "low": moment.low,
            "high": moment.high,
        }
        for moment in own.moments
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


def _probabilities(bayesian: BayesianReport | None) -> str:
    if bayesian is None:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(arm)}</td><td>{posterior.probability_best:.1%}</td>"
        f"<td>{posterior.expected_loss:.4g}</td></tr>"
        for arm, posterior in bayesian.arms.items()
    )
    return (
        "<h2>Bayesian, for information</h2>"
        "<p>It decides nothing: a probability above 95 % is not an error rate of 5 %, and frequent "
        "interim analyses make it worse.</p>"
        "<table><thead><tr><th>variant</th><th>best with probability</th>"
        f"<th>expected loss</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(role: str, comparison: Comparison) -> str:
    measured = comparison.contrast
    p_value = (
        comparison.p_value if comparison.adjusted_p_value is None else comparison.adjusted_p_value
    )
    figures = (
        measured.control,
        measured.treatment,
        measured.difference,
        comparison.low,
        comparison.high,
        p_value,
    )
    cells = "".join(f"<td>{figure:.4g}</td>" for figure in figures)
    names = "".join(f"<td>{html.escape(name)}</td>" for name in (comparison.metric, comparison.arm))
    return f'<tr>{names}{cells}<td class="note">{html.escape(role)}</td></tr>'
