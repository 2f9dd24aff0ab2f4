"""What a rollout is going to do: its steps, its limits, and how long it waits."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from math import ceil, inf, isfinite
from typing import Literal

from watchkeeper.errors import InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.results import Result

__all__ = ["Limit", "Plan", "increments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Result):
    """What share of the canary's requests may be bad at most; a share that equals it is well.

    A limit on a percentile is such a share, too: a 95th percentile of at most 2,000 ms says that at
    most 5 % of the requests take longer.

    Attributes
    ----------
    name : str
    share : float or None
        None where only production says what is too much.
    slower_than_ms : float or None
        Of a limit on latency: what counts as bad.
    wrong : bool
        Whether bad means answered wrongly, among the requests whose outcome is known.
    error_tolerance : float or None
        Of a regression, how far a prediction may be from its label without being wrong.
    label_delay : float
        Seconds after which a label is expected: only older requests count as right or wrong, so
        that labels which come early do not speak for all.
    segment : tuple of (str, str) or None
        A feature, or ``tag.NAME``, and its value: only these requests count.
    margin : float or None
        How much larger the canary's share may be than that of the version in production over the
        same time, as a difference of shares; None does not compare the two.
    on_breach : {"rollback", "hold"}
        Whether a breach aborts the canary, or holds it until manual approval.

    Raises
    ------
    InvalidValueError
        If the share is not between 0 and 1, the milliseconds or the distance are not above 0, the
        margin is not from 0 to 1, or there is neither a share nor a margin.
    """

    name: str
    share: float | None
    slower_than_ms: float | None = None
    wrong: bool = False
    error_tolerance: float | None = None
    label_delay: float = 0.0
    segment: tuple[str, str] | None = None
    margin: float | None = None
    on_breach: Literal["rollback", "hold"] = "rollback"

    def __post_init__(self) -> None:
        check_name(self.name, "limit.name")
        if self.share is None and self.margin is None:
            raise InvalidValueError(f"the limit {self.name}", None, "a share, a margin, or both")
        if self.share is not None and not 0.0 < self.share < 1.0:
            raise InvalidValueError(
                f"the share of limit {self.name}", self.share, "between 0 and 1"
            )
        if self.slower_than_ms is not None and not 0 < self.slower_than_ms < inf:
            raise InvalidValueError(
                f"the milliseconds of limit {self.name}", self.slower_than_ms, "a number above 0"
            )
        if self.error_tolerance is not None and not (
            self.wrong and 0.0 < self.error_tolerance < inf
        ):
            raise InvalidValueError(
                f"the error tolerance of limit {self.name}",
                self.error_tolerance,
                "a number above 0, of wrong ones",
            )
        if self.margin is not None and not 0.0 <= self.margin < 1.0:
            raise InvalidValueError(
                f"the margin of limit {self.name}", self.margin, "0 or more, and below 1"
            )
        if not (isfinite(self.label_delay) and self.label_delay >= 0.0):
            raise InvalidValueError(
                f"the label delay of limit {self.name}", self.label_delay, "0 seconds or more"
            )

    @property
    def awaited(self) -> bool:
        """Whether a step waits for enough requests of it; outcomes and segments may never come."""
        return not self.wrong and self.segment is None

    @property
    def tests(self) -> int:
        """How many tests it stands for: of its share, and against production."""
        return (self.share is not None) + (self.margin is not None)


LIMITS = (
    Limit(name="errors", share=0.05, margin=0.01),
    Limit(name="latency", share=0.05, slower_than_ms=2_000.0, margin=0.01),
)


_LEASE = 2  # windows


def increments(initial: float = 5.0, step: float = 10.0, most: float = 100.0) -> tuple[float, ...]:
    """Return the steps from `initial` on by `step`; the last one is exactly `most`.

    Parameters
    ----------
    initial, most : float
        Percentages, above 0 and up to 100.
    step : float
        Percentage points, above 0.

    Returns
    -------
    tuple of float
        Percentages.

    Raises
    ------
    InvalidValueError
        If they are no percentages, or `step` is not above 0.

    Examples
    --------
    >>> increments(5.0, 30.0, 100.0)
    (5.0, 35.0, 65.0, 95.0, 100.0)
    """
    for name, value in (("initial", initial), ("most", most)):
        if not 0.0 < value <= 100.0:
            raise InvalidValueError(name, value, "a percentage above 0 and up to 100")
    if not (isfinite(step) and step > 0):
        raise InvalidValueError("step", step, "a percentage above 0")
    if initial > most:
        raise InvalidValueError("initial", initial, f"at most {most:g}, where it ends")
    count = ceil((most - initial) / step - 1e-9)
    return (*(initial + step * number for number in range(count)), most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Result):
    """A rollout that cannot be planned in a wrong way.

    Attributes
    ----------
    steps : tuple of float
        Percent of the traffic, rising.
    window : float
        Seconds that a step lasts at least, with traffic.
    min_samples : int
        Requests to the canary that a step has to have seen.
    limits : tuple of Limit
    alpha : float
        How often a canary within all limits may be rolled back for evidence, in a whole rollout.
    extensions : int
        Windows that a step is given again when more was bad than a limit allows, without evidence.
    deadline : float
        Seconds that a rollout waits for enough requests before it is rolled back.
    approval : bool
        Whether a person has to say yes before each step.
    max_prediction_shift : float or None
        How far the predictions of the canary may lie from those of production over the same time,
        as the distance of their distribution functions, without manual approval; None does not
        compare them.
    bake_time : float
        Seconds for which the version is watched after it was promoted.
    failover : bool
        Whether production answers where the canary fails or hangs; it counts against the canary.
    require_evidence : bool
        Whether a step is passed only with evidence from its own requests, at an error rate of
        `alpha`, that each rate is below its limit; no evidence of a breach is not enough then.
    on_inconclusive : {"hold", "rollback"}
        What becomes of a canary whose analysis is inconclusive when no extension is left.
    keep : bool
        Whether the canary keeps its weight when it was not analysed for two windows; otherwise
        production gets all traffic until it is.

    Raises
    ------
    InvalidValueError
        If anything of it is not what it has to be.
    """

    steps: tuple[float, ...] = increments()
    window: float = 1_800.0
    min_samples: int = 100
    limits: tuple[Limit, ...] = LIMITS
    alpha: float = 0.05
    extensions: int = 2
    deadline: float = 86_400.0
    approval: bool = False
    max_prediction_shift: float | None = None
    bake_time: float = 86_400.0
    failover: bool = False
    require_evidence: bool = False
    on_inconclusive: Literal["hold", "rollback"] = "hold"
    keep: bool = False

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise(self.steps))
        if not (self.steps and rising and self.steps[0] > 0.0 and self.steps[-1] <= 100.0):
            raise InvalidValueError("steps", self.steps, "rising percentages above 0 and up to 100")
        names = [limit.name for limit in self.limits]
        if not names or len(set(names)) != len(names):
            raise InvalidValueError("limits", names, "at least one, and each name once")
        if not 0.0 < self.alpha < 1.0:
            raise InvalidValueError("alpha", self.alpha, "a number strictly between 0 and 1")
        if self.min_samples < 1:
            raise InvalidValueError("min_samples", self.min_samples, "at least 1")
        if self.extensions < 0:
            raise InvalidValueError("extensions", self.extensions, "0 or more")
        if self.on_inconclusive not in {"hold", "rollback"}:
            raise InvalidValueError("on_inconclusive", self.on_inconclusive, "hold or rollback")
        if self.max_prediction_shift is not None and not 0.0 < self.max_prediction_shift < 1.0:
            raise InvalidValueError(
                "max_prediction_shift", self.max_prediction_shift, "a distance between 0 and 1"
            )
        for name, least in (("window", 1.0), ("deadline", self.window), ("bake_time", 0.0)):
            seconds = getattr(self, name)
            if not (isfinite(seconds) and seconds >= least):
                raise InvalidValueError(name, seconds, f"at least {least:g} seconds")

    @property
    def alpha_each(self) -> float:
        """The part of `alpha` that each limit, and each comparison with production, has."""
        return self.alpha / sum(limit.tests for limit in self.limits)

    @property
    def lease(self) -> timedelta:
        """How long a share holds without another look."""
        return timedelta(seconds=_LEASE * self.window)

    @property
    def planned_information(self) -> float:
        """What steps of `min_samples` tell of the difference to production, at the least.

        In the unit of `watchkeeper.stats.comparison_information`. The intervals of a comparison are
        narrowest there; they hold at any other amount.
        """
        return self.min_samples * sum(1 - percent / 100 for percent in self.steps)

    def expected_duration(self, requests_an_hour: float) -> timedelta:
        """Return how long it takes, all going well, at a given traffic of the model.

        Parameters
        ----------
        requests_an_hour : float
            Above 0.

        Returns
        -------
        timedelta

        Raises
        ------
        InvalidValueError
            If there is no traffic.

        Examples
        --------
        >>> Plan().expected_duration(100_000), Plan().expected_duration(400)
        (datetime.timedelta(seconds=19800), datetime.timedelta(seconds=46800))
        """
        if not (isfinite(requests_an_hour) and requests_an_hour > 0):
            raise InvalidValueError("requests_an_hour", requests_an_hour, "a number above 0")
        windows = 0
        for percent in self.steps:
            canary = requests_an_hour * percent / 100 * self.window / 3_600  # of a window
            windows += max(1, ceil(self.min_samples / canary - 1e-9))
        return timedelta(seconds=windows * self.window)
