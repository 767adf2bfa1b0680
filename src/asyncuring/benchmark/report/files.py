"""All files of a report, written into the folder that holds its records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring.benchmark.report.tables import TOTALS_FILE, tables_of
from asyncuring.benchmark.report.totals import summarise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.report.totals import Totals

__all__ = ["TOTALS_FILE", "write_report"]


def write_report(directory: Path, records: Sequence[Record]) -> list[Totals]:
    """Write the files of ``records`` into ``directory``; return the rows of totals.csv."""
    summaries = summarise(records)
    for name, table in tables_of(records, summaries).items():
        table.write(directory / name)
    return [summary.totals for summary in summaries]
