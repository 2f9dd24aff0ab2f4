"""Backups: taken, checked and restored, each with its entry in the audit trail."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from watchkeeper.clock import Clock
from watchkeeper.errors import IntegrityError, InvalidValueError, WatchkeeperError
from watchkeeper.identity import By
from watchkeeper.readiness.evidence import BACKUP, BACKUP_CHECK, BACKUPS, RESTORE_TEST
from watchkeeper.records import AuditTrail
from watchkeeper.store.backup import Backup, BackupStore

__all__ = ["Backups"]


class Backups:
    """The backups of one data directory.

    Parameters
    ----------
    data_dir : Path
    audit : AuditTrail
    clock : Clock
        Of the system.
    target : str or None
        Where backups are by default.
    keep : int
        How many stay.
    contents : callable
        Opens a restored data directory and counts and checks what is in it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        audit: AuditTrail,
        clock: Clock,
        target: str | None,
        keep: int,
        contents: Callable[[Path], Mapping[str, int]],
    ) -> None:
        self._data_dir, self._audit, self._clock = data_dir, audit, clock
        self._target, self._keep, self._contents = target, keep, contents

    def find(self, *, target: str | None = None) -> list[Backup]:
        """Return the backups, the newest first.

        Parameters
        ----------
        target : str, optional
            A folder or an address; by default that of the settings.

        Returns
        -------
        list of Backup

        Raises
        ------
        InvalidValueError
            If no target is known.
        """
        return self._at(target).find()

    def create(self, *, target: str | None = None, by: By) -> dict[str, Any]:
        """Take a backup and remove those that are too many.

        Parameters
        ----------
        target : str, optional
            As in `find`.
        by : By

        Returns
        -------
        dict of str to Any
            The fields of the backup, and the names of those that were ``removed``.

        Raises
        ------
        InvalidValueError
            If no target is known, or none can be there.
        ConflictError
            If another backup is being taken.
        UnavailableError
            If the target cannot be written.
        """
        store = self._at(target)
        backup = store.create(self._clock)
        report = {**backup.to_dict(), "removed": store.prune(self._keep)}
        reason = by.reason or f"{backup.name}: {backup.files:,} files, {backup.size:,} bytes"
        self._note(BACKUP, by.with_reason(reason), {"passed": True, **report})
        return report

    def keep_failure(self, error: str, *, by: By) -> None:
        """Record that a backup could not be taken, and why.

        Parameters
        ----------
        error : str
            Why.
        by : By
        """
        self._note(BACKUP, by, {"passed": False, "error": error})

    def verify(self, name: str | None = None, *, target: str | None = None, by: By) -> Backup:
        """Read a backup and check every byte of it; the result is kept as evidence.

        Parameters
        ----------
        name : str, optional
            By default the newest.
        target : str, optional
        by : By

        Returns
        -------
        Backup

        Raises
        ------
        NotFoundError
            If there is no such backup.
        IntegrityError
            If it is not whole.
        """
        try:
            backup = self._at(target).verify(name)
        except IntegrityError as error:
            self._note(BACKUP_CHECK, by.with_reason(error.message), {"passed": False, "name": name})
            raise
        reason = by.with_reason(f"{backup.name} is whole")
        self._note(BACKUP_CHECK, reason, {"passed": True, "name": backup.name})
        return backup

    def rehearse(
        self,
        name: str | None = None,
        *,
        target: str | None = None,
        folder: Path | None = None,
        by: By,
    ) -> tuple[dict[str, Any], str]:
        """Restore a backup aside, and count and check what is in it; the result is evidence.

        Parameters
        ----------
        name : str, optional
            By default the newest.
        target : str, optional
        folder : Path, optional
            With room for it; by default the one for temporary files.
        by : By

        Returns
        -------
        evidence : dict of str to Any
            With ``passed``.
        reason : str
            The same in words.
        """
        evidence: dict[str, Any] = {}
        try:
            with TemporaryDirectory(prefix="watchkeeper-restore-", dir=folder) as aside:
                target_folder = Path(aside) / "data"
                evidence = {
                    **self._at(target).restore(target_folder, name),
                    **self._contents(target_folder),
                }
        except WatchkeeperError as error:
            reason = str(error)
            evidence |= {"name": name, "passed": False, "error": reason}
        else:
            evidence["passed"] = True
            reason = (
                f"{evidence['name']} can be restored: {evidence['predictions']:,} predictions, "
                f"{evidence['outcomes']:,} outcomes, {evidence['versions']:,} versions"
            )
        self._note(RESTORE_TEST, by.with_reason(reason), evidence)
        return evidence, reason

    def restore(self, into: Path, name: str | None = None, *, target: str | None = None) -> Backup:
        """Make a data directory of a backup, which has its own audit trail; nothing is overwritten.

        Parameters
        ----------
        into : Path
            An empty folder, or one that does not exist yet.
        name : str, optional
            By default the newest.
        target : str, optional
            As in `find`.

        Returns
        -------
        Backup

        Raises
        ------
        ConflictError
            If the folder is not empty.
        NotFoundError, IntegrityError
            As `verify`.
        InvalidValueError
            If no target is known.
        """
        return self._at(target).restore(into, name)

    def _at(self, target: str | None) -> BackupStore:
        chosen = target or self._target
        if chosen is None:
            raise InvalidValueError("backup.target", None, "a folder or an address for backups")
        return BackupStore(self._data_dir, chosen)

    def _note(self, action: str, by: By, evidence: Mapping[str, Any]) -> None:
        self._audit.note(at=self._clock(), by=by, action=action, subject=BACKUPS, evidence=evidence)
