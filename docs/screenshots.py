"""Makes the images of these pages: plays the demo, and photographs its dashboard in Chromium.

    make screenshots

The same flights are replayed each time, so that an image changes only where a page does (and where
it says how long something took).
"""

import argparse
import asyncio
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, ViewportSize
from tests.dashboard.browsing import DESK, PHONE, chromium, watching

from watchkeeper.app import App
from watchkeeper.config import load_settings
from watchkeeper.demo.model import MODEL
from watchkeeper.demo.run import FAST, ReplayPlan, played
from watchkeeper.server.process import serving

IMAGES = Path(__file__).parent / "images"
LARGEST = 200_000  # bytes of an image
_COLOURS, _OFTEN = 256, 160


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
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "flights"
        with played(folder, ReplayPlan(share=options.share), Teller()):
            pass
        config = folder / "watchkeeper.toml"
        with App(load_settings(config, folder)) as app:
            app.landing.land()
            app.timelines.refresh(MODEL)  # or pages tell of them as they were a minute ago
            with serving(config, app.settings.server.port) as server:
                asyncio.run(server.ready())
                with chromium() as browser:
                    for shot in shots(app):
                        taken = photographed(browser, server.url, shot)
                        (IMAGES / f"{shot.name}.png").write_bytes(taken)
                        print(f"{shot.name}: {len(taken):,} bytes", flush=True)


def shots(app: App) -> Iterator[Shot]:
    """Yield what is photographed."""
    run = app.retraining.find("flights")[0]
    version = quote(run.version or "1.0.0")
    rollout = app.rollouts.find("flights")[0].name
    incident = app.incidents.find("flights")[-1].name
    model = "/models/flights"
    yield Shot("overview", "/", "#models tr.bad", 1250)
    yield Shot("overview-dark", "/", "#models tr.bad", 1250, dark=True)
    yield Shot("overview-phone", "/", "#models tr.bad", 1100, phone=True)
    yield Shot("model", model, "#now tr.bad", 1300)
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
    yield Shot("incident", f"/incidents/{quote(incident)}", "#draft", 900)
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
    _of_few_colours(np.asarray(taken)).save(packed, "PNG", optimize=True)
    assert packed.tell() <= LARGEST, shot.name
    return packed.getvalue()


def _of_few_colours(image: NDArray[np.uint8]) -> Image.Image:
    """Return an image in 256 of its colours: those of areas as they are, and no mark grey."""
    height, width, _ = image.shape
    colours, places, counts = np.unique(
        image.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    colours = colours.astype(int)
    apart = np.full(len(colours), np.inf)
    nearest = np.zeros(len(colours), dtype=np.uint8)
    kept: list[int] = []

    def keep(colour: int) -> None:
        distance = ((colours - colours[colour]) ** 2).sum(axis=1)
        nearer = distance < apart
        nearest[nearer], apart[nearer] = len(kept), distance[nearer]
        kept.append(colour)

    for colour in np.argsort(-counts, kind="stable")[:_OFTEN]:
        keep(int(colour))
    while len(kept) < _COLOURS and apart.max() > 0:
        keep(int(np.argmax(apart * np.log1p(counts))))  # what is least like any of those kept
    found = Image.fromarray(nearest[places.reshape(height, width)], mode="P")
    found.putpalette(colours[kept].astype(np.uint8).tobytes())
    return found


if __name__ == "__main__":
    main()
