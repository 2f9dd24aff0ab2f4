"""SVG as text: everything escaped, every coordinate finite, never a style attribute.

>>> print(tag("text", "a < b", x=1.5, text_anchor="end", class_="c-text"))
<text x="1.5" text-anchor="end" class="c-text">a &lt; b</text>
"""

import math
import re
from collections.abc import Iterable
from functools import cache

from markupsafe import Markup, escape

__all__ = ["clean", "joined", "link", "number", "percent", "tag"]

# XML 1.0, production 2: what may not stand in a document, not even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_LINKS = ("/", "?", "#", "https://", "http://")


def clean(text: object) -> str:
    """Return `text` without characters that no XML document may hold.

    Parameters
    ----------
    text : object

    Returns
    -------
    str
    """
    return _FORBIDDEN.sub("\ufffd", str(text))


def number(value: float) -> str:
    """Return a coordinate, in hundredths of a pixel at most.

    Parameters
    ----------
    value : float
        In pixels.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is not finite: a browser would drop the whole shape without a word.
    """
    if not math.isfinite(value):
        raise ValueError(value)
    short = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short


def percent(share: float) -> str:
    """Return a share of the width, kept within it.

    Parameters
    ----------
    share : float
        From 0 to 1; what lies outside is cut.

    Returns
    -------
    str
    """
    return f"{number(100.0 * min(max(share, 0.0), 1.0))}%"


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element; text is escaped, attributes that are None are left out.

    An underscore in a name stands for a hyphen, one at its end keeps clear of Python's words.

    Parameters
    ----------
    name : str
    *children : str
    **attributes : str, float or None
        Numbers are coordinates.

    Returns
    -------
    Markup
    """
    opening = [f"<{name}"]
    for key, value in attributes.items():
        if value is not None:
            written = escape(clean(value)) if isinstance(value, str) else number(value)
            opening.append(f' {_spelled(key)}="{written}"')
    inside = joined(children)
    closing = f">{inside}</{name}>" if inside else "/>"
    return _safe("".join(opening) + closing)


def joined(parts: Iterable[str]) -> Markup:
    """Return the parts one after the other, those that are not markup yet escaped.

    Parameters
    ----------
    parts : iterable of str

    Returns
    -------
    Markup
    """
    return _safe("".join([p if isinstance(p, Markup) else escape(clean(p)) for p in parts]))


def link(href: str | None, *children: str, **attributes: str | float | None) -> Markup:
    """Return `children`, as a link if `href` leads somewhere a page may link to.

    Anything else, such as ``javascript:``, is shown without being a link.

    Parameters
    ----------
    href : str or None
    *children : str
    **attributes : str, float or None

    Returns
    -------
    Markup
    """
    if href is None or not href.startswith(_LINKS) or href.startswith("//"):
        return joined(children)
    return tag("a", *children, href=href, **attributes)


@cache
def _spelled(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _safe(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - the one place where text becomes markup, escaped above
