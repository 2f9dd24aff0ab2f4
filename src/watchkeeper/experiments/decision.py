"""The verdict of an experiment: ship, do not ship, undecided or invalid, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from watchkeeper.experiments.analysis import ArmResult, GuardrailResult, Safety, Standing
from watchkeeper.experiments.design import Design, Mode
from watchkeeper.results import Result

__all__ = ["Decision", "Verdict", "decided"]

_MOST_MULTI_EXPOSED = 0.01
_MOST_EVIDENCE_OF_BAD_SPLIT = 100.0


class Verdict(StrEnum):
    """What to do."""

    SHIP = "ship"
    DO_NOT_SHIP = "do_not_ship"
    UNDECIDED = "undecided"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Decision(Result):
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
) -> Decision:
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
    """
    wrong = _wrong(ratio_evidence, multi_exposed)
    if wrong:
        return Decision(Verdict.INVALID, None, wrong, at)
    sign = 1.0 if experiment.metric.higher_is_better else -1.0
    ranked = sorted(arms, key=lambda own: -sign * own.comparison.contrast.difference)
    found = [
        _of_arm(experiment, own, [g for g in guardrails if g.comparison.arm == own.arm], at)
        for own in ranked
    ]
    for verdict in (Verdict.SHIP, Verdict.UNDECIDED):
        first = next((each for each in found if each.verdict is verdict), None)
        if first is not None:
            return first
    reason = "; ".join(each.reason for each in found)
    return Decision(Verdict.DO_NOT_SHIP, None, reason, at)


def _wrong(ratio_evidence: float, multi_exposed: float) -> str:
    if ratio_evidence >= _MOST_EVIDENCE_OF_BAD_SPLIT:
        return (
            f"the arms do not have the shares they were given (evidence {ratio_evidence:.3g}, "
            f"{_MOST_EVIDENCE_OF_BAD_SPLIT:g} is the limit): units are lost or counted in one arm "
            "and not in the other"
        )
    if multi_exposed > _MOST_MULTI_EXPOSED:
        return (
            f"{multi_exposed:.1%} of the units met two arms; at most {_MOST_MULTI_EXPOSED:.0%} may"
        )
    return ""


def _of_arm(
    experiment: Design, own: ArmResult, guardrails: Sequence[GuardrailResult], at: datetime
) -> Decision:
    told = _told(own, experiment)
    harmful = [each for each in guardrails if each.safety is Safety.HARMFUL]
    if harmful:
        return Decision(Verdict.DO_NOT_SHIP, None, f"{own.arm}: {_harm(harmful[0])}", at)
    if own.standing is Standing.WORSE:
        return Decision(Verdict.DO_NOT_SHIP, None, f"{told}: worse than {experiment.control}", at)
    if own.standing is Standing.NO_DIFFERENCE:
        reason = f"{told}: no difference shown at the planned sample"
        return Decision(Verdict.DO_NOT_SHIP, None, reason, at)
    if own.standing is Standing.OPEN:
        return Decision(Verdict.UNDECIDED, None, f"{told}: {_waiting(experiment, own)}", at)
    open_ones = [each for each in guardrails if each.safety is Safety.UNDECIDED]
    if open_ones:
        names = ", ".join(each.comparison.metric for each in open_ones)
        reason = f"{told}: better, but not shown yet to be within the margin of {names}"
        return Decision(Verdict.UNDECIDED, None, reason, at)
    kept = f", and within the margin of {len(guardrails)} guardrails" if guardrails else ""
    return Decision(Verdict.SHIP, own.arm, f"{told}: better than {experiment.control}{kept}", at)


def _told(own: ArmResult, experiment: Design) -> str:
    found = own.comparison.contrast
    if not (found.units_control and found.units_treatment):
        return f"{own.arm}: no units of both arms are known yet"
    relative = own.comparison.relative
    lift = "" if relative is None else f" ({relative:+.1%})"
    return (
        f"{own.arm}: {experiment.metric.name} {found.treatment:.4g} of {found.units_treatment:,} "
        f"units against {found.control:.4g} of {found.units_control:,}, a difference of "
        f"{found.difference:+.4g}{lift} between {own.comparison.low:+.4g} and "
        f"{own.comparison.high:+.4g}"
    )


def _harm(found: GuardrailResult) -> str:
    own = found.comparison
    return (
        f"{own.metric} is worse than {found.margin:g} allows: {own.contrast.difference:+.4g} "
        f"between {own.low:+.4g} and {own.high:+.4g}"
    )


def _waiting(experiment: Design, own: ArmResult) -> str:
    if not own.comparison.contrast.enough:
        return "too few units or events to tell"
    if experiment.mode is Mode.ANYTIME or own.fraction is None:
        return f"not decided, p = {own.comparison.p_value:.3g}"
    if experiment.mode is Mode.FIXED:
        return f"{own.fraction:.0%} of the planned sample, which decides"
    return (
        f"not decided at {len(own.looks)} of {experiment.looks} planned looks, with "
        f"{own.fraction:.0%} of the planned sample"
    )
