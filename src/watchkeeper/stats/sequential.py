"""Sequential detection of a fall in a rate, looked at after every outcome, forever."""

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError

__all__ = ["RateDropDetector"]

_LARGEST_EXPONENT = 600.0  # a block's likelihood ratios stay within what a double holds
_LARGEST_BLOCK = 4096
_LOWEST_RATE = 0.02  # the worst fall that is looked for, as a share of the baseline


class RateDropDetector:
    """Tells when the rate of good outcomes, such as the accuracy, has fallen.

    A fixed test repeated after every outcome sooner or later alarms although nothing changed. This
    one is made for it: as long as the rate is the baseline or better, the number of outcomes until
    it alarms is at least ``1 / false_alarms`` in expectation.

    Parameters
    ----------
    baseline : float
        The rate that is normal, strictly between 0 and 1.
    smallest_drop : float
        The smallest fall worth noticing, absolute: 0.05 from 0.92 is 0.87. Falls between this and
        ruin are looked for at once; smaller ones are noticed late or never.
    false_alarms : float
        False alarms an outcome, at most; 1e-5 is one in 100,000 outcomes.

    Attributes
    ----------
    statistic : float
        Evidence of a fall, between 0 and `threshold`, at which it alarms. It stands still after an
        alarm.
    threshold : float
    seen : int
        Outcomes since the last `reset`, up to the alarm.
    alarmed_at : int or None
        Index of the outcome that made it alarm, counted from 0 at the last `reset`.

    Raises
    ------
    InvalidValueError
        If the drop is not smaller than the baseline, or a number is out of its range.

    Notes
    -----
    A Shiryaev-Roberts statistic, averaged over alternatives that lie `smallest_drop`, twice, four
    times … below the baseline. For each alternative ``R = (1 + R) * likelihood ratio``. Without a
    fall ``R`` minus the number of outcomes is a supermartingale, for every rate not below the
    baseline, and so is the average; stopping it at the threshold ``A`` gives an expected run of at
    least ``A``, whatever the mixture. The bound is on the expectation: the chance of an alarm
    within the first ``n`` outcomes is at most ``n / A``.

    A baseline that is set too high is itself a fall, and will be noticed: take it from data the
    model has not seen, and a little low where that is scarce.

    References
    ----------
    Shin, Ramdas and Rinaldo (2023), "E-detectors", New England J. Statist. Data Sci. 2(2); Pollak
    (1985), Ann. Statist. 13(1), 206-227.

    Examples
    --------
    >>> detector = RateDropDetector(0.92, smallest_drop=0.05)
    >>> detector.update_many([True] * 900 + [False] * 100)
    905
    >>> detector.alarmed_at, detector.update(True)
    (905, True)
    """

    def __init__(
        self, baseline: float, smallest_drop: float = 0.05, *, false_alarms: float = 1e-5
    ) -> None:
        if not 0.0 < baseline < 1.0:
            raise InvalidValueError("baseline", baseline, "a rate strictly between 0 and 1")
        if not 0.0 < smallest_drop < baseline:
            raise InvalidValueError(
                "smallest_drop", smallest_drop, f"above 0 and below the baseline, {baseline}"
            )
        if not 0.0 < false_alarms < 1.0:
            raise InvalidValueError("false_alarms", false_alarms, "strictly between 0 and 1")
        self.baseline, self.smallest_drop = float(baseline), float(smallest_drop)
        self.false_alarms = float(false_alarms)
        self.threshold = 1.0 / self.false_alarms
        rates = _alternatives(self.baseline, self.smallest_drop)
        self._of_good = [rate / self.baseline for rate in rates]
        self._of_bad = [(1.0 - rate) / (1.0 - self.baseline) for rate in rates]
        self.reset()

    def reset(self) -> None:
        """Forget all outcomes and the alarm."""
        self._evidence = [0.0] * len(self._of_good)
        self.statistic, self.seen = 0.0, 0
        self.alarmed_at: int | None = None

    def update(self, correct: bool) -> bool:
        """Take one outcome; return whether it has alarmed, now or since the last `reset`.

        Parameters
        ----------
        correct : bool

        Returns
        -------
        bool
        """
        if self.alarmed_at is not None:
            return True
        ratios = self._of_good if correct else self._of_bad
        self._evidence = evidence = [
            (1.0 + evidence) * ratio for evidence, ratio in zip(self._evidence, ratios, strict=True)
        ]
        self.statistic = sum(evidence) / len(evidence)
        self.seen += 1
        if self.statistic < self.threshold:
            return False
        self.alarmed_at = self.seen - 1
        return True

    def update_many(self, correct: npt.ArrayLike) -> int | None:
        """Take many outcomes, in order, as `update` would; return `alarmed_at`.

        Parameters
        ----------
        correct : array_like of bool, shape (n,)
            Those after an alarm do not count.

        Returns
        -------
        int or None
            Index of the first alarm, counted from the last `reset`.

        Raises
        ------
        InvalidValueError
            If they have more than one dimension.
        """
        outcomes = np.asarray(correct, dtype=bool)
        if outcomes.ndim != 1:
            raise InvalidValueError("correct", f"{outcomes.ndim} dimensions", "one dimension")
        of_good, of_bad = np.log(self._of_good), np.log(self._of_bad)
        steepest = float(max(np.abs(of_good).max(), np.abs(of_bad).max()))
        block = max(1, min(_LARGEST_BLOCK, int(_LARGEST_EXPONENT / steepest)))
        for start in range(0, len(outcomes), block):
            if self.alarmed_at is not None:
                break
            self._update_block(outcomes[start : start + block], of_good, of_bad)
        return self.alarmed_at

    def _update_block(
        self,
        outcomes: npt.NDArray[np.bool_],
        of_good: npt.NDArray[np.float64],
        of_bad: npt.NDArray[np.float64],
    ) -> None:
        # R_n = C_n * (R_0 + 1/C_0 + ... + 1/C_{n-1}), with C_n the product of n likelihood ratios.
        steps = np.where(outcomes, of_good[:, None], of_bad[:, None])
        logs = np.cumsum(steps, axis=1)
        starts = np.exp(steps - logs)  # 1 / C before each outcome
        starts[:, 0] += self._evidence
        evidence = np.exp(logs) * np.cumsum(starts, axis=1)
        statistic = evidence.mean(axis=0)
        over = np.flatnonzero(statistic >= self.threshold)
        last = int(over[0]) if over.size else len(outcomes) - 1
        self._evidence = evidence[:, last].tolist()
        self.statistic = float(statistic[last])
        self.seen += last + 1
        if over.size:
            self.alarmed_at = self.seen - 1


def _alternatives(baseline: float, smallest_drop: float) -> list[float]:
    """Return the rates that are looked for, each drop twice as large as the one before."""
    lowest = baseline * _LOWEST_RATE
    rates = [max(baseline - smallest_drop, lowest)]
    while rates[-1] > lowest:
        rates.append(max(baseline - smallest_drop * 2 ** len(rates), lowest))
    return rates
