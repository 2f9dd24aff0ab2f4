"""What a model takes: the names, types and order of its features.

>>> signature = Signature((Feature("distance", "number"), Feature("carrier", "string")))
>>> signature.names, signature.all_numeric
(('distance', 'carrier'), False)
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result

if TYPE_CHECKING:
    import narwhals as nw

__all__ = ["Feature", "FeatureType", "Signature", "of_estimator", "of_training_data"]

FeatureType = Literal["number", "integer", "boolean", "string", "any"]


@dataclass(frozen=True, slots=True)
class Feature(Result):
    """One input of a model.

    Attributes
    ----------
    name : str
    type : {"number", "integer", "boolean", "string", "any"}
        ``any`` where nothing is known: a model fitted with column names and no training data given.
    nullable : bool
        Whether it may be null. A number may: for the model, null is NaN.

    Raises
    ------
    InvalidValueError
        If there is no such type.
    """

    name: str
    type: FeatureType = "number"
    nullable: bool = False

    def __post_init__(self) -> None:
        if self.type not in get_args(FeatureType):
            raise InvalidValueError("type", self.type, f"one of {', '.join(get_args(FeatureType))}")
        if self.type in {"number", "any"}:
            object.__setattr__(self, "nullable", True)


@dataclass(frozen=True)
class Signature(Result):
    """The features of a model, in the order in which it takes them.

    Attributes
    ----------
    features : tuple of Feature

    Raises
    ------
    InvalidValueError
        If there is none, or two have one name.
    """

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        if not names or len(set(names)) != len(names):
            raise InvalidValueError("features", names, "at least one, and each name once")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def all_numeric(self) -> bool:
        """Whether every feature is a number, so that a row is a row of a matrix."""
        return all(feature.type in {"number", "integer"} for feature in self.features)


def of_training_data(data: "nw.DataFrame[Any]") -> Signature:
    """Return the signature of a data frame; what has nulls there may be null later.

    Parameters
    ----------
    data : narwhals.DataFrame

    Returns
    -------
    Signature
    """
    return Signature(
        tuple(
            Feature(name, _type_of(data.schema[name]), bool(data[name].null_count()))
            for name in data.columns
        )
    )


def _type_of(dtype: "nw.dtypes.DType") -> FeatureType:
    import narwhals as nw

    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    if dtype == nw.Boolean:
        return "boolean"
    if dtype in {nw.String, nw.Categorical, nw.Enum, nw.Object}:
        return "string"
    return "any"


def of_estimator(model: object) -> Signature | None:
    """Return what a fitted scikit-learn estimator says of its inputs; None if it says nothing.

    Parameters
    ----------
    model : object

    Returns
    -------
    Signature or None
    """
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return Signature(tuple(Feature(str(name), "any") for name in names))
    count = getattr(model, "n_features_in_", None)
    if count:
        return Signature(tuple(Feature(f"x{i}", "number") for i in range(int(count))))
    return None
