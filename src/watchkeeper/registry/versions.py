"""What the registry knows of one version of one model."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from watchkeeper.registry.lineage import Lineage
from watchkeeper.registry.signature import Signature
from watchkeeper.results import Result

__all__ = ["ModelVersion", "Status"]


class Status(StrEnum):
    """Where a version stands in its life."""

    REGISTERED = "registered"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


class _Deferred(Result):
    """A result whose fields may be read when they are first looked at."""

    __slots__ = ("_read", "_row")
    _read: Callable[[Any, str], Any]
    _row: Any

    @classmethod
    def deferred(cls, read: Callable[[Any, str], Any], row: Any) -> Self:
        """Return one each of whose fields is what `read` gives for `row` and its name."""
        instance = object.__new__(cls)
        object.__setattr__(instance, "_read", read)
        object.__setattr__(instance, "_row", row)
        return instance

    def __getattr__(self, name: str) -> Any:  # a slot that nothing was put in yet
        if name not in self:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        value = self._read(self._row, name)
        object.__setattr__(self, name, value)
        return value


@dataclass(frozen=True, slots=True)
class ModelVersion(_Deferred):
    """One immutable version.

    Versions that are listed by the thousand are decoded as far as they are read.

    Attributes
    ----------
    model_id : str
        ``name:version``.
    file_path, file_hash : str
        The model's file and its SHA-256, in hexadecimal.
    files : dict
        Of every file of the version: its ``sha256`` and ``size``.
    format : str
        ``skops``, ``onnx``, ``joblib``, ``cloudpickle``, ``mlflow`` or ``remote``.
    unsafe : bool
        The format can run code when it is loaded, and its registration allowed that.
    trusted : tuple of str
        Types beyond scikit-learn's own that loading may make.
    about : dict
        Framework, algorithm, and counts of the training data.
    lineage : Lineage
        Where it comes from.
    aliases : tuple of str
        Names that point to it now. ``champion`` is the one in production.
    """

    model_id: str
    model_name: str
    version: str
    status: Status
    file_path: str
    file_hash: str
    metrics: dict[str, float]
    description: str
    tags: dict[str, str]
    registered_at: datetime
    promoted_at: datetime | None
    demoted_at: datetime | None
    format: str
    unsafe: bool
    trusted: tuple[str, ...]
    signature: Signature | None
    files: dict[str, dict[str, Any]]
    about: dict[str, Any]
    lineage: Lineage
    aliases: tuple[str, ...]
