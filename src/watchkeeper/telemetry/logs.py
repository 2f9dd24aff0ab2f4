"""Logs that machines read: one line of strict JSON a record, and none is lost.

It is a formatter for the standard library's logging, so that what libraries log comes out the same
way. Predictions themselves are not logged here: the journal keeps them.
"""

import logging
import sys
import traceback
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec

from watchkeeper.errors import InvalidValueError, UnavailableError
from watchkeeper.telemetry.jsonable import as_text, to_jsonable

__all__ = ["SECRETS", "ConsoleFormatter", "JSONFormatter", "configure_logging", "setup_logger"]

SECRETS = ("api_key", "api_keys", "authorization", "password", "secret", "token")
"""Names whose values no log shows, unless one says otherwise."""

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_RESERVED = frozenset(
    {
        "timestamp", "level", "logger", "message", "module", "function", "line", "exception",
        "stack", "trace_id", "span_id", "extra",
    }
)  # fmt: skip
_CLASHING = "_watchkeeper_clashing"
_MARK = "_watchkeeper_made_for"

_encode = msgspec.json.Encoder().encode
_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class JSONFormatter(logging.Formatter):
    r"""A record as one line of JSON.

    Parameters
    ----------
    redact : collection of str
        Names, at any depth and in any case, whose values are not shown.

    Notes
    -----
    Every line has ``timestamp``, ``level``, ``logger``, ``message``, ``module``, ``function`` and
    ``line``; with an exception ``exception``; in an OpenTelemetry span ``trace_id`` and
    ``span_id``; and whatever came in ``extra``. An extra of one of these names does not replace
    the field: it is in an object named ``extra``. What JSON cannot hold becomes what
    `watchkeeper.telemetry.jsonable` makes of it.

    Examples
    --------
    >>> record = logging.makeLogRecord({"msg": "slow", "levelname": "WARNING", "latency_ms": 812.5})
    >>> line = JSONFormatter().format(record)
    >>> '"message":"slow"' in line, '"latency_ms":812.5' in line, "\n" in line
    (True, True, False)
    """

    def __init__(self, redact: Collection[str] = SECRETS) -> None:
        super().__init__()
        self._redact = frozenset(name.lower() for name in redact)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; it never raises.

        Parameters
        ----------
        record : logging.LogRecord

        Returns
        -------
        str
        """
        try:
            line = _encode(self.fields(record)).decode()
        except Exception:  # noqa: BLE001 - the record is kept, whatever it holds
            plain = {"level": record.levelname, "logger": record.name, "message": record.msg}
            line = _encode({name: as_text(value) for name, value in plain.items()}).decode()
        return line if line.isascii() else line.translate(_LINE_ENDS)

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what the line holds.

        Parameters
        ----------
        record : logging.LogRecord

        Returns
        -------
        dict of str to object
        """
        fields: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": as_text(record.levelname),
            "logger": as_text(record.name),
            "message": _message(record),
            "module": as_text(record.module),
            "function": as_text(record.funcName),
            "line": record.lineno,
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = _traceback(record.exc_info)
        if record.stack_info:
            fields["stack"] = as_text(record.stack_info)
        fields.update(_span())
        extras, clashing = _extras(record)
        if extras:
            fields.update(to_jsonable(extras, self._redact))
        if clashing:
            fields["extra"] = to_jsonable(clashing, self._redact)
        return fields


