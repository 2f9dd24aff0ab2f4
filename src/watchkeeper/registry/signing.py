"""Signatures over all files of a version, by the OpenSSF model signing format."""

from pathlib import Path
from typing import Any

from watchkeeper.errors import IntegrityError, InvalidValueError, MissingExtraError

__all__ = ["SIGNATURE", "check_signature", "sign"]

SIGNATURE = "model.sig"
"""The file of a version that holds its signature."""


def sign(folder: Path, key: Path) -> bytes:
    """Return the signature over all files of `folder`, and write it beside them.

    Parameters
    ----------
    folder : Path
    key : Path
        An elliptic-curve private key in PEM, without a passphrase.

    Returns
    -------
    bytes

    Raises
    ------
    InvalidValueError
        If there is no such key.
    MissingExtraError
        Without the package that signs.
    """
    signing, _, _ = _package()
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=key)
    except (OSError, ValueError, TypeError) as error:
        raise _no_key("registry.signing_key", key, "private", error) from error
    config.sign(folder, folder / SIGNATURE)
    return (folder / SIGNATURE).read_bytes()


def check_signature(folder: Path, key: Path, model_id: str) -> None:
    """Check that the files of a version are those that were signed.

    Parameters
    ----------
    folder : Path
    key : Path
        The public key in PEM that belongs to who may sign.
    model_id : str
        For the error.

    Raises
    ------
    IntegrityError
        If there is no signature, or it is not of this key over these files.
    InvalidValueError
        If there is no such key.
    MissingExtraError
        Without the package that signs.
    """
    _, verifying, hashing = _package()
    file = folder / SIGNATURE
    if not file.exists():
        raise IntegrityError(
            f"{model_id} is not signed, and registry.public_key asks for a signature",
            "Register it again, as a new version, where registry.signing_key is set.",
        )
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except (OSError, ValueError, TypeError) as error:
        raise _no_key("registry.public_key", key, "public", error) from error
    config.set_hashing_config(hashing.Config().set_ignored_paths(paths=[file]))
    try:
        config.verify(folder, file)
    except Exception as error:  # whatever a file that is no signature leads to
        raise IntegrityError(
            f"the signature of {model_id} does not hold: {type(error).__name__} {str(error)[:200]}",
            "Its files were changed, or were signed with another key. Restore them from a backup, "
            "or roll back.",
        ) from error


def _package() -> tuple[Any, Any, Any]:
    try:
        from model_signing import hashing, signing, verifying
    except ImportError:
        raise MissingExtraError("signing of models", "signing") from None
    return signing, verifying, hashing


def _no_key(setting: str, key: Path, kind: str, error: Exception) -> InvalidValueError:
    return InvalidValueError(setting, str(key), f"an elliptic-curve {kind} key in PEM ({error})")
