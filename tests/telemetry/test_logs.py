import io
import json
import logging
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError, UnavailableError
from watchkeeper.telemetry import JSONFormatter, setup_logger
from watchkeeper.telemetry.logs import ConsoleFormatter, configure_logging


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> Iterator[logging.Logger]:
    """A logger of its own for each test, and no handlers of it afterwards."""
    made = logging.getLogger(f"test.{request.node.name}")
    yield made
    for handler in list(made.handlers):
        made.removeHandler(handler)
        handler.close()


def strict(line: str) -> dict[str, Any]:
    """Parse as a parser does that knows nothing but the standard."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    assert len(line.splitlines()) == 1, line
    line.encode("utf-8")
    read = json.loads(line, parse_constant=refuse)
    assert isinstance(read, dict)
    return read


def line_of(**fields: Any) -> dict[str, Any]:
    return strict(JSONFormatter().format(logging.makeLogRecord(fields)))


NAIVE = datetime(2013, 1, 1)  # noqa: DTZ001 - which is taken as UTC


class Color(Enum):
    RED = "red"


class Hostile:
    """Raises whatever one asks of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class Lying(dict[str, int]):
    """A mapping that breaks when it is looked into."""

    def items(self) -> Any:
        raise KeyError("gone")


def a_cycle() -> list[Any]:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    return cycle


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def a_bomb() -> list[Any]:
    made: list[Any] = [1]
    for _ in range(40):
        made = [made] * 10
    return made


BOMB = a_bomb()  # whoever writes it out never ends

HOSTILE = [
    math.nan, math.inf, -math.inf, 10**400, 10**5000, -(2**70), b"\xff\x00", bytearray(b"a"),
    np.float64("nan"), np.float32(1.5), np.int64(3), np.bool_(True), np.arange(4), np.zeros((2, 2)),
    np.array([math.nan, 1.0]), np.array(["a"], dtype=object), np.datetime64("2013-01-01"),
    np.zeros(100_000), pd.Timestamp("2013-01-01"), pd.NaT, pd.NA, pd.Series([1]),
    NAIVE, datetime(2013, 1, 1, tzinfo=UTC), timedelta(seconds=2), Decimal("NaN"),
    Color.RED, Path("a"), {1, 2}, frozenset(), range(3), {}.keys(), object(), Hostile(), Hostile,
    Lying(a=1), a_cycle(), nested(30), nested(3000), BOMB, "x" * 200_000, "a\nb\r\n\u2028\x85",
    "\ud800 lone", "\x00\x1b[31m", {1: "a", "1": "b", None: 2, (1, 2): 3, math.nan: 4},
    ValueError("v"), lambda: None, 1j, memoryview(b"m"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(place, value, id=f"{place}-{type(value).__name__}-{number}")
        for place in ("extra", "inside", "message", "argument")
        for number, value in enumerate(HOSTILE)
        # Formatting a message calls its str(), which for this one never ends.
        if value is not BOMB or place in {"extra", "inside"}
    ],
)
def test_given_a_hostile_value_when_logged_then_the_line_parses_and_the_record_is_there(
    place: str, value: Any
) -> None:
    fields = {
        "extra": {"msg": "hello", "input_features": value},
        "inside": {"msg": "hello", "input_features": {"deep": [{"er": value}]}},
        "message": {"msg": value},
        "argument": {"msg": "%d of %s", "args": (value,)},
    }[place]

    read = line_of(**fields)

    assert {"timestamp", "level", "logger", "message", "module", "function", "line"} <= read.keys()
    assert len(json.dumps(read)) < 1_000_000
    if place == "extra":
        assert read["message"] == "hello"
        assert "input_features" in read


SHOWABLE = [value for value in HOSTILE if value is not BOMB and not isinstance(value, Hostile)]

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
    | st.decimals()
    | st.integers(0, len(SHOWABLE) - 1).map(lambda at: SHOWABLE[at]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner),
    max_leaves=12,
)
names = st.text(min_size=1) | st.sampled_from(
    ["level", "message", "timestamp", "extra", "name", "msg", "args", "line", "exception", "stack"]
)


