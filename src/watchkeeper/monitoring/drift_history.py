"""The drift checks that were kept, each decoded once in a process: findings never change."""

import math
from threading import Lock

import msgspec

from watchkeeper.drift.checks import DRIFTED, STEADY, UNKNOWN, Checks, DriftCheck
from watchkeeper.records import FindingRepository, Unread

__all__ = ["DriftHistory"]

_AT_ONCE = 500
_CHECKS = 20_000  # of a model that are kept in memory: two years of one every hour
_VALUES = 20_000_000  # figures of a model that are: some hundred megabytes


class _Feature(msgspec.Struct, gc=False):
    drift_detected: bool | None = None
    effect_size: float | None = None


class _Evidence(msgspec.Struct, gc=False):
    features: dict[str, _Feature] = msgspec.field(default_factory=dict)


_STATES = {True: DRIFTED, False: STEADY, None: UNKNOWN}
_DECODER = msgspec.json.Decoder(_Evidence)


class DriftHistory:
    """The drift checks of each model, by column; it may be asked from several threads.

    Parameters
    ----------
    findings : FindingRepository
    """

    def __init__(self, findings: FindingRepository) -> None:
        self._findings = findings
        self._known: dict[str, Checks] = {}
        self._one = Lock()
        self._locks: dict[str, Lock] = {}

    def checks(self, model: str) -> Checks:
        """Return all checks of a model; only those that are new since are read.

        Of more than twenty thousand, or of very many features, the newest alone.

        Parameters
        ----------
        model : str

        Returns
        -------
        Checks
        """
        with self._one:
            lock = self._locks.setdefault(model, Lock())
        with lock:
            checks = self._known.get(model)
            newest = int(checks.numbers.max()) if checks is not None and len(checks) else 0
            newer = self._after(model, newest)
            if checks is None or len(newer):
                checks = newer if checks is None else checks.merge(newer)
                self._known[model] = checks
            return checks

    def _after(self, model: str, newest: int) -> Checks:
        looks: list[DriftCheck] = []
        values, before = 0, None
        while len(looks) < _CHECKS and values < _VALUES:
            rows = self._findings.unread(
                model, "drift", after=newest, before=before, limit=_AT_ONCE
            )
            for row in rows:
                looks.append(_look_of(row))
                values += len(looks[-1].features)
            if len(rows) < _AT_ONCE:
                break
            before = rows[-1].number
        return Checks.of(looks)


def _look_of(finding: Unread) -> DriftCheck:
    features = _DECODER.decode(finding.evidence).features
    return DriftCheck(
        finding.number,
        finding.end or finding.at,
        finding.bad,
        tuple(features),
        [_STATES[feature.drift_detected] for feature in features.values()],
        [
            math.nan if feature.effect_size is None else feature.effect_size
            for feature in features.values()
        ],
    )
