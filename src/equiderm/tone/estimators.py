"""The estimators: the paper's and its rivals, one function each, from a view to a measurement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from equiderm.errors import InputError
from equiderm.tone import skin
from equiderm.tone.color import (
    individual_typology_angle,
    mean_lab,
    one_argument_angle,
    srgb_to_lab,
)
from equiderm.tone.robust import robust
from equiderm.tone.view import EIGHT_SAMPLES, SAMPLE, SIDE, Measurement, View

_EIGHT_BOXES = tuple((top, left, SAMPLE) for top, left in EIGHT_SAMPLES.values())

# Corbin and Marques 2022: squares of 8 px, 4 % of the border dropped, then the outermost ring.
_RING_SQUARE, _RING_MARGIN = 8, 12
_RING_COUNT = (SIDE - 2 * _RING_MARGIN) // _RING_SQUARE
_RING_EDGES = (0, _RING_COUNT - 1)
_RING_BOXES = tuple(
    (_RING_MARGIN + row * _RING_SQUARE, _RING_MARGIN + column * _RING_SQUARE, _RING_SQUARE)
    for row, column in [
        *((row, column) for row in _RING_EDGES for column in range(_RING_COUNT)),
        *((row, column) for column in _RING_EDGES for row in range(1, _RING_COUNT - 1)),
    ]
)


def _lightest(view: View, angle: Callable[..., NDArray[np.float64]]) -> Measurement | None:
    """Return the sample with the highest angle: section 3.2 of the paper; ``angle`` is Eq. 1."""
    lab = mean_lab(view.samples)
    ita = np.where(view.is_inside(_EIGHT_BOXES), angle(lab), np.nan)
    if np.isnan(ita).all() and view.outside is not None:
        return None
    best = int(np.where(np.isnan(ita), -np.inf, ita).argmax())
    name = tuple(EIGHT_SAMPLES)[best]
    return Measurement(
        lab[best], float(ita[best]), ita, view.samples[best], name, lab, _EIGHT_BOXES
    )


def patch_max(view: View) -> Measurement | None:
    """The lightest of eight 20 x 20 samples near the edges, hair removed.

    Source:
        Bevan and Atapour-Abarghouei 2022, section 3.2, constants from their released code.

    Differs:
        The two-argument arctangent, as Kalb et al. 2023 (arXiv 2308.09640) corrected it. Samples
        outside a cut-out lesion are ignored.
    """
    return _lightest(view, individual_typology_angle)


def patch_max_arctan(view: View) -> Measurement | None:
    """`patch_max` with Eq. 1 to the letter; reproduces the published labels, wraps where b* < 0.

    Source:
        Bevan and Atapour-Abarghouei 2022, Eq. 1.
    """
    return _lightest(view, one_argument_angle)


def patch_median(view: View) -> Measurement | None:
    """The median ITA of the paper's eight samples; its colour is the mean of the middle two.

    Source:
        The samples of Bevan and Atapour-Abarghouei 2022; the median, as Corbin and Marques 2022
        take it over patches.
    """
    return _median(view, view.samples, _EIGHT_BOXES)


def _median(
    view: View, samples: NDArray[np.uint8], boxes: tuple[tuple[int, int, int], ...]
) -> Measurement | None:
    """Return the median angle of the samples inside the picture, with the middle two's colour."""
    inside = view.is_inside(boxes)
    if inside.sum() < 2:
        return None
    samples, boxes = (
        samples[inside],
        tuple(b for b, keep in zip(boxes, inside, strict=True) if keep),
    )
    lab = mean_lab(samples)
    ita = individual_typology_angle(lab)
    middle = np.argsort(ita)[(len(ita) - 1) // 2 : len(ita) // 2 + 1]
    return Measurement(
        lab[middle].mean(axis=0),
        float(np.median(ita)),
        ita,
        samples[middle],
        sample_lab=lab,
        boxes=boxes,
    )


def whole(view: View) -> Measurement | None:
    """The mean colour of the whole picture, hair removed.

    Source:
        Bevan and Atapour-Abarghouei 2022, section 4.4 (the ablation of sampling).
    """
    pixels = view.filled.reshape(-1, 3) if view.outside is None else view.filled[~view.outside]
    if not len(pixels):
        return None
    lab = srgb_to_lab(pixels)
    mean = lab.mean(axis=0)
    return Measurement(
        mean, float(individual_typology_angle(mean)), individual_typology_angle(lab), pixels
    )


def border_median(view: View) -> Measurement | None:
    """The median ITA of 112 squares of 8 px in a ring along the border; no hair step.

    Source:
        Corbin and Marques 2022, doi 10.1007/s11042-022-14211-1: "structured patches", 8 px, with 4
        % of each border dropped (here 12 of 256 px, so that whole squares fit).
    """
    inner = view.pixels[_RING_MARGIN:-_RING_MARGIN, _RING_MARGIN:-_RING_MARGIN]
    count, square = _RING_COUNT, _RING_SQUARE
    grid = inner.reshape(count, square, count, square, 3).swapaxes(1, 2)
    ring = np.concatenate([grid[0], grid[-1], grid[1:-1, 0], grid[1:-1, -1]])
    return _median(view, ring, _RING_BOXES)


def ycbcr(view: View) -> Measurement | None:
    """The mean colour of pixels in the skin range of RGB and YCbCr, within one standard deviation.

    Source:
        Groh et al. 2021, arXiv 2104.09957, section 4; the ranges are Kolkur et al.'s (2017).
    """
    return _within_one_deviation(view, skin.looks_like_skin(view.pixels))


def healthy_skin(view: View) -> Measurement | None:
    """The mean colour of the picture without lesion, hair, dark corners and glare.

    Source:
        The idea of Kinyanjui et al. 2020 (arXiv 1910.13268): segment, drop the lesion, take pixels
        within one standard deviation.

    Differs:
        They trained a segmentation network; here Otsu's threshold finds the lesion.
    """
    surround = skin.dark_surround(view.pixels)
    left_out = surround | skin.lesion_mask(view.filled, surround)
    left_out |= skin.glare_mask(view.pixels) | view.hair
    return _within_one_deviation(view, left_out == 0)


def _within_one_deviation(view: View, used: NDArray[np.bool_]) -> Measurement | None:
    """Return each channel's mean over pixels within one standard deviation; None under 1 %."""
    if view.outside is not None:
        used = used & ~view.outside
    chosen = view.pixels[used]
    if len(chosen) < used.size // 100:
        return None
    lab = srgb_to_lab(chosen)
    near = np.abs(lab - lab.mean(axis=0)) <= lab.std(axis=0)
    mean = (lab * near).sum(axis=0) / near.sum(axis=0)
    ita = individual_typology_angle(lab)
    return Measurement(mean, float(individual_typology_angle(mean)), ita, chosen, used=used)


METHODS: dict[str, Callable[[View], Measurement | None]] = {
    "patch-max": patch_max,
    "patch-max-arctan": patch_max_arctan,
    "patch-median": patch_median,
    "whole": whole,
    "border-median": border_median,
    "ycbcr": ycbcr,
    "healthy-skin": healthy_skin,
    "robust": robust,
}


def get_method(name: str) -> Callable[[View], Measurement | None]:
    """Return the estimator of that name.

    Raises:
        InputError: There is none; the message lists the known names.
    """
    if name not in METHODS:
        raise InputError(f"there is no method '{name}'; choose one of {', '.join(METHODS)}.")
    return METHODS[name]
