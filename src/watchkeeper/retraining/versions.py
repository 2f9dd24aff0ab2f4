"""What the next version is called."""

import re
from collections.abc import Collection

__all__ = ["next_version"]

_NUMBERED = re.compile(r"(v?)(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:\D.*)?", re.IGNORECASE)


def next_version(production: str | None, taken: Collection[str] = ()) -> str:
    """Return the version that follows the one in production: its patch number and one more.

    Parameters
    ----------
    production : str or None
        None where nothing is in production: the first is ``1.0.0``. What stands for no number, as
        ``blue``, counts as nothing; missing numbers are 0.
    taken : collection of str
        Versions that the model has; the patch number grows until none of them is hit.

    Returns
    -------
    str

    Examples
    --------
    >>> next_version("1.2.9"), next_version(None), next_version("v2"), next_version("blue")
    ('1.2.10', '1.0.0', 'v2.0.1', '1.0.0')
    >>> next_version("1.0.0", taken={"1.0.0", "1.0.1"})
    '1.0.2'
    """
    numbered = None if production is None else _NUMBERED.fullmatch(production)
    prefix, major, minor, patch = "", 1, 0, 0
    if numbered is not None:
        prefix = numbered[1]
        major, minor, patch = (int(numbered[part] or 0) for part in (2, 3, 4))
        patch += 1
    while f"{prefix}{major}.{minor}.{patch}" in taken:
        patch += 1
    return f"{prefix}{major}.{minor}.{patch}"
