"""Makes the images of these pages: plays the demo, and photographs its dashboard in Chromium.

    make screenshots

The same flights are replayed each time, so that an image changes only where a page does (and where
it says how long something took).
"""

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, ViewportSize
from tests.dashboard.browsing import DESK, PHONE, chromium, watching

from watchkeeper.app import App
from watchkeeper.demo.run import FAST, Plan, played

IMAGES = Path(__file__).parent / "images"
LARGEST = 200_000  # bytes of an image


@dataclass(frozen=True)
class Shot:
    """A page as it is to be seen: its file, its address, and what has to be on it."""

    name: str
    path: str
    shows: str
    height: int = 1000
    dark: bool = False
    phone: bool = False


class Teller:
    """Prints how far the demo is."""

    def stage(self, told: str) -> None:
        print(told, flush=True)

    def total(self, flights: int) -> None:
        print(f"{flights:,} flights", flush=True)

    def replayed(self, flights: int, at: datetime) -> None:
        """Say nothing of single hours."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=FAST, help="of the flights of the year")
    options = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        plan = Plan(share=options.share)
        with played(Path(folder) / "flights", plan, Teller()) as demo, chromium() as browser:
            for shot in shots(demo.app):
                taken = photographed(browser, demo.server.url, shot)
                (IMAGES / f"{shot.name}.png").write_bytes(taken)
                print(f"{shot.name}: {len(taken):,} bytes", flush=True)


def shots(app: App) -> Iterator[Shot]:
    """Yield what is photographed."""
    run = app.retraining.find("flights")[0]
    version = quote(run.version or "1.0.0")
    rollout = app.rollouts.find("flights")[0].name
    incident = app.incidents.find("flights")[-1].name
    model = "/models/flights"
    yield Shot("overview", "/", "#story-of-flights", 1250)
    yield Shot("overview-dark", "/", "#story-of-flights", 1250, dark=True)
    yield Shot("overview-phone", "/", "#story-of-flights", 1100, phone=True)
    yield Shot("model", model, "#story", 1300)
    yield Shot("drift", f"{model}/drift", "figure svg", 1300)
    yield Shot("drift-feature", f"{model}/drift/temp", "figure svg", 1100)
    yield Shot("versions", f"{model}/versions", "figure svg")
    yield Shot("version", f"{model}/versions/{version}", "#standing")
    yield Shot("diff", f"{model}/diff?a=1.0.0&b={version}", "main table", 800)
    yield Shot("history", f"{model}/history", ".timeline", 900)
    yield Shot("readiness", f"{model}/readiness", "#act-waive-load-test", 900)
    yield Shot("experiment", "/experiments/august", "figure svg", 1200)
    yield Shot("rollout", f"/rollouts/{quote(rollout)}", "figure svg")
    yield Shot("retraining", f"/retraining/{quote(run.name)}", "main table", 1100)
    yield Shot("incident", f"/incidents/{quote(incident)}", "#timeline", 900)
    yield Shot("system", "/system", "main table")


def photographed(browser: Browser, url: str, shot: Shot) -> bytes:
    """Return an image of the upper part of a page, in at most 256 colours."""
    width = PHONE["width"] if shot.phone else DESK["width"]
    size = ViewportSize(width=width, height=shot.height)
    colours: Literal["dark", "light"] = "dark" if shot.dark else "light"
    with watching(browser, url, viewport=size, color_scheme=colours) as seen:
        seen.show(shot.path)
        seen.page.locator(shot.shows).first.wait_for(state="attached")
        taken = Image.open(io.BytesIO(seen.page.screenshot())).convert("RGB")
    packed = io.BytesIO()
    few = taken.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(packed, "PNG", optimize=True)
    assert packed.tell() <= LARGEST, shot.name
    return packed.getvalue()


if __name__ == "__main__":
    main()
