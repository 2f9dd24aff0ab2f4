"""A message leaves through Apprise, which speaks to some hundred services."""

import logging
from typing import Any

from watchkeeper.errors import InvalidValueError, MissingExtraError
from watchkeeper.notifications.message import Message, shortened

__all__ = ["check_url", "send"]


def check_url(url: str) -> None:
    """Refuse an address that Apprise does not understand.

    Parameters
    ----------
    url : str

    Raises
    ------
    InvalidValueError
        If `url` is no address that Apprise understands.
    MissingExtraError
        If Apprise is not installed.
    """
    _service(url)


def send(url: str, message: Message) -> str:
    """Send a message, cut to what the service takes; return why it did not arrive, or nothing.

    Parameters
    ----------
    url : str
    message : Message

    Returns
    -------
    str
        Why it did not arrive; empty where it did.

    Raises
    ------
    InvalidValueError
        If `url` is no address that Apprise understands.
    MissingExtraError
        If Apprise is not installed.
    """
    apprise, service = _service(url)
    for plugin in service:  # one, unless the address is of a configuration
        heading = 0 if plugin.title_maxlen else len(message.title) + len("\r\n")
        message = shortened(message, plugin.body_maxlen - heading)
        plugin.overflow_mode = apprise.OverflowMode.TRUNCATE  # what it adds by itself
    with apprise.LogCapture(level=logging.WARNING) as said:
        arrived = bool(service.notify(body=message.body, title=message.title, body_format="text"))
        lines = [line.rpartition(" - ")[2] for line in said.getvalue().splitlines()]
    return "" if arrived else " ".join(lines) or "the service did not take it"


def _service(url: str) -> tuple[Any, Any]:
    try:
        import apprise
    except ImportError:
        raise MissingExtraError("notifications", "notifications") from None
    service = apprise.Apprise()
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    if not service.add(url):
        raise InvalidValueError(
            "notifications.receivers", url.partition("://")[0] + "://…",
            "an address that Apprise understands, such as mailto://, slack:// or json://",
        )  # fmt: skip
    return apprise, service
