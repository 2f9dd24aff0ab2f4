"""The site: who looks, what they may do, what goes over the wire, and forms that are refused."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from tests.dashboard.conftest import Site, token_of
from tests.dashboard.reader import HOSTILE, Text, said

from watchkeeper.dashboard.site import is_page

Start = Callable[..., Site]


def sign_in(client: TestClient, name: str = "maria", key: str = "act") -> None:
    token = token_of(client.get("/sign-in").text)
    answer = client.post("/sign-in", data={"token": token, "name": name, "key": key})
    assert answer.status_code == 200, answer.text


def with_incident(site: Site) -> str:
    return site.app.incidents.open(
        model="late", title="accuracy fell", severity="critical",
        source="test", evidence={}, at=datetime(2026, 7, 1, tzinfo=UTC),
    ).name  # fmt: skip


def send(site: Site, path: str, **fields: str) -> tuple[int, str]:
    """Send a form with the token of the page that it is on."""
    token = token_of(site.client.get("/").text + site.client.get(path).text)
    answer = site.client.post(path, data={"token": token, **fields}, follow_redirects=False)
    return answer.status_code, Text(answer.text).said


@pytest.mark.parametrize(
    ("path", "ours"),
    [("/", True), ("/models/a/drift", True), ("/static/live.js", True), ("/v1/models", False),
     ("/v2/models/a/infer", False), ("/metrics", False), ("/modelsx", False), ("/ping", False)],
)  # fmt: skip
def test_given_a_path_when_asked_whose_it_is_then_the_api_is_never_the_dashboards(
    path: str, ours: bool
) -> None:
    assert is_page(path) is ours


def test_given_an_empty_server_when_looked_at_then_it_says_what_to_do_first(start: Start) -> None:
    told = said(start().client, "/")

    assert "Nothing is served yet." in told
    assert "watchkeeper models register" in told
    assert "watchkeeper demo --serve" in told


def test_given_any_page_when_answered_then_its_policy_forbids_what_it_does_not_need(
    start: Start,
) -> None:
    client = start().client
    for path in ("/", "/incidents", "/incidents/none", "/?range=never", "/static/style.css"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script>|\sstyle=|\son\w+=", answer.text)


def test_given_a_page_that_has_not_changed_when_asked_again_then_nothing_is_sent(
    start: Start,
) -> None:
    client = start().client
    client.get("/incidents")
    first = client.get("/incidents")
    again = client.get("/incidents", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["content-encoding"] == "gzip"
    assert (again.status_code, again.content) == (304, b"")


def test_given_a_static_file_when_its_address_has_its_digest_then_it_is_kept_for_ever(
    start: Start,
) -> None:
    client = start().client
    for address in set(re.findall(r'"(/static/[^"]+)"', client.get("/").text)):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/../site.py").status_code in {404, 405}
    assert client.get("/static/other.js").status_code == 404


def test_given_keys_when_somebody_comes_then_they_sign_in_first_and_come_back(
    start: Start,
) -> None:
    site = start(server={"api_keys": ["act"], "read_keys": ["read"]})
    client = site.client
    away = client.get("/incidents?model=a", follow_redirects=False)

    assert away.status_code == 303
    assert away.headers["location"] == "/sign-in?next=%2Fincidents%3Fmodel%3Da"
    token = token_of(client.get(away.headers["location"]).text)
    fields = {"token": token, "name": "maria", "next": "/incidents?model=a"}
    wrong = client.post("/sign-in", data={**fields, "key": "guess"})
    assert (wrong.status_code, "This key is not valid" in wrong.text) == (403, True)
    right = client.post("/sign-in", data={**fields, "key": "act"}, follow_redirects=False)
    assert right.headers["location"] == "/incidents?model=a"
    assert "maria" in said(client, "/incidents")
    client.post("/sign-out", data={"token": token_of(client.get("/incidents").text)})
    assert client.get("/", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_given_an_address_that_leads_away_when_signed_in_then_one_stays_here(
    start: Start, onward: str
) -> None:
    client = start().client
    token = token_of(client.get("/sign-in").text)
    answer = client.post(
        "/sign-in", data={"token": token, "name": "m", "next": onward}, follow_redirects=False
    )

    assert answer.headers["location"] == "/"


def test_given_a_key_that_may_only_read_when_signed_in_then_no_form_is_shown_or_taken(
    start: Start,
) -> None:
    site = start(server={"api_keys": ["act"], "read_keys": ["read"]})
    name = with_incident(site)
    sign_in(site.client, key="read")

    shown = site.client.get(f"/incidents/{name}").text
    assert "accuracy fell" in shown
    assert 'name="do"' not in shown
    status, told = send(site, f"/incidents/{name}", do="acknowledge")
    assert (status, "This key may read, and may not change anything" in told) == (403, True)
    assert site.app.incidents.get(name).owner == ""


def test_given_a_session_when_a_link_to_the_api_is_followed_then_it_reads_and_changes_nothing(
    start: Start,
) -> None:
    site = start(server={"api_keys": ["act"]})
    assert site.client.get("/v1/models").status_code == 401
    sign_in(site.client)

    assert site.client.get("/v1/models").status_code == 200
    assert site.client.post("/v1/retraining/look", json={"model": "late"}).status_code == 401


def test_given_a_key_that_may_only_read_when_the_api_is_to_change_something_then_it_is_refused(
    start: Start,
) -> None:
    client = start(server={"api_keys": ["act"], "read_keys": ["read"]}).client
    reader = {"authorization": "Bearer read"}

    assert client.get("/v1/models", headers=reader).status_code == 200
    refused = client.post("/v2/models/late/infer", json={}, headers=reader)
    assert refused.status_code == 403
    assert "may only read" in refused.json()["error"]


def test_given_a_form_when_it_is_sent_then_the_reason_and_who_are_kept(start: Start) -> None:
    site = start()
    name = with_incident(site)

    status, _ = send(site, f"/incidents/{name}", do="resolve", text="the feed is back", actor="mo")

    assert status == 303
    last = site.app.audit.entries(subject=f"late:incidents/{name}", limit=1)[0]
    assert (last.actor, last.reason) == ("mo", "the feed is back")
    assert f"{name} is resolved." in said(site.client, f"/incidents/{name}")  # once
    assert f"{name} is resolved." not in said(site.client, f"/incidents/{name}")
    assert " mo " in f" {said(site.client, '/')} "  # who is remembered


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"do": "resolve", "text": "", "actor": "mo"}, 400, "why it is resolved"),
        ({"do": "resolve", "text": "over"}, 400, "the name of the actor"),
        ({"do": "explode", "text": "over", "actor": "mo"}, 404, "no action 'explode'"),
        ({"do": "finish", "text": "all", "actor": "mo"}, 409, "is not over"),
    ],
)
def test_given_a_wrong_form_when_sent_then_it_says_why_and_keeps_what_was_typed(
    start: Start, fields: dict[str, str], status: int, told: str
) -> None:
    site = start()
    name = with_incident(site)
    before = site.app.incidents.get(name)

    answered, page = send(site, f"/incidents/{name}", **fields, note="typed at length")

    assert (answered, told in page) == (status, True), page
    assert "typed at length" in page
    assert site.app.incidents.get(name) == before


def test_given_a_form_of_another_site_when_sent_then_nothing_is_done(start: Start) -> None:
    site = start()
    name = with_incident(site)
    path = f"/incidents/{name}"
    fields = {"do": "resolve", "text": "over", "actor": "mo"}
    token = token_of(site.client.get(path).text)

    for given in (
        {**fields, "token": ""},
        {**fields, "token": token[:-1] + ("0" if token[-1] != "0" else "1")},
    ):
        assert site.client.post(path, data=given).status_code == 403
    foreign = {"origin": "https://evil.example"}
    own = {**fields, "token": token}
    assert site.client.post(path, data=own, headers=foreign).status_code == 403
    assert site.app.incidents.get(name).active


def test_given_a_long_form_when_sent_then_it_is_refused(start: Start) -> None:
    site = start()
    name = with_incident(site)
    status, told = send(site, f"/incidents/{name}", do="note", text="x" * (2 << 20), actor="mo")

    assert (status, "at most 1,048,576 bytes" in told) == (400, True)


def test_given_hostile_words_when_shown_then_they_are_text(start: Start) -> None:
    site = start()
    name = with_incident(site)
    send(site, f"/incidents/{name}", do="note", text=HOSTILE, actor=HOSTILE)

    shown = site.client.get(f"/incidents/{name}").text
    assert HOSTILE not in shown
    assert HOSTILE in Text(shown).said


def test_given_a_zone_when_set_then_times_are_told_in_it(start: Start) -> None:
    site = start()
    name = with_incident(site)
    assert "2026-07-01 00:00 UTC" in said(site.client, f"/incidents/{name}")

    site.client.post("/zone", data={"zone": "Asia/Kolkata", "next": "/"})

    assert "2026-07-01 05:30 IST" in said(site.client, f"/incidents/{name}")
    site.client.post("/zone", data={"zone": "../../etc/passwd"})
    assert "2026-07-01 00:00 UTC" in said(site.client, f"/incidents/{name}")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("range=2y", "one of 24h, 7d, 30d, 90d, 1y, all"),
        ("start=yesterday", "Start is 'yesterday'"),
        ("start=2026-07-02&end=2026-07-01", "a time after start"),
    ],
)
def test_given_a_time_range_that_is_none_when_asked_then_it_says_what_is(
    start: Start, query: str, told: str
) -> None:
    answer = start().client.get(f"/?{query}")

    assert answer.status_code == 400
    assert told in Text(answer.text).said


def test_given_a_model_that_does_not_exist_when_asked_for_then_the_page_says_so(
    start: Start,
) -> None:
    client = start().client
    for path in (f"/models/{quote(HOSTILE, safe='')}", "/models/none", "/models/none/none"):
        answer = client.get(path)
        assert answer.status_code in {400, 404}
        assert "there is no" in Text(answer.text).said.lower()
        assert HOSTILE not in answer.text


def test_given_a_chart_when_its_table_is_asked_for_then_it_comes_as_csv(start: Start) -> None:
    site = start(clock=lambda: datetime(2026, 7, 2, tzinfo=UTC))
    made = {"prediction_id": "p1", "prediction": 1, "timestamp": "2026-07-01T12:00:00Z"}
    assert site.client.post("/v1/models/late/predictions", json=[made]).status_code == 200

    answer = site.client.get("/models/late?range=7d&csv=traffic")

    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="traffic.csv"' in answer.headers["content-disposition"]
    assert answer.text.startswith("from,")
    assert site.client.get("/models/late?csv=none").status_code == 404
