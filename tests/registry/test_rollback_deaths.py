"""A rollback whose process dies, wherever that is: it was wholly done, or not at all."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from watchkeeper.errors import NotFoundError
from watchkeeper.registry import ModelRegistry
from watchkeeper.testing import FixedClock

MODEL = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
PROMOTED = datetime(2026, 6, 1, tzinfo=UTC)
ROLLED_BACK = datetime(2026, 6, 2, tzinfo=UTC)

DIES = """
import os, shutil, sys
from datetime import datetime
from itertools import count
from pathlib import Path
import sqlalchemy as sa
from watchkeeper.registry import ModelRegistry
from watchkeeper.registry.artifacts import Artifacts

root, at = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
verify, left = Artifacts.verify, 0

def step(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)

def verifying(*given):
    step()
    verify(*given)
    step()

def roll_back(path):
    registry = ModelRegistry(path, clock=lambda: at)
    engine = registry._repository._database._engine
    # Before each statement is also after the one before it; the last is the commit.
    for moment in ("begin", "before_cursor_execute", "commit"):
        sa.event.listen(engine, moment, step)
    Artifacts.verify = verifying
    registry.rollback("risk", reason="too many refusals", actor="ada")
    step()

for number in count():
    path = root / f"{number:03}"
    shutil.copytree(root / "given", path)
    left = number
    child = os.fork()
    if child == 0:
        roll_back(path)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        sys.exit(os.WEXITSTATUS(status))  # nothing was left at which it could die
"""


def opened(path: Path, at: datetime = ROLLED_BACK) -> ModelRegistry:
    return ModelRegistry(path, clock=FixedClock(at))


def state(registry: ModelRegistry) -> list[Any]:
    """Return all that a rollback may change."""
    versions = [each.to_dict() for each in registry.list_models(model_name="risk")]
    for each in versions:
        del each["file_path"]  # of the copy
    with closing(sqlite3.connect(registry.path / "control.db")) as database:
        stack = database.execute("SELECT * FROM promotions ORDER BY id").fetchall()
    return [versions, stack, registry.history("risk")]


def roll_back(registry: ModelRegistry) -> str:
    return registry.rollback("risk", reason="too many refusals", actor="ada")


def test_given_a_death_in_any_step_of_a_rollback_when_opened_again_then_it_is_done_or_is_not(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "given", PROMOTED) as registry:
        for version in ("1", "2", "3"):
            model_id = registry.register_model(MODEL, "risk", version, {})
            registry.promote_to_production(model_id)
        before = state(registry)
    command = [sys.executable, "-c", DIES, str(tmp_path), ROLLED_BACK.isoformat()]
    subprocess.run(command, check=True, env=os.environ)
    *died, lived = sorted(path for path in tmp_path.iterdir() if path.name != "given")
    with opened(lived) as registry:
        after = state(registry)
        assert registry.production() == {"risk": "risk:2"}

    done = []
    for path in died:
        with opened(path) as registry:
            found = state(registry)
            assert found in (before, after), path.name
            newest = registry.moves("risk", limit=1)[0]
            assert newest["subject"] == registry.get_production_model("risk")
            done.append(found == after)
            if not done[-1]:
                assert roll_back(registry) == "risk:2"
                assert state(registry) == after
            assert roll_back(registry) == "risk:1"
            with pytest.raises(NotFoundError, match="is the first"):
                roll_back(registry)
            for each in registry.list_models():
                registry.verify(each.model_id)

    assert len(done) > 12  # it died at each of its statements
    assert done == sorted(done)  # from one moment on
    assert done[-1]  # when all was written, and nobody told
    assert not done[-2]  # before it was committed
