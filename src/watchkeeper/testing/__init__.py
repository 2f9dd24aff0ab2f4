"""Helpers for tests: a clock that stands where it is put; events, experiments in memory; builders.

>>> from watchkeeper.testing import FixedClock, InMemoryEvents, a_prediction, an_outcome
>>> clock = FixedClock()
>>> events = InMemoryEvents()
>>> events.record([a_prediction("a", timestamp=clock()), an_outcome("a", actual=0)])
True
>>> events.counts("flights").labelled
1
"""

from watchkeeper.testing.builders import a_prediction, an_outcome
from watchkeeper.testing.clock import FixedClock
from watchkeeper.testing.events import InMemoryEvents
from watchkeeper.testing.experiments import InMemoryExperiments

__all__ = ["FixedClock", "InMemoryEvents", "InMemoryExperiments", "a_prediction", "an_outcome"]
