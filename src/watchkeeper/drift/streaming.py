"""Drift in a stream: a detector a feature, told of every row as it comes (extra ``online``).

A window compares two samples; a stream has no windows, and a change is wanted as soon as it shows.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from watchkeeper.errors import InvalidValueError, MissingExtraError

__all__ = ["StreamingDriftDetector", "StreamingMethod"]

StreamingMethod = Literal["ADWIN", "Page-Hinkley", "KSWIN"]


class StreamingDriftDetector:
    """Tells which numeric features have just changed.

    Parameters
    ----------
    method : {"ADWIN", "Page-Hinkley", "KSWIN"}
        River's: ADWIN keeps as much of the past as looks alike and notices a change of the mean;
        Page-Hinkley adds up departures from the mean and is the fastest; KSWIN compares
        distributions and notices changes that leave the mean alone.
    seed : int
        Of KSWIN, which draws from the past.
    **options
        For River's detector, such as ``delta`` of ADWIN.

    Attributes
    ----------
    seen : int
        Rows so far.
    changes : dict of str to list of int
        For each feature that changed, the rows (counted from 0) at which that was noticed.

    Raises
    ------
    MissingExtraError
        If River is not installed.
    InvalidValueError
        If there is no such method, or River does not know an option.

    Notes
    -----
    False alarms are those of River's defaults a feature: they are not corrected for the number of
    features. Nulls, NaN, infinities, words and truth values are left out.

    References
    ----------
    Bifet and Gavaldà (2007), SIAM Data Mining; Page (1954), Biometrika 41, 100-115; Raab, Heusinger
    and Schleif (2020), Neurocomputing 416, 340-351.
    """

    def __init__(self, method: StreamingMethod = "ADWIN", *, seed: int = 0, **options: Any) -> None:
        if method not in get_args(StreamingMethod):
            methods = ", ".join(get_args(StreamingMethod))
            raise InvalidValueError("method", method, f"one of {methods}")
        try:
            from river import drift
        except ImportError:
            raise MissingExtraError("StreamingDriftDetector", "online") from None
        kinds: dict[str, Any] = {
            "ADWIN": drift.ADWIN,
            "Page-Hinkley": drift.PageHinkley,
            "KSWIN": drift.KSWIN,
        }
        self._kind = kinds[method]
        self._options = {**options, **({"seed": seed} if method == "KSWIN" else {})}
        try:
            self._kind(**self._options)
        except (TypeError, ValueError) as error:
            raise InvalidValueError(
                "options", options, f"those of River's {method} ({error})"
            ) from None
        self._detectors: dict[str, Any] = {}
        self.seen = 0
        self.changes: dict[str, list[int]] = {}

    def update(self, features: Mapping[str, Any]) -> tuple[str, ...]:
        """Take one row and return the features that have changed just now.

        Parameters
        ----------
        features : mapping of str to Any
            Values by name; what is no finite number is left out.

        Returns
        -------
        tuple of str
        """
        changed: list[str] = []
        for name, value in features.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if not math.isfinite(value):
                continue
            detector = self._detectors.get(name)
            if detector is None:
                detector = self._detectors[name] = self._kind(**self._options)
            detector.update(float(value))
            if detector.drift_detected:
                changed.append(name)
                self.changes.setdefault(name, []).append(self.seen)
        self.seen += 1
        return tuple(changed)
