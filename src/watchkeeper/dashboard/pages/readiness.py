"""Yet to be built."""

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page

__all__ = ["page"]


def page(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="readiness.html", title="readiness", section="")
