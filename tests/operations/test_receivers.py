"""Notifications: once each, in groups, not at night, and in the end, with real receivers."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message as Mail
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from hypothesis import given
from hypothesis import strategies as st
from tests.parts import free_port

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.config import Settings, load_settings
from watchkeeper.errors import InvalidValueError
from watchkeeper.identity import By
from watchkeeper.incidents import Incident
from watchkeeper.monitoring.notifications import NotificationQueue
from watchkeeper.notifications import QuietHours, Receiver
from watchkeeper.notifications.message import Message, shortened
from watchkeeper.notifications.sending import check_url, send
from watchkeeper.operations.receivers import Receivers
from watchkeeper.testing import FixedClock

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # in Apprise

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
URL = "http://watchkeeper.test"


class Hook:
    """A webhook on loopback, which may be told to be down."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200
        self.longest = 1_000_000  # characters of a text; more is refused
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = hook.status if len(body.get("text", "")) <= hook.longest else 400
                if status == 200:
                    hook.got.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"json://127.0.0.1:{self._server.server_port}/hook"

    def end(self) -> None:
        self._server.shutdown()
        self._thread.join(60)
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    own = Hook()
    yield own
    own.end()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with App(Settings(data_dir=tmp_path), clock=FixedClock(NOON)) as own:
        yield own


def opened(app: App, at: datetime, source: str = "x", severity: Any = "warning") -> Incident:
    return app.incidents.open(
        "late", f"accuracy fell ({source})", severity=severity, source=source, evidence={}, at=at,
        runbook="http://x/runbook#late",
    )  # fmt: skip


def service(app: App, *receivers: Receiver, wait: float = 30.0) -> Receivers:
    """Return the receivers of an app as if its settings had these."""
    queue = NotificationQueue(app.places, incidents=app.incidents.repository, audit=app.audit)
    return Receivers(
        app.places, queue=queue, alerts=app.alerts, audit=app.audit, clock=app.clock,
        configured=lambda: receivers, send=send, url=URL, group_wait=wait,
    )  # fmt: skip


def tell(app: App, at: datetime, *receivers: Receiver, wait: float = 30.0) -> list[Any]:
    return service(app, *receivers, wait=wait).deliver(at)


def test_given_incidents_when_they_happen_together_then_they_are_told_once_as_a_group(
    app: App, hook: Hook
) -> None:
    receiver = Receiver("team", hook.url)
    opened(app, NOON - timedelta(days=1), "before anybody was to be told")
    assert tell(app, NOON, receiver) == []
    first = opened(app, NOON, "a")
    opened(app, NOON + timedelta(seconds=20), "b")
    assert tell(app, NOON + timedelta(seconds=29), receiver) == []  # the group may grow

    (told,) = tell(app, NOON + timedelta(seconds=31), receiver)

    assert (told.changes, told.error) == (2, "")
    (message,) = hook.got
    assert message["title"] == "[warning] 2 incidents of late"
    assert "accuracy fell (a)" in message["message"]
    assert f"{URL}/v1/incidents/{first.name}" in message["message"]
    assert "http://x/runbook#late" in message["message"]
    assert "before anybody" not in message["message"]
    assert tell(app, NOON + timedelta(hours=1), receiver) == []

    app.incidents.resolve(first.name, "sensor replaced", by=By("ada"))
    tell(app, NOON + timedelta(hours=2), receiver)
    assert hook.got[1]["title"] == "[warning] late: resolved: accuracy fell (a)"
    assert "sensor replaced" in hook.got[1]["message"]
    assert "by ada" in hook.got[1]["message"]


def test_given_a_receiver_that_is_down_for_an_hour_when_it_is_back_then_nothing_was_lost(
    app: App, hook: Hook, tmp_path: Path
) -> None:
    receiver, other = Receiver("team", hook.url), Receiver("gone", "json://127.0.0.1:9")
    tell(app, NOON, receiver, other)
    opened(app, NOON, "a", "critical")
    hook.status = 503
    at, tries = NOON + timedelta(seconds=31), []
    while at < NOON + timedelta(hours=1):
        tries += [(at, each) for each in tell(app, at, receiver)]
        at += timedelta(seconds=10)
        if len(tries) == 3:
            opened(app, at, "b", "critical")
    waits = [(b[0] - a[0]).total_seconds() for a, b in pairwise(tries)]
    assert waits[:4] == [30, 60, 120, 240]
    assert max(waits) <= 910
    assert all("503" in each.error or each.error for _, each in tries)
    (place,) = [p for p in app.places.find() if p.receiver == "team" and p.tries]
    assert place.error
    with App(Settings(data_dir=tmp_path)) as restarted:  # another process, another day
        hook.status = 200
        (told,) = tell(restarted, at + timedelta(minutes=15), receiver)
        assert (told.changes, told.error) == (2, "")
    assert len(hook.got) == 1
    assert tell(app, at + timedelta(minutes=30), receiver) == []
    (still,) = tell(app, at + timedelta(minutes=30), other)
    assert "Connection" in still.error


