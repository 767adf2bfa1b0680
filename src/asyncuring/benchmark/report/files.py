"""All files of a report, written into the folder that holds its records."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asyncuring.benchmark.records import RECORDS_FILE
from asyncuring.benchmark.report.archive import write_archive
from asyncuring.benchmark.report.charts import sections_of
from asyncuring.benchmark.report.tables import TOTALS_FILE, tables_of
from asyncuring.benchmark.report.totals import summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.report.drawing import Picture
    from asyncuring.benchmark.report.totals import Summary

__all__ = ["PAGE_FILE", "TOTALS_FILE", "write_report"]

PAGE_FILE = "report.html"

PLOTS_FOLDER = "plots"


def write_report(directory: Path, records: Sequence[Record]) -> list[Summary]:
    """Write the files of ``records`` into ``directory``; return what they came to."""
    # Where its caches are, and how long they take to fill, is no news to who measures disks.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # They need matplotlib and jinja2, which are slow to import, and nobody else does.
    from asyncuring.benchmark.report.drawing import draw  # noqa: PLC0415
    from asyncuring.benchmark.report.page import render  # noqa: PLC0415

    summaries = summarise(records)
    tables = tables_of(records, summaries)
    for name, table in tables.items():
        table.write(directory / name)
    sections = sections_of(tables, summaries)
    pictures = {chart.name: draw(chart) for section in sections for chart in section.charts}
    plots = _write_plots(directory / PLOTS_FOLDER, pictures)
    drawn = {name: picture.svg for name, picture in pictures.items()}
    page = render(records, summaries, tables, sections, drawn)
    (directory / PAGE_FILE).write_text(page, encoding="utf-8")
    write_archive(directory, [RECORDS_FILE, PAGE_FILE, *tables, *plots])
    return summaries


def _write_plots(folder: Path, pictures: Mapping[str, Picture]) -> list[str]:
    """Write all plots, and nothing else: those of an older report are gone. Return their names."""
    folder.mkdir(exist_ok=True)
    for pattern in ("*.svg", "*.png"):
        for old in folder.glob(pattern):
            old.unlink()
    for name, picture in pictures.items():
        (folder / f"{name}.svg").write_text(picture.svg, encoding="utf-8")
        (folder / f"{name}.png").write_bytes(picture.png)
    return [f"{PLOTS_FOLDER}/{name}.{ending}" for name in pictures for ending in ("svg", "png")]
