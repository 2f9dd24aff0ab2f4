"""Claims: what the pages of the dashboard cost, with a year of flights and 20 models.

A thinned year is played first, so that there are an experiment, a retraining, a rollout and
incidents; then all 336,776 flights go through the real store as what a model has predicted
elsewhere, with 19 small models beside it, thousands of findings and entries of the audit trail, and
hundreds of incidents. A server in a process of its own answers; Chromium opens each page with an
empty cache.

- Each page takes at most 200 ms on the server (median of 20 requests, warm).
- Each is complete in the browser within a second (until the load event, median of 5).
- The first one that somebody opens transfers at most 1.5 MB with all that it is made of, and each
  later one at most 100 KB.

    python benchmarks/dashboard.py [--flights 336776] [--small 2000] [--findings 3000]

Ends with 1 if one of them does not hold.
"""

import argparse
import asyncio
import http.client
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from playwright.sync_api import Browser, sync_playwright

from figures import Figures
from watchkeeper.app import App
from watchkeeper.config import load_settings
from watchkeeper.demo.flights import FEATURES, flights_of_2013
from watchkeeper.demo.model import MODEL, VERSION
from watchkeeper.demo.run import ReplayPlan, played
from watchkeeper.identity import By
from watchkeeper.server.process import HOST, free_port, serving

