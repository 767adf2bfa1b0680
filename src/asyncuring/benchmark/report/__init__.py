"""What records come to: tables, plots, a page and an archive. Pure functions of the records."""

from asyncuring.benchmark.report.figures import figures_of
from asyncuring.benchmark.report.files import TOTALS_FILE, write_report
from asyncuring.benchmark.report.totals import Totals

__all__ = ["TOTALS_FILE", "Totals", "figures_of", "write_report"]
