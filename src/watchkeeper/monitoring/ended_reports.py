"""Reports of what runs for a time: computed while it runs, and afterwards as they were stored."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from watchkeeper.clock import Clock
from watchkeeper.experiments import Experiment
from watchkeeper.monitoring.report_cache import Asked
from watchkeeper.results import Result
from watchkeeper.rollouts.shadow import Shadow

__all__ = ["EndedReports"]

Documents = TypeVar("Documents", bound=Any)
Subject = TypeVar("Subject", Experiment, Shadow)
Report = TypeVar("Report", bound=Result)


class EndedReports(ABC, Generic[Documents, Subject, Report]):
    """Reports of the subjects of a repository; it changes nothing.

    Parameters
    ----------
    repository : Documents
    clock : Clock

    Attributes
    ----------
    repository : Documents
    kind : str
        By which the cache keeps the reports.
    report_type : type
    """

    kind: ClassVar[str]
    report_type: type[Report]

    def __init__(self, repository: Documents, *, clock: Clock) -> None:
        self.repository, self._clock = repository, clock

    @abstractmethod
    def compute(self, subject: Subject, at: datetime) -> Report:
        """Return the report of a subject by what was recorded until `at`.

        Parameters
        ----------
        subject : Subject
        at : datetime

        Returns
        -------
        Report
        """

    def of(self, name: str) -> Report:
        """Return the report of a subject: once it was stopped, the one it was stopped with.

        Parameters
        ----------
        name : str

        Returns
        -------
        Report

        Raises
        ------
        NotFoundError
            If there is none of this name.
        ConflictError
            If it was never started.
        """
        return self._report(self.repository.get(name), self._clock())

    def request(self, subject: Subject, at: datetime) -> Asked[Report]:
        """Return the request of the report of a started subject to the cache of reports.

        Parameters
        ----------
        subject : Subject
        at : datetime

        Returns
        -------
        Asked of Report
        """
        until = at if subject.ended_at is None else subject.ended_at
        return Asked(
            self.kind,
            subject.name,
            subject,
            until,
            make=lambda: self._report(subject, until),
            lasting=subject.ended_at is not None,
        )

    def _report(self, subject: Subject, at: datetime) -> Report:
        if subject.ended_at is not None:
            for entry in reversed(self.repository.history(subject.name)):
                if entry.verb == "stop":
                    return self.report_type.from_dict(entry.evidence)
        return self.compute(subject, at)
