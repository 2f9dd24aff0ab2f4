"""What the labels of a model mean: its task, and the label of the positive class."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Labelling"]


@dataclass(frozen=True, slots=True)
class Labelling:
    """How labels are read.

    Attributes
    ----------
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    positive : Any
        The label of the positive class of a binary task.
    """

    task: str = "binary"
    positive: Any = 1
