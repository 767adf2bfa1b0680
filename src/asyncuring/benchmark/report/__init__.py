"""What records come to: tables, plots, a page and an archive. Pure functions of the records."""

from asyncuring.benchmark.report.archive import ARCHIVE_FILE
from asyncuring.benchmark.report.figures import figures_of
from asyncuring.benchmark.report.files import PAGE_FILE, TOTALS_FILE, write_report

__all__ = ["ARCHIVE_FILE", "PAGE_FILE", "TOTALS_FILE", "figures_of", "write_report"]
