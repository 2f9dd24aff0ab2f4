"""What is done on schedule to keep a data directory well: compaction and backups.

Each takes a while, so that it runs in a process of its own, after everybody else. When it last ran
is in the audit trail: restarts do not put it off, a time that was missed is made up once, and of
several processes on one data directory only the one that lands does it.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from watchkeeper.app import App
from watchkeeper.clock import system_clock
from watchkeeper.config import Settings
from watchkeeper.identity import CONTROLLER, By
from watchkeeper.operations.compactions import COMPACTION, EVENTS
from watchkeeper.readiness.evidence import BACKUP, BACKUPS
from watchkeeper.telemetry import SystemMetrics

__all__ = ["CHILD", "TASKS", "MaintenanceTask", "Upkeep", "main"]

log = logging.getLogger(__name__)

CHILD = "import os; os.nice(19); from watchkeeper.jobs.maintenance import main; main()"
"""What such a process runs, with the name of the task after it and the settings to read."""

_AGAIN_AFTER = 1.0  # hours, when it failed
_LAST_WORDS = 2_000  # characters


@dataclass(frozen=True, slots=True)
class MaintenanceTask:
    """One thing that is done on schedule.

    Attributes
    ----------
    name : str
        As metrics tell it.
    action, subject : str
        As the audit trail tells it.
    hours : callable
        How often the settings ask for it; None for never.
    run : callable
        What is done; it writes its entry in the audit trail.
    failed : callable
        Writes an entry of what could not be done.
    """

    name: str
    action: str
    subject: str
    hours: Callable[[Settings], float | None]
    run: Callable[[App, By], Mapping[str, Any]]
    failed: Callable[[App, str, By], None]


def _backup_hours(settings: Settings) -> float | None:
    return settings.backup.hours if settings.backup.target else None


TASKS = (
    MaintenanceTask(
        name="compaction", action=COMPACTION, subject=EVENTS,
        hours=lambda settings: settings.store.compaction_hours,
        run=lambda app, by: app.compactions.run(by=by),
        failed=lambda app, error, by: app.compactions.keep_failure(error, by=by),
    ),
    MaintenanceTask(
        name="backup", action=BACKUP, subject=BACKUPS, hours=_backup_hours,
        run=lambda app, by: app.backups.create(by=by),
        failed=lambda app, error, by: app.backups.keep_failure(error, by=by),
    ),
)  # fmt: skip


class Upkeep:
    """Does each thing when it is time.

    Parameters
    ----------
    app : App
    system : SystemMetrics
    """

    def __init__(self, app: App, system: SystemMetrics) -> None:
        self._app, self._system = app, system

    async def look(self) -> list[str]:
        """Do what it is time for, one after the other; return what that was.

        Returns
        -------
        list of str
            Names of the tasks.
        """
        done = []
        for task in TASKS:
            try:
                if await self._look(task):
                    done.append(task.name)
            except Exception:
                self._system.ended(task.name, well=False)
                log.exception("the schedule of the %s cannot be evaluated", task.name)
        return done

    async def _look(self, task: MaintenanceTask) -> bool:
        hours = task.hours(self._app.settings)
        if hours is None:
            return False
        last, well = await asyncio.to_thread(self._last, task)
        wait = timedelta(hours=hours if well else min(hours, _AGAIN_AFTER))
        if last is None or system_clock() - last < wait:
            return False
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, task.name, stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            settings = self._app.settings.model_dump_json().encode()
            _, errors = await process.communicate(settings)
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        well = process.returncode == 0
        self._system.ended(task.name, well=well)
        if not well:
            error = errors.decode(errors="replace")[-_LAST_WORDS:]
            log.error("the %s failed: %s", task.name, error)
            by = By(CONTROLLER, "it failed")
            await asyncio.to_thread(task.failed, self._app, error, by)
        return True

    def _last(self, task: MaintenanceTask) -> tuple[datetime | None, bool]:
        """Return when it last ran, or else when the first table was made, and whether well."""
        for entry in self._app.audit.entries(subject=task.subject, action=task.action, limit=1):
            return entry.at, entry.evidence.get("passed") is not False
        events = self._app.settings.data_dir / "events"
        made = [
            each.stat().st_mtime for each in events.glob(f"*/predictions/_delta_log/{0:020}.json")
        ]
        return (datetime.fromtimestamp(min(made), UTC) if made else None), True


def main() -> None:
    """Do what is named by the settings on standard input."""
    (task,) = (task for task in TASKS if task.name == sys.argv[1])
    with App(Settings.model_validate_json(sys.stdin.read())) as app:
        task.run(app, By(CONTROLLER, "its time has come"))
