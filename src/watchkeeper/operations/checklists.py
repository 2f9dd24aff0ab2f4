"""Readiness checklists: what promotions ask for, and points that are waived for a time."""

from collections.abc import Callable
from datetime import datetime

from watchkeeper.clock import Clock, as_utc
from watchkeeper.errors import ConflictError
from watchkeeper.identity import By
from watchkeeper.monitoring.readiness import Readiness
from watchkeeper.monitoring.report_cache import Known
from watchkeeper.operations.service import require_reason
from watchkeeper.readiness import Answer, Checklist, PointState, Priority, Waiver
from watchkeeper.readiness.checklist import item_of
from watchkeeper.readiness.evidence import WAIVER, waiver_of
from watchkeeper.records import AuditTrail

__all__ = ["Checklists"]


class Checklists:
    """The checklist of each model, and what depends on it.

    Parameters
    ----------
    readiness : Readiness
        Reads the evidence.
    audit : AuditTrail
    clock : Clock
    required : callable
        Whether a version of a model may be promoted only while its checklist passes.
    """

    def __init__(
        self,
        readiness: Readiness,
        *,
        audit: AuditTrail,
        clock: Clock,
        required: Callable[[str], bool],
    ) -> None:
        self._readiness, self._audit = readiness, audit
        self._clock, self._required = clock, required

    def of(self, model: str, at: datetime | None = None) -> Checklist:
        """Return the checklist of a model; see `watchkeeper.monitoring.readiness.Readiness.of`.

        Parameters
        ----------
        model : str
        at : datetime, optional
            By default now.

        Returns
        -------
        Checklist

        Raises
        ------
        NotFoundError
            If nothing is known of the model.
        """
        return self._readiness.of(model, at)

    def latest(
        self, model: str, at: datetime | None = None
    ) -> tuple[Checklist | None, Known[dict[str, Answer]]]:
        """Return the same at once, by the last measurements.

        Parameters
        ----------
        model : str
        at : datetime, optional
            By default now.

        Returns
        -------
        checklist : Checklist or None
            None until there are measurements.
        measured : Known of dict of str to Answer
        """
        return self._readiness.latest(model, at)

    def require_ready(self, model: str) -> None:
        """Refuse a version of a model that has to be ready before a promotion, and is not.

        Parameters
        ----------
        model : str

        Raises
        ------
        ConflictError
            If the settings of the model ask for the checklist, and a required point neither passes
            nor is waived.
        """
        missing = self._missing(model)
        if missing:
            raise ConflictError(
                f"{model} is not ready: {', '.join(missing)}",
                f"`watchkeeper checklist {model}` says what to do, and how to waive a point.",
            )

    def unready(self, model: str) -> str:
        """Return why no version of a model may be promoted now; empty if one may.

        Parameters
        ----------
        model : str

        Returns
        -------
        str
            A sentence.
        """
        try:
            self.require_ready(model)
        except ConflictError as error:
            return str(error)
        return ""

    def waive(self, model: str, item: str, *, until: datetime, by: By) -> Waiver:
        """Excuse a point of the checklist until a time; a time that has passed ends the waiver.

        Parameters
        ----------
        model, item : str
        until : datetime
        by : By
            With the reason.

        Returns
        -------
        Waiver

        Raises
        ------
        NotFoundError
            If there is no such point.
        InvalidValueError
            If there is no reason.
        """
        item_of(item)
        require_reason(by, "a text that says why the item may be waived")
        end = as_utc(until)
        self._audit.note(
            at=self._clock(), by=by, action=WAIVER, subject=waiver_of(model, item),
            evidence={"until": end.isoformat()},
        )  # fmt: skip
        return Waiver(item, by.actor, by.reason, end)

    def _missing(self, model: str) -> list[str]:
        """Return the required points that neither pass nor are waived, where they count."""
        if not self._required(model):
            return []
        return [
            point.item.key
            for point in self.of(model).points
            if point.item.priority is Priority.REQUIRED
            and point.state not in {PointState.PASS, PointState.WAIVED}
        ]
