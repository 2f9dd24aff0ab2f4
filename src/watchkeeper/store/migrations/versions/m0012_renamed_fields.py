"""Fields of stored documents have the names of 0.2.0.

A document is read by the names of its fields, and one that is not there has its default: a name of
before would lose its value. The values stay as they are, since documents had them in seconds
already. Evidence of the audit trail is read back as well, where a decision is reproduced.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_PLAN = {
    "max_answer_shift": "max_prediction_shift",
    "on_unproven": "on_inconclusive",
    "require_proof": "require_evidence",
    "watch": "bake_time",
}
_LIMIT = {"off_by": "error_tolerance", "maturity": "label_delay"}
_METRIC = {"maturity": "conversion_window"}
_POLICY = {"retrain_threshold": "max_relative_drop", "then": "on_success"}
_DOCUMENTS = {"rollouts": "rollout", "experiments": "experiment", "retraining_runs": "retraining"}
"""By table, the noun that the actions of its documents begin with."""


def upgrade() -> None:
    """Bring the schema forward."""
    audit = sa.table("audit", sa.column("id"), sa.column("action"), sa.column("evidence", sa.JSON))
    for name, noun in _DOCUMENTS.items():
        documents = sa.table(name, sa.column("id"), sa.column("document", sa.JSON))
        _rewrite(documents, documents.c.document, sa.true())
        _rewrite(audit, audit.c.evidence, audit.c.action.startswith(f"{noun} "))


def _rewrite(
    table: sa.TableClause, column: sa.ColumnClause[Any], of: sa.ColumnElement[bool]
) -> None:
    connection = op.get_bind()
    for number, before in connection.execute(sa.select(table.c.id, column).where(of)).all():
        after = _renamed_document(before)
        if after != before:
            change = table.update().where(table.c.id == number).values({column.name: after})
            connection.execute(change)


def _renamed_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rollout, an experiment, a retraining run, or evidence, by the new names."""
    after = dict(document)
    if "rollout" in after and isinstance(after["rollout"], Mapping):  # as the controller keeps it
        after["rollout"] = _renamed_document(after["rollout"])
    if isinstance(after.get("plan"), Mapping):
        plan = _renamed(after["plan"], _PLAN)
        plan["limits"] = [_renamed(limit, _LIMIT) for limit in plan["limits"]]
        after["plan"] = plan
    if isinstance(after.get("policy"), Mapping):
        after["policy"] = _renamed(after["policy"], _POLICY)
    if isinstance(after.get("metric"), Mapping):
        after["metric"] = _renamed(after["metric"], _METRIC)
        after["secondary"] = [_renamed(metric, _METRIC) for metric in after["secondary"]]
        after["guardrails"] = [
            {**guardrail, "metric": _renamed(guardrail["metric"], _METRIC)}
            for guardrail in after["guardrails"]
        ]
    return after


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in fields.items()}
