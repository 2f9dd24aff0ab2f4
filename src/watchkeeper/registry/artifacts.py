"""Files of a version: written whole or not at all, and checked before they are believed."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from watchkeeper.durable import sync
from watchkeeper.errors import IntegrityError

__all__ = ["Artifacts", "about_bytes"]

_INCOMING = ".incoming"


def about_bytes(data: bytes) -> dict[str, Any]:
    """Return the ``sha256`` and ``size`` of a file's bytes.

    Parameters
    ----------
    data : bytes
        Of a file.

    Returns
    -------
    dict of str to object
    """
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


class Artifacts:
    """The folders of all versions, one a version: ``<model>/<version>/``.

    Parameters
    ----------
    root : Path
        Where they lie.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, model_name: str, version: str) -> Path:
        """Return where the files of a version lie.

        Parameters
        ----------
        model_name, version : str

        Returns
        -------
        Path
        """
        return self._root / model_name / version

    def prepare(self, files: Mapping[str, bytes]) -> tuple[Path, dict[str, dict[str, Any]]]:
        """Write `files` to a folder aside; return it and each file's ``sha256`` and ``size``.

        Parameters
        ----------
        files : mapping of str to bytes
            Bytes, or ``sha256`` and ``size``, by path in the folder.

        Returns
        -------
        tuple of (Path, dict of str to dict of str to object)
        """
        folder = self._root / _INCOMING / secrets.token_hex(8)
        folder.mkdir(parents=True)
        about: dict[str, dict[str, Any]] = {}
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            about[name] = about_bytes(data)
        for inner in {(folder / name).parent for name in files}:
            sync(inner)
        return folder, about

    def publish(self, prepared: Path, model_name: str, version: str) -> None:
        """Move a prepared folder to its place, in one step.

        The caller holds the version's row in an open transaction, so that a folder that is there
        already is what a registration left that died before it committed.

        Parameters
        ----------
        prepared : Path
            A folder of `prepare`.
        model_name, version : str
        """
        target = self.folder(model_name, version)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            orphan = self._root / _INCOMING / secrets.token_hex(8)
            target.rename(orphan)
            shutil.rmtree(orphan)
        prepared.rename(target)
        sync(target.parent)

    def discard(self, folder: Path) -> None:
        """Remove a prepared folder that is not needed, if it is there.

        Parameters
        ----------
        folder : Path
        """
        shutil.rmtree(folder, ignore_errors=True)

    def read(self, folder: Path, name: str, about: Mapping[str, Any]) -> bytes:
        """Return the bytes of a file, which are those that were registered.

        Parameters
        ----------
        folder : Path
        name : str
        about : mapping of str to object
            Its ``sha256`` and ``size`` at registration.

        Returns
        -------
        bytes

        Raises
        ------
        IntegrityError
            If the file is missing or differs in a single bit.
        """
        path = folder / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise IntegrityError(
                f"{path} cannot be read ({error.strerror}); its version was registered with it",
                "Restore the file from a backup, or roll back to another version.",
            ) from error
        actual = hashlib.sha256(data).hexdigest()
        if actual != about["sha256"]:
            raise IntegrityError(
                f"{path} has SHA-256 {actual}; it was registered with {about['sha256']}",
                "The file was changed. Restore it from a backup, or roll back.",
            )
        return data

    def verify(self, folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
        """Check every file of a version, and that there is no other.

        Parameters
        ----------
        folder : Path
        files : mapping of str to mapping of str to object
            Bytes, or ``sha256`` and ``size``, by path in the folder.

        Raises
        ------
        IntegrityError
            If anything was changed, removed or added.
        """
        for name, about in files.items():
            self.read(folder, name, about)
        there = (path for path in folder.rglob("*") if not path.is_dir())
        added = sorted({path.relative_to(folder).as_posix() for path in there} - set(files))
        if added:
            raise IntegrityError(
                f"{folder} holds files that were not registered: {', '.join(added)}",
                "Remove them after finding out who put them there.",
            )
