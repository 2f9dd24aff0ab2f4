"""The system about itself: whether it runs, records, keeps up, is backed up, and tells people."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from watchkeeper.app import App
from watchkeeper.clock import system_clock
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.errors import InvalidValueError, NotFoundError, WatchkeeperError
from watchkeeper.monitoring.doctor import Check
from watchkeeper.monitoring.notifications import Waiting
from watchkeeper.monitoring.report_cache import Asked
from watchkeeper.readiness.evidence import BACKUP, BACKUP_CHECK, BACKUPS, RESTORE_TEST
from watchkeeper.records import Entry
from watchkeeper.results import plain, strict_json

__all__ = ["page"]

_PER_PAGE = 50
_LONGEST = 2_000  # characters of the evidence of an entry
_EXAMINED_FOR = 600.0  # seconds for which what the doctor found is shown


def page(app: App, ask: Ask) -> Page:
    """Return how the system is."""
    settings, now = app.settings, system_clock()
    disk = shutil.disk_usage(settings.data_dir)
    waiting = app.recorder.journal.waiting()
    jobs = sorted(ask.server.jobs(), key=lambda each: (each.well, each.name))
    return Page(
        template="system.html",
        title="System",
        section="System",
        context={
            "now": now,
            "started_at": ask.server.started_at,
            "faults": ask.server.not_ready(),
            "disk": disk,
            "low": disk.free <= settings.store.min_free_bytes,
            "waiting": waiting,
            "waiting_since": None
            if waiting.oldest is None
            else datetime.fromtimestamp(waiting.oldest, UTC),
            "jobs": jobs,
            "ill": [each.name for each in jobs if not each.well],
            "kept": _recorded(app, now),
            "backups": _backups(app),
            "told": _told(app),
            "checks": _examined(app, now) if ask.query.get("doctor") == "1" else None,
            "own": settings,
            "rows": list(_settings(app)),
            "trail": _trail(app, ask),
        },
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of a model, as the time lines last counted it."""

    model: str
    predictions: int | None
    labelled: int | None
    first: datetime | None
    last: datetime | None
    as_of: datetime | None
    versions: dict[str, int]


def _recorded(app: App, now: datetime) -> list[_Kept] | None:
    """Return what is kept of each model, as it was known a moment ago; None until it is known."""
    asked = Asked("recorded", "", of=None, at=now, make=lambda: list(_kept(app)))
    return app.reports.latest(asked).report


