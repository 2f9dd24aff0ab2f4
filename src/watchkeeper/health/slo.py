"""Service level objectives: what is promised over a month, and how fast the promise is used up.

An alert on the error rate alone is either deaf or never silent. A burn rate says how many times
faster than allowed the budget is spent; two windows, a long and a short one, make the alert both
certain and quick to end. The figures are those of the Google SRE workbook (2018), chapter 5,
"Alerting on SLOs", table 5-8 and the recommendation for low severity beneath it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from watchkeeper.errors import InvalidValueError
from watchkeeper.health.traffic import Traffic
from watchkeeper.results import Result

__all__ = ["BURNS", "Budget", "Burn", "Slo", "budget_of"]


@dataclass(frozen=True, slots=True)
class Burn(Result):
    """When the budget is spent too fast.

    Attributes
    ----------
    long, short : timedelta
        Both windows have to burn.
    factor : float
        Times as fast as the whole budget lasts exactly for the objective's window.
    severity : {"critical", "warning"}
    """

    long: timedelta
    short: timedelta
    factor: float
    severity: Literal["critical", "warning"]


BURNS = (
    Burn(timedelta(hours=1), timedelta(minutes=5), 14.4, "critical"),
    Burn(timedelta(hours=6), timedelta(minutes=30), 6.0, "critical"),
    Burn(timedelta(days=1), timedelta(hours=2), 3.0, "warning"),
    Burn(timedelta(days=3), timedelta(hours=6), 1.0, "warning"),
)
"""For a window of 30 days: 2 and 5 % of the budget in 1 and 6 hours; 10 % in 1 and in 3 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo(Result):
    """What share of the predictions is to be good.

    Attributes
    ----------
    name : {"errors", "latency"}
        Good is answered without an error, or answered faster than the limit of the 95th percentile.
    objective : float
    days : float
        The window.

    Raises
    ------
    InvalidValueError
        If there is no such objective, or nothing is left to spend.
    """

    name: Literal["errors", "latency"]
    objective: float
    days: float = 30.0

    def __post_init__(self) -> None:
        if self.name not in {"errors", "latency"}:
            raise InvalidValueError("slo", self.name, "errors or latency")
        if not 0.0 < self.objective < 1.0:
            raise InvalidValueError("objective", self.objective, "a share between 0 and 1")
        if not self.days > 0.0:
            raise InvalidValueError("days", self.days, "a number above 0")


@dataclass(frozen=True, slots=True)
class Budget(Result):
    """What is left of an objective's error budget.

    Attributes
    ----------
    slo : Slo
    requests, bad : int
        Of its window.
    left : float or None
        Share of the budget: 1 is untouched, 0 spent, below 0 overspent; None without requests.
    burn_rates : dict of str to float
        By window, such as ``1h``: 1 spends exactly the budget; windows without requests are absent.
    burning : str
        The most urgent severity that burns, or empty.
    """

    slo: Slo
    requests: int
    bad: int
    left: float | None
    burn_rates: dict[str, float]
    burning: str


def budget_of(slo: Slo, traffic: Traffic, at: datetime) -> Budget:
    """Return what is left of an objective's budget at a time, and how fast it goes.

    Parameters
    ----------
    slo : Slo
    traffic : Traffic
        Of the objective's window, at least.
    at : datetime

    Returns
    -------
    Budget

    Examples
    --------
    >>> from datetime import UTC
    >>> import pyarrow as pa
    >>> from watchkeeper.health.traffic import traffic_of
    >>> noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    >>> rows = pa.table({"timestamp": [noon - timedelta(minutes=1)] * 50,
    ...                  "status": ["error"] * 10 + ["success"] * 40, "latency_ms": [1.0] * 50})
    >>> found = budget_of(Slo(name="errors", objective=0.99), traffic_of([rows]), noon)
    >>> round(found.burn_rates["5m"], 3), found.burning, round(found.left, 3)
    (20.0, 'critical', -19.0)
    """
    requests, bad = _counted(slo, traffic, at, timedelta(days=slo.days))
    allowed = 1.0 - slo.objective
    rates: dict[str, float] = {}
    for window in sorted({span for burn in BURNS for span in (burn.long, burn.short)}):
        count, spoiled = _counted(slo, traffic, at, window)
        if count:
            rates[_prometheus_duration(window)] = spoiled / count / allowed
    burning = [
        burn.severity
        for burn in BURNS
        if min(rates.get(_prometheus_duration(span), 0.0) for span in (burn.long, burn.short))
        > burn.factor
    ]
    remaining = 1.0 - bad / (allowed * requests) if requests else None
    return Budget(slo, requests, bad, remaining, rates, burning[0] if burning else "")


def _counted(slo: Slo, traffic: Traffic, at: datetime, window: timedelta) -> tuple[int, int]:
    seen = traffic.between(at - window, at)
    bad = seen.failed if slo.name == "errors" else seen.slow
    return int(seen.requests.sum()), int(bad.sum())


def _prometheus_duration(window: timedelta) -> str:
    """Return a window as Prometheus writes it."""
    minutes = window // timedelta(minutes=1)
    if minutes % 1440 == 0:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
