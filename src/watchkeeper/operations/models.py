"""Changes of the registry, each with who made it and why."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.experiments import Experiment, State
from watchkeeper.monitoring.repositories import Kept
from watchkeeper.operations.rollouts import Rollouts, require_none_under_way
from watchkeeper.registry import Lineage, ModelRegistry, ModelVersion, Remote
from watchkeeper.registry.formats import format_of_file, load
from watchkeeper.rollouts.shadow import Shadow, ShadowState

__all__ = ["Parts", "archive", "delete", "named", "promote", "register_file", "rollback"]


class Parts(Protocol):
    """Where versions are, and who may need one; an `watchkeeper.app.App` is one."""

    @property
    def registry(self) -> ModelRegistry: ...
    @property
    def rollouts(self) -> Rollouts: ...
    @property
    def experiments(self) -> Kept[Experiment]: ...
    @property
    def shadows(self) -> Kept[Shadow]: ...


def register_file(
    registry: ModelRegistry,
    file: Path,
    name: str,
    version: str,
    *,
    metrics: Mapping[str, float],
    description: str = "",
    tags: Mapping[str, str] | None = None,
    training_data: object = None,
    lineage: Lineage | None = None,
    card: str = "",
    trusted: Sequence[str] = (),
    allow_unsafe: bool = False,
    actor: str = "",
) -> ModelVersion:
    """Register the model in a file; its ending says the format.

    Raises
    ------
    InvalidValueError
        If the file cannot be read as its format.
    ConflictError, UntrustedTypesError, UnsafeFormatError
        As `ModelRegistry.register_model`.
    """
    kind = format_of_file(file)
    model: Any
    if kind == "mlflow":
        model = file if file.is_dir() else file.parent
    elif kind == "remote":
        model = Remote.from_json(file.read_bytes())
    elif kind == "onnx":
        model = file.read_bytes()
    else:
        data = file.read_bytes()
        try:
            model = load(data, kind, trusted=trusted, unsafe=allow_unsafe)
        except (ValueError, ImportError):
            raise
        except Exception as error:
            raise InvalidValueError("file", str(file), f"a model in {kind} ({error})") from error
    model_id = registry.register_model(
        model,
        name,
        version,
        metrics,
        description,
        tags,
        training_data=training_data,
        lineage=lineage,
        card=card,
        format=kind,
        trusted=trusted,
        allow_unsafe=allow_unsafe,
        actor=actor,
    )
    return registry.get(model_id)


def named(model: str, version: str) -> str:
    """Return the id of what people call a version of a model: ``1.0.0``, ``@ALIAS``, or in full.

    >>> named("late", "1.0.0"), named("late", "@champion"), named("late", "early:2")
    ('late:1.0.0', 'late@champion', 'early:2')
    """
    if version.startswith("@"):
        return f"{model}{version}"
    return version if ":" in version or "@" in version else f"{model}:{version}"


def promote(
    registry: ModelRegistry, model_id: str, *, reason: str = "", actor: str = ""
) -> ModelVersion:
    """Put a version in production; that model's former one goes to staging."""
    registry.promote_to_production(model_id, reason=reason, actor=actor)
    return registry.get(model_id)


def rollback(
    registry: ModelRegistry, name: str, *, reason: str = "", actor: str = ""
) -> ModelVersion:
    """Put back what was in production before."""
    return registry.get(registry.rollback(name, reason=reason, actor=actor))


def archive(parts: Parts, model_id: str, *, reason: str = "", actor: str = "") -> ModelVersion:
    """Put a version aside; the one in production, or in a rollout, is refused."""
    found = parts.registry.get(model_id)
    _require_idle(parts, found)
    parts.registry.archive(found.model_id, reason=reason, actor=actor)
    return parts.registry.get(found.model_id)


def delete(parts: Parts, model_id: str, *, reason: str = "", actor: str = "") -> ModelVersion:
    """Remove a version for good; what serves, or may have to, is refused.

    Raises
    ------
    ConflictError
        If it is in production or what a rollback returns to, a side of a rollout that is under
        way, a shadow, or a variant of an experiment that is not over.
    """
    found = parts.registry.get(model_id)
    _require_idle(parts, found)
    for shadow in parts.shadows.find(found.model_name, ShadowState.RUNNING):
        if shadow.version == found.version:
            raise ConflictError(
                f"{found.model_id} answers as the shadow {shadow.name}", "Stop it first."
            )
    for each in parts.experiments.find(found.model_name):
        arms = {arm.model_version for arm in each.allocation.arms}
        if each.state is not State.STOPPED and found.version in arms:
            raise ConflictError(
                f"{found.model_id} is an arm of the experiment {each.name}", "Stop it first."
            )
    parts.registry.delete(found.model_id, reason=reason, actor=actor)
    return found


def _require_idle(parts: Parts, version: ModelVersion) -> None:
    why = "Both of its versions are needed."
    require_none_under_way(parts.rollouts, version.model_name, why, version.version)