@given(extra=st.dictionaries(names, anything))
def test_given_any_extras_when_logged_then_no_record_is_lost_and_no_field_replaced(
    extra: dict[str, Any],
) -> None:
    stream = io.StringIO()
    logger = setup_logger("test.any", None)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    logger.handlers[:], kept = [handler], logger.handlers[:]

    logger.warning("hello %s", "you", extra=extra)
    logger.handlers[:] = kept

    read = strict(stream.getvalue().removesuffix("\n"))
    assert (read["message"], read["level"], read["logger"]) == ("hello you", "WARNING", "test.any")
    assert read["function"].startswith("test_given_any_extras")
    told = read.keys() | read.get("extra", {}).keys()
    assert {name for name in extra if name.isprintable()} <= told


def test_given_values_when_converted_then_they_are_what_a_reader_expects() -> None:
    read = line_of(
        msg="m",
        prediction_id="wk-1",
        latency_ms=np.float64(1.25),
        input_features={"distance": np.int64(3), "seen": NAIVE, 7: b"ok"},
        shape=np.ones((1, 2)),
        share=math.nan,
        local=datetime(2013, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    )

    assert (read["prediction_id"], read["latency_ms"]) == ("wk-1", 1.25)
    assert read["input_features"] == {
        "distance": 3,
        "seen": "2013-01-01T00:00:00+00:00",
        "7": "ok",
    }
    assert (read["shape"], read["share"]) == ([[1.0, 1.0]], "NaN")
    assert read["local"] == "2013-01-01T00:00:00+00:00"


def test_given_reserved_names_when_they_are_extras_then_they_lie_beside_the_fields() -> None:
    read = line_of(msg="m", level="mine", timestamp=1, extra={"a": 2}, token="s")

    assert read["level"] != "mine"
    assert read["extra"] == {"level": "mine", "timestamp": 1, "extra": {"a": 2}}


def test_given_secrets_when_logged_then_their_values_are_not_there() -> None:
    record = logging.makeLogRecord(
        {"msg": "m", "Password": "hunter2", "request": {"headers": [{"Authorization": "hunter2"}]}}
    )

    for formatter in (JSONFormatter(), ConsoleFormatter()):
        assert "hunter2" not in formatter.format(record)
    assert "hunter2" in JSONFormatter(redact=()).format(record)


def test_given_an_exception_when_logged_then_its_traceback_is_one_field_of_one_line() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    for error in (ValueError("two\nlines"), OddError()):
        try:
            raise error
        except (ValueError, OddError):
            record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
        read = strict(JSONFormatter().format(record))

        assert read["exception"].startswith("Traceback")
        assert type(error).__name__ in read["exception"]


def test_given_a_logger_when_set_up_twice_then_each_record_is_written_once(
    tmp_path: Path, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "logs" / "model.log"
    for _ in range(2):
        made = setup_logger(logger.name, file)
        made.info("predicted", extra={"model_version": "1.0.0", "message": "clash"})
    assert made is logger
    assert len(made.handlers) == 2
    lines = [strict(line) for line in file.read_text().splitlines()]

    assert [(each["message"], each["model_version"]) for each in lines] == [
        ("predicted", "1.0.0"),
        ("predicted", "1.0.0"),
    ]
    assert lines[0]["extra"] == {"message": "clash"}
    assert datetime.fromisoformat(lines[0]["timestamp"]).utcoffset() == timedelta(0)
    console = capsys.readouterr().err.splitlines()
    assert len(console) == 2
    assert f"INFO {logger.name}: predicted model_version=1.0.0" in console[0]


def test_given_another_level_and_file_when_set_up_again_then_they_take_the_place_of_the_former(
    tmp_path: Path, logger: logging.Logger
) -> None:
    setup_logger(logger.name, tmp_path / "a.log").info("one")
    setup_logger(logger.name, tmp_path / "b.log", "warning").info("two")
    logger.error("three")

    assert "one" in (tmp_path / "a.log").read_text()
    assert [strict(each)["message"] for each in (tmp_path / "b.log").read_text().splitlines()] == [
        "three"
    ]
    assert len(logger.handlers) == 2


def test_given_bad_arguments_when_set_up_then_the_error_says_what_is_expected(
    tmp_path: Path,
) -> None:
    with pytest.raises(InvalidValueError, match="level is 'loud'; expected one of"):
        setup_logger("test.bad", tmp_path / "a.log", "loud")
    with pytest.raises(InvalidValueError, match="keep is 0"):
        setup_logger("test.bad", tmp_path / "a.log", keep=0)
    with pytest.raises(UnavailableError, match="cannot be written"):
        setup_logger("test.bad", tmp_path)
    assert logging.getLogger("test.bad").handlers == []


WRITER = """
import os, sys, threading
from watchkeeper.telemetry import setup_logger
file, name = sys.argv[1:]
logger = setup_logger(f"writer", file, max_bytes=20_000, keep=1000)
if name == "forks":
    name = f"child-{os.fork() == 0}"
def write(thread):
    for number in range(150):
        logger.info("x" * (number % 90), extra={"own": f"{name}-{thread}-{number}"})
threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
for each in threads: each.start()
for each in threads: each.join(60)
if name == "child-True": os._exit(0)
if name == "child-False": os.wait()
"""


def test_given_processes_and_threads_when_the_file_rotates_then_every_line_is_there_once(
    tmp_path: Path,
) -> None:
    file = tmp_path / "model.log"
    command = [sys.executable, "-c", WRITER, str(file)]
    writers = [
        subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in ("a", "b", "forks")
    ]
    for each in writers:
        errors = each.communicate(timeout=120)[1].decode()
        assert each.returncode == 0, errors
        assert "Traceback" not in errors

    files = list(tmp_path.glob("model.log*"))
    lines = [strict(line) for path in files for line in path.read_text().splitlines()]
    found = sorted(line["own"] for line in lines)
    assert found == sorted(
        f"{name}-{thread}-{number}"
        for name in ("a", "b", "child-True", "child-False")
        for thread in range(3)
        for number in range(150)
    )
    assert len(files) > 5


def test_given_threads_when_they_log_then_every_line_is_there(
    tmp_path: Path, logger: logging.Logger
) -> None:
    setup_logger(logger.name, tmp_path / "a.log", "ERROR")

    def write(name: int) -> None:
        for number in range(100):
            logger.error("m", extra={"own": [name, number], "bad": a_cycle()})

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)

    lines = [strict(line) for line in (tmp_path / "a.log").read_text().splitlines()]
    assert sorted(line["own"] for line in lines) == [[n, i] for n in range(4) for i in range(100)]


CONFIGURED = """
import logging, sys, warnings
from pathlib import Path
from watchkeeper.telemetry.logs import configure_logging
for _ in range(2):
    configure_logging(level="INFO", log_file=Path(sys.argv[1]))
logging.getLogger("library").info("told", extra={"token": "hunter2"})
warnings.warn("deprecated")
"""


def test_given_a_process_without_a_terminal_when_configured_then_stderr_is_json_lines(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", CONFIGURED, str(tmp_path / "a.log")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)

    first, second = map(strict, ended.stderr.splitlines())
    assert (first["logger"], first["message"], first["token"]) == ("library", "told", "[redacted]")
    assert "deprecated" in second["message"]
    assert (tmp_path / "a.log").read_text() == ended.stderr


def test_given_text_when_configured_then_stderr_is_for_people(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging(style="text")
    logging.getLogger("library").info("told")
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)

    assert capsys.readouterr().err.rstrip().endswith("INFO library: told")