def _kept(app: App) -> Iterator[_Kept]:
    """Yield it of each model that has events or is in production."""
    for model in sorted({*app.events.models(), *app.registry.production()}):
        known = app.timelines.known(model)
        if known is None:  # to count everything would take seconds: the server does it by itself
            yield _Kept(model, None, None, None, None, None, {})
            continue
        try:
            line = app.timelines.timeline(model, points=1).timeline
        except NotFoundError:  # dropped meanwhile
            continue
        yield _Kept(
            model, int(line.predictions.sum()), int(line.labelled.sum()), line.first, line.last,
            known.at, known.table_versions,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Backups:
    """What was done about backups, as the audit trail has it."""

    taken: Entry | None
    checked: Entry | None
    tried: Entry | None
    late: bool


def _backups(app: App) -> _Backups:
    def last(action: str) -> Entry | None:
        found = app.audit.entries(subject=BACKUPS, action=action, limit=1)
        return found[0] if found else None

    own, taken = app.settings.backup, last(BACKUP)
    late = False
    if own.target and taken is not None:
        late = system_clock() - taken.at > 2 * timedelta(hours=own.hours)
    return _Backups(taken, last(BACKUP_CHECK), last(RESTORE_TEST), late)


@dataclass(frozen=True, slots=True)
class _Told:
    """Who is told of incidents, and what waits for them."""

    places: Sequence[Waiting]
    new: Sequence[str]
    error: str


def _told(app: App) -> _Told:
    try:
        receivers = app.settings.receivers()
    except WatchkeeperError as error:  # a file with an address cannot be read
        return _Told((), (), f"{error.message}. {error.hint}")
    places = app.receivers.waiting()
    begun = {each.receiver for each in places}
    return _Told(places, [each.name for each in receivers if each.name not in begun], "")


def _examined(app: App, now: datetime) -> Any:
    """Return what the doctor found, at most some minutes ago."""
    asked: Asked[list[Check]] = Asked(
        "doctor", "", of=now.timestamp() // _EXAMINED_FOR, at=now,
        make=lambda: list(app.examine()), lasting=True,
    )  # fmt: skip
    return app.reports.latest(asked)


def _settings(app: App) -> Iterator[tuple[str, str]]:
    """Yield the settings that matter here; of keys only how many there are."""
    own = app.settings
    server, store = own.server, own.store
    asks = f"{len(server.api_keys)} keys may act, {len(server.read_keys)} may read"
    yield "data_dir", str(own.data_dir.resolve())
    yield "server.host, port", f"{server.host}:{server.port}"
    yield "server.workers", f"{server.workers} process{'es' if server.workers > 1 else ''}"
    yield "server.api_keys, read_keys", "none: who reaches it may act" if app.access.open else asks
    if server.clock != "system":
        yield "server.clock", "events: the time is that of the newest event"
    yield "store.when_full", store.when_full
    yield "store.min_free_bytes", store.min_free_bytes.human_readable()
    yield "store.retention_days", _or_none(store.retention_days, "all is kept")
    yield "store.max_bytes", _or_none(store.max_bytes, "no limit")
    yield "store.compaction_hours", _or_none(store.compaction_hours, "never by itself")
    yield "backup.target", _without_secrets(own.backup.target) or "none"
    yield "notifications.receivers", ", ".join(own.notifications.receivers) or "none"
    yield "telemetry.url", own.url
    yield "telemetry.alertmanagers", ", ".join(map(_without_secrets, own.telemetry.alertmanagers))
    yield "telemetry.grafana", _without_secrets(own.telemetry.grafana) or "none"
    yield "telemetry.otlp_endpoint", _without_secrets(own.telemetry.otlp_endpoint) or "none"
    yield "registry.public_key", "signatures are asked for" if own.registry.public_key else "none"
    yield "log_level, log_file", f"{own.log_level}, {own.log_file or 'no file'}"


def _or_none(value: float | None, told: str) -> str:
    return told if value is None else f"{value:,.10g}"


def _without_secrets(address: str | None) -> str:
    """Return an address without what is before an @ or behind a question mark in it."""
    if address is None or "://" not in address:
        return address or ""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True, slots=True)
class _Trail:
    """A page of the audit trail."""

    entries: list[tuple[Entry, str]]
    model: str
    action: str
    actions: list[str]
    before: int | None
    older: int | None

    @property
    def query(self) -> dict[str, str]:
        """What was asked for, as the API takes it."""
        asked = {"model": self.model, "action": self.action, "before": str(self.before or "")}
        return {name: value for name, value in asked.items() if value}


def _trail(app: App, ask: Ask) -> _Trail:
    model, action = ask.query.get("model", "").strip(), ask.query.get("action", "").strip()
    asked = ask.query.get("before", "")
    if asked and not (asked.isdecimal() and len(asked) < 16):
        raise InvalidValueError("before", asked, "the number of an entry")
    before = int(asked) if asked else None
    found = app.audit.entries(
        model or None, action=action or None, before=before, limit=_PER_PAGE + 1
    )
    more = len(found) > _PER_PAGE
    found = found[:_PER_PAGE]
    return _Trail(
        entries=[(each, _proof(each)) for each in found],
        model=model,
        action=action,
        actions=app.audit.actions(),
        before=before,
        older=found[-1].number if more else None,
    )


def _proof(entry: Entry) -> str:
    text = strict_json(plain(entry.evidence)) if entry.evidence else ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
