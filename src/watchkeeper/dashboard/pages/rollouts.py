"""Yet to be built."""

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page

__all__ = ["one", "page", "shadow"]


def page(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="rollouts.html", title="rollouts", section="")


def one(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="rollouts.html", title="rollouts", section="")


def shadow(app: App, ask: Ask) -> Page:
    """Return nothing yet."""
    return Page(template="rollouts.html", title="rollouts", section="")
