"""Templates, and formats of figures, times and states."""

import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

__all__ = ["STATIC", "environment", "static_file"]

STATIC = {
    "style.css": "text/css; charset=utf-8",
    "charts.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Files that pages are made of beside their HTML, and their types."""

_NONE = "-"
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("healthy", "ok", "pass", "completed", "promoted", "production", "resolved", "ship",
         "confirmed", "passed", "within", "better", "acceptable"),
        "good",
    ),
    **dict.fromkeys(
        ("unhealthy", "fail", "failed", "rolled_back", "rolling_back", "critical", "open",
         "firing", "invalid", "breach", "do_not_ship", "worse", "harmful"),
        "bad",
    ),
    **dict.fromkeys(
        ("holding", "paused", "warning", "acknowledged", "waived", "undecided", "kept",
         "cancelled", "drifted", "over"),
        "warn",
    ),
    **dict.fromkeys(
        ("running", "promoting", "training", "gating", "decided", "rolling_out", "shadowing",
         "scheduled", "staging"),
        "busy",
    ),
}  # fmt: skip
_SHAPES = {"good": "●", "bad": "▲", "warn": "◆", "busy": "◐", "mute": "○"}


@cache
def environment() -> Environment:
    """Return what renders the pages.

    Returns
    -------
    Environment
    """
    templates = Environment(
        loader=PackageLoader("watchkeeper.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "at": at,
        "duration": duration,
        "number": number,
        "percent": percent,
        "ms": ms,
        "markdown": markdown,
        "words": words,
        "plain": shown,
        "signed": signed,
        "bytes": size,
        "without": without,
        "code": code,
    }
    templates.globals |= {"state": state, "static": static_url}
    return templates


@pass_context
def at(context: Context, moment: datetime | str | None) -> Markup | str:
    """Return a time in the zone of the viewer, with the UTC time as its title.

    Parameters
    ----------
    context : Context
    moment : datetime, str or None
        As text in ISO 8601.

    Returns
    -------
    Markup or str
    """
    if moment is None:
        return _NONE
    time = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    local = time.astimezone(context["viewer"].zone)
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{} {}</time>').format(
        f"{utc:%Y-%m-%dT%H:%M:%SZ}",
        f"{utc:%Y-%m-%d %H:%M:%S}",
        f"{local:%Y-%m-%d %H:%M}",
        local.tzname(),
    )


def duration(length: timedelta | float | None) -> str:
    """Return how long something lasts, by its two largest units.

    Parameters
    ----------
    length : timedelta, float or None
        As a number in seconds.

    Returns
    -------
    str
    """
    if length is None:
        return _NONE
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    rest, parts = round(seconds), []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
        if len(parts) == 2 or (parts and not rest):
            break
    return " ".join(parts)


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with thousands separators; small ones have three significant digits.

    Parameters
    ----------
    value : float or None
    digits : int
        After the point.

    Returns
    -------
    str
    """
    if value is None or math.isnan(value):
        return _NONE
    if not digits and value != int(value):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as percent.

    Parameters
    ----------
    share : float or None
        Between 0 and 1.
    digits : int
        After the point.

    Returns
    -------
    str
    """
    return _NONE if share is None or math.isnan(share) else f"{100 * share:.{digits}f} %"


def ms(value: float | None) -> str:
    """Return milliseconds with their unit.

    Parameters
    ----------
    value : float or None
        Milliseconds.

    Returns
    -------
    str
    """
    return _NONE if value is None or math.isnan(value) else f"{value:,.3g} ms"


def words(name: str) -> str:
    """Return the name of a state, a metric or a part as words.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    return name.replace("_", " ")


def shown(value: Any) -> str:
    """Return any stored value as text of a cell.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    if value is None:
        return _NONE
    if isinstance(value, float):
        return f"{value:,.4g}"
    return str(value)


def signed(value: float | None) -> str:
    """Return a difference, with its sign.

    Parameters
    ----------
    value : float or None

    Returns
    -------
    str
    """
    if value is None or math.isnan(value):
        return _NONE
    return f"{value:+,}" if isinstance(value, int) else f"{value:+,.4g}"


def size(count: float) -> str:
    """Return bytes in a readable unit.

    Parameters
    ----------
    count : float
        Bytes.

    Returns
    -------
    str
    """
    for name, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:,.3g} {name}"
    return f"{count:.0f} bytes"


def without(query: Mapping[str, str], *names: str) -> dict[str, str]:
    """Return a query without some of its names.

    Parameters
    ----------
    query : mapping of str to str
    *names : str

    Returns
    -------
    dict of str to str
    """
    return {name: value for name, value in query.items() if name not in names}


def state(name: str, label: str = "") -> Markup:
    """Return a state as a badge of shape, text and colour.

    Parameters
    ----------
    name : str
    label : str
        By default the name as words.

    Returns
    -------
    Markup
    """
    kind = _KINDS.get(name, "mute")
    return Markup('<span class="state {}"><span aria-hidden="true">{}</span> {}</span>').format(
        kind, _SHAPES[kind], label or words(name)
    )


@lru_cache(maxsize=32)
def markdown(text: str, below: int = 0) -> Markup:
    """Return Markdown as HTML; what HTML it holds is shown as text.

    Its headings come `below` levels lower, so that they are parts of the page that it stands in.

    Parameters
    ----------
    text : str
    below : int
        How many levels lower the headings come.

    Returns
    -------
    Markup
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.validateLink = _is_harmless  # type: ignore[method-assign, assignment]
    tokens = reader.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1:]) + below)}"
    shown = reader.renderer.render(tokens, reader.options, {})
    return Markup(shown)  # noqa: S704 - it escapes what it is given


def code(text: str) -> Markup:
    """Return a sentence with what stands between backticks as code.

    Parameters
    ----------
    text : str

    Returns
    -------
    Markup
    """
    parts = str(escape(text)).split("`")
    marked = (f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
    return Markup("".join(marked))  # noqa: S704 - each part is escaped


def static_url(name: str) -> str:
    """Return the address of a static file; another content has another address.

    Parameters
    ----------
    name : str
        Of a file in ``static/``.

    Returns
    -------
    str
        Its path and query.
    """
    return f"/static/{name}?v={static_file(name)[1]}"


@cache
def static_file(name: str) -> tuple[bytes, str]:
    """Return a static file, and a short digest of it.

    Parameters
    ----------
    name : str
        Of a file in ``static/``.

    Returns
    -------
    content : bytes
    digest : str
        12 hexadecimal digits.
    """
    content = resources.files("watchkeeper.dashboard").joinpath("static", name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12]


def _is_harmless(address: str) -> bool:
    return address.startswith(("https://", "http://", "mailto:", "/", "#"))