class ConsoleFormatter(logging.Formatter):
    """A record as a readable line: time, level, logger, message, and extras as ``name=value``.

    Parameters
    ----------
    redact : collection of str
        As in `JSONFormatter`.
    """

    def __init__(self, redact: Collection[str] = SECRETS) -> None:
        super().__init__()
        self._json = JSONFormatter(redact)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it.

        Parameters
        ----------
        record : logging.LogRecord

        Returns
        -------
        str
        """
        fields = self._json.fields(record)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(sep=" ", timespec="milliseconds")
        extras = "".join(
            f" {name}={as_text(value)}"
            for name, value in fields.items()
            if name not in _RESERVED or name == "trace_id"
        )
        line = f"{at} {fields['level']} {fields['logger']}: {fields['message']}{extras}"
        below = (fields.get(name) for name in ("exception", "stack"))
        return "\n".join([line, *(text for text in below if text)])


class _Logger(logging.Logger):
    """A logger that takes extras of any name; the standard one refuses those of its own fields."""

    def makeRecord(  # noqa: N802 - the name is the base's
        self,
        *arguments: Any,
        extra: Mapping[str, object] | None = None,
        **named: Any,
    ) -> logging.LogRecord:
        if len(arguments) > 8:  # extra, by position
            extra, arguments = arguments[8], (*arguments[:8], None, *arguments[9:])
        free = {k: v for k, v in (extra or {}).items() if k not in _OF_EVERY_RECORD}
        record = super().makeRecord(*arguments, **named)
        record.__dict__.update(free)
        if extra is not None and len(free) < len(extra):
            clashing = {k: v for k, v in extra.items() if k not in free}
            record.__dict__[_CLASHING] = clashing
        return record


def setup_logger(
    name: str,
    log_file: str | Path | None = "model_predictions.log",
    level: int | str = "INFO",
    *,
    redact: Collection[str] = SECRETS,
    max_bytes: int = 64 << 20,
    keep: int = 10,
) -> logging.Logger:
    """Return a logger that writes JSON lines to a file and readable lines to the console.

    Calling it again for the same name adds no second handler; another file or level takes the
    place of the former.

    Parameters
    ----------
    name : str
    log_file : str or Path, optional
        Rotated at midnight UTC and when it has `max_bytes`; many processes may write it at once.
        None writes no file.
    level : int or str
    redact : collection of str
        Names whose values are not shown.
    max_bytes : int
    keep : int
        Rotated files that are kept; older ones are deleted.

    Returns
    -------
    logging.Logger
        It does not propagate: its records would come twice where the root logger has handlers.

    Raises
    ------
    InvalidValueError
        If there is no such level, or `max_bytes` or `keep` is below 1.
    UnavailableError
        If the file cannot be written.
    """
    number = _level(level)
    if max_bytes < 1 or keep < 1:
        field, value = ("max_bytes", max_bytes) if max_bytes < 1 else ("keep", keep)
        raise InvalidValueError(field, value, "at least 1")
    logger = logging.getLogger(name)
    if type(logger) is logging.Logger:
        logger.__class__ = _Logger
    path = None if log_file is None else Path(log_file).absolute()
    made_for = (path, tuple(sorted(redact)), max_bytes, keep)
    logger.setLevel(number)
    logger.propagate = False
    if getattr(logger, _MARK, None) != made_for:
        file = [] if path is None else [_file_handler(path, redact, max_bytes, keep)]
        _replace_handlers(logger, [*file, _console_handler("text", redact)])
        setattr(logger, _MARK, made_for)
    return logger


def configure_logging(
    *,
    level: int | str = "INFO",
    style: Literal["auto", "json", "text"] = "auto",
    log_file: Path | None = None,
    redact: Collection[str] = SECRETS,
) -> None:
    """Make everything that this process logs go to stderr, and to a file if one is named.

    Parameters
    ----------
    level : int or str
    style : {"auto", "json", "text"}
        Of stderr; ``auto`` is text where a person looks and JSON elsewhere.
    log_file : Path, optional
        JSON lines, rotated as in `setup_logger`.
    redact : collection of str

    Raises
    ------
    InvalidValueError
        If there is no such level.
    UnavailableError
        If the log file cannot be written.
    """
    file = [] if log_file is None else [_file_handler(log_file.absolute(), redact, 64 << 20, 10)]
    root = logging.getLogger()
    root.setLevel(_level(level))
    _replace_handlers(root, [*file, _console_handler(style, redact)])
    logging.captureWarnings(capture=True)


def _console_handler(
    style: Literal["auto", "json", "text"], redact: Collection[str]
) -> logging.Handler:
    handler: logging.StreamHandler[TextIO] = logging.StreamHandler()
    text = style == "text" or (style == "auto" and sys.stderr.isatty())
    handler.setFormatter(ConsoleFormatter(redact) if text else JSONFormatter(redact))
    return handler


def _file_handler(
    path: Path, redact: Collection[str], max_bytes: int, keep: int
) -> logging.Handler:
    from concurrent_log_handler import ConcurrentTimedRotatingFileHandler

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError as error:
        raise UnavailableError(
            f"the log file {path} cannot be written: {error.strerror or error}",
            "Choose another file, or let this user write there.",
        ) from None
    handler = ConcurrentTimedRotatingFileHandler(
        str(path), when="midnight", utc=True, maxBytes=max_bytes, backupCount=keep, encoding="utf-8"
    )
    handler.setFormatter(JSONFormatter(redact))
    return handler


def _replace_handlers(logger: logging.Logger, handlers: list[logging.Handler]) -> None:
    """Put `handlers` in the place of those that were put there before; leave others alone."""
    for old in list(logger.handlers):
        if hasattr(old, _MARK):
            logger.removeHandler(old)
            old.close()
    for handler in handlers:
        setattr(handler, _MARK, True)
        logger.addHandler(handler)


def _level(level: int | str) -> int:
    levels = logging.getLevelNamesMapping()
    number = levels.get(level.upper()) if isinstance(level, str) else level
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidValueError("level", level, f"one of {', '.join(levels)}, or a number")
    return number


def _message(record: logging.LogRecord) -> str:
    try:
        return as_text(record.getMessage())
    except Exception:  # noqa: BLE001 - the arguments do not fit the text: both are shown
        return f"{as_text(record.msg)} {as_text(to_jsonable(record.args))}"


def _traceback(exc_info: Any) -> str:
    try:
        return as_text("".join(traceback.format_exception(*exc_info)).rstrip())
    except Exception:  # noqa: BLE001 - an exception may lie about itself
        return as_text(exc_info[0])


def _extras(record: logging.LogRecord) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return what came in ``extra``, and of that what has the name of a field of every line."""
    extras: dict[Any, Any] = {}
    clashing: dict[Any, Any] = dict(vars(record).get(_CLASHING, ()))
    for name, value in vars(record).items():
        if name in _RESERVED and name not in _OF_EVERY_RECORD:
            clashing[name] = value
        elif name not in _OF_EVERY_RECORD and name != _CLASHING:
            extras[name] = value
    return extras, clashing


def _span() -> dict[str, str]:
    """Return the ids of the active OpenTelemetry span, if anything here traces."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
