import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from watchkeeper.cli import main


def test_given_a_server_when_told_to_end_then_it_has_answered_and_exits_with_0(
    data_dir: Path,
) -> None:
    command = ["serve", "--port", "0", "--data-dir", str(data_dir)]
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "watchkeeper", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    try:
        said = next(line for line in server.stdout if "listening" in line)
        url = re.search(r"http://\S+", said)
        assert url is not None
        with urllib.request.urlopen(f"{url[0]}/v2/health/live") as answer:
            assert answer.read() == b'{"live":true}'
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)

    assert server.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "api_keys"),
        (["--port", "70000"], "server.port in the command line is 70000"),
        (["--workers", "0"], "server.workers in the command line is 0"),
    ],
)
def test_given_what_cannot_be_served_when_started_then_it_says_so_and_exits_with_2(
    data_dir: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["serve", *arguments, "--data-dir", str(data_dir)]) == 2

    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) <= 2
