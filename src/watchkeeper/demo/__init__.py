"""The demo: a year of real flights, replayed through a real server.

A model that learned from January says of each flight that leaves New York in 2013 whether it will
arrive more than 15 minutes late. The outcome is sent when the flight has landed. Afterwards the
recorded events show, month by month, how the inputs moved and what became of the answers.

>>> from watchkeeper.demo.flights import FEATURES
>>> [feature for feature in FEATURES if "arr" in feature]
['carrier']
"""

from watchkeeper.demo.report import Report, report
from watchkeeper.demo.run import Played, ReplayPlan, Spectator, played

__all__ = ["Played", "ReplayPlan", "Report", "Spectator", "played", "report"]
