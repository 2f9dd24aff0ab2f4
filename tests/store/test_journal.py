import os
import subprocess
import sys
from pathlib import Path

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


def test_given_a_fork_when_the_child_writes_then_it_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal._pid += 1  # what a child sees: a journal of another process
        with pytest.raises(UnavailableError):
            journal.append(b"{}\n", 1)
        journal._pid = os.getpid()
