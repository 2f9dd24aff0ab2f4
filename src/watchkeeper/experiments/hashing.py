"""The hash that places units, and the integers that it is compared with.

The first 8 bytes of SHA-256 of ``salt``, ``layer`` and ``unit``, joined by the byte 0x1f, as an
integer of 64 bits: no process, machine or version of Python gives another, and nothing is rounded.
"""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments.slots import SLOTS

__all__ = ["hash_of", "hashes_of", "prefix_of", "threshold", "unit_hash"]


def unit_hash(salt: str, layer: str, unit: str) -> int:
    """Return the hash of a unit for one question, from 0 to 2**64 - 1.

    Parameters
    ----------
    salt, layer : str
        Whose question it is, and which: the answers to two are independent of each other.
    unit : str

    Returns
    -------
    int

    Raises
    ------
    InvalidValueError
        If the unit holds a lone surrogate, which has no bytes.

    Examples
    --------
    >>> f"{unit_hash('salt', 'layer', 'unit'):016x}"
    '1ecb49096d856556'
    """
    return hash_of(prefix_of(salt, layer), unit)


def prefix_of(salt: str, layer: str) -> bytes:
    """Return what is hashed before the unit.

    Parameters
    ----------
    salt, layer : str

    Returns
    -------
    bytes
    """
    return f"{salt}\x1f{layer}\x1f".encode()


def hash_of(prefix: bytes, unit: str) -> int:
    """Return the hash of one unit.

    Parameters
    ----------
    prefix : bytes
        From `prefix_of`.
    unit : str

    Returns
    -------
    int
        From 0 to 2**64 - 1.

    Raises
    ------
    InvalidValueError
        If the unit holds a lone surrogate, which has no bytes.
    """
    try:
        return int.from_bytes(sha256(prefix + unit.encode()).digest()[:8], "big")
    except UnicodeEncodeError:
        raise _unreadable(unit) from None


def hashes_of(prefix: bytes, units: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return the hashes of many units.

    Parameters
    ----------
    prefix : bytes
        From `prefix_of`.
    units : sequence of str, length n

    Returns
    -------
    numpy.ndarray of uint64, shape (n,)

    Raises
    ------
    InvalidValueError
        If a unit holds a lone surrogate, which has no bytes.
    """
    try:
        digests = b"".join([sha256(prefix + unit.encode()).digest()[:8] for unit in units])
    except UnicodeEncodeError as error:
        raise _unreadable(error.object) from None
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def threshold(slot: int) -> int:
    """Return the first hash that belongs to a slot of 0.01 %; for 10,000, one more than the last.

    Parameters
    ----------
    slot : int
        From 0 to 10,000.

    Returns
    -------
    int

    Examples
    --------
    >>> threshold(5_000) == 2**63
    True
    """
    return slot * 2**64 // SLOTS


def _unreadable(unit: str) -> InvalidValueError:
    return InvalidValueError("unit", unit, "text without lone surrogates")
