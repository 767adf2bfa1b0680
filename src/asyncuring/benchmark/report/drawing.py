"""Charts as pictures. The only file that needs matplotlib; it is imported when a report is made."""

from __future__ import annotations

import io
import math
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from asyncuring.benchmark.report.labels import apart, log_ticks, short, spaced
from asyncuring.benchmark.report.palette import LINES, MUTED, PAPER, TEXT, styles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from matplotlib.axes import Axes

    from asyncuring.benchmark.report.charts import Chart, Scale, Series
    from asyncuring.benchmark.report.palette import Style

WIDTH = 4.6
"""Inches, as all sizes here. Narrow: a page sets plots side by side, a telephone one by one."""
PLOT_WIDTH_MIN = 2.5
"""Long names make a picture wider than that."""
PLOT_HEIGHT = 2.7
ABOVE, BELOW, LEFT, RIGHT = 0.55, 0.5, 0.5, 0.12
LINE_HEIGHT = 0.165
"""From one label to the one below."""
ROW_HEIGHT = 0.26
"""Of an engine, where each is one value."""
LETTER_WIDTH = 0.076
MARKER_ROOM = 0.36
"""Between the plot and the labels at its right."""

FONT_POINTS = 8.5
PIXELS_PER_INCH = 160

PERCENTILE_TICKS = (50, 90, 99, 99.9, 99.99, 99.999)

TICKS_APART = 0.16
"""What part of the axis a number of clients takes; where two would overlap one has no number."""

MARKED_POINTS_MAX = 24
"""With more, markers would cover the line."""

LOG_MARGIN = 1.25

SETTINGS: dict[Any, Any] = {
    # Text stays text: smaller, to be searched, and in the page's own font.
    "svg.fonttype": "none",
    "font.size": FONT_POINTS,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": LINES.light,
    "axes.linewidth": 0.8,
    "axes.labelcolor": MUTED.light,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINES.light,
    "grid.linewidth": 0.6,
    "xtick.color": LINES.light,
    "ytick.color": LINES.light,
    "xtick.labelcolor": MUTED.light,
    "ytick.labelcolor": MUTED.light,
    "figure.facecolor": PAPER.light,
    "axes.facecolor": "none",
}


NOTHING = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""No time and no version in the files: the same records give the same bytes."""


class Picture(NamedTuple):
    """One plot in both formats."""

    svg: str
    png: bytes


def draw(chart: Chart) -> Picture:
    """Return the plot in the colours for white paper; the same chart gives the same bytes."""
    with rc_context(SETTINGS | {"svg.hashsalt": chart.name}):
        figure = Figure()
        looks = styles(one.engine for one in chart.series)
        if chart.single:
            _draw_values(figure, chart, looks)
        else:
            _draw_lines(figure, chart, looks)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata=NOTHING)
        figure.savefig(png, format="png", dpi=PIXELS_PER_INCH, metadata={"Software": None})
    return Picture(svg.getvalue(), png.getvalue())


def _axes(figure: Figure, chart: Chart, *, left: float, right: float, height: float) -> Axes:
    """Return the place to plot; title and unit stand above it, so that nobody tilts his head."""
    whole = ABOVE + height + BELOW
    width = max(WIDTH, left + PLOT_WIDTH_MIN + right)
    figure.set_size_inches(width, whole)
    plot = (left / width, BELOW / whole, (width - left - right) / width, height / whole)
    axes = figure.add_axes(plot)
    figure.text(
        *(0.06 / width, 1 - 0.2 / whole, chart.title),
        color=TEXT.light,
        fontsize=FONT_POINTS + 1.5,
        fontweight="bold",
    )
    figure.text(0.06 / width, 1 - 0.4 / whole, chart.y_label, color=MUTED.light)
    return axes


def _draw_lines(figure: Figure, chart: Chart, looks: Mapping[str, Style]) -> None:
    height = max(PLOT_HEIGHT, LINE_HEIGHT * len(chart.series))
    right = MARKER_ROOM + LETTER_WIDTH * max(len(one.label) for one in chart.series)
    axes = _axes(figure, chart, left=LEFT, right=right, height=height)
    axes.set_xlabel(chart.x_label)
    if chart.diagonal:
        axes.plot((0, 100), (0, 100), color=MUTED.light, linewidth=0.8, dashes=(1, 2))
    for one in chart.series:
        style = looks[one.engine]
        xs = [_placed(x, chart.x_scale) for x in one.xs]
        marker = style.marker if len(xs) <= MARKED_POINTS_MAX else ""
        axes.plot(
            *(xs, one.ys),
            color=style.ink.light,
            marker=marker,
            markersize=4,
            linewidth=1.4,
            dashes=style.dashes,
        )
        if one.lows:
            axes.vlines(xs, one.lows, one.highs, color=style.ink.light, linewidth=1, alpha=0.6)
    _scale_x(axes, chart)
    _scale_values(axes, chart.y_scale, _values(chart.series))
    _label_lines(axes, chart, looks, right=right, height=height)


def _draw_values(figure: Figure, chart: Chart, looks: Mapping[str, Style]) -> None:
    """Draw one value per engine, one below the other, the largest first."""
    ordered = sorted(chart.series, key=lambda one: one.ys[0])
    left = 0.2 + LETTER_WIDTH * max(len(one.label) for one in ordered)
    height = ROW_HEIGHT * max(3, len(ordered))
    axes = _axes(figure, chart, left=left, right=0.62, height=height)
    axes.grid(visible=False, axis="y")
    for place, one in enumerate(ordered):
        style = looks[one.engine]
        if one.lows:
            axes.hlines(place, one.lows[0], one.highs[0], color=style.ink.light, linewidth=1.4)
        axes.plot(one.ys[0], place, color=style.ink.light, marker=style.marker, markersize=5)
        axes.annotate(
            _three_digits(one.ys[0]),
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            color=TEXT.light,
        )
    _scale_values(axes, chart.y_scale, _values(ordered), across=True)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_yticks(range(len(ordered)), [one.label for one in ordered])
    for text, one in zip(axes.get_yticklabels(), ordered, strict=True):
        text.set_color(looks[one.engine].ink.light)
    (clients,) = {x for one in ordered for x in one.xs}
    axes.set_xlabel(f"{chart.y_label}, with {clients:g} client{'s' if clients > 1 else ''}")


def _label_lines(
    axes: Axes, chart: Chart, looks: Mapping[str, Style], *, right: float, height: float
) -> None:
    """Write each engine's name where its line ends, with its marker in front."""
    ends = [(_placed(one.xs[-1], chart.x_scale), one.ys[-1]) for one in chart.series]
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = [min(1.0, max(0.0, float(to_axes.transform(end)[1]))) for end in ends]
    if chart.diagonal:
        # All end in the same point: the fairest stands above.
        wanted = [2 * fmean(one.ys) / 100 for one in chart.series]
    # In fractions of the plot's width, which is what the axes count in.
    width = max(WIDTH - LEFT - right, PLOT_WIDTH_MIN)
    for one, end, place in zip(
        chart.series, ends, apart(wanted, LINE_HEIGHT / height), strict=True
    ):
        style = looks[one.engine]
        color = style.ink.light
        if not chart.diagonal:
            axes.annotate(
                "",
                *(end, (1 + 0.17 / width, place)),
                textcoords="axes fraction",
                arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.5, "alpha": 0.6},
                annotation_clip=False,
            )
        axes.plot(
            *(1 + 0.21 / width, place),
            transform=axes.transAxes,
            clip_on=False,
            color=color,
            marker=style.marker,
            markersize=4,
        )
        axes.text(
            *(1 + 0.29 / width, place, one.label),
            transform=axes.transAxes,
            color=color,
            va="center_baseline",
        )


