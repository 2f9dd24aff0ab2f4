"""What units are divided into: the arms of an experiment, holdouts and parts of namespaces."""

from dataclasses import dataclass

from watchkeeper.errors import InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.experiments.slots import SLOTS

__all__ = ["Arm", "Holdout", "Namespace", "Override", "basis_points", "check_points"]


def basis_points(percentage: float) -> int:
    """Return a percentage in basis points.

    Parameters
    ----------
    percentage : float
        From 0 to 100.

    Returns
    -------
    int
        From 0 to 10,000.

    Raises
    ------
    InvalidValueError
        If it is not a multiple of 0.01 between 0 and 100.

    Examples
    --------
    >>> basis_points(33.33)
    3333
    """
    if isinstance(percentage, bool) or not isinstance(percentage, int | float):
        raise InvalidValueError("percentage", percentage, "a number from 0 to 100")
    points = percentage * 100
    if not 0 <= points <= SLOTS or abs(points - round(points)) > 1e-6:
        raise InvalidValueError("percentage", percentage, "a multiple of 0.01 from 0 to 100")
    return round(points)


def check_points(field: str, points: object) -> None:
    """Refuse what is no number of basis points.

    Parameters
    ----------
    field : str
        What it is, as the error names it.
    points : object

    Raises
    ------
    InvalidValueError
        If it is not a whole number from 0 to 10,000.
    """
    if isinstance(points, bool) or not isinstance(points, int) or not 0 <= points <= SLOTS:
        raise InvalidValueError(
            field, points, f"basis points: a whole number from 0 to {SLOTS} (100 %)"
        )


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of an experiment.

    Attributes
    ----------
    key : str
        Its name within the experiment.
    weight_bp : int
        Its part of the units that are included, in basis points.
    model_version : str or None
        The version that answers; None stands for the one in production.

    Raises
    ------
    InvalidValueError
        If the key or the version is no name, or the weight no number of basis points.
    """

    key: str
    weight_bp: int
    model_version: str | None = None

    def __post_init__(self) -> None:
        check_name(self.key, "arm")
        check_points(f"the weight of variant {self.key}", self.weight_bp)
        if self.model_version is not None:
            check_name(self.model_version, f"the model version of variant {self.key}")


@dataclass(frozen=True, slots=True)
class Holdout:
    """Units that no experiment with the same `salt` may have, to compare all of them with none.

    A larger share never lets a unit go that was held out.

    Raises
    ------
    InvalidValueError
        If the share is no number of basis points.
    """

    share_bp: int
    salt: str = "holdout"

    def __post_init__(self) -> None:
        check_points("the share of the holdout", self.share_bp)


@dataclass(frozen=True, slots=True)
class Namespace:
    """The part of a namespace that an experiment has: from `start_bp` up to `end_bp`, excluded.

    Experiments with parts of one namespace that do not overlap never share a unit.

    Raises
    ------
    InvalidValueError
        If the name is none, a bound is no number of basis points, or the end is not after the
        start.
    """

    name: str
    start_bp: int
    end_bp: int

    def __post_init__(self) -> None:
        check_name(self.name, "namespace")
        check_points(f"the start in namespace {self.name}", self.start_bp)
        check_points(f"the end in namespace {self.name}", self.end_bp)
        if self.end_bp <= self.start_bp:
            raise InvalidValueError(
                f"the end in namespace {self.name}", self.end_bp, f"more than {self.start_bp}"
            )

    def overlaps(self, other: "Namespace") -> bool:
        """Return whether two experiments with these parts may share a unit.

        Parameters
        ----------
        other : Namespace

        Returns
        -------
        bool
        """
        return self.name != other.name or max(self.start_bp, other.start_bp) < min(
            self.end_bp, other.end_bp
        )


@dataclass(frozen=True, slots=True)
class Override:
    """A unit that is put into an arm whatever its hash says: a tester, say."""

    unit: str
    arm: str
    reason: str