PLAYED = 0.025  # of the flights: the fewest with which all of the year happens
SMALL = [f"small-{number:02}" for number in range(19)]
REQUESTS, OPENED = 20, 5
ON_SERVER, IN_BROWSER = 0.2, 1.0  # seconds
FIRST, LATER = 1_500_000, 100_000  # bytes
YEAR = datetime(2013, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--no-first-run", "--disable-quic")  # fmt: skip
STATIC = ("style.css", "charts.css", "live.js", "icon.svg")
LOADED = """() => performance.getEntriesByType("navigation")[0].loadEventEnd / 1000"""


@dataclass(frozen=True)
class Cost:
    """What a page costs: seconds on the server and in the browser, and bytes."""

    median: float
    slow: float
    complete: float
    first: int
    later: int

    @property
    def kept(self) -> bool:
        """Whether it is within all limits."""
        timely = self.median <= ON_SERVER and self.complete <= IN_BROWSER
        return timely and self.first <= FIRST and self.later <= LATER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flights", type=int, default=336_776)
    parser.add_argument("--small", type=int, default=2_000)
    parser.add_argument("--findings", type=int, default=3_000)
    parser.add_argument("--folder", type=Path, help="keep the data here, or use what is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "flights"
        if not (folder / "watchkeeper.toml").exists():
            fill(folder, options.flights, options.small, options.findings)
        with App(load_settings(folder / "watchkeeper.toml", folder)) as app:
            pages = addresses(app)
            describe(app)
        port = free_port()
        with serving(folder / "watchkeeper.toml", port) as server:
            asyncio.run(server.ready())
            with chromium() as browser:
                costs = {path: measured(browser, port, path) for path in pages}
    with Figures(__file__) as figures:
        for path, cost in costs.items():
            add_cost(figures, path, cost)
    sys.exit(0 if all(cost.kept for cost in costs.values()) else 1)


def fill(folder: Path, count: int, small: int, findings: int) -> None:
    """Make the data directory of a server that has seen all that."""
    began = time.perf_counter()
    with played(folder, ReplayPlan(share=PLAYED), Silent()):
        pass
    with App(load_settings(folder / "watchkeeper.toml", folder)) as app:
        flights = flights_of_2013().slice(0, count)
        loaded: Any = app.registry.load_model(f"{MODEL}:{VERSION}")
        rows = flights.select(FEATURES).to_pandas().to_numpy(object)
        score = loaded.predict_proba(rows)[:, 1]
        record(app, MODEL, flights, score, seed=0)
        for number, name in enumerate(SMALL, start=1):
            some = np.sort(np.random.default_rng(number).choice(count, small, replace=False))
            model_id = app.registry.register_model(loaded, name, "1.0.0", {"accuracy": 0.78})
            app.models.promote(model_id, by=By(reason="a small one"))
            record(app, name, flights.take(some), score[some], seed=number)
        app.recorder.journal.seal()
        assert app.landing.land().failures == ()
        app.compactions.run(by=By())
        remember(app, findings)
    print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)


class Silent:
    """Looks on, and says nothing."""

    def stage(self, told: str) -> None: ...
    def total(self, flights: int) -> None: ...
    def replayed(self, flights: int, at: datetime) -> None: ...


def record(app: App, model: str, flights: pa.Table, score: np.ndarray, seed: int) -> None:
    """Record what a model has said of flights, and what came true."""
    rng = np.random.default_rng(seed)
    made = flights["departs"].cast(TIME)
    stamps = made.cast(pa.int64()).to_numpy()
    ids = pa.array([f"wk-{us // 1000:012x}-{seed:08x}{n:012x}" for n, us in enumerate(stamps)])
    failed = rng.random(len(score)) < 0.002
    predictions = pa.table({
        "prediction_id": ids, "timestamp": made, "arrived_at": made,
        "model_version": pa.array([VERSION if seed == 0 else "1.0.0"] * len(score)),
        "variant": pa.array(["production"] * len(score)),
        "status": np.where(failed, "error", "success"),
        "latency_ms": rng.lognormal(1.5, 0.6, len(score)),
        "prediction": pa.array((score > 0.5).astype(float), mask=failed),
        "score": pa.array(score, mask=failed),
        **{f"feature.{name}": flights[name] for name in FEATURES}})  # fmt: skip
    landed = flights["landed"].is_valid()
    came = flights["landed"].cast(TIME).filter(landed)
    outcomes = pa.table({
        "prediction_id": pc.filter(ids, landed.combine_chunks()), "timestamp": came,
        "arrived_at": came, "actual": flights["late"].filter(landed).cast(pa.float64()),
    })  # fmt: skip
    for begin in range(0, len(score), 50_000):
        app.recorder.record_table("prediction", model, predictions.slice(begin, 50_000))
        app.recorder.record_table("outcome", model, outcomes.slice(begin, 50_000))


def remember(app: App, findings: int) -> None:
    """Keep findings, entries of the audit trail and incidents, as a year of checks leaves them."""
    own = app.findings.find(MODEL)
    hours = timedelta(days=365) / findings
    for number in range(findings):
        at, known = YEAR + (number + 1) * hours, own[number % len(own)]
        window = at - timedelta(days=7)
        app.findings.add(replace(known, number=None, at=at, start=window, end=at))
        if number % 10 == 0:
            name = SMALL[number // 10 % len(SMALL)]
            app.findings.add(replace(known, model=name, number=None, at=at, start=window, end=at))
        app.audit.note(
            at=at, by=By("maria", "looked at it"), action="note", evidence={"finding": number},
            subject=f"{[MODEL, *SMALL][number % 20]}:1.0.0",
        )  # fmt: skip
    for number in range(300):
        at, model = YEAR + number * timedelta(days=1.2), [MODEL, *SMALL][number % 20]
        opened = app.incidents.open(
        model=model, title="accuracy fell", severity="warning",
            source=f"benchmark:{number}", evidence={}, at=at,
        )  # fmt: skip
        if number % 15:
            ended, why = at + timedelta(hours=5), "the feed is back"
            over = opened.resolved(ended, "maria", why)
            app.incidents.repository.save(
                opened, over, action="resolve", at=ended, by=By("maria", why), evidence={}
            )


def describe(app: App) -> None:
    """Print what there is."""
    predictions = sum(app.events.counts(each).predictions for each in [MODEL, *SMALL])
    findings = sum(len(app.findings.find(each, limit=100_000)) for each in [MODEL, *SMALL])
    print(f"{predictions:,} predictions of {1 + len(SMALL)} models, {findings:,} findings, "
          f"{app.audit.last():,} entries of the audit trail, {len(app.incidents.find())} incidents",
          flush=True)  # fmt: skip


def addresses(app: App) -> list[str]:
    """Return an address of each page, those of the large model."""
    model = f"/models/{MODEL}"
    run, rollout = app.retraining.find(MODEL)[0], app.rollouts.find(MODEL)[0]
    incident = quote(app.incidents.find(MODEL)[0].name)
    return [
        "/", "/?range=all", model, f"{model}?range=7d", f"{model}/drift", f"{model}/drift/temp",
        f"{model}/versions", f"{model}/versions/{VERSION}", f"{model}/diff", f"{model}/history",
        f"{model}/history/gate:{quote(run.name)}", f"{model}/readiness", "/models/small-07",
        "/experiments", "/experiments/august", "/rollouts", f"/rollouts/{quote(rollout.name)}",
        "/retraining", f"/retraining/{quote(run.name)}", "/incidents", f"/incidents/{incident}",
        "/system", "/docs",
    ]  # fmt: skip


def measured(browser: Browser, port: int, path: str) -> Cost:
    """Return what a page costs, once the server knows what it tells."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=120)) as connection:
        cookie = known(connection, path)
        seconds, size = [], 0
        for _ in range(REQUESTS):
            began = time.perf_counter()
            size = len(asked(connection, path, cookie)[0])
            seconds.append(time.perf_counter() - began)
        parts = sum(len(asked(connection, f"/static/{each}", cookie)[0]) for each in STATIC)
    median, slow = statistics.median(seconds), float(np.quantile(seconds, 0.95))
    complete = statistics.median(opened(browser, f"http://{HOST}:{port}{path}"))
    return Cost(median, slow, complete, size + parts, size)


def known(connection: http.client.HTTPConnection, path: str) -> str:
    """Ask until what is read behind the scenes has been; return the cookie of the session."""
    _, cookie = asked(connection, path, "")
    before, since = -1, time.perf_counter()
    while time.perf_counter() - since < 3.0:  # nothing has come to it for so long
        size = len(asked(connection, path, cookie)[0])
        if abs(size - before) > 200:
            before, since = size, time.perf_counter()
        time.sleep(0.2)
    return cookie


def asked(connection: http.client.HTTPConnection, path: str, cookie: str) -> tuple[bytes, str]:
    """Return a page as it comes over the wire, and the cookie that came with it."""
    connection.request("GET", path, headers={"accept-encoding": "gzip", "cookie": cookie})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, (path, answer.status)
    return body, (answer.getheader("set-cookie") or "").partition(";")[0]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=list(QUIET))
        yield browser
        browser.close()


def opened(browser: Browser, url: str) -> Iterator[float]:
    """Yield the seconds until a page is complete, each time with an empty cache."""
    for _ in range(OPENED):
        context = browser.new_context(timezone_id="UTC")
        page = context.new_page()
        page.goto(url, wait_until="load")
        page.wait_for_function("() => performance.getEntriesByType('navigation')[0].loadEventEnd")
        yield page.evaluate(LOADED)
        context.close()


def add_cost(figures: Figures, path: str, cost: Cost) -> None:
    figures.add(f"{path}, server, median", 1000 * cost.median, "ms")
    figures.add(f"{path}, server, 95th percentile", 1000 * cost.slow, "ms")
    figures.add(f"{path}, complete", 1000 * cost.complete, "ms")
    figures.add(f"{path}, first", cost.first / 1000, "kB")
    figures.add(f"{path}, later", cost.later / 1000, "kB")
    if not cost.kept:
        print(f"{path}: too much", flush=True)


if __name__ == "__main__":
    main()