def _scale_x(axes: Axes, chart: Chart) -> None:
    axis = axes.xaxis
    if chart.x_scale == "percentile":
        most = max(x for one in chart.series for x in one.xs)
        ticks = [tick for tick in PERCENTILE_TICKS if tick <= most]
        axis.set_major_locator(FixedLocator([_placed(tick, "percentile") for tick in ticks]))
        axis.set_major_formatter(FuncFormatter(lambda _, at: f"{ticks[at]:g}"))
    elif chart.x_scale == "clients":
        axes.set_xscale("log", base=2)
        counts = sorted({x for one in chart.series for x in one.xs})
        shown = spaced(counts, (counts[-1] / counts[0]) ** TICKS_APART)
        axis.set_major_locator(FixedLocator(counts))
        axis.set_major_formatter(FuncFormatter(lambda x, at: f"{x:g}" if shown[at] else ""))
    elif chart.x_scale == "linear":
        axis.set_major_locator(MaxNLocator(5, integer=True))
    else:
        axes.set_xlim(0, 100)
    axis.set_minor_locator(NullLocator())


def _scale_values(axes: Axes, scale: Scale, values: list[float], *, across: bool = False) -> None:
    """Set the axis of values: from zero on, or logarithmic; zero has its place there as well."""
    axis = axes.xaxis if across else axes.yaxis
    set_scale, limit = (
        (axes.set_xscale, axes.set_xlim) if across else (axes.set_yscale, axes.set_ylim)
    )
    if scale == "share":
        limit(0, 100)
    elif scale == "linear":
        limit(0, 1.08 * (max(values, default=0) or 1))
        axis.set_major_locator(MaxNLocator(5))
    else:
        positive = [value for value in values if value > 0]
        low, high = min(positive) / LOG_MARGIN, max(positive) * LOG_MARGIN
        starts_at_zero = 0 in values
        if starts_at_zero:
            set_scale("symlog", linthresh=low)
        else:
            set_scale("log")
        limit(0 if starts_at_zero else low, high)
        axis.set_major_locator(FixedLocator([*([0.0] * starts_at_zero), *log_ticks(low, high)]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_locator(NullLocator())


def _values(series: Iterable[Series]) -> list[float]:
    return [value for one in series for value in (*one.ys, *one.lows, *one.highs)]


def _placed(x: float, scale: Scale) -> float:
    """Return where x stands: percentiles by the decade of what is above them."""
    return -math.log10(1 - x / 100) if scale == "percentile" else x


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:#.3g}"  # noqa: PLR2004 - three digits
