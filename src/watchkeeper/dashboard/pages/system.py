"""State of the system: readiness, jobs, events, backups and notifications."""

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
from watchkeeper.monitoring.doctor import DoctorCheck
from watchkeeper.monitoring.notifications import ReceiverBacklog
from watchkeeper.monitoring.report_cache import Asked
from watchkeeper.readiness.evidence import BACKUP, BACKUP_CHECK, BACKUPS, RESTORE_TEST
from watchkeeper.records import Entry
from watchkeeper.results import plain, strict_json

__all__ = ["page"]

_PER_PAGE = 50
_LONGEST = 2_000  # characters of the evidence of an entry
_EXAMINED_FOR = 600.0  # seconds for which what the doctor found is shown


def page(app: App, ask: Ask) -> Page:
    """Return the page of the system.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    InvalidValueError
        If ``before`` is not the number of an entry.
    """
    settings, now = app.settings, system_clock()
    disk = shutil.disk_usage(settings.data_dir)
    waiting = app.recorder.journal.waiting()
    jobs = sorted(ask.server.jobs(), key=lambda job: (job.well, job.name))
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
            "failed_jobs": [job.name for job in jobs if not job.well],
            "kept": _recorded(app, now),
            "backups": _backups(app),
            "notifications": _notifications(app),
            "checks": _examined(app, now) if ask.query.get("doctor") == "1" else None,
            "settings": settings,
            "rows": list(_settings(app)),
            "trail": _trail(app, ask),
        },
    )


@dataclass(frozen=True, slots=True)
class _RecordedEvents:
    """Recorded events of a model, as last counted by the time lines."""

    model: str
    predictions: int | None
    labelled: int | None
    first: datetime | None
    last: datetime | None
    as_of: datetime | None
    versions: dict[str, int]


def _recorded(app: App, now: datetime) -> list[_RecordedEvents] | None:
    """Return the recorded events of each model; None until they are counted."""
    query = Asked("recorded", "", of=None, at=now, make=lambda: list(_recorded_events(app)))
    return app.reports.latest(query).report


def _recorded_events(app: App) -> Iterator[_RecordedEvents]:
    """Yield the recorded events of each model that has events or is in production."""
    for model in sorted({*app.events.models(), *app.registry.production()}):
        counted = app.timelines.known(model)
        if counted is None:  # to count everything would take seconds: the server does it by itself
            yield _RecordedEvents(model, None, None, None, None, None, {})
            continue
        try:
            line = app.timelines.timeline(model, points=1).timeline
        except NotFoundError:  # dropped meanwhile
            continue
        yield _RecordedEvents(
            model, int(line.predictions.sum()), int(line.labelled.sum()), line.first, line.last,
            counted.at, counted.table_versions,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Backups:
    """Last backup, verification and restore test, from the audit trail."""

    taken: Entry | None
    checked: Entry | None
    tried: Entry | None
    late: bool


def _backups(app: App) -> _Backups:
    def last(action: str) -> Entry | None:
        entries = app.audit.entries(subject=BACKUPS, action=action, limit=1)
        return entries[0] if entries else None

    settings, taken = app.settings.backup, last(BACKUP)
    late = False
    if settings.target and taken is not None:
        late = system_clock() - taken.at > 2 * timedelta(hours=settings.hours)
    return _Backups(taken, last(BACKUP_CHECK), last(RESTORE_TEST), late)


@dataclass(frozen=True, slots=True)
class _Notifications:
    """Receivers of incidents, and their pending deliveries."""

    deliveries: Sequence[ReceiverBacklog]
    new: Sequence[str]
    error: str


def _notifications(app: App) -> _Notifications:
    try:
        receivers = app.settings.receivers()
    except WatchkeeperError as error:  # a file with an address cannot be read
        return _Notifications((), (), f"{error.message}. {error.hint}")
    deliveries = app.receivers.waiting()
    begun = {delivery.receiver for delivery in deliveries}
    return _Notifications(
        deliveries, [receiver.name for receiver in receivers if receiver.name not in begun], ""
    )


def _examined(app: App, now: datetime) -> Any:
    """Return the results of the doctor, at most some minutes old."""
    query: Asked[list[DoctorCheck]] = Asked(
        "doctor", "", of=now.timestamp() // _EXAMINED_FOR, at=now,
        make=lambda: list(app.examine()), lasting=True,
    )  # fmt: skip
    return app.reports.latest(query)


def _settings(app: App) -> Iterator[tuple[str, str]]:
    """Yield the settings that matter here; of keys only how many there are."""
    settings = app.settings
    server, store = settings.server, settings.store
    asks = f"{len(server.api_keys)} keys may act, {len(server.read_keys)} may read"
    yield "data_dir", str(settings.data_dir.resolve())
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
    yield "backup.target", _without_secrets(settings.backup.target) or "none"
    yield "notifications.receivers", ", ".join(settings.notifications.receivers) or "none"
    yield "telemetry.url", settings.url
    yield (
        "telemetry.alertmanagers",
        ", ".join(map(_without_secrets, settings.telemetry.alertmanagers)),
    )
    yield "telemetry.grafana", _without_secrets(settings.telemetry.grafana) or "none"
    yield "telemetry.otlp_endpoint", _without_secrets(settings.telemetry.otlp_endpoint) or "none"
    yield (
        "registry.public_key",
        "signatures are asked for" if settings.registry.public_key else "none",
    )
    yield "log_level, log_file", f"{settings.log_level}, {settings.log_file or 'no file'}"


def _or_none(value: float | None, text: str) -> str:
    return text if value is None else f"{value:,.10g}"


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
        """The query, as the API takes it."""
        values = {"model": self.model, "action": self.action, "before": str(self.before or "")}
        return {name: value for name, value in values.items() if value}


def _trail(app: App, ask: Ask) -> _Trail:
    model, action = ask.query.get("model", "").strip(), ask.query.get("action", "").strip()
    values = ask.query.get("before", "")
    if values and not (values.isdecimal() and len(values) < 16):
        raise InvalidValueError("before", values, "the number of an entry")
    before = int(values) if values else None
    entries = app.audit.entries(
        model or None, action=action or None, before=before, limit=_PER_PAGE + 1
    )
    more = len(entries) > _PER_PAGE
    entries = entries[:_PER_PAGE]
    return _Trail(
        entries=[(entry, _proof(entry)) for entry in entries],
        model=model,
        action=action,
        actions=app.audit.actions(),
        before=before,
        older=entries[-1].number if more else None,
    )


def _proof(entry: Entry) -> str:
    text = strict_json(plain(entry.evidence)) if entry.evidence else ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
