"""Kinds of values that policies have, with their ranges, and the check of them."""

from collections.abc import Iterator
from functools import cache
from math import inf
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from watchkeeper.errors import InvalidValueError

__all__ = [
    "BYTES",
    "Bytes",
    "Count",
    "Fraction",
    "Margin",
    "NonNegative",
    "Positive",
    "Share",
    "check_fields",
]

BYTES = "bytes"
"""Beside the type of a size: settings may write it with its unit, such as 64 MiB."""

Share = Annotated[float, Gt(0), Lt(1)]
Fraction = Annotated[float, Ge(0), Le(1)]
Margin = Annotated[float, Ge(0), Lt(1)]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Count = Annotated[int, Ge(1)]
Bytes = Annotated[int, Ge(1), BYTES]


def check_fields(policy: object) -> None:
    """Check every field of a dataclass against the range or the values that its type states.

    Parameters
    ----------
    policy : dataclass

    Raises
    ------
    InvalidValueError
        If a number is out of its range or not finite, or a value is none of those that are allowed.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Limits:
    ...     share: Share | None = None
    ...     on_breach: Literal["hold", "rollback"] = "hold"
    >>> check_fields(Limits(share=0.5))
    >>> check_fields(Limits(share=1.5))
    Traceback (most recent call last):
        ...
    watchkeeper.errors.InvalidValueError: share is 1.5; expected a number above 0 and below 1.
    """
    for name, hint in _hints(type(policy)).items():  # type: ignore[arg-type]
        _check(name, getattr(policy, name), hint)


def _check(name: str, value: Any, hint: Any) -> None:
    origin, parts = get_origin(hint), get_args(hint)
    if type(None) in parts:
        if value is not None:
            _check(name, value, parts[parts[0] is type(None)])
    elif origin is Literal:
        if value not in parts:
            raise InvalidValueError(name, value, f"one of {', '.join(map(str, parts))}")
    elif origin is tuple:
        for item in value:
            _check(name, item, parts[0])
    elif origin is Annotated:
        bounds = list(_bounds(parts[1:]))
        if bounds and not (-inf < value < inf and all(_holds(value, bound) for bound in bounds)):
            raise InvalidValueError(name, value, f"a number {' and '.join(map(_text, bounds))}")


def _bounds(metadata: tuple[Any, ...]) -> Iterator[Gt | Ge | Lt | Le]:
    for part in metadata:
        if isinstance(part, Gt | Ge | Lt | Le):
            yield part


def _holds(value: Any, bound: Gt | Ge | Lt | Le) -> bool:
    match bound:
        case Gt(gt):
            return bool(value > gt)
        case Ge(ge):
            return bool(value >= ge)
        case Lt(lt):
            return bool(value < lt)
        case Le(le):
            return bool(value <= le)


def _text(bound: Gt | Ge | Lt | Le) -> str:
    match bound:
        case Gt(gt):
            return f"above {gt}"
        case Ge(ge):
            return f"of at least {ge}"
        case Lt(lt):
            return f"below {lt}"
        case Le(le):
            return f"of at most {le}"


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
