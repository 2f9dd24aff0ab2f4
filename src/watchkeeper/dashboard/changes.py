"""History of a rollout, shadow or experiment, the newest entry first, with its evidence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchkeeper.records import DocumentEntry

__all__ = ["ChangeEntry", "ChangeLog", "changes_of"]

_MOST = 100
_LONGEST = 12  # elements of a list that are shown
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("abort", "breach", "expire", "rolled_back"), "bad"),
    **dict.fromkeys(("hold", "pause"), "warn"),
    **dict.fromkeys(("promoted", "stop"), "good"),
    **dict.fromkeys(("start", "step", "resume", "promote", "change weights"), "busy"),
}


@dataclass(frozen=True, slots=True)
class ChangeEntry:
    """One entry.

    Attributes
    ----------
    at : datetime
    action, actor, reason : str
    kind : str
        How its place on the line is coloured.
    judged : tuple of str
        What was found of each limit, in sentences.
    figures : str
        Its evidence as JSON; long lists are cut.
    """

    at: datetime
    action: str
    actor: str
    reason: str
    kind: str
    judged: tuple[str, ...]
    figures: str


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """The newest entries, and how many earlier ones there are."""

    shown: tuple[ChangeEntry, ...]
    earlier: int


def changes_of(history: Sequence[DocumentEntry]) -> ChangeLog:
    """Return the entries of a history as the pages list them.

    Parameters
    ----------
    history : sequence of DocumentEntry
        The oldest entry first.

    Returns
    -------
    ChangeLog
        The newest entry first; of a long history the last ones.
    """
    shown = tuple(_change(entry) for entry in reversed(history[-_MOST:]))
    return ChangeLog(shown, max(0, len(history) - _MOST))


def _change(entry: DocumentEntry) -> ChangeEntry:
    evidence = dict(entry.evidence or {})
    decision = evidence.get("decision")
    judgements = decision.get("judgements", ()) if isinstance(decision, dict) else ()
    return ChangeEntry(
        at=entry.at,
        action=entry.verb.replace("_", " "),
        actor=entry.actor,
        reason=entry.reason,
        kind=_KINDS.get(entry.verb, ""),
        judged=tuple(judgement["reason"] for judgement in judgements if "reason" in judgement),
        figures=json.dumps(_cut(evidence), indent=1, ensure_ascii=False) if evidence else "",
    )


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        # The plan is on the page, and the same in every entry.
        return {name: _cut(item) for name, item in value.items() if name != "plan"}
    if isinstance(value, list):
        more = [f"… {len(value) - _LONGEST} more"] if len(value) > _LONGEST else []
        return [_cut(item) for item in value[:_LONGEST]] + more
    return value
