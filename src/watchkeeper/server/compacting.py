"""Compaction on schedule: tables are kept small, and what is too old is dropped.

It computes for a while, so that it runs in a process of its own, after everybody else. When it last
ran is in the audit trail: restarts do not put it off, a time that was missed is made up once, and
of several processes on one data directory only the one that lands does it.
"""

import asyncio
import json
import logging
import os
import sys
from datetime import UTC, datetime, timedelta

from watchkeeper.app import App
from watchkeeper.clock import system_clock
from watchkeeper.config import Settings
from watchkeeper.results import strict_json
from watchkeeper.telemetry import SystemMetrics

__all__ = ["Compacting", "main"]

log = logging.getLogger(__name__)

ACTION, SUBJECT = "compact", "system:events"
_CHILD = "from watchkeeper.server.compacting import main; main()"
_LOWEST = 19
_LAST_WORDS = 2_000  # characters


class Compacting:
    """Compacts when it is time.

    Parameters
    ----------
    app : App
    system : SystemMetrics
    """

    def __init__(self, app: App, system: SystemMetrics) -> None:
        self._app, self._system = app, system

    async def look(self) -> bool:
        """Compact if it is time; return whether it was."""
        hours = self._app.settings.store.compaction_hours
        last = await asyncio.to_thread(self._last)
        if hours is None or last is None or system_clock() - last < timedelta(hours=hours):
            return False
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CHILD, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            given = self._app.settings.model_dump_json().encode()
            out, err = await process.communicate(given)
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        well = process.returncode == 0
        evidence = (
            json.loads(out) if well else {"error": err.decode(errors="replace")[-_LAST_WORDS:]}
        )
        self._system.ended("compaction", well=well)
        if not well:
            log.error("the tables could not be compacted: %s", evidence["error"])
        await asyncio.to_thread(
            self._app.audit.note, at=system_clock(), actor="watchkeeper", action=ACTION,
            subject=SUBJECT, reason="its time has come" if well else "it failed", evidence=evidence,
        )  # fmt: skip
        return True

    def _last(self) -> datetime | None:
        """Return when it last ran, or else when the first table was made."""
        for entry in self._app.audit.entries(subject=SUBJECT, action=ACTION, limit=1):
            return entry.at
        events = self._app.settings.data_dir / "events"
        made = [
            each.stat().st_mtime for each in events.glob(f"*/predictions/_delta_log/{0:020}.json")
        ]
        return datetime.fromtimestamp(min(made), UTC) if made else None


def main() -> None:
    """Compact by the settings on standard input, and print what was done."""
    os.nice(_LOWEST)
    with App(Settings.model_validate_json(sys.stdin.read())) as app:
        report = app.compact()
    sys.stdout.write(strict_json(report))
