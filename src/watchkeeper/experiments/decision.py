"""The verdict of an experiment: ship, do not ship, undecided or invalid, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from watchkeeper.experiments.analysis import ArmResult, GoalStanding, GuardrailResult, Safety
from watchkeeper.experiments.design import Design, Mode
from watchkeeper.results import Result

__all__ = ["ExperimentDecision", "Verdict", "decided"]

_MOST_MULTI_EXPOSED = 0.01
_MOST_EVIDENCE_OF_BAD_SPLIT = 100.0


class Verdict(StrEnum):
    """What to do."""

    SHIP = "ship"
    DO_NOT_SHIP = "do_not_ship"
    UNDECIDED = "undecided"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class ExperimentDecision(Result):
    """A verdict with its reason.

    Attributes
    ----------
    verdict : Verdict
    arm : str or None
        What to ship.
    reason : str
        A sentence with the figures.
    at : datetime
    """

    verdict: Verdict
    arm: str | None
    reason: str
    at: datetime


def decided(
    experiment: Design,
    arms: Sequence[ArmResult],
    guardrails: Sequence[GuardrailResult],
    *,
    ratio_evidence: float,
    multi_exposed: float,
    at: datetime,
) -> ExperimentDecision:
    """Return the verdict.

    A treatment is shipped when it is shown to be better by the metric that decides, and shown not
    to be worse than the margin by each guardrail. Of several the one that is best by that metric.

    Parameters
    ----------
    experiment : Design
    arms : sequence of ArmResult
    guardrails : sequence of GuardrailResult
        Of all treatments.
    ratio_evidence : float
        Against the shares of the arms being as they were set: an e-value.
    multi_exposed : float
        Share of the units that met two arms.
    at : datetime

    Returns
    -------
    ExperimentDecision
    """
    wrong = _wrong(ratio_evidence, multi_exposed)
    if wrong:
        return ExperimentDecision(Verdict.INVALID, None, wrong, at)
    sign = 1.0 if experiment.metric.higher_is_better else -1.0
    ranked = sorted(arms, key=lambda arm: -sign * arm.comparison.contrast.difference)
    decisions = [
        _of_arm(experiment, arm, [g for g in guardrails if g.comparison.arm == arm.arm], at)
        for arm in ranked
    ]
    for verdict in (Verdict.SHIP, Verdict.UNDECIDED):
        first = next((decision for decision in decisions if decision.verdict is verdict), None)
        if first is not None:
            return first
    reason = "; ".join(decision.reason for decision in decisions)
    return ExperimentDecision(Verdict.DO_NOT_SHIP, None, reason, at)


def _wrong(ratio_evidence: float, multi_exposed: float) -> str:
    if ratio_evidence >= _MOST_EVIDENCE_OF_BAD_SPLIT:
        return (
            f"sample ratio mismatch (evidence {ratio_evidence:.3g}, "
            f"{_MOST_EVIDENCE_OF_BAD_SPLIT:g} is the limit): units are lost or counted in one "
            "variant and not in the other"
        )
    if multi_exposed > _MOST_MULTI_EXPOSED:
        return (
            f"{multi_exposed:.1%} of the units were exposed to two variants; "
            f"at most {_MOST_MULTI_EXPOSED:.0%} may"
        )
    return ""


def _of_arm(
    experiment: Design, arm: ArmResult, guardrails: Sequence[GuardrailResult], at: datetime
) -> ExperimentDecision:
    sentence = _told(arm, experiment)
    harmful = [guardrail for guardrail in guardrails if guardrail.safety is Safety.HARMFUL]
    if harmful:
        return ExperimentDecision(Verdict.DO_NOT_SHIP, None, f"{arm.arm}: {_harm(harmful[0])}", at)
    if arm.standing is GoalStanding.WORSE:
        return ExperimentDecision(
            Verdict.DO_NOT_SHIP, None, f"{sentence}: worse than {experiment.control}", at
        )
    if arm.standing is GoalStanding.NO_DIFFERENCE:
        reason = f"{sentence}: no difference shown at the planned sample"
        return ExperimentDecision(Verdict.DO_NOT_SHIP, None, reason, at)
    if arm.standing is GoalStanding.OPEN:
        return ExperimentDecision(
            Verdict.UNDECIDED, None, f"{sentence}: {_waiting(experiment, arm)}", at
        )
    open_ones = [guardrail for guardrail in guardrails if guardrail.safety is Safety.UNDECIDED]
    if open_ones:
        names = ", ".join(guardrail.comparison.metric for guardrail in open_ones)
        reason = f"{sentence}: better, but not shown yet to be within the margin of {names}"
        return ExperimentDecision(Verdict.UNDECIDED, None, reason, at)
    margins = f", and within the margin of {len(guardrails)} guardrails" if guardrails else ""
    return ExperimentDecision(
        Verdict.SHIP, arm.arm, f"{sentence}: better than {experiment.control}{margins}", at
    )


def _told(arm: ArmResult, experiment: Design) -> str:
    measured = arm.comparison.contrast
    if not (measured.units_control and measured.units_treatment):
        return f"{arm.arm}: there are no units of both variants yet"
    relative = arm.comparison.relative
    lift = "" if relative is None else f" ({relative:+.1%})"
    return (
        f"{arm.arm}: {experiment.metric.name} {measured.treatment:.4g} of "
        f"{measured.units_treatment:,} units against {measured.control:.4g} of "
        f"{measured.units_control:,}, a difference of {measured.difference:+.4g}{lift} between "
        f"{arm.comparison.low:+.4g} and "
        f"{arm.comparison.high:+.4g}"
    )


def _harm(guardrail: GuardrailResult) -> str:
    comparison = guardrail.comparison
    return (
        f"{comparison.metric} is worse than {guardrail.margin:g} allows: "
        f"{comparison.contrast.difference:+.4g} between {comparison.low:+.4g} and "
        f"{comparison.high:+.4g}"
    )


def _waiting(experiment: Design, arm: ArmResult) -> str:
    if not arm.comparison.contrast.enough:
        return "too few units or events for a result"
    if experiment.mode is Mode.ANYTIME or arm.fraction is None:
        return f"not decided, p = {arm.comparison.p_value:.3g}"
    if experiment.mode is Mode.FIXED:
        return f"{arm.fraction:.0%} of the planned sample, which decides"
    return (
        f"not decided at {len(arm.looks)} of {experiment.looks} planned interim analyses, with "
        f"{arm.fraction:.0%} of the planned sample"
    )
