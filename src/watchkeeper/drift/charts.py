"""Charts of a drift report, as Altair draws them: here, in notebooks and in HTML pages."""

from typing import TYPE_CHECKING, Any

from watchkeeper.drift.distribution import Distribution
from watchkeeper.errors import MissingExtraError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["distribution_chart"]

COLORS = ("#8a94a6", "#d1495b")  # reference, current: told apart by lightness too
WIDTH, HEIGHT = 320, 140


def distribution_chart(distribution: Distribution) -> "alt.Chart":
    """Return the shares of the reference and of the current sample over the same bins.

    Parameters
    ----------
    distribution : Distribution

    Returns
    -------
    altair.Chart

    Raises
    ------
    MissingExtraError
        If Altair is not installed.
    """
    try:
        import altair as alt
    except ImportError:
        raise MissingExtraError("a chart", "charts") from None
    color = alt.Color(
        "sample:N",
        scale=alt.Scale(domain=["reference", "current"], range=list(COLORS)),
        legend=alt.Legend(title=None, orient="top"),
    )
    share = alt.Y("share:Q", title="share of rows", axis=alt.Axis(format="%"), stack=None)
    chart = alt.Chart(alt.Data(values=_values(distribution)))  # type: ignore[no-untyped-call]
    if distribution.labels is not None:
        drawn = chart.mark_bar().encode(
            x=alt.X(
                "label:N", title=None, sort=list(distribution.labels), axis=alt.Axis(labelLimit=90)
            ),
            xOffset=alt.XOffset("sample:N", sort=["reference", "current"]),
            y=share,
            color=color,
            tooltip=[
                alt.Tooltip("label:N"),
                alt.Tooltip("sample:N"),
                alt.Tooltip("share:Q", format=".2%"),
            ],
        )
    else:
        drawn = chart.mark_area(interpolate="step-after", opacity=0.45, line=True).encode(
            x=alt.X("from:Q", title=None),
            y=share,
            color=color,
            tooltip=[
                alt.Tooltip("from:Q", format=".4g"),
                alt.Tooltip("sample:N"),
                alt.Tooltip("share:Q", format=".2%"),
            ],
        )
    sized: alt.Chart = drawn.properties(width=WIDTH, height=HEIGHT)
    return sized


def _values(distribution: Distribution) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = []
    for sample, counts in (
        ("reference", distribution.reference),
        ("current", distribution.current),
    ):
        total = max(1, sum(counts))
        for at, count in enumerate(counts):
            row: dict[str, Any] = {"sample": sample, "share": round(count / total, 6)}
            if distribution.labels is not None:
                row["label"] = distribution.labels[at]
            elif distribution.edges is not None:
                row["from"] = float(f"{distribution.edges[at]:.6g}")
            values.append(row)
        if distribution.edges and counts:  # the last step ends where its bin does
            values.append({**values[-1], "from": float(f"{distribution.edges[-1]:.6g}")})
    return values
