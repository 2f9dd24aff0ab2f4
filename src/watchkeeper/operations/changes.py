"""What services publish after a commit: gateways and jobs of this process follow it.

A process that missed a change sees it at its next look, since each looks by itself at an interval.

>>> seen = []
>>> changes = Changes()
>>> unsubscribe = changes.subscribe(seen.append)
>>> changes.publish(Change("rollout", "late"))
>>> unsubscribe()
>>> changes.publish(Change("rollout", "late"))
>>> seen
[Change(noun='rollout', model='late')]
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Change", "Changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was committed.

    Attributes
    ----------
    noun : str
        ``version``, ``rollout``, ``experiment``, ``shadow`` or ``retraining``.
    model : str
    """

    noun: str
    model: str


class Changes:
    """The subscribers of one process, called one after the other in the thread that publishes.

    `publish` returns when all of them have followed, so that an operation which has returned is in
    force in this process.
    """

    def __init__(self) -> None:
        self._subscribers: list[Callable[[Change], None]] = []

    def subscribe(self, subscriber: Callable[[Change], None]) -> Callable[[], None]:
        """Call `subscriber` with each later change; return what ends that.

        A subscriber handles its own errors: the change is committed already.

        Parameters
        ----------
        subscriber : callable

        Returns
        -------
        callable
            Ends the subscription.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def publish(self, change: Change) -> None:
        """Let all subscribers follow a change that was committed.

        Parameters
        ----------
        change : Change
        """
        for subscriber in tuple(self._subscribers):
            subscriber(change)
