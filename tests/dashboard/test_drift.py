"""Pages of drift: drifted features, since when, and their reference values."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from starlette.testclient import TestClient
from tests.dashboard.reader import HOSTILE, said

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.dashboard.pages.drift_checks import address
from watchkeeper.events import Window
from watchkeeper.monitoring.findings import keep_drift
from watchkeeper.monitoring.measurements import drift_of_window
from watchkeeper.monitoring.prediction_drift import answers_to_training
from watchkeeper.records import Finding
from watchkeeper.server import create_asgi
from watchkeeper.testing import FixedClock, a_prediction

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEIRD = "a/b ?#%&=+"
MODEL = DummyClassifier(strategy="constant", constant=1).fit([[0.0] * 5], [1])


def trained_on() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        "distance": rng.normal(700, 100, 500),
        "carrier": rng.choice(["AA", "UA"], 500),
        HOSTILE: rng.normal(0, 1, 500),
        WEIRD: rng.normal(0, 1, 500),
        "..": rng.normal(0, 1, 500),
    }


def record(app: App, day: int, *, shift: float) -> None:
    rng = np.random.default_rng(day)
    events = []
    for number in range(120):
        at = START + day * DAY + timedelta(minutes=12 * number)
        features = {
            "distance": float(rng.normal(700 + shift, 100)),
            "carrier": f"{HOSTILE} Air" if shift and number % 5 == 0 else ("AA", "UA")[number % 2],
            HOSTILE: float(rng.normal(shift, 1)),
            WEIRD: float(rng.normal(shift, 1)),
            "..": float(rng.normal(shift, 1)),
            "speed": 1.0,
        }
        events.append(
            a_prediction(f"{day}-{number}", model="late", model_version="1", timestamp=at,
                         arrived_at=at, features=features)
        )  # fmt: skip
    app.recorder.record(events)


def check(app: App, day: int, **changes: Any) -> Finding:
    """Measure a day, as a server does."""
    end = START + (day + 1) * DAY
    found = drift_of_window(
        app.events, app.registry, "late", Window(end - DAY, end), checks=365,
        answers=lambda: answers_to_training(app.registry, "late:1"), **changes,
    )  # fmt: skip
    return keep_drift(app.findings, found, at=end)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    clock = FixedClock(START + 6 * DAY)
    with App(Settings(data_dir=tmp_path_factory.mktemp("pages")), clock=clock) as app:
        model_id = app.registry.register_model(MODEL, "late", "1", {}, training_data=trained_on())
        app.registry.promote_to_production(model_id)
        for day in range(6):
            record(app, day, shift=200.0 if day in {3, 4, 5} else 0.0)
            check(app, day)
        yield app


@pytest.fixture(scope="module")
def client(app: App) -> TestClient:
    return TestClient(create_asgi(app), raise_server_exceptions=False)


def links(client: TestClient, path: str) -> dict[str, str]:
    """Return where the links of a page lead, by what they say."""
    found = re.findall(r'<a [^>]*href="([^"]+)"[^>]*>(.*?)</a>', client.get(path).text)
    return {unescape(re.sub("<[^>]+>", "", text)): unescape(to) for to, text in found}


def test_given_checks_when_looked_at_then_the_page_says_what_moved_and_since_when(
    client: TestClient,
) -> None:
    told = said(client, "/models/late/drift")

    assert "5 of 5 features drifted , against the training data of late:1" in told
    assert "Since 2026-03-05 00:00 UTC : 3 checks in a row; the one before found none" in told
    assert "at most 5 % of runs of 365 checks report drift at least once" in told
    assert "The predictions drifted as well" in told
    assert "3 of 6 checks found drift" in told
    assert "The newest 3 of 3 that found drift" in told
    assert "drifted 3 of 6" in told
    assert "watchkeeper history late --all" in told


def test_given_a_drifted_feature_when_two_links_are_followed_then_both_histograms_are_there(
    client: TestClient,
) -> None:
    first = links(client, "/models/late/drift")["distance"]

    told = said(client, first)

    assert "distance drifted in check 6" in told
    assert re.search(r"The mean went from 6\d\d to 9\d\d , 2.\d standard deviations up", told)
    assert "Values of distance" in told
    assert "500 values of the training data of late:1, from its profile; 120 that" in told
    assert "median 690 895" in told
    assert "3 of 6 checks found drift in it" in told


@pytest.mark.parametrize("name", [HOSTILE, WEIRD, ".."])
def test_given_a_feature_with_any_name_when_its_link_is_followed_then_its_page_is_there(
    client: TestClient, name: str
) -> None:
    for page in ("/models/late/drift", "/models/late/drift?finding=6"):
        path = links(client, page)[name]
        assert name in said(client, path)
    assert HOSTILE not in client.get(path).text
    answer = client.get(f"{path}&csv=histogram")
    assert answer.headers["content-type"].startswith("text/csv")
    told = links(client, path)["Compare by the values of other columns"]
    assert name in said(client, path.partition("?")[0] + told.partition("#")[0])


def test_given_categories_when_looked_at_then_the_unseen_are_named_and_nothing_is_run(
    client: TestClient,
) -> None:
    told = said(client, address("late", "carrier"))

    assert f"in categories that the training data does not have: {HOSTILE} Air" in told
    assert HOSTILE not in client.get(address("late", "carrier")).text


def test_given_a_check_when_chosen_then_the_page_shows_it_and_what_gives_the_same(
    app: App, client: TestClient
) -> None:
    told = said(client, "/models/late/drift?finding=2")

    assert "Check 2 ● no drift" in told
    assert "120 inputs with 500 of the training data of late:1" in told
    assert "New, and not compared: speed" in told
    again = "2026-03-02T00:00:00Z --end 2026-03-03T00:00:00Z --checks 365"
    assert f"watchkeeper drift --model late --start {again}" in told
    assert "watchkeeper history late --replay finding:2" in told
    assert "distance did not drift in check 2" in said(
        client, address("late", "distance", finding="2")
    )
    api = next(to for to in links(client, "/models/late/drift?finding=2").values() if "/v1/" in to)
    found = client.get(api).json()["report"]["features"]["distance"]
    kept = app.findings.get(2).evidence["features"]["distance"]
    assert (found["p_value"], found["drift_detected"]) == (kept["p_value"], kept["drift_detected"])


def test_given_segments_when_asked_for_then_they_are_told_with_the_columns_looked_by(
    client: TestClient,
) -> None:
    assert "Compare by the values of other columns" in said(client, address("late", "distance"))

    told = said(client, address("late", "distance", segments="1", finding="6"))

    assert "By carrier; the significance level is shared" in told
    assert "carrier = AA ◆ drifted" in told


def test_given_charts_when_asked_for_as_csv_then_the_figures_are_there(client: TestClient) -> None:
    rows = list(csv.reader(client.get("/models/late/drift?range=7d&csv=heat").text.splitlines()))

    assert rows[0][:4] == ["from", "to", "drifted", "share that drifted"]
    assert {"distance", "carrier"} <= set(rows[0])
    drifted = [row for row in rows[1:] if "distance" in row[2].split("; ")]
    assert len(drifted) == 3
    effect = client.get(address("late", "distance", csv="effect")).text
    assert effect.startswith("from,to,distance")


def test_given_no_check_in_the_range_when_looked_at_then_the_page_leads_to_the_last_one(
    client: TestClient,
) -> None:
    query = "start=2020-01-01T00:00&end=2020-02-01T00:00"

    assert "No check of this time range is stored." in said(client, f"/models/late/drift?{query}")
    told = said(client, f"/models/late/drift/distance?{query}")
    assert "No check of this time range has this feature." in told
    assert "distance drifted in check 6" in told


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/models/late/drift?finding=x", 400, "the number of a drift check"),
        ("/models/late/drift?finding=999", 404, "There is no finding"),
        ("/models/nothing/drift", 404, "There is no model"),
        ("/models/late/drift/height", 404, "The page of the drift of late lists those there are"),
        ("/models/late/drift/speed", 404, "It is recorded, and no training data has it"),
        ("/models/nothing/drift/x", 404, "watchkeeper drift --model nothing"),
    ],
)
def test_given_what_is_not_there_when_asked_for_then_the_page_says_so(
    client: TestClient, path: str, status: int, told: str
) -> None:
    answer = client.get(path)

    assert answer.status_code == status
    assert told in unescape(answer.text)


def test_given_drift_when_it_is_trained_again_from_the_page_then_who_and_why_are_kept(
    app: App, client: TestClient
) -> None:
    page = "/models/late/drift?range=30d"

    assert "Retrain" in said(client, page)
    form = client.get(page).text
    token = re.search(r'name="token" value="([^"]+)"', form)
    assert token
    assert '<form method="post" action="/models/late">' in form
    sent = {"token": token[1], "actor": "maria", "reason": f"drift {HOSTILE}", "do": "retrain"}
    answer = client.post("/models/late", data={**sent, "next": page}, follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, page)
    (run,) = app.retraining.find("late")
    (entry,) = app.audit.entries(subject=f"late:retrainings/{run.name}")
    assert (entry.actor, f"drift {HOSTILE}" in entry.reason) == ("maria", True)
    told = said(client, page)
    assert f"It cannot be retrained now: the retraining {run.name} of late is under way" in told
    assert HOSTILE not in client.get(page).text


def test_given_no_check_when_looked_at_then_the_page_says_what_to_do_first(tmp_path: Path) -> None:
    with App(Settings(data_dir=tmp_path), clock=FixedClock(START)) as app:
        client = TestClient(create_asgi(app))
        app.registry.register_model(MODEL, "late", "1", {})
        assert "No version of it is in production" in said(client, "/models/late/drift")
        app.registry.promote_to_production("late:1")
        told = said(client, "/models/late/drift")
        assert "No training data was registered with late:1" in told
        second = app.registry.register_model(MODEL, "late", "2", {}, training_data=trained_on())
        app.registry.promote_to_production(second)
        told = said(client, "/models/late/drift")
        assert "the training data of late:2, every 1 h" in told
        assert "watchkeeper drift --model late" in told

        record(app, 0, shift=0.0)
        keep_drift(
            app.findings,
            drift_of_window(app.events, app.registry, "late", Window(), checks=365),
            at=START + DAY,
        )
        app.clock.set(START + 2 * DAY)  # type: ignore[attr-defined]
        told = said(client, "/models/late/drift")
        assert "No feature drifted from the training data of late:2 in all 5 features" in told
        assert "No stored check found drift" in told
        assert "late A running server makes a check every 1 h" in told
