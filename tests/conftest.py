"""What all tests share.

Whatever computes uses one thread: several processes of tests are at it already, and threads that
wait for each other while others compute take half as long again. Servers that are started inherit
it. The files that take longest come first, so that no worker is left alone with one at the end.

All run after everybody else, as the processes do in which a server computes shadows and takes
backups: those would otherwise wait until no test wants a core.

New control databases are copies of one that the migrations made, but for the tests of these.

Property tests are not timed: a machine that does something else beside is no failure.
"""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, when the first of them is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from tests.databases import migrate

from watchkeeper.store import upgrade

os.nice(19)  # the lowest; whoever asks for it again stays there
settings.register_profile("untimed", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "untimed"))

_LONGEST = (
    "dashboard/test_browser.py", "server/test_lifecycle.py", "telemetry/test_chain.py",
    "upgrades/test_upgrades.py", "jobs/test_online_learning.py", "demo/test_demo.py",
    "operations/test_retraining.py", "api/test_rollouts.py", "operations/test_online_learning.py",
    "drift/test_engines.py", "stats/test_check_suite.py", "store/test_joined_days.py",
    "store/test_tables.py", "store/test_backup.py", "server/test_fuzz.py", "test_typing.py",
    "telemetry/test_tracing.py", "operations/test_online_backups.py", "api/test_shadows.py",
    "api/test_readiness.py", "store/test_committer_kill.py", "serving/test_ingest.py",
    "serving/test_experiments.py", "store/test_kill.py",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="session")
def new_databases_are_copies() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upgrade, "migrate", migrate)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files come first; the Makefile tells xdist to keep the order.

    They are marked as slow, for those who want an answer soon.
    """
    here = Path(__file__).parent
    first = {here / name: at for at, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: first.get(item.path, len(first)))
    for item in items:
        if item.path in first:
            item.add_marker(pytest.mark.slow)
