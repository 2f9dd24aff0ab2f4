"""The dashboard in real browsers, over a year of real flights that a real server has seen.

The year is played once, thinned; then the pages of its server are looked at, and in the end acted
on. Nothing is asked to change within a time: where a page shows more once it knows more, the test
waits for it.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urldefrag, urljoin, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from playwright.sync_api import Browser
from sklearn.metrics import roc_auc_score
from starlette.routing import compile_path
from tests.dashboard.browsing import FLAT, PHONE, WHO, Watched, chromium, watching
from tests.dashboard.marionette import firefox
from tests.dashboard.reader import Links
from tests.parts import until

from watchkeeper.app import App
from watchkeeper.config import load_settings
from watchkeeper.dashboard.pages import PAGES
from watchkeeper.demo import run
from watchkeeper.demo.flights import FEATURES
from watchkeeper.demo.trial import BEGINS, ENDS, NAME
from watchkeeper.events import Window
from watchkeeper.server.process import serving

# Of the flights: the fewest that show drift, an experiment, a retraining that is better beyond
# doubt, its rollout, and incidents, of which some are over.
SHARE = 0.025
pytestmark = pytest.mark.timeout(600)  # the year comes before the first test
ROUTES = (*PAGES, "/sign-in", "/docs", "/runbook")
_LATER = (
    ("/", "story-of-flights"), ("/models/flights", "story"),
    ("/models/flights/readiness", "act-waive-load-test"),
)  # fmt: skip


class Unseen:
    """Looks on, and says nothing."""

    def stage(self, told: str) -> None: ...
    def total(self, flights: int) -> None: ...
    def replayed(self, flights: int, at: datetime) -> None: ...


@dataclass(frozen=True)
class Demo:
    """A year that was played, its server, and a browser."""

    app: App
    url: str
    browser: Browser


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("year") / "flights"
    with run.played(folder, run.ReplayPlan(share=SHARE), Unseen()):
        pass
    config = folder / "watchkeeper.toml"
    with App(load_settings(config, folder)) as app:
        app.landing.land()
        app.timelines.refresh("flights")  # or pages tell of them as they were a minute ago
        port = app.settings.server.port  # which incidents have in their links
        with serving(config, port) as server:
            asyncio.run(server.ready())
            with chromium() as browser:
                yield Demo(app, server.url, browser)


@dataclass
class Crawl:
    """What links lead to from the overview.

    Attributes
    ----------
    pages : dict of str to str
        The HTML of each page, by its address.
    faults : list of str
        Links that lead nowhere, or away.
    """

    pages: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def address(self, route: str) -> str:
        """Return where a page is, by the pattern that is asked for."""
        own = compile_path(route)[0]
        return next(path for path in self.pages if own.match(urlsplit(path).path))

    def follow(self, seen: Watched) -> None:
        """Follow the links; of those that differ only in numbers, features and values, two."""
        waiting: list[str] = ["/", "/sign-in"]
        known: set[str] = set()
        kinds: Counter[tuple[str, ...]] = Counter()
        while waiting:
            path = waiting.pop(0)
            parts = urlsplit(unquote(path))
            path_of_kind = re.sub(r"\d+|(?<=/drift/)\w+", "1", parts.path)
            kind = (path_of_kind, *sorted(dict(parse_qsl(parts.query))))
            if unquote(path) not in known and kinds[kind] < 2:
                known.add(unquote(path))
                kinds[kind] += 1
                waiting += self._looked_at(seen, path)

    def _looked_at(self, seen: Watched, path: str) -> Iterator[str]:
        answer = seen.page.request.get(seen.home + path)
        if answer.status != 200:
            self.faults.append(f"{path}: {answer.status}")
        if not answer.headers["content-type"].startswith("text/html"):
            return
        self.pages[path] = answer.text()
        links = Links(self.pages[path])
        for target in links.targets:
            page, part = urldefrag(urljoin(seen.home + path, target))
            if not page.startswith((seen.home, "data:")):
                self.faults.append(f"{path} leads away, to {page}")
            elif target.startswith("data:"):
                continue
            elif target.startswith("#") and unquote(part) not in links.ids:
                self.faults.append(f"{path}: nothing is at {target}")
            else:
                yield page.removeprefix(seen.home) or "/"


def _shows(seen: Watched, path: str, part: str) -> bool:
    return f'id="{part}"' in seen.page.request.get(seen.home + path).text()


@pytest.fixture(scope="module")
def found(demo: Demo) -> Crawl:
    crawl = Crawl()
    with watching(demo.browser, demo.url) as seen:
        said = {"name": "october", "model": "flights", "version": "1.1.0"}
        assert seen.page.request.post(f"{demo.url}/v1/shadows", data=said).ok
        for path, part in _LATER:  # what is read for the first time is there a little later
            until(partial(_shows, seen, path, part))
        crawl.follow(seen)
    return crawl


def test_given_the_overview_when_every_link_is_followed_then_each_leads_to_something_here(
    found: Crawl,
) -> None:
    assert found.faults == []
    assert len(found.pages) > len(PAGES)


@pytest.mark.parametrize("route", ROUTES)
def test_given_a_page_when_opened_then_it_can_be_used_by_everybody_and_asks_nobody_else(
    demo: Demo, found: Crawl, route: str
) -> None:
    with watching(demo.browser, demo.url, color_scheme="light") as seen:
        seen.show(found.address(route))
        ills = {"light": seen.ills(), "unreachable": seen.missed_by_tab()}
        seen.page.emulate_media(color_scheme="dark")
        ills["dark"] = seen.ills("color-contrast", "link-in-text-block")
        seen.page.set_viewport_size(PHONE)
        ills["phone"] = seen.ills("target-size", "scrollable-region-focusable")

        assert {kind: each for kind, each in ills.items() if each} == {}
        assert seen.overhang() <= 0
        assert (seen.said, seen.away) == ([], [])


def test_given_a_newcomer_when_only_the_overview_is_read_then_it_tells_the_year(
    demo: Demo, found: Crawl
) -> None:
    with watching(demo.browser, demo.url) as seen:
        seen.show("/")
        told = seen.text("#story-of-flights")
    ill = re.findall(
        r"Unhealthy (?:in|since|from) (\w{3} \d{4})(?: to (\w{3} \d{4}))? \(([\d.]+)\): "
        r"(accuracy|AUC) ([\d.]+), \d+% worse than the ([\d.]+) that was registered\. "
        r"Most drifted: ([\w, ]+)\.",
        told,
    )

    assert ill
    for first, last, version, figure, value, registered, moved in ill:
        metric = {"accuracy": "accuracy", "AUC": "auc"}[figure]
        measured = [_measured(demo.app, each)[metric] for each in _months(first, last or first)]
        assert any(float(value) == pytest.approx(each, abs=0.006) for each in measured)
        own = demo.app.registry.get(f"flights:{version}").metrics[metric]
        assert float(registered) == pytest.approx(own, abs=0.001)
        assert float(value) < own
        assert set(moved.split(", ")) <= set(FEATURES)
    (run_of_it,) = demo.app.retraining.find("flights")
    assert run_of_it.gate is not None
    assert f"{run_of_it.version} promoted on" in told
    assert "On the same" in told
    for name, figure in (("accuracy", "accuracy"), ("auc", "AUC")):
        before, after = run_of_it.gate.champion[name], run_of_it.gate.candidate[name]
        helped = f"{figure} was {before:.3f} with 1.0.0 and {after:.3f} with {run_of_it.version}"
        assert helped in told


def _months(first: str, last: str) -> list[datetime]:
    start, end = (datetime.strptime(each, "%b %Y").replace(tzinfo=UTC) for each in (first, last))
    return [
        datetime(start.year, month, 1, tzinfo=UTC) for month in range(start.month, end.month + 1)
    ]


def _measured(app: App, start: datetime) -> dict[str, float]:
    """Return what scikit-learn says of the events of a month."""
    end = datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
    rows = app.events.read("flights", Window(start, end)).rows
    rows = rows.filter(pc.and_(rows["actual"].is_valid(), rows["score"].is_valid()))
    actual = np.asarray(rows["actual"].to_pylist(), dtype=float)
    said = np.asarray(rows["prediction"].to_pylist(), dtype=float)
    score = rows["score"].to_numpy()
    return {"accuracy": float(np.mean(actual == said)), "auc": float(roc_auc_score(actual, score))}


def test_given_the_year_when_read_back_then_its_experiment_is_whole_and_its_decisions_are_confirmed(
    demo: Demo,
) -> None:
    app = demo.app
    experiment = app.experiments.get(NAME)
    rows = app.events.read("flights").rows
    in_trial = rows.filter(pc.starts_with(rows["experiment"].cast(pa.string()), f"{NAME}/"))
    records = {
        record.kind: record.id
        for record in app.history.records("flights", everything=True)
        if record.replayable and record.kind in {"drift", "quality", "rollout"}
    }

    assert experiment.started_at is not None
    assert experiment.ended_at is not None
    assert experiment.started_at < ENDS
    assert experiment.ended_at > BEGINS
    assert experiment.decision is not None
    assert set(in_trial["variant"].to_pylist()) == {"january", "summer"}
    assert set(in_trial["model_version"].to_pylist()) == {"1.0.0", "1.1.0"}
    assert len(records) == 3
    replays = [app.replays.replay(record) for record in records.values()]
    assert [(replay.id, replay.differences) for replay in replays if not replay.confirmed] == []


def test_given_no_scripts_when_looked_at_then_charts_tables_and_forms_are_there_and_work(
    demo: Demo, found: Crawl
) -> None:
    name = _incident(demo.app, "no-scripts")
    with watching(demo.browser, demo.url, java_script_enabled=False) as seen:
        seen.show("/models/flights")
        charts = seen.page.locator("figure.chart > svg")
        assert charts.count() > 3
        for chart in charts.all():
            box = chart.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) > 50
        table = seen.page.locator("details.data").first
        table.locator("summary").click()
        assert "2013-03" in table.inner_text()

        seen.show(f"/incidents/{name}")
        seen.act("Add a note", text="the feed was late")
        assert "the feed was late" in seen.text("#timeline")
    assert demo.app.incidents.get(name).timeline[-1].what.endswith("the feed was late")


def test_given_another_zone_when_looked_at_then_times_are_those_of_the_viewer(
    demo: Demo, found: Crawl
) -> None:
    name = _incident(demo.app, "zone", at=datetime(2013, 7, 1, tzinfo=UTC))
    with watching(demo.browser, demo.url, timezone_id="Asia/Kolkata") as seen:
        seen.show(f"/incidents/{name}")
        seen.page.get_by_text("2013-07-01 05:30 IST").first.wait_for()


def test_given_somebody_typing_when_others_act_then_the_page_follows_and_keeps_what_is_typed(
    demo: Demo, found: Crawl
) -> None:
    name = _incident(demo.app, "live")
    with watching(demo.browser, demo.url) as seen:
        seen.page.clock.install()
        seen.show(f"/incidents/{name}")
        seen.page.locator("#act-note summary").click()
        seen.page.locator("#act-note textarea").fill("half a sent")

        said = {"text": "it is mine", "reason": "by the API"}
        url = f"{demo.url}/v1/incidents/{name}/acknowledge"
        assert seen.page.request.post(url, data=said).ok
        seen.page.clock.fast_forward(6_000)

        seen.page.locator("#timeline").get_by_text("it is mine").wait_for()
        assert seen.page.locator("#act-note textarea").input_value() == "half a sent"
        assert (seen.said, seen.away) == ([], [])


def test_given_only_a_keyboard_when_an_incident_is_taken_then_it_is_in_hand(
    demo: Demo, found: Crawl
) -> None:
    name = _incident(demo.app, "keyboard")
    with watching(demo.browser, demo.url) as seen:
        seen.show(f"/incidents/{name}")
        keys = seen.page.keyboard
        seen.tab_to("Skip to the content")
        keys.press("Enter")
        seen.tab_to("Acknowledge…")
        keys.press("Enter")
        keys.press("Tab")
        keys.type("I see it")
        keys.press("Tab")
        keys.type(WHO)
        seen.tab_to("Acknowledge")
        keys.press("Enter")
        seen.page.locator("p.said").wait_for()
    assert demo.app.incidents.get(name).owner == WHO


def test_given_an_incident_when_its_forms_are_sent_then_it_goes_its_way(
    demo: Demo, found: Crawl
) -> None:
    incidents, name = demo.app.incidents, _incident(demo.app, "forms")
    with watching(demo.browser, demo.url) as seen:
        seen.show(f"/incidents/{name}")
        seen.act("Acknowledge", text="looking")
        assert _who(demo.app, f"flights:incidents/{name}") == (WHO, "looking")
        assert (incidents.get(name).owner, incidents.get(name).state) == (WHO, "acknowledged")
        seen.act("Assign", text="the data team")
        assert incidents.get(name).owner == "the data team"
        seen.act("Add a note", text="a column was renamed")
        assert "a column was renamed" in incidents.get(name).timeline[-1].what
        seen.act("Resolve", text="the column is back")
        assert _who(demo.app, f"flights:incidents/{name}") == (WHO, "the column is back")
        assert not incidents.get(name).active
        seen.act("Finish the post-mortem", button="Save", text="# What we learned")
        assert incidents.get(name).post_mortem == "# What we learned"
        assert seen.page.get_by_role("heading", name="What we learned").count() == 1
        assert (seen.said, seen.away) == ([], [])


def test_given_a_version_when_promoted_and_taken_back_then_the_registry_has_it(
    demo: Demo, found: Crawl
) -> None:
    registry = demo.app.registry
    before = registry.get_production_model("flights")
    assert before is not None
    with watching(demo.browser, demo.url) as seen:
        seen.show("/models/flights/versions/1.1.0")
        seen.act("Promote at once", button="Promote flights:1.1.0", reason="the best of August")
        assert registry.get_production_model("flights") == "flights:1.1.0"
        assert _who(demo.app, "flights:1.1.0") == (WHO, "the best of August")
        seen.show("/models/flights")
        seen.act(f"Roll back to {before.partition(':')[2]}", reason="it was not")
        assert registry.get_production_model("flights") == before
        assert _who(demo.app, before) == (WHO, "it was not")


def test_given_a_model_when_trained_again_and_given_up_then_nothing_comes_of_it(
    demo: Demo, found: Crawl
) -> None:
    with watching(demo.browser, demo.url) as seen:
        seen.show("/models/flights")
        seen.act("Retrain", reason="a new season")
        asked = demo.app.retraining.find("flights")[0]
        trail = f"flights:retrainings/{asked.name}"
        assert (WHO, f"asked for by {WHO}: a new season") in _whos(demo.app, trail)
        seen.show(f"/retraining/{asked.name}")
        seen.act("Abort", button="Abort the run", reason="not yet")
        assert (WHO, "not yet") in _whos(demo.app, trail)
    assert demo.app.retraining.get(asked.name).state == "cancelled"


def test_given_a_version_when_rolled_out_then_each_button_moves_it(
    demo: Demo, found: Crawl
) -> None:
    rollouts = demo.app.rollouts
    with watching(demo.browser, demo.url) as seen:
        seen.show("/models/flights/versions/1.1.0")
        seen.act("Roll out", button="Start the rollout", name="by-hand", reason="once more")
        assert rollouts.get("by-hand").weight == 10.0
        seen.show("/rollouts/by-hand")
        for label, state, weight in (
            ("Pause", "paused", 10.0),
            ("Resume", "running", 10.0),
            ("Step to 25 %", "running", 25.0),
            ("Abort", "rolled_back", 0.0),
        ):
            seen.act(label, reason=f"{label} it")
            now = rollouts.get("by-hand")
            assert (now.state, now.weight) == (state, weight)
            assert (WHO, f"{label} it") in _whos(demo.app, "flights:rollouts/by-hand")


def test_given_an_experiment_when_started_and_stopped_then_it_runs_and_ends(
    demo: Demo, found: Crawl
) -> None:
    made = {
        "name": "december", "model": "flights", "arms": {"now": "1.0.1", "summer": "1.1.0"},
        "metric": "accuracy", "planned_units": 500,
    }  # fmt: skip
    with watching(demo.browser, demo.url) as seen:
        assert seen.page.request.post(f"{demo.url}/v1/experiments", data=made).ok
        seen.show("/experiments/december")
        for label, state in (("Start", "running"), ("Stop", "stopped")):
            seen.act(label, reason=f"{label} it")
            assert demo.app.experiments.get("december").state == state
            assert _who(demo.app, "flights:experiments/december") == (WHO, f"{label} it")


def test_given_a_point_of_the_checklist_when_waived_then_it_says_by_whom_and_until_when(
    demo: Demo, found: Crawl
) -> None:
    with watching(demo.browser, demo.url) as seen:
        seen.show("/models/flights/readiness")
        waive = seen.page.locator("#act-waive-load-test")
        waive.locator("summary").click()
        waive.locator("[name=until]").fill("2014-03-01")
        waive.locator("[name=reason]").fill("after the holidays")
        waive.locator("[name=actor]").fill(WHO)
        waive.get_by_role("button").click()
        seen.page.get_by_text("has waived it until").first.wait_for()
        assert "until 2014-03-01" in seen.text()
    (kept,) = demo.app.audit.entries("flights", action="waive readiness")
    assert (kept.actor, kept.reason) == (WHO, "after the holidays")


def test_given_a_shadow_when_stopped_then_it_is_asked_no_more(demo: Demo, found: Crawl) -> None:
    with watching(demo.browser, demo.url) as seen:
        seen.show("/shadows/october")
        seen.act("Stop", reason="seen enough")
    assert demo.app.shadows.get("october").state == "stopped"
    assert _who(demo.app, "flights:shadows/october") == (WHO, "seen enough")


def test_given_firefox_when_each_page_is_opened_then_charts_are_drawn_and_nothing_is_amiss(
    demo: Demo, found: Crawl, tmp_path: Path
) -> None:
    with firefox(tmp_path) as browser:
        for route in ROUTES:
            browser.open(demo.url + found.address(route))
            assert "Watchkeeper" in browser.run("return document.title"), route
            assert browser.run(FLAT) == [], route
        assert browser.errors(demo.url) == []


def _incident(app: App, source: str, at: datetime | None = None) -> str:
    return app.incidents.open(
        model="flights", title=f"an incident of {source}", severity="warning",
        source=f"test:{source}", evidence={}, at=at or app.clock(),
    ).name  # fmt: skip


def _who(app: App, subject: str) -> tuple[str, str]:
    """Return who did the last thing with something, and why."""
    return _whos(app, subject)[0]


def _whos(app: App, subject: str) -> list[tuple[str, str]]:
    return [(each.actor, each.reason) for each in app.audit.entries(subject=subject)]
