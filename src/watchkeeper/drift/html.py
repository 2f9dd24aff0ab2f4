"""A drift report as one HTML file that needs nothing else: no network, no server."""

import html
from collections.abc import Mapping

from watchkeeper import pages
from watchkeeper.drift.charts import distribution_chart
from watchkeeper.drift.features import FeatureDrift, SchemaChanges

__all__ = ["page", "summary"]


def summary(verdict: str, sizes: str, features: Mapping[str, FeatureDrift]) -> str:
    """Return the verdict and the table of features, for a notebook or the head of a page.

    Parameters
    ----------
    verdict : str
        A sentence.
    sizes : str
        A sentence about the rows.
    features : mapping of str to FeatureDrift

    Returns
    -------
    str
        HTML.
    """
    head = "".join(
        f"<th>{name}</th>" for name in ("feature", "", "effect", "p", "adjusted p", "method", "")
    )
    rows = "".join(_row(name, features[name]) for name in _ranked(features))
    return (
        f'<p class="verdict"><strong>{html.escape(verdict)}</strong></p>'
        f"<p>{html.escape(sizes)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def page(
    title: str, head: str, features: Mapping[str, FeatureDrift], changes: SchemaChanges
) -> str:
    """Return a self-contained page: the verdict, the features by strength, and their histograms.

    Parameters
    ----------
    title : str
    head : str
        What `summary` returned.
    features : mapping of str to FeatureDrift
    changes : SchemaChanges

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
        (name, distribution_chart(distribution).to_dict())
        for name in _ranked(features)
        if (distribution := features[name].distribution) is not None
    ]
    items = "".join(f"<li>{html.escape(change)}</li>" for change in _changes(changes))
    schema = f"<h2>Changes of the schema</h2><ul>{items}</ul>" if items else ""
    return pages.page(title, f"{head}{schema}<h2>Reference and current</h2>", figures)


def _ranked(features: Mapping[str, FeatureDrift]) -> list[str]:
    """Return the features, those that drifted first, the strongest of them before the others."""
    return sorted(
        features,
        key=lambda name: (not features[name].drift_detected, -(features[name].effect_size or 0.0)),
    )


def _row(name: str, feature: FeatureDrift) -> str:
    state = {True: "drift", False: "ok", None: "not tested"}[feature.drift_detected]
    kind = ' class="drift"' if feature.drift_detected else ""
    cells = [
        name,
        state,
        _number(feature.effect_size),
        _number(feature.p_value),
        _number(feature.adjusted_p_value),
        feature.method or "",
    ]
    drawn = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr{kind}>{drawn}<td class="note">{html.escape(feature.error or "")}</td></tr>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _changes(changes: SchemaChanges) -> list[str]:
    return [
        *(f"{name} is missing" for name in changes.missing),
        *(f"{name} is new" for name in changes.new),
        *(f"{name} is {how}" for name, how in changes.retyped.items()),
    ]
