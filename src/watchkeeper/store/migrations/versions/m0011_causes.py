"""Records name the record that led to them; gate checks and moments of incidents name their kind.

Until now the cause of a promotion was written into its reason by the controller, that of a finding
into the name of its reference, and that of an incident into its evidence. This is the last time
that a sentence is parsed: only entries of the controller count, since a person may have used the
same words.
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_CONTROLLER = "watchkeeper"
_REFERENCE = "the training data of "
_EVIDENCE = {"finding": "finding", "rollout": "rollout", "retraining": "run", "hold": "rollout"}
_UNNAMED = "its reference data"  # findings of before 0007 do not say which
_KINDS = {"gain", "segment"}  # of checks whose title goes on with a name


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column("audit", sa.Column("cause", sa.Text, nullable=True))
    op.create_index("ix_audit_cause", "audit", ["cause"])
    op.add_column("findings", sa.Column("cause", sa.Text, nullable=True))
    connection = op.get_bind()
    _name_causes_of_promotions(connection)
    _name_causes_of_what_retrainings_started(connection)
    _name_reference_versions(connection)
    _name_kinds_of_gate_checks(connection)
    _name_causes_and_steps_of_incidents(connection)


def _name_causes_of_promotions(connection: sa.Connection) -> None:
    entries = connection.execute(
        sa.text(
            "SELECT id, reason FROM audit"
            " WHERE actor = :actor AND action IN ('promote', 'rollback')"
        ),
        {"actor": _CONTROLLER},
    ).all()
    for number, reason in entries:
        kind, _, name = reason.partition(" ")
        if kind in {"rollout", "retraining"} and name and " " not in name:
            _name_cause(connection, number, f"{kind}:{name}")


def _name_causes_of_what_retrainings_started(connection: sa.Connection) -> None:
    """Name the retraining that a rollout or a shadow came of: the run names what it started."""
    runs = connection.execute(sa.text("SELECT name, model, document FROM retraining_runs")).all()
    for name, model, document in runs:
        run = json.loads(document) if isinstance(document, str) else document
        follows = run.get("follows")
        if not follows:
            continue
        for kind in ("rollout", "shadow"):
            entries = connection.execute(
                sa.text("SELECT id FROM audit WHERE subject = :subject AND action = :action"),
                {"subject": f"{model}:{kind}s/{follows}", "action": f"{kind} create"},
            ).all()
            for (number,) in entries:
                _name_cause(connection, number, f"retraining:{name}")


def _name_reference_versions(connection: sa.Connection) -> None:
    """Name the version whose training data a drift finding was compared with."""
    rows = connection.execute(
        sa.text("SELECT id, model, evidence FROM findings WHERE kind = 'drift'")
    ).all()
    for number, model, stored in rows:
        evidence = json.loads(stored) if isinstance(stored, str) else stored
        reference = str(evidence.setdefault("reference", _UNNAMED))
        named = reference.startswith(f"{_REFERENCE}{model}:")
        evidence["reference_version"] = reference.rpartition(":")[2] if named else None
        connection.execute(
            sa.text("UPDATE findings SET evidence = :evidence WHERE id = :id"),
            {"evidence": json.dumps(evidence, sort_keys=True), "id": number},
        )


def _name_kinds_of_gate_checks(connection: sa.Connection) -> None:
    """Name the kind of each check of a gate, which its title began with."""
    runs = connection.execute(sa.text("SELECT id, document FROM retraining_runs")).all()
    for number, document in runs:
        run = json.loads(document) if isinstance(document, str) else document
        if not run.get("gate"):
            continue
        for check in run["gate"]["checks"]:
            words = check["check"].split()
            check["kind"] = words[0] if words[0] in _KINDS else check["check"]
        connection.execute(
            sa.text("UPDATE retraining_runs SET document = :document WHERE id = :id"),
            {"document": json.dumps(run), "id": number},
        )


def _name_cause(connection: sa.Connection, number: int, cause: str) -> None:
    connection.execute(
        sa.text("UPDATE audit SET cause = :cause WHERE id = :id"), {"cause": cause, "id": number}
    )


def _name_causes_and_steps_of_incidents(connection: sa.Connection) -> None:
    """Name the record that opened an incident, and the kind of each of its moments."""
    rows = connection.execute(sa.text("SELECT id, name, model, document FROM incidents")).all()
    for number, name, model, stored in rows:
        incident = json.loads(stored) if isinstance(stored, str) else stored
        for place, moment in enumerate(incident["timeline"]):
            moment["step"] = "reported" if place == 0 else _step_of(moment)
        incident["cause"] = cause = _cause_of(incident)
        connection.execute(
            sa.text("UPDATE incidents SET document = :document WHERE id = :id"),
            {"document": json.dumps(incident, sort_keys=True), "id": number},
        )
        connection.execute(
            sa.text(
                "UPDATE audit SET cause = :cause"
                " WHERE subject = :subject AND action = 'incident create' AND cause IS NULL"
            ),
            {"cause": cause, "subject": f"{model}:incidents/{name}"},
        )


def _step_of(moment: Mapping[str, Any]) -> str:
    text = str(moment["what"])
    if text == "acknowledged" or text.startswith("acknowledged: "):
        return "acknowledged"
    if text.startswith("assigned to "):
        return "assigned"
    if text.startswith("resolved: "):
        return "resolved"
    if text == "post-mortem finished":
        return "finished"
    if moment["actor"] != _CONTROLLER:
        return "noted"
    return "reported" if moment["evidence"] else "recovered"


def _cause_of(incident: Mapping[str, Any]) -> str | None:
    kind = str(incident["source"]).partition(":")[0]
    evidence = incident["timeline"][0]["evidence"] if incident["timeline"] else {}
    if kind == "alert" and evidence.get("fingerprint"):
        return f"alert:{evidence['fingerprint']}"
    record = evidence.get(_EVIDENCE.get(kind, ""))
    return None if record is None else f"{'rollout' if kind == 'hold' else kind}:{record}"
