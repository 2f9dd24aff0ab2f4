import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from watchkeeper.errors import UnavailableError
from watchkeeper.store import Journal, JournalFullError, JournalRecorder
from watchkeeper.store.segments import list_segments, read_segment
from watchkeeper.testing import a_prediction


def ids(root: Path) -> list[str]:
    return [e.prediction_id for s in list_segments(root) for e in read_segment(s).events]


def test_given_a_file_size_limit_when_a_write_falls_short_then_only_whole_lines_stay(
    tmp_path: Path,
) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from watchkeeper.store import Journal, JournalFullError, JournalRecorder
from watchkeeper.testing import a_prediction
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
recorder = JournalRecorder(Journal(Path(sys.argv[1]), min_free_bytes=0))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
kept = 0
try:
    while True:
        recorder.record([a_prediction(str(kept))])
        kept += 1
except JournalFullError:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
recorder.record([a_prediction(str(kept))])
recorder.close()
print(kept + 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True
    )

    assert ids(tmp_path) == [str(n) for n in range(int(done.stdout))]


def test_given_a_used_up_budget_when_recording_then_it_is_refused_or_counted(
    tmp_path: Path,
) -> None:
    with Journal(tmp_path, max_bytes=0) as journal:
        with pytest.raises(JournalFullError):
            JournalRecorder(journal).record([a_prediction()])
        answering = JournalRecorder(journal, when_full="answer")
        assert not answering.record([a_prediction()], required=False)
        assert answering.dropped == 1
    assert ids(tmp_path) == []


def test_given_two_journals_on_one_folder_when_both_write_then_each_has_its_own(
    tmp_path: Path,
) -> None:
    with Journal(tmp_path) as one, Journal(tmp_path) as two:
        JournalRecorder(one).record([a_prediction("a")])
        JournalRecorder(two).record([a_prediction("b")])
        assert one.folder != two.folder
    assert sorted(ids(tmp_path)) == ["a", "b"]


def test_given_a_torn_last_line_when_restarted_then_it_is_cut_off_and_kept_aside(
    tmp_path: Path,
) -> None:
    with Journal(tmp_path) as journal:
        folder = journal.folder
    (folder / f"{90:020d}.open").write_bytes(b'{"event":"pred')
    with Journal(tmp_path):
        assert ids(tmp_path) == []
    assert [path.read_bytes() for path in (tmp_path / "damaged").iterdir()] == [b'{"event":"pred']


def test_given_a_fork_when_the_child_writes_then_it_is_refused_and_opens_its_own(
    tmp_path: Path,
) -> None:
    code = """
import os, sys
from pathlib import Path
from watchkeeper.errors import UnavailableError
from watchkeeper.store import Journal, JournalRecorder
from watchkeeper.testing import a_prediction
journal = Journal(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    try:
        JournalRecorder(journal).record([a_prediction("refused")])
    except UnavailableError:
        own = Journal(Path(sys.argv[1]), fsync_interval=0)
        JournalRecorder(own).record([a_prediction("child")])
    os._exit(0)
JournalRecorder(journal).record([a_prediction("parent")])
assert os.waitpid(child, 0)[1] == 0
journal.close()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)

    assert sorted(ids(tmp_path)) == ["child", "parent"]


FILLS = """
import resource, signal, sys
from pathlib import Path
from watchkeeper.store import EventStore, Journal, JournalFullError, JournalRecorder, Landing
from watchkeeper.testing import a_prediction

root, real = Path(sys.argv[1]), sys.argv[2] == "disk"
filler, hard = root / "filler", resource.getrlimit(resource.RLIMIT_FSIZE)[1]
if real:
    filler.write_bytes(bytes(600_000))
else:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
recorder = JournalRecorder(Journal(root / "journal", min_free_bytes=0))
kept, refused = 0, 0
while refused < 200:
    try:
        recorder.record([a_prediction(f"p{kept}")])
        kept += 1
    except JournalFullError:
        refused += 1
if real:
    filler.unlink()
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for _ in range(100):
    recorder.record([a_prediction(f"p{kept}")])
    kept += 1
recorder.close()
report = Landing(root).land()
assert report.failures == (), report
assert EventStore(root).counts("flights").predictions == kept
assert not list(root.glob("journal/*/*.jsonl"))
print(kept)
"""
PRIVATE = ["unshare", "--user", "--map-root-user", "--mount"]
MOUNTED = [
    *PRIVATE,
    "sh",
    "-c",
    'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1" disk',
]


def test_given_a_disk_that_is_full_when_recording_then_nothing_acknowledged_is_lost_and_it_resumes(
    tmp_path: Path,
) -> None:
    # A small disk of our own where the kernel lets us mount one, else the smallest quota there is.
    may_mount = subprocess.run([*PRIVATE, "true"], capture_output=True, check=False).returncode == 0
    command = [*MOUNTED, "sh", str(tmp_path), sys.executable, FILLS]
    if not may_mount:
        command = [sys.executable, "-c", FILLS, str(tmp_path), "quota"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200


def test_given_a_size_when_a_segment_reaches_it_then_it_is_sealed(tmp_path: Path) -> None:
    with Journal(tmp_path, segment_max_bytes=1_000) as journal:
        for number in range(10):
            JournalRecorder(journal).record([a_prediction(str(number))])
        sealed = [segment for segment in list_segments(tmp_path) if segment.sealed]

    assert len(sealed) >= 3
    assert ids(tmp_path) == [str(number) for number in range(10)]


def test_given_an_age_when_a_segment_reaches_it_then_it_is_sealed_though_clocks_go_backwards(
    tmp_path: Path,
) -> None:
    now = [1_000.0]
    looked = threading.Event()

    def monotonic() -> float:
        looked.set()
        return now[0]

    with Journal(tmp_path, segment_max_age=30, fsync_interval=0.01, monotonic=monotonic) as journal:
        JournalRecorder(journal).record([a_prediction("a")])
        now[0] -= 500
        for _ in range(3):
            looked.clear()
            assert looked.wait(10)
        young = [segment for segment in list_segments(tmp_path) if segment.sealed]
        now[0] += 1_000
        while not any(segment.sealed for segment in list_segments(tmp_path)):
            looked.clear()
            assert looked.wait(10)

    assert young == []
    assert ids(tmp_path) == ["a"]


def test_given_many_rows_when_ingested_then_they_are_segments_in_order_and_bounded(
    tmp_path: Path,
) -> None:
    count = 250_000
    moment = pa.array([a_prediction().timestamp], pa.timestamp("us", "UTC"))
    times = pa.chunked_array([moment]).take([0] * count)
    rows = pa.table(
        {
            "prediction_id": [f"o{number}" for number in range(count)],
            "timestamp": times,
            "arrived_at": times,
            "actual": [1] * count,
        }
    )
    with Journal(tmp_path) as journal:
        recorder = JournalRecorder(journal)
        recorder.record([a_prediction("before")])
        recorder.record_table("outcome", "flights", rows)
        recorder.record([a_prediction("after")])

    found = [read_segment(each) for each in list_segments(tmp_path) if each.sealed]
    sizes = [each.table[2].num_rows if each.table else len(each.events) for each in found]
    assert sizes == [1, 100_000, 100_000, 50_000, 1]
    assert not list(tmp_path.glob("*/*.tmp"))


def test_given_a_closed_journal_when_written_to_then_it_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.close()
    journal.close()

    with pytest.raises(UnavailableError, match="closed"):
        journal.append(b"{}\n", 1)
