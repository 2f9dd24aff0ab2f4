"""A version that computes in a process of its own, and what becomes of that process."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from watchkeeper.registry import ModelRegistry
from watchkeeper.registry.isolated import ApartRuntime
from watchkeeper.registry.runtime import ModelOutputError

ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]])


def test_given_a_version_when_it_computes_apart_then_its_answers_are_the_same(
    tmp_path: Path,
) -> None:
    with ModelRegistry(tmp_path) as registry:
        labels = [0, 1, 1, 0]
        registry.register_model(LogisticRegression().fit(ROWS, labels), "lr", "1", {})
        here = registry.open_runtime("lr:1").predict(ROWS)
        apart = ApartRuntime(registry, "lr:1")
        assert apart.begun.wait(60)
        assert apart.ready
        there = apart.predict(ROWS)
        assert there.predictions.tolist() == here.predictions.tolist()
        assert there.scores is not None
        assert here.scores is not None
        np.testing.assert_array_equal(there.scores, here.scores)
        with pytest.raises(ModelOutputError, match=r"ValueError: .*features"):
            apart.predict(np.ones((2, 5)))


def test_given_a_server_that_is_killed_when_its_shadow_hangs_then_the_process_ends_too(
    tmp_path: Path,
) -> None:
    module = tmp_path / "hanging.py"
    module.write_text(
        "import threading\n\n\nclass Hangs:\n    def predict(self, rows):\n"
        "        threading.Event().wait()\n"
    )
    script = (
        "import sys, threading\n"
        "from hanging import Hangs\n"
        "from watchkeeper.registry import ModelRegistry\n"
        "from watchkeeper.registry.isolated import ApartRuntime\n"
        "registry = ModelRegistry(sys.argv[1])\n"
        "registry.register_model(Hangs(), 'm', '1', {}, allow_unsafe=True)\n"
        "apart = ApartRuntime(registry, 'm:1')\n"
        "apart.begun.wait()\n"
        "threading.Thread(target=apart.predict, args=([[1.0]],), daemon=True).start()\n"
        "print(apart._process.pid, flush=True)\n"
        "threading.Event().wait()\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "registry")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as server:
        assert server.stdout is not None
        child = os.pidfd_open(int(server.stdout.readline()))
        server.send_signal(signal.SIGKILL)
    ended, _, _ = select.select([child], [], [], 60)
    os.close(child)
    assert ended
