"""Signatures over versions: what was changed, unsigned or moved is not loaded."""

import json
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sklearn.linear_model import LogisticRegression

from watchkeeper.cli import main
from watchkeeper.errors import IntegrityError, InvalidValueError
from watchkeeper.registry import ModelRegistry

MODEL = LogisticRegression().fit([[0.0], [1.0]], [0, 1])


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a private and a public key, as `openssl ecparam` and `openssl ec` do."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    private, public = key_pair(tmp_path, "ours")
    with ModelRegistry(tmp_path / "registry", signing_key=private, public_key=public) as own:
        for version in ("1", "2"):
            own.register_model(MODEL, "risk", version, {})
        own.promote_to_production("risk:1")
        yield own


def test_given_a_key_when_registered_then_the_version_is_signed_and_loads(
    registry: ModelRegistry,
) -> None:
    assert "model.sig" in registry.get("risk:1").files
    registry.verify("risk:1")
    assert registry.load_model("risk:1").predict([[1.0]]) == [1]


def swapped_digest(registry: ModelRegistry, folder: Path) -> None:
    """Change the model, and what the control database says of it."""
    with ModelRegistry(folder.parents[1] / "other") as other:
        other.register_model(LogisticRegression(C=9.0).fit([[0.0], [1.0]], [1, 0]), "x", "1", {})
        evil = Path(other.get("x:1").file_path).read_bytes()
    (folder / "model.skops").write_bytes(evil)
    files = json.dumps(
        registry.get("risk:1").files
        | {"model.skops": {"sha256": sha256(evil).hexdigest(), "size": len(evil)}}
    )
    told(registry, "files = ?", files)


def told(registry: ModelRegistry, change: str, *values: str) -> None:
    with sqlite3.connect(registry.path / "control.db") as database:
        database.execute(f"UPDATE model_versions SET {change} WHERE version = '1'", values)


def tampered_signature(registry: ModelRegistry, folder: Path) -> None:
    data = b'{"mediaType": "none"}'
    (folder / "model.sig").write_bytes(data)
    files = registry.get("risk:1").files
    files["model.sig"] = {"sha256": sha256(data).hexdigest(), "size": len(data)}
    told(registry, "files = ?", json.dumps(files))


def stranger(registry: ModelRegistry, folder: Path) -> None:
    private, _ = key_pair(folder.parents[2], "theirs")
    with ModelRegistry(folder.parents[1] / "other", signing_key=private) as other:
        other.register_model(MODEL, "risk", "1", {})
        theirs = other.get("risk:1")
        for name in theirs.files:
            (folder / name).write_bytes(Path(theirs.file_path).with_name(name).read_bytes())
    told(registry, "files = ?", json.dumps(theirs.files))


def removed(registry: ModelRegistry, folder: Path) -> None:
    (folder / "model.sig").unlink()
    files = registry.get("risk:1").files
    del files["model.sig"]
    told(registry, "files = ?", json.dumps(files))


def trusted(registry: ModelRegistry, folder: Path) -> None:
    told(registry, "trusted = ?, unsafe = 1", '["os.system"]')


def moved(registry: ModelRegistry, folder: Path) -> None:
    other = registry.get("risk:2")
    for name in other.files:
        (folder / name).write_bytes(Path(other.file_path).with_name(name).read_bytes())
    told(registry, "files = ?", json.dumps(other.files))


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (swapped_digest, "does not hold"),
        (tampered_signature, "does not hold"),
        (stranger, "does not hold"),
        (removed, "is not signed"),
        (trusted, "differs for risk:1 .* unsafe, trusted"),
        (moved, "differs for risk:1 .* model_id"),
    ],
)
def test_given_any_change_that_keeps_the_digests_right_when_loaded_then_it_is_refused(
    registry: ModelRegistry, attack: Any, said: str
) -> None:
    registry.promote_to_production("risk:2")
    attack(registry, Path(registry.get("risk:1").file_path).parent)

    for use in (registry.load_model, registry.verify, registry.promote_to_production):
        with pytest.raises(IntegrityError, match=said):
            use("risk:1")
    with pytest.raises(IntegrityError, match=said):
        registry.rollback("risk")
    assert registry.get_production_model("risk") == "risk:2"


def test_given_keys_that_are_none_when_used_then_the_error_names_the_setting(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    (tmp_path / "bad.pem").write_text("none")
    with ModelRegistry(tmp_path / "new", signing_key=tmp_path / "bad.pem") as bad:
        with pytest.raises(InvalidValueError, match=r"registry\.signing_key"):
            bad.register_model(MODEL, "risk", "1", {})
        assert bad.list_models() == []
        assert list((bad.path / ".incoming").iterdir()) == []
    with (
        ModelRegistry(registry.path, public_key=tmp_path / "nowhere.pub") as bad,
        pytest.raises(InvalidValueError, match=r"registry\.public_key"),
    ):
        bad.load_model("risk:1")


def test_given_a_public_key_in_the_settings_when_a_version_is_unsigned_then_it_is_not_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, public = key_pair(tmp_path, "ours")
    with ModelRegistry(tmp_path / "registry") as unsigned:
        unsigned.register_model(MODEL, "risk", "1", {})
    monkeypatch.setenv("WATCHKEEPER_REGISTRY__PUBLIC_KEY", str(public))

    assert main(["models", "promote", "risk:1", "--data-dir", str(tmp_path)]) != 0
    assert "is not signed" in capsys.readouterr().err
