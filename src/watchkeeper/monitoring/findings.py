"""Measurements that are kept: as findings, with the window and the tables they are of."""

from dataclasses import replace
from datetime import datetime

from watchkeeper.monitoring.measurements import WindowDrift, WindowQuality
from watchkeeper.quality import LossEstimate
from watchkeeper.records import Finding, FindingRepository
from watchkeeper.results import plain

__all__ = ["drift_finding", "keep_drift", "keep_quality", "quality_finding"]


def keep_drift(findings: FindingRepository, found: WindowDrift, *, at: datetime) -> Finding:
    """Store a drift check and return it with its number.

    Parameters
    ----------
    findings : FindingRepository
    found : WindowDrift
    at : datetime

    Returns
    -------
    Finding
    """
    return findings.add(drift_finding(found, at=at))


def keep_quality(findings: FindingRepository, found: WindowQuality, *, at: datetime) -> Finding:
    """Store a measurement of quality and return it with its number.

    Parameters
    ----------
    findings : FindingRepository
    found : WindowQuality
    at : datetime

    Returns
    -------
    Finding
    """
    return findings.add(quality_finding(found, at=at))


def drift_finding(found: WindowDrift, *, at: datetime) -> Finding:
    """Return a drift check as a finding, without the bins of its charts, which are large.

    Parameters
    ----------
    found : WindowDrift
    at : datetime

    Returns
    -------
    Finding
    """
    report = found.report
    drifted = report.drifted
    summary = f"drift in {len(drifted)} of {len(report.features)} features"
    if drifted:
        summary += f": {', '.join(drifted[:5])}{', …' if len(drifted) > 5 else ''}"
    summary += f", against {found.reference}"
    answers = None if found.answers is None else replace(found.answers, distribution=None)
    if answers is not None and answers.drift_detected is not None:
        summary += f"; the predictions {'drifted' if answers.drift_detected else 'did not drift'}"
    features = {
        name: replace(feature, distribution=None) for name, feature in report.features.items()
    }
    return Finding(
        model=found.model,
        kind="drift",
        bad=report.drift_detected,
        summary=summary,
        at=at,
        start=found.start,
        end=found.end,
        table_versions=found.table_versions,
        evidence={
            **replace(report, features=features).to_dict(),
            "answers": plain(answers),
            "reference": found.reference,
            "reference_version": found.reference_version,
        },
    )


def quality_finding(found: WindowQuality, *, at: datetime) -> Finding:
    """Return a measurement of quality as a finding.

    Parameters
    ----------
    found : WindowQuality
    at : datetime

    Returns
    -------
    Finding
    """
    drop = found.drop
    worse = [
        f"{name} {100 * metric_drop:.1f} % worse than the baseline"
        for name, metric_drop in drop.drops.items()
        if metric_drop is not None and metric_drop > 0
    ]
    summary = ", ".join(worse) or (drop.reason or "no metric is worse than the baseline")
    labelled = f"{found.labelled:,} of {found.predictions:,} labelled"
    if found.estimate is not None:
        name = "mae" if isinstance(found.estimate, LossEstimate) else "accuracy"
        low, high = found.estimate.interval
        labelled += (
            f"; {name} of {found.estimate.rows:,} without an outcome estimated at "
            f"{found.estimate[name]:.3f} ({low:.3f} to {high:.3f})"
        )
    return Finding(
        model=found.model,
        kind="quality",
        bad=drop.drift_detected,
        summary=f"{summary.replace('_', ' ')}; {labelled}",
        at=at,
        start=found.start,
        end=found.end,
        table_versions=found.table_versions,
        evidence=found.to_dict(),
    )
