"""Whether a stored version is what was registered: its signature, and the audit trail."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from watchkeeper.errors import IntegrityError
from watchkeeper.registry.registration import MANIFEST
from watchkeeper.registry.signing import check_signature
from watchkeeper.registry.versions import ModelVersion
from watchkeeper.results import plain

__all__ = ["check_noted", "check_signed"]

_SIGNED = ("model_id", "format", "unsafe", "trusted", "signature")
"""What decides how a version is loaded and called; the signed manifest has it too."""
_NOTED = ("files", "unsafe", "trusted")
"""What the audit trail keeps of a registration."""


def check_signed(version: ModelVersion, folder: Path, public_key: Path) -> None:
    """Compare a version with what was signed.

    Parameters
    ----------
    version : ModelVersion
    folder : Path
        Of its files.
    public_key : Path

    Raises
    ------
    IntegrityError
        If the signature does not fit the files, or the manifest not the control database.
    InvalidValueError
        If there is no such key.
    """
    check_signature(folder, public_key, version.model_id)
    signed = json.loads((folder / MANIFEST).read_bytes())
    stored = version.to_dict()
    other = [name for name in _SIGNED if signed[name] != stored[name]]
    if other:
        raise IntegrityError(
            f"the control database differs for {version.model_id} than what was signed: "
            f"{', '.join(other)}",
            "One of them was changed. Restore it from a backup, or roll back.",
        )


def check_noted(version: ModelVersion, noted: Mapping[str, Any] | None) -> None:
    """Compare a version with what the audit trail has of its registration.

    Parameters
    ----------
    version : ModelVersion
    noted : mapping or None
        The evidence of its registration.

    Raises
    ------
    IntegrityError
        If there is none, or it differs.
    """
    if noted is None:
        raise IntegrityError(
            f"the audit trail has no registration of {version.model_id}",
            "The entry was removed. Restore the control database from a backup.",
        )
    other = [name for name in _NOTED if noted.get(name) != plain(getattr(version, name))]
    if other:
        raise IntegrityError(
            f"the control database differs for {version.model_id} than the audit trail "
            f"does of its registration: {', '.join(other)}",
            "One of them was changed. Restore it from a backup, or roll back.",
        )