def test_given_quiet_hours_when_it_is_night_then_warnings_wait_and_critical_ones_do_not(
    app: App, hook: Hook
) -> None:
    receiver = Receiver("team", hook.url, quiet=QuietHours.parse("22:00-07:00", "Europe/Berlin"))
    tell(app, NOON, receiver)
    night = datetime(2026, 7, 1, 23, tzinfo=UTC)  # one o'clock in Berlin
    opened(app, night, "a")
    opened(app, night, "b", "critical")
    (told,) = tell(app, night + timedelta(minutes=1), receiver)
    assert told.severity == "critical"
    assert tell(app, datetime(2026, 7, 2, 4, 59, tzinfo=UTC), receiver) == []
    (morning,) = tell(app, datetime(2026, 7, 2, 5, 0, tzinfo=UTC), receiver)
    assert (morning.severity, morning.changes) == ("warning", 1)


@pytest.mark.parametrize(
    ("hours", "at", "until"),
    [
        ("22:00-07:00", "2026-07-01T21:59", None),
        ("22:00-07:00", "2026-07-01T22:00", "2026-07-02T07:00"),
        ("22:00-07:00", "2026-07-02T06:59", "2026-07-02T07:00"),
        ("22:00-07:00", "2026-07-02T07:00", None),
        ("12:00-13:30", "2026-07-02T13:00", "2026-07-02T13:30"),
        ("12:00-13:30", "2026-07-02T11:00", None),
    ],
)
def test_given_hours_when_asked_then_they_end_when_they_say(
    hours: str, at: str, until: str | None
) -> None:
    found = QuietHours.parse(hours).until(datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert found == (None if until is None else datetime.fromisoformat(until).replace(tzinfo=UTC))


def test_given_receivers_that_want_less_when_told_then_they_get_no_more(
    app: App, hook: Hook
) -> None:
    pager = Receiver("pager", hook.url, severity="critical")
    other = Receiver("other", hook.url, models=("flights",))
    tell(app, NOON, pager, other)
    opened(app, NOON, "a")
    assert tell(app, NOON + timedelta(hours=1), pager, other) == []
    opened(app, NOON, "b", "critical")
    assert [each.receiver for each in tell(app, NOON + timedelta(hours=1), pager, other)] == [
        "pager"
    ]


class Mails:
    """What an SMTP server on loopback got."""

    def __init__(self) -> None:
        self.got: list[Mail] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.got.append(message_from_bytes(envelope.content))
        return "250 OK"


def test_given_mail_when_told_then_it_arrives_as_text(app: App) -> None:
    mails, port = Mails(), free_port()
    controller = Controller(mails, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        receiver = Receiver(
            "mail",
            f"mailto://127.0.0.1:{port}?from=wk@example.com&to=ada@example.com&mode=insecure",
        )
        tell(app, NOON, receiver)
        opened(app, NOON, "a", "critical")
        (told,) = tell(app, NOON + timedelta(minutes=1), receiver)
    finally:
        controller.stop()
    assert told.error == ""
    (mail,) = mails.got
    assert mail["Subject"] == "[critical] late: opened: accuracy fell (a)"
    assert mail["To"] is not None
    assert "ada@example.com" in mail["To"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('quiet_hours = "ten to seven"', "22:00-07:00"),
        ('quiet_hours = "22:00-22:00"', "an end that is not the start"),
        ('time_zone = "Berlin"', "Europe/Berlin"),
        ("[notifications.receivers.team]", "either url, or url_file"),
        ('[notifications.receivers."a b"]\nurl = "json://x"', "receivers"),
    ],
)
def test_given_settings_that_cannot_be_when_read_then_the_error_says_what_is_expected(
    tmp_path: Path, settings: str, said: str
) -> None:
    path = tmp_path / "watchkeeper.toml"
    path.write_text(f"[notifications]\n{settings}\n")
    with pytest.raises(InvalidValueError, match=said):
        load_settings(path)


def test_given_an_address_that_is_none_when_used_then_it_is_told_without_what_is_secret() -> None:
    with pytest.raises(InvalidValueError, match="Apprise understands") as caught:
        check_url("nonsense://token-of-mine@host")
    assert "token-of-mine" not in str(caught.value)


def test_given_the_commands_when_a_receiver_is_tried_then_that_it_arrived_is_evidence(
    hook: Hook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, config = tmp_path / "data", tmp_path / "watchkeeper.toml"
    common = ["--config", str(config)]
    config.write_text(f'data_dir = "{data}"\n')

    def told(*arguments: str, code: int) -> str:
        assert main(["notifications", *arguments, *common]) == code
        out, error = capsys.readouterr()
        return " ".join((out + error).split())

    assert "notifications.receivers" in told("list", code=2)
    (tmp_path / "secret").write_text(f"{hook.url}\n")
    config.write_text(
        f'data_dir = "{data}"\n[notifications.receivers.team]\nurl_file = "{tmp_path}/secret"\n'
    )
    assert "no delivery yet: team" in told("list", code=0)
    assert "arrived" in told("test", code=0)
    assert "nobody" in told("test", "nobody", code=2)
    assert hook.got[0]["title"] == "Watchkeeper: a test"
    hook.status = 500
    assert "team" in told("test", "team", code=1)
    with App(load_settings(config)) as app:
        (failed, well) = app.audit.entries(subject="system:notifications")
        assert (well.evidence["passed"], failed.evidence["passed"]) == (True, False)
        app.registry.register_model(len, "late", "1", {}, allow_unsafe=True)
        found = {each.item.key: each for each in app.checklists.of("late").points}
        assert found["on-call"].state == "fail"
        hook.status = 200
        assert "arrived" in told("test", code=0)
        found = {each.item.key: each for each in app.checklists.of("late").points}
        assert found["on-call"].state == "pass"


def test_given_a_new_receiver_when_begun_then_it_is_told_of_what_comes_before_the_first_look(
    app: App, hook: Hook
) -> None:
    receiver = Receiver("pager", hook.url, severity="critical")
    opened(app, NOON, "before", "critical")
    service(app, receiver).begin()
    opened(app, NOON, "after", "critical")

    service(app, receiver).begin()  # a restart moves nothing
    tell(app, NOON + timedelta(minutes=1), receiver)
    (message,) = hook.got
    assert "(after)" in message["message"]
    assert "(before)" not in message["message"]


def test_given_more_changes_than_are_read_at_once_when_unwanted_then_what_is_wanted_is_told(
    app: App, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = type(app.audit).after
    read: list[int] = []

    def after(trail: Any, number: int, about: str) -> Any:
        read.append(number)
        return whole(trail, number, about, limit=2)

    monkeypatch.setattr(type(app.audit), "after", after)
    pager = Receiver("pager", hook.url, severity="critical")
    service(app, pager).begin()
    for number in range(5):
        opened(app, NOON, f"noise {number}")
    tell(app, NOON, pager)
    assert app.audit.last() == 5
    (place,) = app.places.find()
    assert place.told == 5  # what it does not want is read once

    for number in range(5):
        opened(app, NOON, f"more noise {number}")
    opened(app, NOON, "wanted", "critical")
    tell(app, NOON + timedelta(minutes=1), pager)
    (message,) = hook.got
    assert "(wanted)" in message["message"]
    assert min(read[4:]) == 5


LONGEST = 4_000


def test_given_a_storm_when_a_service_takes_little_then_a_message_arrives_that_says_so(
    app: App, hook: Hook
) -> None:
    hook.longest = LONGEST
    chat = Receiver("chat", hook.url.replace("json://", "mmost://").replace("hook", "a" * 26))
    service(app, chat).begin()
    for number in range(60):
        opened(app, NOON, f"sensor {number} " + "x" * 100)
    (told,) = tell(app, NOON + timedelta(minutes=1), chat)

    assert (told.changes, told.error) == (60, "")
    (message,) = hook.got
    assert "60 incidents of late" in message["text"]
    assert LONGEST / 2 < len(message["text"]) <= LONGEST
    assert message["text"].endswith("…")


@given(st.text(), st.integers(0, 60))
def test_given_any_message_when_shortened_then_it_is_no_longer_and_begins_as_it_did(
    body: str, longest: int
) -> None:
    short = shortened(Message("title", body), longest).body
    assert len(short) <= longest
    assert short == body or body.startswith(short.rpartition("\n…")[0])
