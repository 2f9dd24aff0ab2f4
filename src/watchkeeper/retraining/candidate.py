"""What candidates have in common, whoever has them trained: data, job, judgement and place."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa

from watchkeeper.errors import InvalidValueError
from watchkeeper.events import FEATURE, EventLog, Window
from watchkeeper.policies.retraining import Policy
from watchkeeper.quality.labels import labels_of
from watchkeeper.registry import Lineage, ModelRegistry, ModelVersion
from watchkeeper.retraining.data import Halves, TrainingData, checked, labelled, split
from watchkeeper.retraining.gate import Cost, GateReport, judge
from watchkeeper.retraining.job import Job
from watchkeeper.retraining.sources import query_table, read_training_data
from watchkeeper.retraining.training import Trained

__all__ = [
    "CHALLENGER",
    "dataset_of",
    "framed",
    "halves_of",
    "job_of",
    "judged",
    "learned_until",
    "register",
    "training_data",
]

CHALLENGER = "challenger"
"""The alias of a candidate that the gate let in."""

RETRAINING = "retraining"  # the tag of a candidate
_ACTUAL = "actual"


def training_data(
    events: EventLog | None,
    registry: ModelRegistry,
    model: str,
    policy: Policy,
    window: Window,
    champion: ModelVersion | None,
    *,
    task: str,
    source: object = None,
) -> tuple[TrainingData, dict[str, int]]:
    """Return the checked training data, and the versions of the tables that they were read from.

    Parameters
    ----------
    events : EventLog, optional
        Read where neither `source` nor the policy names other data.
    source : path, str or data frame, optional
        In place of what the policy says.

    Raises
    ------
    InvalidValueError
        If there is nowhere to read from.
    TrainingDataError
        If nothing can be learned from them.
    """
    signature = None if champion is None else champion.signature
    versions: dict[str, int] = {}
    target = policy.target
    chosen = policy.data if source is None and policy.data else source
    if chosen is not None:
        table = read_training_data(chosen)
    elif events is None:
        raise InvalidValueError(
            "training_data_path", None, "a path, where the pipeline was given no events"
        )
    else:
        wanted = None
        if signature is not None and not policy.query:
            wanted = ["timestamp", _ACTUAL, *(FEATURE + name for name in signature.names)]
        read = events.read(model, window, columns=wanted)
        versions = dict(read.versions)
        if policy.query:
            table = query_table(policy.query, read.rows.drop_columns(["tags", "as_text"]))
        else:
            table = labelled(read.rows, None if signature is None else signature.names)
            target = _ACTUAL
    found = checked(
        table,
        target=target,
        signature=signature,
        task=task,
        ignore=policy.ignore,
        leak_check=policy.leak_check,
        framed=framed(registry, champion),
    )
    return found, versions


def dataset_of(policy: Policy, source: object = None) -> str:
    """Return what people call the data that `training_data` reads."""
    if source is not None:
        return str(source) if isinstance(source, str | Path) else "a data frame"
    return policy.data or policy.query or "labelled events"


def halves_of(
    policy: Policy, data: TrainingData, champion: ModelVersion | None, *, task: str
) -> Halves:
    """Return what a candidate learns from, and the later rows that it is judged by."""
    return split(
        data,
        holdout=policy.holdout,
        not_before=learned_until(champion),
        min_rows=policy.min_rows,
        min_holdout=policy.min_holdout,
        task=task,
    )


def job_of(policy: Policy, data: TrainingData, champion: ModelVersion | None) -> Job:
    """Return what a training has to do."""
    about = None
    if champion is not None:
        signature = champion.signature
        about = {
            "model_id": champion.model_id,
            "format": champion.format,
            "trusted": list(champion.trusted),
            "unsafe": champion.unsafe,
            "signature": None if signature is None else signature.to_dict(),
        }
    return Job(
        features=data.features,
        target=data.target,
        time=data.time,
        framed=data.framed,
        trainer=policy.trainer,
        champion=about,
        trusted=() if champion is None else champion.trusted,
        allow_unsafe=policy.allow_unsafe or (champion is not None and champion.unsafe),
        time_limit=policy.time_limit,
        memory_limit=policy.memory_limit,
    )


def judged(
    policy: Policy,
    held_out: pa.Table,
    trained: Trained,
    *,
    task: str,
    positive: object,
    boundary: datetime | None,
    champion: ModelVersion | None,
) -> GateReport:
    """Return what the gate says of the answers to the later rows.

    Parameters
    ----------
    held_out : pyarrow.Table
        Their target in the first column, and the guarded features.
    """
    target = held_out.column_names[0]
    return judge(
        policy,
        labels_of(held_out[target], task, positive),
        trained.candidate,
        trained.champion,
        task=task,
        cost=Cost(float(trained.outcome["latency_ms"]), int(trained.outcome["size"])),
        segments={name: held_out[name].to_pylist() for name in policy.segments},
        boundary=boundary,
        champion_learned_until=learned_until(champion),
    )


def register(
    registry: ModelRegistry,
    trained: Trained,
    job: Job,
    learned: pa.Table,
    *,
    name: str,
    version: str,
    gate: GateReport,
    champion: ModelVersion | None,
    lineage: Lineage,
    run: str,
    reason: str,
    actor: str,
) -> str:
    """Register a candidate with what it was judged by, and return its id."""
    return registry.register_model(
        trained.model,
        name,
        version,
        gate.candidate,
        f"trained again: {reason}"[:1000],
        {RETRAINING: run},
        training_data=learned.select(list(job.features)),
        signature=None if champion is None else champion.signature,
        lineage=lineage,
        format=trained.outcome["format"],
        trusted=job.trusted,
        allow_unsafe=job.allow_unsafe,
        actor=actor,
    )


def learned_until(version: ModelVersion | None) -> datetime | None:
    """Return until when the data lie that a version learned from; None where nobody knows."""
    return None if version is None else version.lineage.training_end


def framed(registry: ModelRegistry, champion: ModelVersion | None) -> bool:
    """Return whether a trainer gets a data frame: as the champion takes its rows."""
    if champion is None:
        return True
    numeric = champion.signature is not None and champion.signature.all_numeric
    if not numeric or champion.format != "skops":
        return not numeric
    model = registry.load_model(champion.model_id)
    return getattr(model, "feature_names_in_", None) is not None
