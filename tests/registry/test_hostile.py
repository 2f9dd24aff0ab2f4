"""Files that run code when they are loaded: they do not, whichever way they are brought in."""

import io
import json
import os
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import joblib
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from watchkeeper.cli import main
from watchkeeper.errors import IntegrityError, WatchkeeperError
from watchkeeper.registry import ModelRegistry
from watchkeeper.registry.formats import UnsafeFormatError, UntrustedTypesError, load

MODEL = LogisticRegression().fit([[0.0], [1.0]], [0, 1])


class Hostile:
    """What makes a folder when a pickle of it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "code-was-run"


def pickled(mark: Path) -> bytes:
    return pickle.dumps(Hostile(mark))


def by_joblib(mark: Path) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(Hostile(mark), buffer)
    return buffer.getvalue()


def by_skops(mark: Path) -> bytes:
    """Return a skops file whose schema names a function to call, in place of the estimator."""
    data = skops.io.dumps(MODEL)
    buffer = io.BytesIO()
    with ZipFile(io.BytesIO(data)) as before, ZipFile(buffer, "w") as after:
        for name in before.namelist():
            text = before.read(name)
            if name == "schema.json":
                text = text.replace(b'"LogisticRegression"', b'"mkdir"')
                text = text.replace(b'"sklearn.linear_model._logistic"', b'"os"')
            after.writestr(name, text)
    return buffer.getvalue()


def test_given_the_pickle_when_somebody_loads_it_then_it_does_run(mark: Path) -> None:
    pickle.loads(pickled(mark))
    assert mark.exists()  # so that the other tests show something


@pytest.mark.parametrize("ending", ["pkl", "pickle", "joblib", "cloudpickle", "skops", "onnx"])
@pytest.mark.parametrize("make", [pickled, by_joblib])
def test_given_a_pickle_when_registered_under_any_name_then_it_does_not_run(
    tmp_path: Path,
    mark: Path,
    capsys: pytest.CaptureFixture[str],
    ending: str,
    make: Callable[[Path], bytes],
) -> None:
    file = tmp_path / f"model.{ending}"
    file.write_bytes(make(mark))
    where = ["--data-dir", str(tmp_path / "data")]

    code = main(["models", "register", str(file), "--name", "late", "--version", "1", *where])

    assert code == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not mark.exists()


def test_given_a_skops_file_that_names_a_function_when_loaded_then_it_is_not_called(
    mark: Path,
) -> None:
    with pytest.raises(UntrustedTypesError, match=r"os\.mkdir|posix"):
        load(by_skops(mark), "skops", trusted=(), unsafe=False)
    assert not mark.exists()


def told(registry: ModelRegistry, **changes: str) -> None:
    """Change what the control database says of the version, as somebody with access to it could."""
    with closing(sqlite3.connect(registry.path / "control.db")) as database:
        for name, value in changes.items():
            database.execute(f"UPDATE model_versions SET {name} = ?", [value])
        database.commit()


@pytest.mark.parametrize("format", ["skops", "joblib", "cloudpickle", "onnx"])
@pytest.mark.parametrize("digest", ["as it was", "swapped"])
def test_given_a_pickle_in_place_of_a_model_when_loaded_then_it_does_not_run(
    tmp_path: Path,
    mark: Path,
    format: str,  # noqa: A002
    digest: str,
) -> None:
    with ModelRegistry(tmp_path / "registry") as registry:
        model_id = registry.register_model(MODEL, "late", "1", {})
        path = Path(registry.get(model_id).file_path)
        data = by_joblib(mark)
        path.write_bytes(data)
        if digest == "swapped":
            files = registry.get(model_id).files
            files[path.name] = {"sha256": sha256(data).hexdigest(), "size": len(data)}
            told(registry, files=json.dumps(files), file_hash=sha256(data).hexdigest())
        told(registry, format=format)

        faults = (IntegrityError,) if digest == "as it was" else (WatchkeeperError, BadZipFile)
        with pytest.raises(faults) as raised:
            registry.load_model(model_id)
        if digest == "swapped" and format in {"joblib", "cloudpickle"}:
            assert isinstance(raised.value, UnsafeFormatError)
    assert not mark.exists()


@pytest.fixture
def swapped(tmp_path: Path) -> ModelRegistry:
    """Return a registry in which one safe model took the place of another, with its digests."""
    registry = ModelRegistry(tmp_path / "registry")
    for version, true in (("1", [0, 1]), ("2", [0, 1]), ("3", [1, 0])):
        model = LogisticRegression(C=float(version)).fit([[0.0], [1.0]], true)
        registry.register_model(model, "risk", version, {})
    for version in ("1", "2"):
        registry.promote_to_production(f"risk:{version}")
    for version in ("1", "2"):
        put_in_place_of(registry, version, "3")
    return registry


def put_in_place_of(registry: ModelRegistry, version: str, other: str) -> None:
    source, target = (
        Path(registry.get(f"risk:{each}").file_path).parent for each in (other, version)
    )
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    tell(registry, "files = (SELECT files FROM model_versions WHERE version = ?)", other, version)
    tell(registry, "file_hash = (SELECT file_hash FROM model_versions WHERE version = ?)",
         other, version)  # fmt: skip


def tell(registry: ModelRegistry, change: str, *values: object) -> None:
    with closing(sqlite3.connect(registry.path / "control.db")) as database, database:
        database.execute(f"UPDATE model_versions SET {change} WHERE version = ?", values)


def test_given_a_model_that_was_swapped_with_its_digests_when_verified_then_the_trail_tells_it(
    swapped: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped.verify("risk:3")
    for refused in (
        lambda: swapped.verify("risk:1"),
        lambda: swapped.promote_to_production("risk:1"),
        lambda: swapped.rollback("risk"),
        lambda: swapped.check_rollback("risk"),
    ):
        with pytest.raises(IntegrityError, match=r"risk:1 than the audit trail .*: files"):
            refused()
    assert swapped.production() == {"risk": "risk:2"}

    where = ["--data-dir", str(swapped.path.parent)]
    assert main(["models", "verify", *where]) == 1
    assert "audit trail" in capsys.readouterr().out
    assert main(["doctor", *where]) == 1
    assert "risk:2 than the audit trail" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "value", "name"),
    [("unsafe", True, "unsafe"), ("trusted", '["os.system"]', "trusted")],
)
def test_given_consent_that_was_added_when_verified_then_the_trail_tells_it(
    tmp_path: Path, change: str, value: object, name: str
) -> None:
    with ModelRegistry(tmp_path) as registry:
        registry.register_model(MODEL, "risk", "1", {})
        tell(registry, f"{change} = ?", value, "1")

        with pytest.raises(IntegrityError, match=f"audit trail .*: {name}"):
            registry.verify("risk:1")


def test_given_a_trail_without_the_registration_when_verified_then_it_says_so(
    tmp_path: Path,
) -> None:
    with ModelRegistry(tmp_path) as registry:
        registry.register_model(MODEL, "risk", "1", {})
        with closing(sqlite3.connect(tmp_path / "control.db")) as database, database:
            database.execute("DELETE FROM audit WHERE action = 'register'")

        with pytest.raises(IntegrityError, match="no registration of risk:1"):
            registry.verify("risk:1")
