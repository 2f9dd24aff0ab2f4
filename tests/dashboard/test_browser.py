"""The dashboard in real browsers, over a year of real flights that a real server has seen.

The year is played once, thinned; then the pages of its server are looked at, and in the end acted
on. Nothing is asked to change within a time: where a page shows more once it knows more, the test
waits for it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urldefrag, urljoin, urlsplit

import numpy as np
import pyarrow.compute as pc
import pytest
from playwright.sync_api import Browser
from sklearn.metrics import roc_auc_score
from starlette.routing import compile_path

from watchkeeper.app import App
from watchkeeper.control.incidents import open_incident
from watchkeeper.dashboard.pages import PAGES
from watchkeeper.demo import run
from watchkeeper.demo.flights import FEATURES
from watchkeeper.events import Window

from .browsing import PHONE, Watched, chromium, watching
from .reader import Links

# Of the flights: the fewest that show drift, an experiment, a retraining that is better beyond
# doubt, its rollout, and incidents, of which some are over.
SHARE = 0.025
ROUTES = (*PAGES, "/sign-in", "/docs", "/runbook")


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
    plan = run.Plan(share=SHARE)
    with (
        run.played(tmp_path_factory.mktemp("year") / "flights", plan, Unseen()) as played,
        chromium() as browser,
    ):
        yield Demo(played.app, played.server.url, browser)


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
        """Follow each link; of addresses that differ only in what they ask for, one."""
        waiting: list[str] = ["/", "/sign-in"]
        known: set[tuple[str, ...]] = set()
        while waiting:
            path = waiting.pop(0)
            parts = urlsplit(path)
            kind = (parts.path, *sorted(name for name, _ in parse_qsl(parts.query)))
            if kind not in known:
                known.add(kind)
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
            if not page.startswith(seen.home):
                self.faults.append(f"{path} leads away, to {page}")
            elif target.startswith("#") and unquote(part) not in links.ids:
                self.faults.append(f"{path}: nothing is at {target}")
            else:
                yield page.removeprefix(seen.home) or "/"


@pytest.fixture(scope="module")
def found(demo: Demo) -> Crawl:
    crawl = Crawl()
    with watching(demo.browser, demo.url) as seen:
        said = {"name": "october", "model": "flights", "version": "1.1.0"}
        assert seen.page.request.post(f"{demo.url}/v1/shadows", data=said).ok
        for path in ("/", "/models/flights", "/models/flights/readiness"):
            seen.show(path)
            seen.page.locator("#story-of-flights, #story, #category-1").wait_for()
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
