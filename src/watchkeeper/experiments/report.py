"""The report of an experiment: every figure, the verdict, and what it was computed from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from watchkeeper.experiments import html
from watchkeeper.experiments.analysis import (
    ArmResult,
    Comparison,
    GuardrailResult,
    by_metric,
    guarded,
    standing,
)
from watchkeeper.experiments.cells import Observations
from watchkeeper.experiments.decision import ExperimentDecision, decided
from watchkeeper.experiments.design import Design
from watchkeeper.results import Result
from watchkeeper.stats import (
    BayesianReport,
    SequentialSampleRatio,
    adjusted,
    bayesian_report,
    sequential_sample_ratio,
)

__all__ = ["ExperimentReport", "analyse"]

_APART = 0.05  # difference of the arms in outcomes that are not known, which is worth a warning


@dataclass(frozen=True, slots=True)
class ExperimentReport(Result):
    """What is known of an experiment.

    Attributes
    ----------
    experiment, model : str
    mode : str
    metric : str
        The one that decides.
    at : datetime
    decision : ExperimentDecision
    units : dict of str to int
        Units exposed to each arm.
    multi_exposed : int
        Units that met two arms; they are not counted.
    sample_ratio : SequentialSampleRatio or None
        Whether the arms have the shares that they were given; None before any exposure.
    arms : tuple of ArmResult
        The treatments by the metric that decides.
    guardrails : tuple of GuardrailResult
    secondary : tuple of Comparison
    bayesian : BayesianReport or None
        The probability of each arm to be best by the metric that decides, and what choosing it is
        expected to cost. It decides nothing. None unless every unit counts as 0 or 1, in each arm,
        and all of them in one phase: posteriors of pooled phases would know nothing of the weights.
    unknown : dict of str to dict of str to float
        By metric and arm, the share of predictions whose outcome was not known in time.
    warnings : tuple of str
    table_versions : dict of str to int
        Of the event store, as it was read.
    """

    experiment: str
    model: str
    mode: str
    metric: str
    at: datetime
    decision: ExperimentDecision
    units: dict[str, int]
    multi_exposed: int
    sample_ratio: SequentialSampleRatio | None
    arms: tuple[ArmResult, ...]
    guardrails: tuple[GuardrailResult, ...]
    secondary: tuple[Comparison, ...]
    bayesian: BayesianReport | None = field(default=None, kw_only=True)  # older ones have none
    unknown: dict[str, dict[str, float]]
    warnings: tuple[str, ...]
    table_versions: dict[str, int]

    def to_html(self) -> str:
        """Return a self-contained page with the intervals over time (extra ``charts``).

        Returns
        -------
        str
            HTML.
        """
        title = f"Experiment {self.experiment}"
        return html.page(title, self._repr_html_(), self.metric, self.arms)

    def _repr_html_(self) -> str:
        comparisons = [("decides", result.comparison) for result in self.arms]
        comparisons += [
            (f"guardrail, {result.safety.value}", result.comparison) for result in self.guardrails
        ]
        comparisons += [("secondary", comparison) for comparison in self.secondary]
        return html.summary(
            self.decision,
            comparisons,
            self.units,
            bayesian=self.bayesian,
            warnings=self.warnings,
        )


def analyse(
    experiment: Design,
    seen: Observations,
    *,
    table_versions: Mapping[str, int] | None = None,
) -> ExperimentReport:
    """Return the report of an experiment: a pure function of its count cells.

    Parameters
    ----------
    experiment : Design
    seen : Observations
        From `observe`.
    table_versions : mapping of str to int, optional
        Version of each event-store table that was read, for the evidence.

    Returns
    -------
    ExperimentReport
    """
    treatments = experiment.arms[1:]
    arms = tuple(standing(experiment, seen, arm) for arm in treatments)
    guardrails = tuple(
        guarded(experiment, seen, guardrail, arm)
        for guardrail in experiment.guardrails
        for arm in treatments
    )
    ratio = _sample_ratio(experiment, seen)
    units = dict.fromkeys(experiment.arms, 0)
    for exposed in seen.exposed:
        units[exposed.arm] += exposed.units
    decision = decided(
        experiment,
        arms,
        guardrails,
        ratio_evidence=ratio.e_value if ratio else 0.0,
        multi_exposed=seen.multi_exposed / max(1, seen.units + seen.multi_exposed),
        at=seen.at,
    )
    return ExperimentReport(
        experiment=experiment.name,
        model=experiment.model,
        mode=experiment.mode.value,
        metric=experiment.metric.name,
        at=seen.at,
        decision=decision,
        units=units,
        multi_exposed=seen.multi_exposed,
        sample_ratio=ratio,
        arms=arms,
        guardrails=guardrails,
        secondary=_secondary(experiment, seen),
        bayesian=_bayesian(experiment, seen, arms),
        unknown=seen.unknown,
        warnings=tuple(_warnings(experiment, seen)),
        table_versions=dict(table_versions or {}),
    )


def _secondary(experiment: Design, seen: Observations) -> tuple[Comparison, ...]:
    comparisons = [
        by_metric(experiment, seen, metric, arm, experiment.alpha)
        for metric in experiment.secondary
        for arm in experiment.arms[1:]
    ]
    p_values = adjusted([comparison.p_value for comparison in comparisons])
    return tuple(
        replace(comparison, adjusted_p_value=p_value)
        for comparison, p_value in zip(comparisons, p_values, strict=True)
    )


def _bayesian(
    experiment: Design, seen: Observations, arms: Sequence[ArmResult]
) -> BayesianReport | None:
    contrasts = [arm.comparison.contrast for arm in arms]
    phases = {cell.phase for cell in seen.cells if cell.metric == experiment.metric.name}
    # An arm without units has no contrast, and that of no units counts none for the control.
    if len(phases) != 1 or not all(
        measured.shares and measured.units_control for measured in contrasts
    ):
        return None
    counts = {experiment.control: (contrasts[0].events_control, contrasts[0].units_control)} | {
        arm.arm: (measured.events_treatment, measured.units_treatment)
        for arm, measured in zip(arms, contrasts, strict=True)
    }
    return bayesian_report(
        {arm: (round(events), units) for arm, (events, units) in counts.items()},
        credibility=1 - experiment.alpha,
        higher_is_better=experiment.metric.higher_is_better,
    )


def _sample_ratio(experiment: Design, seen: Observations) -> SequentialSampleRatio | None:
    counts: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(experiment.arms, 0))
    for exposed in seen.exposed:
        counts[exposed.phase][exposed.arm] += exposed.units
    weights = {phase.number: phase.weights for phase in experiment.phases}
    phases = [number for number in sorted(counts) if number in weights]
    if not phases:
        return None
    return sequential_sample_ratio(
        [[counts[number][arm] for arm in experiment.arms] for number in phases],
        [[weights[number][arm] for arm in experiment.arms] for number in phases],
    )


def _warnings(experiment: Design, seen: Observations) -> list[str]:
    warnings = []
    for metric, shares in seen.unknown.items():
        for arm in experiment.arms[1:]:
            apart = shares[arm] - shares[experiment.control]
            if abs(apart) > _APART:
                warnings.append(
                    f"{metric}: outcomes are not known of {shares[arm]:.1%} of the predictions of "
                    f"{arm} and of {shares[experiment.control]:.1%} of those of "
                    f"{experiment.control}; the variants may differ by that alone"
                )
    return warnings
