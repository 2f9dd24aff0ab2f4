import os
import random
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from watchkeeper.store.segments import adopt_abandoned, list_segments, read_segment

WRITER = """
import itertools, os, sys, threading
from pathlib import Path
from watchkeeper.store import Journal, JournalRecorder
from watchkeeper.testing import a_prediction, an_outcome

root, run = Path(sys.argv[1]), sys.argv[2]
recorder = JournalRecorder(Journal(root, segment_max_bytes=20_000, fsync_interval=0.01))

def write(thread):
    for n in itertools.count():
        own = f"{run}-{thread}-{n}"
        recorder.record([a_prediction(own)])
        os.write(1, f"p {own}\\n".encode())
        recorder.record([an_outcome(own)])
        os.write(1, f"o {own}\\n".encode())

for thread in range(3):
    threading.Thread(target=write, args=(thread,)).start()
"""


@pytest.mark.parametrize("kills", [6, pytest.param(60, marks=pytest.mark.nightly)])
def test_given_writers_under_load_when_killed_at_random_then_each_acknowledged_event_is_there_once(
    tmp_path: Path, kills: int
) -> None:
    chance = random.Random(7)
    acknowledged: set[str] = set()
    for run in range(kills):
        acknowledged |= _acknowledged_until_killed(tmp_path, run, after=chance.randint(1, 40_000))

    adopt_abandoned(tmp_path)
    kept: Counter[str] = Counter()
    for segment in list_segments(tmp_path):
        contents = read_segment(segment)
        assert contents.damage == ""
        kept.update(f"{type(e).__name__[0].lower()} {e.prediction_id}" for e in contents.events)

    assert len(acknowledged) > kills
    assert acknowledged <= set(kept)
    assert set(kept.values()) == {1}


def _acknowledged_until_killed(root: Path, run: int, after: int) -> set[str]:
    """Kill a writer once it has reported `after` bytes; return what it reported."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(run)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        fd = writer.stdout.fileno()
        report = b""
        while len(report) < after:
            assert select.select([fd], [], [], 60)[0], "the writer reports nothing"
            part = os.read(fd, 65_536)
            assert part, "the writer died by itself"
            report += part
        writer.send_signal(signal.SIGKILL)
        report += writer.stdout.read()
    return set(report[: report.rfind(b"\n") + 1].decode().splitlines())
