"""In what two versions differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchkeeper.registry.versions import ModelVersion
from watchkeeper.results import Result, plain

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference(Result):
    """One thing that is not the same in two versions.

    Attributes
    ----------
    what : str
        Such as ``metrics.auc``, ``signature.distance`` or ``lineage.parameters.C``.
    before, after : object
        In the first and in the second version; None where it is not there.
    change : float or None
        After minus before, of numbers.
    """

    what: str
    before: Any
    after: Any
    change: float | None


def differences(first: ModelVersion, second: ModelVersion) -> tuple[Difference, ...]:
    """Return in what two versions differ.

    Compared are metrics, the names, types and order of the inputs, lineage with parameters and
    packages, what is known of the training data, format, trust, size, tags and description; when
    they were registered and where their files lie is not.

    Parameters
    ----------
    first, second : ModelVersion

    Returns
    -------
    tuple of Difference
    """
    before, after = _facts(first), _facts(second)
    return tuple(
        Difference(name, before.get(name), after.get(name), _change(before, after, name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    )


def _facts(version: ModelVersion) -> dict[str, Any]:
    signature = version.signature
    features = () if signature is None else signature.features
    facts: dict[str, Any] = {f"metrics.{name}": value for name, value in version.metrics.items()}
    for feature in features:
        facts[f"signature.{feature.name}"] = (
            f"{feature.type}, nullable" if feature.nullable else feature.type
        )
    facts["signature order"] = ", ".join(feature.name for feature in features)
    facts.update(_flat("lineage", plain(version.lineage)))
    facts.update(_flat("about", version.about))
    facts["format"], facts["unsafe"] = version.format, version.unsafe
    facts["trusted"] = ", ".join(version.trusted)
    facts["size"] = sum(file["size"] for file in version.files.values())
    facts.update(_flat("tags", version.tags))
    facts["description"] = version.description
    return {name: value for name, value in facts.items() if value not in ("", None)}


def _flat(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is nested under dotted names."""
    facts: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{name}.{key}"
        facts.update(_flat(path, value) if isinstance(value, Mapping) else {path: value})
    return facts


def _change(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> float | None:
    first, second = before.get(name), after.get(name)
    if isinstance(first, bool) or isinstance(second, bool):
        return None
    if isinstance(first, int | float) and isinstance(second, int | float):
        return second - first
    return None
