"""The figures' common look: style sheet, colours, new figures and their rendering to bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.colors
import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMN_WIDTH = 3.4
TEXT_WIDTH = 7.0

TRAINING_GREY = "0.62"
NO_FEATURE_GREY = "0.75"

# Vector graphics of more lines than this are slow to open; they become a picture inside the PDF.
MOST_VECTOR_LINES = 100

# Okabe and Ito's palette without black (the prediction's) and yellow (too faint on white).
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

_STYLE_SHEET = Path(__file__).with_name("style.mplstyle")
# Without dates and program versions the same tables give the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


@contextmanager
def styled() -> Iterator[None]:
    """Context (and decorator) in which the style sheet alone counts, not the user's own settings."""
    with matplotlib.style.context(_STYLE_SHEET, after_reset=True):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, without pyplot and without a display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def settle(figure: Figure) -> None:
    """Compute the layout once and keep it: what is added later is placed in the final pixels."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    # Not "none": that would leave a stand-in for which saving draws the figure a second time.
    figure.set_layout_engine(None)


def render(figure: Figure, file_format: str) -> bytes:
    """The figure as the bytes of a `png` or `pdf` file, the same for the same figure."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format=file_format, metadata=_METADATA[file_format])
    return buffer.getvalue()


def feature_colours(features: Sequence[str]) -> dict[str, str]:
    """A colour for each feature: the palette, then its darker and its paler shades."""
    return {feature: _colour(place) for place, feature in enumerate(features)}


def _colour(place: int) -> str:
    shade, place_in_palette = divmod(place, len(OKABE_ITO))
    base = matplotlib.colors.to_rgb(OKABE_ITO[place_in_palette])
    towards, weight = ((0.0, 0.0), (0.0, 0.45), (1.0, 0.45))[shade % 3]
    red, green, blue = ((1 - weight) * part + weight * towards for part in base)
    return matplotlib.colors.to_hex((red, green, blue))
