"""Material: what a candidate learns from, and the later rows that it is judged by."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from watchkeeper.errors import InvalidValueError
from watchkeeper.events import FEATURE, EventLog, Window
from watchkeeper.policies.retraining import Policy
from watchkeeper.quality.labels import labels_of
from watchkeeper.registry import ModelRegistry, ModelVersion
from watchkeeper.retraining.data import TrainingData, checked, labelled
from watchkeeper.retraining.gate import Cost, GateReport, judge
from watchkeeper.retraining.sources import query_table, read_training_data
from watchkeeper.retraining.training import TrainingResult

__all__ = ["Material", "framed", "judged", "learned_until", "training_data"]

_ACTUAL = "actual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a candidate learns from, and the later rows that it is judged by.

    Attributes
    ----------
    rows, held_out : int
        To learn from, and to judge by.
    learned_from : datetime or None
        The time of the first row to learn from.
    boundary : datetime or None
        When the later rows begin; None where the time is not known.
    table_versions : dict of str to int
        Of the event store, as it was read.
    """

    rows: int
    held_out: int
    learned_from: datetime | None
    boundary: datetime | None
    table_versions: dict[str, int]


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
    events : EventLog or None
        Read where neither `source` nor the policy names other data.
    registry : ModelRegistry
    model : str
    policy : Policy
    window : Window
        Of the events that are read.
    champion : ModelVersion or None
    task : {"binary", "multiclass", "regression"}
    source : path, str or data frame, optional
        In place of what the policy says.

    Returns
    -------
    data : TrainingData
    versions : dict of str to int
        Empty where no events were read.

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
    data = checked(
        table,
        target=target,
        signature=signature,
        task=task,
        ignore=policy.ignore,
        leak_check=policy.leak_check,
        framed=framed(registry, champion),
    )
    return data, versions


def judged(
    policy: Policy,
    held_out: pa.Table,
    trained: TrainingResult,
    *,
    task: str,
    positive: object,
    boundary: datetime | None,
    champion: ModelVersion | None,
) -> GateReport:
    """Return what the gate says of the answers to the later rows.

    Parameters
    ----------
    policy : Policy
    held_out : pyarrow.Table
        Their target in the first column, and the guarded features.
    trained : TrainingResult
    task : {"binary", "multiclass", "regression"}
    positive : object
        The label of the positive class, for a binary task.
    boundary : datetime or None
        When the rows begin.
    champion : ModelVersion or None

    Returns
    -------
    GateReport
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


def learned_until(version: ModelVersion | None) -> datetime | None:
    """Return until when the data lie that a version learned from; None where nobody knows.

    Parameters
    ----------
    version : ModelVersion or None

    Returns
    -------
    datetime or None
    """
    return None if version is None else version.lineage.training_end


def framed(registry: ModelRegistry, champion: ModelVersion | None) -> bool:
    """Return whether a trainer gets a data frame: as the champion takes its rows.

    Parameters
    ----------
    registry : ModelRegistry
    champion : ModelVersion or None
        None where nothing is in production: then it gets a data frame.

    Returns
    -------
    bool
    """
    if champion is None:
        return True
    numeric = champion.signature is not None and champion.signature.all_numeric
    if not numeric or champion.format != "skops":
        return not numeric
    model = registry.load_model(champion.model_id)
    return getattr(model, "feature_names_in_", None) is not None
