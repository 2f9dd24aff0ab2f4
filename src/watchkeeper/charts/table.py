"""What a chart shows, as a table: for readers who cannot see it, and for programs.

>>> table = Table(columns=("feature", "distance"), rows=[("=cmd()", 0.25)])
>>> print(table.csv(), end="")
feature,distance
'=cmd(),0.25
"""

import csv
import io
import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from markupsafe import Markup

from watchkeeper.charts.numbers import NO_DATA, exact

__all__ = ["Chart", "Entry", "Table"]

Entry = datetime | str | int | float | bool | None

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\n")


class Chart(Protocol):
    """Data that can be looked at, read out and downloaded."""

    @property
    def title(self) -> str:
        """What it shows."""
        ...

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        ...

    def table(self) -> "Table":
        """Return the figures.

        Returns
        -------
        Table
        """
        ...

    def gist(self) -> str:
        """Return in words what one sees at a glance.

        Returns
        -------
        str
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of figures under named columns."""

    columns: tuple[str, ...]
    rows: list[tuple[Entry, ...]]

    def csv(self) -> str:
        """Return the table as CSV: times in ISO 8601 and UTC, nothing where there is no data.

        Text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV
        injection); numbers are left as they are, negative ones too.

        Returns
        -------
        str
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_defused(name) for name in self.columns)
        writer.writerows([_plain(cell) for cell in row] for row in self.rows)
        return text.getvalue()

    def texts(self, zone: tzinfo | None = None) -> list[tuple[str, ...]]:
        """Return the cells for reading, times in `zone` (UTC if None).

        Parameters
        ----------
        zone : tzinfo, optional

        Returns
        -------
        list of tuple of str
        """
        return [tuple(_read(cell, zone or UTC) for cell in row) for row in self.rows]


def _plain(cell: Entry) -> str:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return _defused(cell) if isinstance(cell, str) else repr(cell)


def _defused(text: str) -> str:
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    # Spreadsheets skip blanks before they decide whether it is a formula.
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def _read(cell: Entry, zone: tzinfo) -> str:
    if cell is None:
        return NO_DATA
    if isinstance(cell, datetime):
        return cell.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else exact(float(cell), "")
