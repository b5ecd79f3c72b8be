"""Complex numbers as colours: the phase is the hue, the size the saturation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb


def complex_colours(values: npt.NDArray[np.complex128], largest: float | None = None) -> npt.NDArray[np.float64]:
    """Colours (..., 3): white is 0, full colour what is at least `largest` (default: the largest) in size."""
    size = np.abs(values)
    top = largest if largest is not None else float(size.max())
    hue = (np.angle(values) / (2 * np.pi)) % 1.0
    saturation = np.clip(size / (top or 1.0), 0, 1)
    colours: npt.NDArray[np.float64] = hsv_to_rgb(np.stack([hue, saturation, np.full_like(hue, 0.92)], axis=-1))
    return colours + (1 - colours) * (1 - saturation)[..., None] ** 4  # to white, from the grey of a value of 0.92


def draw_phase_bar(axes: Axes) -> None:
    """The legend: hue against phase."""
    phases = np.exp(1j * np.linspace(-np.pi, np.pi, 181))
    axes.imshow(complex_colours(phases[:, None]), aspect="auto", origin="lower", extent=(0, 1, -180, 180))
    axes.set(xticks=[], yticks=[-180, -90, 0, 90, 180], ylabel="phase (degrees)")
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.grid(False)
