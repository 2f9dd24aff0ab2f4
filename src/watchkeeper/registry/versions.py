"""What the registry knows of one version of one model."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from watchkeeper.registry.signature import Signature
from watchkeeper.results import Result

__all__ = ["ModelVersion", "Status"]


class Status(StrEnum):
    """Where a version stands in its life."""

    REGISTERED = "registered"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class ModelVersion(Result):
    """One immutable version.

    Attributes
    ----------
    model_id : str
        ``name:version``.
    file_path, file_hash : str
        The model's file and its SHA-256, in hexadecimal.
    files : dict
        Of every file of the version: its ``sha256`` and ``size``.
    format : str
        ``skops``, ``onnx`` or ``joblib``.
    unsafe : bool
        The format can run code when it is loaded, and whoever registered it allowed that.
    trusted : tuple of str
        Types beyond scikit-learn's own that loading may make.
    about : dict
        Framework, algorithm, package versions, and counts of the training data.
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
