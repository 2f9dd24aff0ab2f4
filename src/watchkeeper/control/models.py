"""Changes of the registry, each with who made it and why."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from watchkeeper.control.rollouts import Rollouts, require_none_under_way
from watchkeeper.errors import InvalidValueError
from watchkeeper.registry import ModelRegistry, ModelVersion
from watchkeeper.registry.formats import format_of_file, load

__all__ = ["archive", "promote", "register_file", "rollback"]


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
    data = file.read_bytes()
    model: Any = data
    if kind != "onnx":
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
        format=kind,
        trusted=trusted,
        allow_unsafe=allow_unsafe,
        actor=actor,
    )
    return registry.get(model_id)


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


def archive(
    registry: ModelRegistry,
    rollouts: Rollouts,
    model_id: str,
    *,
    reason: str = "",
    actor: str = "",
) -> ModelVersion:
    """Put a version aside; the one in production, or in a rollout, is refused."""
    found = registry.get(model_id)
    why = "Both of its versions are needed."
    require_none_under_way(rollouts, found.model_name, why, found.version)
    registry.archive(model_id, reason=reason, actor=actor)
    return registry.get(model_id)
