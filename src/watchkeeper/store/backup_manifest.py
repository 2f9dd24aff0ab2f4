"""What a backup has: its moment, its files and their digests."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from watchkeeper.errors import IntegrityError
from watchkeeper.results import Result

__all__ = ["Backup", "Manifest"]


@dataclass(frozen=True, slots=True)
class Backup(Result):
    """One backup.

    Attributes
    ----------
    name : str
        When it was taken, as a file name.
    point : datetime
        All that was acknowledged before this moment is in it.
    files, size : int
        How many files it has, and their bytes.
    written_by : str
        The version of Watchkeeper.
    """

    name: str
    point: datetime
    files: int
    size: int
    written_by: str


@dataclass(slots=True)
class Manifest:
    """The files of one backup with their digests and sizes; it is written last."""

    name: str
    point: str
    written_by: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return it as JSON, with a digest of itself.

        Returns
        -------
        bytes
        """
        content = {name: getattr(self, name) for name in ("name", "point", "written_by", "files")}
        content["digest"] = self._digest()
        return json.dumps(content, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "Manifest":
        """Return the manifest that was read from `where`.

        Parameters
        ----------
        data : bytes
        where : str

        Returns
        -------
        Manifest

        Raises
        ------
        IntegrityError
            If it was changed.
        """
        try:
            content = json.loads(data)
            digest = content.pop("digest")
            manifest = cls(**content)
            if digest == manifest._digest():
                return manifest
        except (ValueError, TypeError, KeyError):
            pass
        raise IntegrityError(f"the manifest {where} was changed, or is none", "Use another backup.")

    def _digest(self) -> str:
        content = [self.name, self.point, self.written_by, self.files]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def about(self) -> Backup:
        """Return the backup that it describes.

        Returns
        -------
        Backup
        """
        return Backup(
            name=self.name,
            point=datetime.fromisoformat(self.point),
            files=len(self.files),
            size=sum(entry["size"] for entry in self.files.values()),
            written_by=self.written_by,
        )
