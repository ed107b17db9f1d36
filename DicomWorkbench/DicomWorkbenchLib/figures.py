"""Pictures for reports: matplotlib without a screen, one look for all workflows, the same bytes for the same data."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.errors import DependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that the common kinds of colour blindness tell apart (Okabe and Ito, 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 110,
}


def new_figure(
    width_cm: float = 16.0, height_cm: float = 9.0, rows: int = 1, columns: int = 1, **keywords: Any
) -> tuple[Figure, Any]:
    """Return a figure and its axes (one, or an array of them as `Figure.subplots` gives).

    No window system and no global state of matplotlib is touched, so this works in threads, on servers and in Slicer.

    Raises
    ------
    DependencyError : matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from cycler import cycler
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise DependencyError("the Python package matplotlib", extra="tables") from error
    style: dict[Any, Any] = {**_STYLE, "axes.prop_cycle": cycler(color=COLORS)}
    with mpl.rc_context(style):
        figure = Figure(figsize=(width_cm / 2.54, height_cm / 2.54), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, **keywords)
    return figure, axes


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save_png(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG and return the path."""
    path.write_bytes(png_bytes(figure))
    return path
