"""Images that are turned about their centre, in coordinates of their leading components, and filters seen in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from agfrun.labs.harmonics.network.layout import ComplexArray, RealArray

DIGIT, PATCH_SPAN = 8, 12
# Of the polar grid on which energies are taken.
RADII, ANGLES = 10, 64


@dataclass(frozen=True)
class TurnedImages:
    """Images, each at all angles.

    Attributes:
        coordinates: shape (images, angles, r), whitened coordinates along the leading components.
        components: shape (r, pixels, pixels), these components as images.
        energy: share of the variance that they have.
    """

    coordinates: RealArray
    components: RealArray
    energy: float


def turned_images(source: str, count: int, angles: int, pixels: int, components: int, generator: np.random.Generator
                  ) -> TurnedImages:
    """Images of a source, sampled on a turned disk of pixels, and whitened.

    Args:
        source: `digits`, or `patches` of two photographs; both come with scikit-learn.
        count: of images.
        angles: of each image, equally spaced.
        pixels: along a side.
        components: r.
        generator: chooses the images.
    """
    y, x = (axis - (pixels - 1) / 2 for axis in np.mgrid[:pixels, :pixels])
    radius = pixels / 2
    disk = y**2 + x**2 <= radius**2
    turns = np.exp(2j * np.pi * np.arange(angles) / angles)
    # In units of the radius, turned.
    places = (x + 1j * y)[disk] / radius * turns[:, None]
    samples = np.array([[map_coordinates(image, [cy + half * turned.imag, cx + half * turned.real], order=3)
                         for turned in places]
                        for image, cy, cx, half in _views(source, count, generator)])
    centred = samples - samples.mean(axis=(0, 1))
    if source == "patches":
        centred = samples - samples.mean(axis=2, keepdims=True)
    flat = centred.reshape(-1, int(disk.sum()))
    vectors, values, _ = np.linalg.svd(flat.T @ flat / len(flat))
    shown = np.zeros((components, pixels, pixels), dtype=np.float64)
    shown[:, disk] = vectors[:, :components].T
    return TurnedImages(centred @ vectors[:, :components] / np.sqrt(values[:components]), shown,
                        float(values[:components].sum() / values.sum()))


def energies(filters: ComplexArray) -> RealArray:
    """Shares of each filter's energy by angular frequency, shape (filters, ANGLES), in the order of `frequencies`."""
    pixels = filters.shape[1]
    radii = np.linspace(0.1, 0.95, RADII)[:, None] * pixels / 2
    theta = 2 * np.pi * np.arange(ANGLES) / ANGLES
    places = [(pixels - 1) / 2 + radii * np.sin(theta), (pixels - 1) / 2 + radii * np.cos(theta)]
    polar = np.array([map_coordinates(one.real, places, order=3) + 1j * map_coordinates(one.imag, places, order=3)
                      for one in filters])
    by_frequency = (np.abs(np.fft.fft(polar, axis=2)) ** 2 * radii).sum(axis=1)
    shares: RealArray = by_frequency / by_frequency.sum(axis=1, keepdims=True)
    return shares


def frequencies() -> RealArray:
    """Angular frequencies, in turns of the phase for one turn of the angle."""
    return np.asarray(np.fft.fftfreq(ANGLES, 1 / ANGLES), dtype=np.float64)


def _views(source: str, count: int, generator: np.random.Generator) -> list[tuple[RealArray, float, float, float]]:
    """Images with a centre and the half of a side that is looked at."""
    from sklearn.datasets import load_digits, load_sample_images  # an extra that `check` asks for

    if source == "digits":
        images = load_digits().images
        middle = (DIGIT - 1) / 2
        return [(images[place], middle, middle, DIGIT / 2) for place in generator.permutation(len(images))[:count]]
    photographs = [np.asarray(one, dtype=float).mean(axis=2) for one in load_sample_images().images]
    views = []
    for _ in range(count):
        photograph = photographs[generator.integers(len(photographs))]
        cy, cx = (float(generator.uniform(2 * PATCH_SPAN, side - 2 * PATCH_SPAN)) for side in photograph.shape)
        low_y, low_x = int(cy) - PATCH_SPAN, int(cx) - PATCH_SPAN
        part = photograph[low_y:low_y + 2 * PATCH_SPAN + 1, low_x:low_x + 2 * PATCH_SPAN + 1]
        views.append((part, cy - low_y, cx - low_x, PATCH_SPAN / 1.5))
    return views
