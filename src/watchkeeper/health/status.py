"""What health is told as: components, each with its figure, its limit and since when."""

import html
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from watchkeeper import pages
from watchkeeper.results import Result

__all__ = ["Component", "Condition", "HealthStatus"]


class Condition(StrEnum):
    """How a component is."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"
    """There are not enough data; unknown is not healthy."""


@dataclass(frozen=True, slots=True)
class Component(Result):
    """One part of a model's health.

    Attributes
    ----------
    name : str
    condition : Condition
    reason : str
        A sentence with the figures.
    figures : dict of str to float or None
    limits : dict of str to float
    since : datetime or None
        Begin of the first hour from which on it was not well; None where it is.
    do : str
        What to do first.
    """

    name: str
    condition: Condition
    reason: str
    figures: dict[str, float | None]
    limits: dict[str, float]
    since: datetime | None
    do: str


@dataclass(frozen=True, slots=True)
class HealthStatus(Result):
    """Health at one time.

    Attributes
    ----------
    is_healthy : bool
        Whether every component is; one that is unknown is not.
    components : dict of str to Component
    alerts : list of str
        What is wrong, as sentences: components that are not well, and alerts that fire.
    metrics : dict of str to float or None
        All figures, by name.
    timestamp : datetime
    """

    is_healthy: bool
    components: dict[str, Component]
    alerts: list[str]
    metrics: dict[str, float | None]
    timestamp: datetime

    @property
    def condition(self) -> Condition:
        """The worst of its components."""
        conditions = {component.condition for component in self.components.values()}
        if Condition.UNHEALTHY in conditions:
            return Condition.UNHEALTHY
        return Condition.UNKNOWN if Condition.UNKNOWN in conditions else Condition.HEALTHY

    def to_text(self, title: str = "Health") -> str:
        """Return a report that a terminal or a mail shows.

        Parameters
        ----------
        title : str
            Its first line.

        Returns
        -------
        str
        """
        lines = [f"{title}: {self.condition.value}, {self.timestamp:%Y-%m-%d %H:%M} UTC", ""]
        for component in self.components.values():
            since = (
                f", since {component.since:%Y-%m-%d %H:%M}" if component.since is not None else ""
            )
            lines.append(
                f"  {component.condition.value:9}  {component.name}: {component.reason}{since}"
            )
            if component.condition is not Condition.HEALTHY:
                lines.append(f"{'':13}{component.do}")
        if self.alerts:
            lines += ["", *(f"! {alert}" for alert in self.alerts)]
        return "\n".join(lines) + "\n"

    def to_html(self, title: str = "Health") -> str:
        """Return a self-contained page.

        Parameters
        ----------
        title : str
            Its first line.

        Returns
        -------
        str
        """
        rows = "".join(
            f"<tr{_mark(component)}><td>{component.name.replace('_', ' ')}</td>"
            f"<td class=note>{component.condition.value}</td>"
            f"<td class=note>{html.escape(component.reason)}</td>"
            f"<td>{'' if component.since is None else f'{component.since:%Y-%m-%d %H:%M}'}</td>"
            f"<td class=note>{html.escape(_advice(component))}</td></tr>"
            for component in self.components.values()
        )
        alerts = "".join(f"<li>{html.escape(alert)}</li>" for alert in self.alerts)
        body = (
            f'<p class="verdict"><strong>{self.condition.value.capitalize()}</strong></p>'
            f"<p>{self.timestamp:%Y-%m-%d %H:%M} UTC</p><table><thead><tr><th></th><th></th>"
            f"<th></th><th>since</th><th></th></tr></thead><tbody>{rows}</tbody></table><ul>{alerts}</ul>"
        )
        return pages.page(title, body, [])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, with the overall condition.

        Returns
        -------
        dict of str to object
        """
        return {**Result.to_dict(self), "condition": self.condition.value}


def _advice(component: Component) -> str:
    return "" if component.condition is Condition.HEALTHY else component.do


def _mark(component: Component) -> str:
    return "" if component.condition is Condition.HEALTHY else ' class="drift"'
