"""How much room text takes, and what of it is shown when there is less.

The reader's font is unknown, so widths are those of a wide one: a label may get more room than
it needs, never less.

>>> cut("departure_delay_minutes", 60)
'departu…'
"""

import unicodedata

__all__ = ["cut", "isolated", "width_of"]

_NARROW, _WIDE = frozenset("fijlrtI .,:;'|!()[]{}/-·"), frozenset("mwMW@%—")


def width_of(text: str, size: float = 12.0) -> float:
    """Return the width of `text` in pixels, rather too much than too little.

    Parameters
    ----------
    text : str
    size : float
        Of the font, in pixels.

    Returns
    -------
    float
    """
    return size * sum(map(_em, text))


def cut(text: str, width: float, size: float = 12.0) -> str:
    """Return as much of `text` as `width` pixels hold, with an ellipsis if that is not all.

    Parameters
    ----------
    text : str
    width : float
        In pixels.
    size : float
        Of the font, in pixels.

    Returns
    -------
    str
    """
    text = " ".join(text.split())
    if width_of(text[:200], size) <= width and len(text) <= 200:
        return text
    room, shown = width - 0.9 * size, 0
    for character in text[:200]:
        room -= size * _em(character)
        if room < 0:
            break
        shown += 1
    return text[:shown].rstrip() + "…"


def isolated(text: str) -> str:
    """Return `text` so that words written from right to left leave their neighbours in place.

    Without it a Hebrew label would swap places with the figure that follows it.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    if text.isascii() or not any(
        unicodedata.bidirectional(character) in {"R", "AL", "RLE", "RLO", "RLI"}
        for character in text
    ):
        return text
    return f"\u2068{text}\u2069"


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.38
    if character in _WIDE:
        return 0.95
    if character.isascii():
        return 0.68 if character.isupper() else 0.6
    if unicodedata.combining(character):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(character) in "WF" else 0.65
