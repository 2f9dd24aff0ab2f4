"""Writers and landing are killed, at random and between any two steps; readers look on."""

import os
import random
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from watchkeeper.events import Outcome, Prediction
from watchkeeper.store import EventStore, Landing
from watchkeeper.store.segments import list_segments, read_segment
from watchkeeper.store.tables import EventTable

WRITER = """
import itertools, os, sys
from datetime import timedelta
from pathlib import Path
from watchkeeper.store import Journal, JournalRecorder
from watchkeeper.testing import FixedClock, a_prediction, an_outcome

data, run = Path(sys.argv[1]), sys.argv[2]
now = FixedClock()()
recorder = JournalRecorder(Journal(data / "journal", segment_max_bytes=50_000))
for n in itertools.count():
    own, at = f"{run}-{n}", now + timedelta(hours=7 * n % 48)
    recorder.record([a_prediction(own, timestamp=at, model=("even", "odd")[n % 2])])
    recorder.record([an_outcome(own, model=("even", "odd")[n % 2])])
    os.write(1, f"{own:>199}\\n".encode())  # a pipe holds some 300: nobody runs far ahead
"""

LANDER = """
import os, signal, sys
from pathlib import Path
from watchkeeper.store import Landing, committer, tables

data, step, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def dies_before(owner, name):
    done = getattr(owner, name)
    def counted(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done(*args, **kwargs)
    setattr(owner, name, counted)

if step != "none":
    owner = {"read_segment": committer, "write_deltalake": tables, "sync": tables,
             "make_durable": tables.EventTable}.get(step, Path)
    dies_before(owner, step)
while True:
    report = Landing(data).land()
    assert not report.failures, report.failures
    os.write(1, b"landed\\n")
    if step != "none":
        break
"""

# In the order of landing: segments are taken over (Path.unlink of empty ones) and read, each table
# is committed, made durable and its version noted (Path.replace), then segments are deleted.
STEPS = ("read_segment", "write_deltalake", "make_durable", "sync", "replace", "unlink")


def start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE
    )


def acknowledged_by(writer: subprocess.Popen[bytes], enough: int) -> set[str]:
    """Return what the writer has acknowledged when that is at least `enough` bytes of ids."""
    assert writer.stdout is not None
    fd, report = writer.stdout.fileno(), b""
    while len(report) < enough or not report.endswith(b"\n"):
        assert select.select([fd], [], [], 60)[0], "the writer reports nothing"
        part = os.read(fd, 65_536)
        assert part, "the writer died by itself"
        report += part
    return set(report.decode().split())


def killed(writer: subprocess.Popen[bytes]) -> set[str]:
    """Kill the writer; return what else it has acknowledged."""
    writer.kill()
    report = writer.communicate()[0]
    return set(report[: report.rfind(b"\n") + 1].decode().split())


def seen(data: Path) -> Counter[str]:
    """Return how often a reader sees each labelled prediction."""
    events = EventStore(data)
    found: Counter[str] = Counter()
    for model in events.models():
        rows = events.read(model, columns=["prediction_id", "actual"]).rows
        found.update(rows.filter(rows["actual"].is_valid())["prediction_id"].to_pylist())
    return found


def stored(data: Path) -> Counter[tuple[str, str]]:
    """Return how often each event is in the tables, or waits for one that lacks it."""
    found: Counter[tuple[str, str]] = Counter()
    for model in EventStore(data).models():
        for kind, event in (("prediction", Prediction), ("outcome", Outcome)):
            table = EventTable(data / "events" / model, kind)  # type: ignore[arg-type]
            ids = table.read(table.files, ["prediction_id"])["prediction_id"].to_pylist()
            for segment in list_segments(data / "journal"):
                if segment.number > table.landed(segment.journal_id):
                    waiting = read_segment(segment).events
                    ids += [e.prediction_id for e in waiting
                            if isinstance(e, event) and e.model == model]  # fmt: skip
            found.update((kind, own) for own in ids)
    return found


def assert_once(data: Path, acknowledged: set[str]) -> None:
    found = seen(data)
    assert set(found.values()) == {1}
    assert acknowledged <= set(found)
    assert set(stored(data).values()) == {1}


@pytest.fixture(scope="module")
def chance() -> random.Random:
    return random.Random(11)


def test_given_landing_dies_between_any_two_steps_when_it_goes_on_then_each_event_is_there_once(
    tmp_path: Path, chance: random.Random
) -> None:
    acknowledged: set[str] = set()
    kills: Counter[str] = Counter()
    for occurrence in (1, 2):
        for step in STEPS:
            writer = start(WRITER, tmp_path, f"{step}{occurrence}")
            acknowledged |= acknowledged_by(writer, chance.randint(1, 20_000)) | killed(writer)
            with start(LANDER, tmp_path, step, occurrence) as lander:
                lander.communicate(timeout=60)
            kills[step] += lander.returncode == -signal.SIGKILL
            assert_once(tmp_path, acknowledged)

    assert min(kills[step] for step in STEPS) >= 2
    assert Landing(tmp_path).land().failures == ()
    assert_once(tmp_path, acknowledged)
    assert not any(segment.sealed for segment in list_segments(tmp_path / "journal"))


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.nightly)])
def test_given_writers_and_landing_killed_at_random_when_read_meanwhile_then_nothing_is_missed(
    tmp_path: Path, chance: random.Random, kills: int
) -> None:
    acknowledged: set[str] = set()
    for run in range(kills):
        lander = start(LANDER, tmp_path, "none", 0)
        writer = start(WRITER, tmp_path, f"run{run}")
        assert lander.stdout is not None
        for _ in range(chance.randint(1, 3)):  # rounds of landing beside the writer
            assert lander.stdout.readline()
            acknowledged |= acknowledged_by(writer, 1)
            found = seen(tmp_path)  # while both are at it
            assert acknowledged <= set(found)
            assert set(found.values()) == {1}
        lander.kill()
        acknowledged |= killed(writer)
        lander.communicate()
        assert_once(tmp_path, acknowledged)

    assert Landing(tmp_path).land().failures == ()
    assert_once(tmp_path, acknowledged)
    events = EventStore(tmp_path)
    assert sum(events.counts(model).labelled for model in ("even", "odd")) == len(seen(tmp_path))
