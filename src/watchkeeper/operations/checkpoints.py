"""What comes of a batch of outcomes: learned, judged, kept as a version or thrown away.

Every step may be cut off by the death of its process, and is done again from the same batch: what
is there already is found, and not made twice.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.events import FEATURE
from watchkeeper.identity import CONTROLLER, By
from watchkeeper.labelling import Labelling
from watchkeeper.online.consumed import Batch, Taught
from watchkeeper.online.learning import (
    Learned,
    Losses,
    Prequential,
    Stream,
    beats,
    learned_from,
    loses_to,
    require_learner,
)
from watchkeeper.operations.models import Models
from watchkeeper.operations.rollouts import Rollouts
from watchkeeper.policies.online import OnlinePolicy
from watchkeeper.records import AuditTrail
from watchkeeper.registry import Lineage, ModelRegistry, ModelVersion, Status
from watchkeeper.results import Result

__all__ = [
    "ALIAS",
    "ONLINE",
    "Learning",
    "LearningStep",
    "champion_of",
    "number_of",
    "snapshots",
    "subject_of",
    "usable",
]

ALIAS = "online"
"""The alias of the last snapshot that was good, which is where learning goes on."""

ONLINE = "online"
"""The action of its records in the audit trail."""

_CHAMPION, _NUMBER = "online.champion", "online.number"  # tags of a snapshot
_ATTEMPTS = 2  # at one batch, where processes die
_LOOK_BACK = 5  # earlier snapshots that are asked when the last one has gone wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningStep(Result):
    """What came of one batch of outcomes.

    Attributes
    ----------
    number : int
    kept : bool
        Whether what was learned became a version; else it was thrown away.
    failed : bool
        Whether the model raised, or the processes that learned it ended.
    snapshot : str
        Model id of the last snapshot that is good, or of the champion: where learning goes on.
    promoted, returned : str
        Model id of what was put in production because it was better, or because what was there had
        gone wrong; empty otherwise.
    scores : Prequential or None
    reason : str
    """

    number: int
    kept: bool
    failed: bool
    snapshot: str
    promoted: str
    returned: str
    scores: Prequential | None
    reason: str


def subject_of(model: str) -> str:
    """Return the subject of the records in the audit trail; no version can be called so.

    Parameters
    ----------
    model : str

    Returns
    -------
    str
    """
    return f"{model}:online learning"


def champion_of(version: ModelVersion) -> str:
    """Return the champion that a snapshot was learned beside; of what is none, itself.

    Parameters
    ----------
    version : ModelVersion

    Returns
    -------
    str
        Its id.
    """
    return version.tags.get(_CHAMPION, version.model_id)


def number_of(version: ModelVersion) -> int:
    """Return the number of the batch that a snapshot came of; 0 of what is none.

    Parameters
    ----------
    version : ModelVersion

    Returns
    -------
    int
    """
    return int(version.tags.get(_NUMBER, 0))


def usable(registry: ModelRegistry, model_id: str) -> bool:
    """Return whether a version is there, and it is not archived.

    Parameters
    ----------
    registry : ModelRegistry
    model_id : str

    Returns
    -------
    bool
    """
    name, _, version = model_id.partition(":")
    version_found = registry.find(name, version)
    return version_found is not None and version_found.status is not Status.ARCHIVED


def snapshots(registry: ModelRegistry, model: str, champion: str) -> dict[str, ModelVersion]:
    """Return the snapshots beside a champion that are not archived, the newest first.

    Parameters
    ----------
    registry : ModelRegistry
    model : str
    champion : str
        Its id.

    Returns
    -------
    dict of str to ModelVersion
        By id.
    """
    versions = [
        version
        for version in registry.list_models(model_name=model)
        if version.tags.get(_CHAMPION) == champion and version.status is not Status.ARCHIVED
    ]
    versions.sort(key=number_of, reverse=True)
    return {version.model_id: version for version in versions}


@dataclass(frozen=True, slots=True)
class Learning:
    """A model that learns online, as its policy says, at a moment.

    Attributes
    ----------
    models : Models
    rollouts : Rollouts
    audit : AuditTrail
    model : str
    policy : OnlinePolicy
    labelling : Labelling
    at : datetime
    taught : Taught
        Which predictions have taught it.
    """

    models: Models
    rollouts: Rollouts
    audit: AuditTrail
    model: str
    policy: OnlinePolicy
    labelling: Labelling
    at: datetime
    taught: Taught

    @property
    def registry(self) -> ModelRegistry:
        """Where its versions are."""
        return self.models.registry

    def step(self, batch: Batch) -> LearningStep:
        """Learn a batch, whatever of that another process has done, and keep what came of it.

        Parameters
        ----------
        batch : Batch

        Returns
        -------
        LearningStep

        Raises
        ------
        InvalidValueError
            If the model cannot learn row by row.
        """
        if batch.attempts >= _ATTEMPTS:
            reason = f"{batch.attempts} processes ended while they trained on it"
            return self._ended(batch, self._thrown_away(batch, reason))
        batch = replace(batch, attempts=batch.attempts + 1)
        self.taught.begin(batch)
        stream = self._stream(batch)
        model = self.registry.load_model(batch.snapshot)
        require_learner(model)
        try:
            learned = learned_from(model, stream)
        except MemoryError:  # which says something of this process: another one may have more
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's model may raise anything
            reason = f"it raised {type(error).__name__}: {str(error)[:300]}"
            return self._ended(batch, self._thrown_away(batch, reason))
        return self._ended(batch, self._judged(batch, _Judge(self, batch, stream, learned)))

    def _stream(self, batch: Batch) -> Stream:
        names = [name for name in batch.rows.column_names if name.startswith(FEATURE)]
        return Stream(
            features=batch.rows.select(names).rename_columns(
                [name.removeprefix(FEATURE) for name in names]
            ),
            actual=batch.rows["actual"].to_pylist(),
            task=self.labelling.task,
            positive=self.labelling.positive,
            signature=self.registry.get(batch.champion).signature,
        )

    def _thrown_away(self, batch: Batch, why: str) -> LearningStep:
        return LearningStep(
            number=batch.number, kept=False, failed=True, snapshot=batch.snapshot, promoted="",
            returned="", scores=None, reason=f"thrown away, since {why}",
        )  # fmt: skip

    def _judged(self, batch: Batch, judge: "_Judge") -> LearningStep:
        registry, scores = self.registry, judge.scores
        comparison = _told(scores, self.labelling.task)
        if scores.kept:
            snapshot = self._registered(batch, judge, comparison)
        else:
            snapshot = judge.last_good(number_of(registry.get(batch.snapshot)))
        registry.set_alias(snapshot, ALIAS, reason=comparison, actor=CONTROLLER)
        promoted, returned, more = self._released(batch, judge, snapshot, comparison)
        verdict = "kept" if scores.kept else f"thrown away, since {scores.fault}"
        return LearningStep(
            number=batch.number, kept=scores.kept, failed=False, snapshot=snapshot,
            promoted=promoted, returned=returned, scores=scores,
            reason=f"{verdict}: {comparison}{more}",
        )  # fmt: skip

    def _released(
        self, batch: Batch, judge: "_Judge", snapshot: str, figures: str
    ) -> tuple[str, str, str]:
        """Promote what is better, or return from what has gone wrong.

        Returns
        -------
        tuple of str
            The version that was promoted, the one that was returned to, and what is said of it.
        """
        before = batch.production
        direct = judge.scores.kept and self.policy.then == "direct"
        if direct and judge.improves_on(before):
            return self._promoted(before, snapshot, By(CONTROLLER, f"learned online: {figures}"))
        if not judge.good(before):
            target = judge.last_good(number_of(self.registry.get(before)) - 1)
            return self._returned(before, (target, batch.champion))
        return "", "", ""

    def _promoted(self, before: str, target: str, by: By) -> tuple[str, str, str]:
        current = self.registry.get_production_model(self.model)
        if current not in {before, target}:
            return "", "", f"; {current} is in production by now"
        try:
            self.rollouts.require_none_under_way(self.model, "It has the traffic.")
            if current != target:
                self.models.promote(target, by=by)
        except ConflictError as error:
            return "", "", f"; {target} is not promoted: {error.message}"
        return target, "", f"; {target} is in production"

    def _returned(self, before: str, targets: tuple[str, str]) -> tuple[str, str, str]:
        """Return to the first of the targets that may be in production."""
        current = self.registry.get_production_model(self.model)
        if current not in {before, *targets}:
            return "", "", f"; {current} is in production by now"
        fault = f"{before} is worse than the champion by now"
        by = By(CONTROLLER, f"back to the last good snapshot: {fault}")
        try:
            self.rollouts.require_none_under_way(self.model, "It has the traffic.")
        except ConflictError as error:
            return "", "", f"; {targets[0]} is not promoted: {error.message}"
        refusal = ""
        for target in targets if current == before else (str(current),):
            try:
                if current == before and self.registry.get(target).promoted_at is None:
                    self.models.promote(target, by=by)
                elif current == before:
                    self.models.put_back(target, by=by)
            except ConflictError as error:  # it has to be ready first, and is not
                refusal = f"; {target} is not promoted: {error.message}"
                continue
            return "", target, f"{refusal}; {fault}: back to {target}"
        return "", "", refusal

    def _registered(self, batch: Batch, judge: "_Judge", comparison: str) -> str:
        """Register what was learned, unless a process that died has; return its model id."""
        registry, scores = self.registry, judge.scores
        base, former = registry.get(batch.champion), registry.get(batch.snapshot)
        registered = registry.find(self.model, batch.version)
        if registered is not None and number_of(registered) == batch.number:
            return registered.model_id
        last = pc.max(batch.rows["timestamp"]).as_py() + timedelta(microseconds=1)
        metric = "mae" if self.labelling.task == "regression" else "accuracy"
        return registry.register_model(
            judge.learned.model,
            self.model,
            batch.version,
            {metric: scores.loss if self.labelling.task == "regression" else 1.0 - scores.loss},
            f"learned online: {comparison}",
            {_CHAMPION: batch.champion, _NUMBER: str(batch.number)},
            training_data=self._reference(batch, base, judge.stream.features),
            signature=base.signature,
            lineage=Lineage(
                parent=batch.snapshot,
                dataset="outcomes as they arrived",
                training_start=former.lineage.training_start,
                training_end=max(last, former.lineage.training_end or last),
                table_versions=batch.table_versions,
                evaluated_on=f"{scores.rows:,} outcomes, each before it was used for training",
            ),
            format="skops" if base.format == "skops" else "joblib",
            trusted=base.trusted,
            allow_unsafe=base.unsafe,
            actor=CONTROLLER,
        )

    def _reference(self, batch: Batch, base: ModelVersion, features: pa.Table) -> pa.Table | None:
        """Return what drift is measured against: the former sample, and the rows since."""
        if base.signature is None:  # then it would be made of these rows
            return None
        before = self.registry.reference(batch.snapshot)
        if before is None or not set(features.column_names) <= set(before.column_names):
            return features
        return pa.table(
            {
                name: pa.chunked_array(
                    [*_alike(before[name], features[name]), *features[name].chunks],
                    features[name].type,
                )
                for name in features.column_names
            }
        )

    def _ended(self, batch: Batch, step: LearningStep) -> LearningStep:
        """Keep what came of a batch; from here on it has taught."""
        production = step.promoted or step.returned or batch.production
        evidence = {
            **step.to_dict(), "champion": batch.champion, "production": production,
            "cursor": batch.cursor, "at_cursor": batch.at_cursor,
            "table_versions": batch.table_versions,
        }  # fmt: skip
        self.audit.note(
            at=self.at, by=By(CONTROLLER, step.reason), action=ONLINE,
            subject=subject_of(self.model), evidence=evidence,
        )  # fmt: skip
        self.taught.settle(batch)
        self._tidy(batch, step)
        return step

    def _tidy(self, batch: Batch, step: LearningStep) -> None:
        """Remove the oldest snapshots that never were in production, beyond those that stay."""
        kept_snapshots = list(snapshots(self.registry, self.model, batch.champion).values())
        for snapshot in kept_snapshots[self.policy.keep :]:
            if (
                snapshot.promoted_at is None
                and not snapshot.aliases
                and snapshot.model_id != step.snapshot
            ):
                with suppress(
                    ConflictError, NotFoundError
                ):  # it is needed, or another process was faster
                    reason = "newer snapshots stay"
                    self.models.delete(snapshot.model_id, by=By(CONTROLLER, reason))


class _Judge:
    """What a batch says of what was learned, of the champion, and of snapshots as they are."""

    def __init__(self, learning: Learning, batch: Batch, stream: Stream, learned: Learned) -> None:
        self._registry, self._model = learning.registry, learning.model
        self._policy, self._batch = learning.policy, batch
        self.stream, self.learned = stream, learned
        self._asked: dict[str, Losses] = {}
        self.scores = Prequential.of(
            learned.losses,
            self._losses(batch.champion),
            self._losses(batch.snapshot),
            tolerance=learning.policy.tolerance,
            task=stream.task,
            left_out=len(stream.actual) - len(learned.places),
        )

    def _losses(self, model_id: str) -> Losses:
        if model_id not in self._asked:
            model = self._registry.load_model(model_id)
            self._asked[model_id] = self.learned.frozen(model, self.stream)
        return self._asked[model_id]

    def good(self, model_id: str) -> bool:
        """Return whether a version, as it is, is not worse than the champion."""
        return model_id == self._batch.champion or not loses_to(
            self._losses(model_id),
            self._losses(self._batch.champion),
            tolerance=self._policy.tolerance,
            task=self.stream.task,
        )

    def improves_on(self, production: str) -> bool:
        """Return whether what was learned beats what is in production, and the champion."""
        return all(
            beats(self.learned.losses, self._losses(model_id), task=self.stream.task)
            for model_id in {production, self._batch.champion}
        )

    def last_good(self, most: int) -> str:
        """Return the newest good snapshot up to a number; the champion if there is none."""
        versions = snapshots(self._registry, self._model, self._batch.champion)
        most = min(most, self._batch.number - 1)
        earlier = [model_id for model_id, version in versions.items() if number_of(version) <= most]
        good = (candidate for candidate in earlier[:_LOOK_BACK] if self.good(candidate))
        return next(good, self._batch.champion)


def _alike(before: pa.ChunkedArray, now: pa.ChunkedArray) -> list[pa.Array]:
    """Return a column of a kept sample in the type of another; without it where that cannot be."""
    plain = before.cast(before.type.value_type) if pa.types.is_dictionary(before.type) else before
    try:
        return list(plain.cast(now.type).chunks)
    except pa.ArrowException:
        return []


def _told(scores: Prequential, task: str) -> str:
    """Return the figures as a sentence."""

    def shown(loss: float) -> str:
        return f"{loss:.4g}" if task == "regression" else f"{100 * loss:.1f} %"

    loss_name = "mean absolute error" if task == "regression" else "wrong"
    left_out = f", {scores.left_out:,} left out" if scores.left_out else ""
    return (
        f"{loss_name} {shown(scores.loss)} over {scores.rows:,} outcomes{left_out}; the champion "
        f"{shown(scores.champion_loss)}, before it was trained on {shown(scores.former_loss)}"
    )
