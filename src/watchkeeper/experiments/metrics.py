"""What an experiment measures: which recorded facts count, for whom, and which way is better."""

from dataclasses import dataclass, replace
from math import isfinite
from types import MappingProxyType
from typing import Literal, Self, get_args

from watchkeeper.errors import InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.results import Result

__all__ = ["METRICS", "Guardrail", "Kind", "Metric", "Source"]

Source = Literal[
    "correct", "error", "latency_ms", "score", "actual", "absolute_error", "brier", "value"
]
"""What is taken of a prediction: whether it was right or failed, its latency, its score, its
outcome, how far off it or (squared) its score was, or a value that was posted for it."""

Kind = Literal["proportion", "mean", "ratio"]
"""How a unit's predictions become one figure: whether any counted, their sum, or their mean over
all predictions of the arm."""

_SOURCES: tuple[Source, ...] = get_args(Source)
_LONGEST = 366 * 86_400.0  # seconds
_KINDS: tuple[Kind, ...] = ("proportion", "mean", "ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Result):
    """A figure by which the arms of an experiment are compared.

    What happens to a unit counts until `conversion_window` after its first exposure, and the unit
    is counted once that time has passed: so every unit was watched equally long, and an arm does
    not look better because its outcomes come sooner.

    Attributes
    ----------
    name : str
    source : Source
    kind : Kind
        "ratio" is the mean over predictions, with an error that knows that predictions of one unit
        resemble each other; "mean" is the mean over units of their sum; "proportion" the share of
        units with anything above 0.
    higher_is_better : bool
    conversion_window : float
        Seconds.
    above : float or None
        Counts 1 where the source is above it and 0 elsewhere: a latency above 500 ms, say.
    cap : float or None
        Larger values count as this one.
    posted : str or None
        Of a posted value, the name under which it is posted, if that is not the metric's own.

    Raises
    ------
    InvalidValueError
        If the source or the kind is none of those, the conversion window is negative, or a bound
        is not finite.
    """

    name: str
    source: Source
    kind: Kind = "ratio"
    higher_is_better: bool = True
    conversion_window: float = 86_400.0
    above: float | None = None
    cap: float | None = None
    posted: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "metric.name")
        if self.source not in _SOURCES:
            raise InvalidValueError("metric.source", self.source, f"one of {', '.join(_SOURCES)}")
        if self.kind not in _KINDS:
            raise InvalidValueError("metric.kind", self.kind, f"one of {', '.join(_KINDS)}")
        if not 0.0 <= self.conversion_window < _LONGEST:
            raise InvalidValueError(
                "metric.conversion_window",
                self.conversion_window,
                "seconds, from 0 to those of a year",
            )
        for field, bound in (("above", self.above), ("cap", self.cap)):
            if bound is not None and not isfinite(bound):
                raise InvalidValueError(f"metric.{field}", bound, "a finite number")

    @property
    def needs_outcome(self) -> bool:
        """Whether a prediction counts only once its outcome is known."""
        return self.source in {"correct", "actual", "absolute_error", "brier"}

    @property
    def counts_events(self) -> bool:
        """Whether a prediction, or a unit, counts as 0 or 1."""
        return (
            self.kind == "proportion"
            or self.above is not None
            or self.source in {"correct", "error"}
        )

    @classmethod
    def named(cls, name: str, *, conversion_window: float | None = None) -> Self:
        """Return the metric that a name stands for.

        Parameters
        ----------
        name : str
            One of `METRICS`; ``slower-than-MS``, the share of predictions that took longer;
            ``value:NAME``, the sum of what is posted under NAME for a unit; ``any:NAME``, the share
            of units for which something above 0 was.
        conversion_window : float, optional
            Seconds.

        Returns
        -------
        Metric

        Raises
        ------
        InvalidValueError
            If it stands for none.
        """
        metric = _found(name)
        if metric is None:
            names = ", ".join([*METRICS, "slower-than-MS", "value:NAME", "any:NAME"])
            raise InvalidValueError("metric", name, f"one of {names}")
        if conversion_window is not None:
            metric = replace(metric, conversion_window=conversion_window)
        return cls(**{field: getattr(metric, field) for field in cls.__dataclass_fields__})


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(name="accuracy", source="correct"),
            Metric(name="error-rate", source="error", higher_is_better=False),
            Metric(name="latency", source="latency_ms", higher_is_better=False),
            Metric(name="score", source="score"),
            Metric(name="outcome", source="actual"),
            Metric(name="absolute-error", source="absolute_error", higher_is_better=False),
            Metric(name="brier-score", source="brier", higher_is_better=False),
        )
    }
)
"""The metrics that need nothing but a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail(Result):
    """A metric that must not become worse by more than `margin`, in its own unit.

    Raises
    ------
    InvalidValueError
        If the margin is not above 0, or not finite.
    """

    metric: Metric
    margin: float

    def __post_init__(self) -> None:
        if not (isfinite(self.margin) and self.margin > 0):
            raise InvalidValueError("guardrail.margin", self.margin, "a finite number above 0")


def _found(name: str) -> Metric | None:
    if name in METRICS:
        return METRICS[name]
    kind, _, value_name = name.partition(":")
    if value_name and kind == "value":
        return Metric(name=value_name, source="value", kind="mean")
    if value_name and kind == "any":
        return Metric(
            name=f"any-{value_name}", source="value", kind="proportion", posted=value_name
        )
    if name.startswith("slower-than-"):
        try:
            limit = float(name.removeprefix("slower-than-"))
        except ValueError:
            return None
        return Metric(name=name, source="latency_ms", higher_is_better=False, above=limit)
    return None
