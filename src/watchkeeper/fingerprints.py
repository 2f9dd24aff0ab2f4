"""Texts as numbers of 64 bits, by which they are told apart: a third of the bytes to read and keep.

The same text has the same number in every process, on every machine, in every version. Two
different texts have the same one with a chance of 2**-64: among two million units, any two with one
of ten million.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["fingerprints"]

_WORD = 8  # bytes that are taken at a time
_SEED = np.uint64(0x9E3779B97F4A7C15)

_Words = npt.NDArray[np.uint64]


def fingerprints(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the number of each text; null for null.

    Every eight bytes of UTF-8, and first the length, go through the finalizer of SplitMix64. Who
    wants two texts with one number can make them: this is no protection, and none is needed where
    a caller chooses the texts.

    Parameters
    ----------
    texts : pyarrow.ChunkedArray
        Of strings, dictionary-coded or not.

    Returns
    -------
    pyarrow.ChunkedArray of uint64

    References
    ----------
    Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators, OOPSLA.
    """
    plain = texts.cast(pa.string())
    return pa.chunked_array([_of_chunk(each) for each in plain.chunks], pa.uint64())


def _of_chunk(texts: pa.StringArray) -> pa.Array:
    _, offsets, letters = texts.buffers()
    bounds = np.zeros(1, np.int64)
    if len(texts):
        of_array = np.frombuffer(offsets, "<i4")[texts.offset : texts.offset + len(texts) + 1]
        bounds = of_array.astype(np.int64)
    found = _of_bytes(b"" if letters is None else letters, bounds)
    missing = texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else None
    return pa.array(found, pa.uint64(), mask=missing)


def _of_bytes(letters: "pa.Buffer | bytes", bounds: npt.NDArray[np.int64]) -> _Words:
    first, end = int(bounds[0]), int(bounds[-1])
    # A word may be read beyond the end of the last text; what is not of the text is masked.
    padded = np.zeros(end - first + _WORD, np.uint8)
    padded[: end - first] = np.frombuffer(letters, np.uint8, end - first, first)
    words: _Words = np.ndarray((end - first + 1,), "<u8", padded.data, strides=(1,))
    start, length = bounds[:-1] - first, np.diff(bounds)
    found = _mixed(length.astype(np.uint64) ^ _SEED)
    going = np.flatnonzero(length > 0)
    at = 0
    while len(going):
        missing = np.maximum(at + _WORD - length[going], 0).astype(np.uint64)
        mask = np.uint64(2**64 - 1) >> (missing * np.uint64(8))
        found[going] = _mixed(found[going] ^ (words[start[going] + at] & mask))
        at += _WORD
        going = going[length[going] > at]
    return found


def _mixed(numbers: _Words) -> _Words:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
