"""An experiment as requests describe it: arms by name, percentages, metrics by name."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments.arms import Arm, Holdout, Namespace, Override, basis_points
from watchkeeper.experiments.assignment import Allocation, Hash
from watchkeeper.experiments.design import Mode
from watchkeeper.experiments.experiment import Experiment
from watchkeeper.experiments.metrics import Guardrail, Metric
from watchkeeper.experiments.targeting import Targeting

__all__ = ["draft"]


def draft(
    name: str,
    model: str,
    arms: Mapping[str, str],
    *,
    weights: Mapping[str, float] | None = None,
    coverage: float = 100.0,
    metric: str = "accuracy",
    secondary: Sequence[str] = (),
    guardrails: Mapping[str, float] | None = None,
    conversion_window: float = 86_400.0,
    hypothesis: str = "",
    mode: Mode = Mode.GROUP_SEQUENTIAL,
    alpha: float = 0.05,
    power: float = 0.8,
    planned_units: int | None = None,
    looks: int = 5,
    namespace: tuple[str, float, float] | None = None,
    holdout: float = 0.0,
    targeting: Sequence[Mapping[str, Any]] = (),
    overrides: Mapping[str, str] | None = None,
    hashing: str = "sha256",
    salt: str = "",
) -> Experiment:
    """Return an experiment as requests describe it.

    Parameters
    ----------
    name, model : str
    arms : mapping of str to str
        Versions by arm; the first one is the control.
    weights : mapping of str to float, optional
        Percent of the experiment's units by arm; by default equal.
    coverage : float
        Percent of all units that take part.
    metric, secondary
        Names of metrics; see `watchkeeper.experiments.Metric.named`.
    guardrails : mapping of str to float, optional
        Margins by name of metric.
    conversion_window : float
        Seconds, of all metrics.
    hypothesis : str
    mode : Mode
    alpha, power : float
    planned_units : int, optional
        Of all arms together; may be None where the mode is `Mode.ANYTIME`.
    looks : int
        Planned looks of a group-sequential test.
    namespace : tuple of str, float, float, optional
        Its name, and from which percent to which of its units the experiment has.
    holdout : float
        Percent of all units that no experiment with a holdout has.
    targeting : sequence of mapping
        Rules that all have to hold; see `watchkeeper.experiments.Targeting`.
    overrides : mapping of str to str, optional
        The arm of some units, whatever their hash says.
    hashing, salt : str
        As `hash` and `salt` of `watchkeeper.experiments.Allocation`.

    Returns
    -------
    Experiment

    Raises
    ------
    InvalidValueError
        If anything of it is not what it has to be.
    """
    equal = dict.fromkeys(arms, 10_000 // max(1, len(arms)))
    given = equal if not weights else {arm: basis_points(each) for arm, each in weights.items()}
    if set(given) != set(arms):
        raise InvalidValueError("weights", sorted(given), f"one of each of {', '.join(arms)}")
    allocation = Allocation(
        experiment=name,
        arms=tuple(Arm(key, given[key], version) for key, version in arms.items()),
        included_bp=basis_points(coverage),
        namespace=None if namespace is None else _namespace(*namespace),
        holdout=Holdout(basis_points(holdout)) if holdout else None,
        targeting=Targeting.from_dicts(targeting),
        overrides=tuple(Override(unit, arm, "") for unit, arm in (overrides or {}).items()),
        hash=cast("Hash", hashing),  # which is checked there
        salt=salt,
    )
    return Experiment(
        model=model,
        allocation=allocation,
        metric=Metric.named(metric, conversion_window=conversion_window),
        secondary=tuple(
            Metric.named(each, conversion_window=conversion_window) for each in secondary
        ),
        guardrails=tuple(
            Guardrail(metric=Metric.named(each, conversion_window=conversion_window), margin=margin)
            for each, margin in (guardrails or {}).items()
        ),
        hypothesis=hypothesis,
        mode=mode,
        alpha=alpha,
        power=power,
        planned_units=planned_units,
        looks=looks,
    )


def _namespace(name: str, start: float, end: float) -> Namespace:
    return Namespace(name, basis_points(start), basis_points(end))
