"""Claim: a backup of 10 million events grows the 99th percentile of 500 requests/s by 20 % at most.

A server answers by a small model while its data directory holds 10 million predictions with their
outcomes. In turns it is left alone and backed up, as it does on schedule, one backup after the
other. A minute of either is a turn's half, because the server's own work comes round in a minute:
a segment of the journal lands, and time lines are refreshed. In half as long one kind would have it
and the other not. Which comes first changes from turn to turn. A turn alone scatters by a third, as
the machine does: what counts are all requests.

Printed are the latencies of each turn and of all requests. Then the newest backup is restored, and
what is in it is counted against what was acknowledged before its moment.

    python benchmarks/backup.py [--events 10_000_000] [--rate 500] [--turns 5]
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
from sklearn.linear_model import LogisticRegression

from experiment_report import fill
from figures import Figures
from watchkeeper.app import App
from watchkeeper.config import BackupSettings, Settings
from watchkeeper.jobs.maintenance import CHILD
from watchkeeper.server.connection import Connection

CONNECTIONS = 32
WARM = 40  # seconds until the server has settled, and read what there is for its time lines
HALF = 60  # seconds of a turn in which it is left alone, or backed up
ALONE, BACKED_UP = "alone", "backed up"
BODY = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[1.0,2.0,3.0,4.0]}]}'


class Load:
    """Requests at a steady rate, each due at its time, whatever became of the others."""

    def __init__(self, port: int, rate: int) -> None:
        self._port, self._rate = port, rate
        self.latency: dict[str, list[list[float]]] = {ALONE: [], BACKED_UP: []}  # ms, by half
        self.acknowledged: list[tuple[datetime, str]] = []
        self.phase = ""
        self._over = False

    async def run(self) -> None:
        await asyncio.gather(*(self._ask(number) for number in range(CONNECTIONS)))

    def pause(self) -> None:
        """Go on asking, and note it no more."""
        self.phase = ""

    def stop(self) -> None:
        self._over = True

    async def _ask(self, turn: int) -> None:
        begin = time.perf_counter()
        async with await Connection.open("127.0.0.1", self._port) as connection:
            while not self._over:
                due = begin + turn / self._rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                answer = msgspec.json.decode(await connection.send("/v2/models/m/infer", BODY))
                took = 1e3 * (time.perf_counter() - due)
                self.acknowledged.append((datetime.now(UTC), answer["parameters"]["prediction_id"]))
                if self.phase:
                    self.latency[self.phase][-1].append(took)
                turn += CONNECTIONS


async def measured(load: Load, settings: Settings, turns: int) -> list[float]:
    """Return the seconds that each backup took."""
    asking = asyncio.create_task(load.run())
    took: list[float] = []
    await asyncio.sleep(WARM)
    for turn in range(turns):
        for kind in (ALONE, BACKED_UP) if turn % 2 == 0 else (BACKED_UP, ALONE):
            load.latency[kind].append([])
            load.phase = kind
            end = asyncio.create_task(asyncio.sleep(HALF))
            end.add_done_callback(lambda _: load.pause())
            while kind == BACKED_UP and not end.done():
                begin = time.perf_counter()
                await back_up(settings)
                took.append(time.perf_counter() - begin)
            await end
    load.stop()
    await asking
    return took


async def back_up(settings: Settings) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, "backup",
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    await process.communicate(settings.model_dump_json().encode())
    assert process.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="watchkeeper-") as folder,
        Figures(__file__) as figures,
    ):
        data, target = Path(folder) / "data", Path(folder) / "target"
        fill(data, given.events, 1_000_000)
        rows = np.random.default_rng(3).normal(size=(200, 4))
        with App(Settings(data_dir=data)) as app:
            model = LogisticRegression().fit(rows, rows[:, 0] > 0)
            app.registry.promote_to_production(app.registry.register_model(model, "m", "1", {}))
        here = [sys.executable, "-m", "watchkeeper"]
        with subprocess.Popen(
            [*here, "serve", "--port", "0", "--data-dir", str(data)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ) as server:  # fmt: skip
            assert server.stdout is not None
            load = Load(int(server.stdout.readline().rpartition(":")[2]), given.rate)
            settings = Settings(data_dir=data, backup=BackupSettings(target=str(target), keep=1))
            took = asyncio.run(measured(load, settings, given.turns))
            server.terminate()
        add_latencies(figures, load, took)
        with App(Settings(data_dir=data)) as app:
            made = app.backups.restore(Path(folder) / "there", target=str(target))
        figures.add("the backup", made.size / 1e9, "GB")
        figures.add("files of the backup", made.files, "")
        with App(Settings(data_dir=Path(folder) / "there")) as app:
            app.landing.land()
            kept = set(app.events.read("m").rows["prediction_id"].to_pylist())
            counts = app.events.counts("flights")
        before = {name for at, name in load.acknowledged if at < made.point}
        figures.add("old predictions restored", counts.predictions, f"of {given.events:,}")
        figures.add("acknowledged before the backup's moment", len(before), "predictions")
        figures.add("missing of these", len(before - kept), "predictions")


def add_latencies(figures: Figures, load: Load, took: list[float]) -> None:
    figures.add("backups", len(took), "")
    figures.add("a backup, least", min(took), "s")
    figures.add("a backup, most", max(took), "s")
    halves = zip(load.latency[ALONE], load.latency[BACKED_UP], strict=True)
    for turn, (alone, beside) in enumerate(halves, 1):
        compare(figures, f"turn {turn}, 99th percentile", alone, beside, 0.99)
    alone, beside = (list(chain(*load.latency[kind])) for kind in (ALONE, BACKED_UP))
    figures.add("requests alone", len(alone), "")
    figures.add("requests backed up", len(beside), "")
    compare(figures, "median", alone, beside, 0.5)
    compare(figures, "99th percentile", alone, beside, 0.99)


def compare(
    figures: Figures, label: str, alone: list[float], beside: list[float], share: float
) -> None:
    first, second = float(np.quantile(alone, share)), float(np.quantile(beside, share))
    figures.add(f"{label}, alone", first, "ms")
    figures.add(f"{label}, backed up", second, "ms")
    figures.add(f"{label}, backed up / alone", second / first, "times")


if __name__ == "__main__":
    main()
