"""The estimator on the whole picture: many small cells, those that cannot be skin left out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from equiderm.tone import skin
from equiderm.tone.color import (
    individual_typology_angle,
    lab_to_srgb,
    mean_lab,
    srgb_to_lab,
)
from equiderm.tone.view import EIGHT_SAMPLES, SAMPLE, SIDE, Measurement, View

CELL = 8  # px
LEAST_YELLOW = 5.0  # b*; see `light_tolerant_angle`
AGREES = 10.0  # degrees of ITA between a cell and the picture, for the confidence

_COUNT = SIDE // CELL  # cells per row
_LEAST_SHARE = 0.15  # of a cell's pixels, free of hair and glare
_DARKEST = 12.0  # L*: below, a mask or a border; the darkest skin on record is above 20
_LEAST_CHROMA = 4.0  # below: paper, gauze, a ruler, gray background
_REDDEST, _GREENEST = -60.0, 115.0  # degrees of hue; ink is bluer, drapes are greener
_FEWEST = 40  # cells of 1,024
_LEAST_ABLE = 0.3  # of the lit cells: with fewer, a lesion in blue light would be measured
_STARTS = 64  # cells from which the mode is sought
_BANDWIDTH = np.array([5, 5, 5], np.float32)  # L*, a*, b* of the density
_REACH = np.array([18, 12, 12], np.float32)  # L*, a*, b*: shading spreads lightness more than hue
_ROUNDS = 5
_INSIDE = 0.6  # of the squared reach
_LIGHTER = np.float32(0.03)  # per unit of L*: of two equally frequent colours, the lighter is skin
_RIVAL = 0.85  # of the main mode's density
_RIVAL_APART = 20.0  # degrees of ITA
_CLIPPED = 0.15  # of the picture
_LIGHTEST_BAND, _LIGHT_BANDS = 55.0, 41.0  # degrees; the paper's cuts below bands 1 and 2
_PAPER, _PAPER_SPREAD, _GLARE = 190, 15, 245  # of 255: paper is light and nearly gray
_FOREIGN = 0.1  # of a sample's pixels
_LIGHTER_BY = 13.0  # degrees: from band 4 or darker to band 2 or lighter
_HIGHLIGHT = 84.0  # L* of a sample; above it, it is a lamp's reflection, not lighter skin
_corners = np.array(list(EIGHT_SAMPLES.values()))
_NEXT = np.linalg.norm(_corners[:, None] - _corners, axis=2) < SIDE / 2  # on the ring, and itself
_AROUND_GLARE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))

_rows, _columns = (axis.ravel().astype(np.float32) for axis in np.mgrid[:_COUNT, :_COUNT])
_Floats = NDArray[np.float32]


def robust(view: View) -> Measurement | None:
    """The main colour of 1,024 cells of 8 px, without what cannot be skin.

    Left out: pixels under hair and glare; cells darker than skin (round masks, borders), without
    colour (paper, rulers, gauze) or of another hue (ink, drapes); then every cell far from the
    densest colour of the rest, in which cells near the border of the visible field weigh up to
    three times as much as the middle, where the lesion is. The colour is the weighted mean around
    that mode (Tukey's biweight); ITA is `light_tolerant_angle`.

    Returns:
        None where under 40 cells (4 % of the picture) or under 30 % of the lit cells have a colour
        that skin can have. The angle is NaN, with the doubt ``two-tones``, where a second colour is
        nearly as frequent and over 20 degrees away. The confidence is the weight of the cells
        within 10 degrees of the result, as a share of all that may be skin. The doubt
        ``lighter-edge`` says that one of the paper's eight samples is much lighter: the colour may
        be that of a lesion that fills the frame.

    Source:
        Mean shift: Comaniciu and Meer 2002, IEEE Trans. PAMI 24:603. Cells instead of a mask of
        the lesion: Corbin and Marques 2022, doi 10.1007/s11042-022-14211-1. Biweight: Beaton and
        Tukey 1974, Technometrics 16:147. The thresholds are ours.
    """
    lab, share = _cells(view)
    lit = _away_from_the_dark(lab)
    able = lit & _may_be_skin(lab, share)
    if able.sum() < max(_FEWEST, _LEAST_ABLE * (lit & (share >= _LEAST_SHARE)).sum()):
        return None
    lab_able, weight = lab[able], (share * _towards_border(lit))[able]
    centre, rival = _main_mode(lab_able, weight)
    near = _distance(lab_able, centre) < _INSIDE
    if near.sum() < _FEWEST:
        return None
    inside = np.zeros(_COUNT * _COUNT, np.uint8)
    inside[np.flatnonzero(able)[near]] = 1
    angles, angle = light_tolerant_angle(lab_able), float(light_tolerant_angle(centre))
    agreeing = float(weight[np.abs(angles - angle) <= AGREES].sum() / weight.sum())
    lighter = not np.isnan(angle) and _is_lighter_near_the_edge(view, angle)
    two_tones = rival is not None and abs(float(light_tolerant_angle(rival)) - angle) > _RIVAL_APART
    return Measurement(
        centre.astype(np.float64),
        np.nan if two_tones else angle,
        angles[near],
        np.round(255 * lab_to_srgb(lab_able[near])).astype(np.uint8),
        used=_as_mask(inside, view),
        doubts=(
            *(["two-tones"] if two_tones else []),
            *(["over-exposed"] if _is_clipped(view) else []),
            *(["lighter-edge"] if lighter else []),
        ),
        confidence=agreeing,
    )


def light_tolerant_angle(lab: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return ITA, in degrees, of colours whose b* is raised to at least 5.

    Contact measurements of skin are hardly ever less yellow; in a photograph, the light or the
    camera is. ITA then lies in -90 to 90, and does not turn by 10 degrees or more per unit of b* as
    it does near L* = 50, b* = 0.

    Source:
        b* = 5.0 is the first percentile of 1,838 colorimeter readings, types I to VI, of the
        MSKCC skin tone labeling dataset, doi 10.34970/962049 (lowest 2.7, median 16.7).
    """
    raised = lab.astype(np.float64)
    raised[..., 2] = np.maximum(raised[..., 2], LEAST_YELLOW)
    return individual_typology_angle(raised)


def _cells(view: View) -> tuple[_Floats, _Floats]:
    """Return each cell's CIELAB colour, (1024, 3), and its share of free pixels, (1024,)."""
    glare = cv2.dilate(skin.burnt(view.pixels), _AROUND_GLARE)
    covered = cv2.bitwise_or(view.hair, glare)
    if view.outside is not None:
        covered = cv2.bitwise_or(covered, view.outside.astype(np.uint8))
    free = cv2.threshold(covered, 0, 1, cv2.THRESH_BINARY_INV)[1]
    pixels = cv2.multiply(view.pixels, cv2.merge([free, free, free]))
    grid = (_COUNT, _COUNT)
    total = cv2.resize(pixels.astype(np.float32), grid, interpolation=cv2.INTER_AREA)
    share = cv2.resize(free.astype(np.float32), grid, interpolation=cv2.INTER_AREA)
    mean = total / np.maximum(share, 1e-6)[..., None] / 255
    lab = srgb_to_lab(np.clip(mean, 0, 1).reshape(-1, 3)).astype(np.float32)
    return lab, np.asarray(share, np.float32).ravel()


def _away_from_the_dark(lab: _Floats) -> NDArray[np.bool_]:
    """Return the cells that are neither darker than skin nor beside one that is, (1024,)."""
    dark = (lab[:, 0] < _DARKEST).astype(np.uint8).reshape(_COUNT, _COUNT)
    return cv2.dilate(dark, np.ones((3, 3), np.uint8)).ravel() == 0


def _may_be_skin(lab: _Floats, share: _Floats) -> NDArray[np.bool_]:
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1]))
    able = (share >= _LEAST_SHARE) & (np.hypot(lab[:, 1], lab[:, 2]) >= _LEAST_CHROMA)
    return able & (hue >= _REDDEST) & (hue <= _GREENEST)


def _towards_border(lit: NDArray[np.bool_]) -> _Floats:
    """Return a weight per cell, 0.3 in the middle of the visible field to 1 near its border."""
    y, x = _rows[lit].mean(), _columns[lit].mean()
    radius = np.sqrt(lit.sum() / np.pi)  # of a disc of that area
    away = np.hypot(_rows - y, _columns - x) / (0.8 * radius)
    return (0.3 + 0.7 * np.minimum(away, 1) ** 2).astype(np.float32)


def _main_mode(lab: _Floats, weight: _Floats) -> tuple[_Floats, _Floats | None]:
    """Return the densest colour, (3,), and a second one nearly as dense and out of its reach."""
    scaled = lab / _BANDWIDTH
    starts = np.linspace(0, len(lab) - 1, _STARTS).astype(int)
    cross = scaled[starts] @ scaled.T
    norm = np.einsum("ij,ij->i", scaled, scaled)
    density = np.exp(cross - (norm[starts][:, None] + norm) / 2) @ weight
    density *= np.exp(_LIGHTER * lab[starts, 0])
    best = int(density.argmax())
    centre = lab[starts[best]]
    for _ in range(_ROUNDS):
        near = weight * np.maximum(1 - _distance(lab, centre), 0) ** 2
        centre = near @ lab / near.sum()
    apart = density * (_distance(lab[starts], centre) > 1)
    second = int(apart.argmax())
    rival = lab[starts[second]] if apart[second] > _RIVAL * density[best] else None
    return centre, rival


def _distance(lab: _Floats, centre: _Floats) -> _Floats:
    apart = (lab - centre) / _REACH
    return np.einsum("ij,ij->i", apart, apart)


def _is_lighter_near_the_edge(view: View, angle: float) -> bool:
    """Return whether a sample near the edge, neither paper nor glare, is over 13 degrees lighter.

    It must also be in the paper's band 1 or 2. Where the lesion fills the frame, skin is left only
    near the edge. A sample of L* over 84 is a broad reflection whose glow reaches its neighbours;
    it outshines dark skin by more, which would then be flagged more often than light skin.
    """
    if angle > _LIGHTEST_BAND:
        return False
    inside = view.is_inside((top, left, SAMPLE) for top, left in EIGHT_SAMPLES.values())
    samples = view.samples[inside]
    lab = mean_lab(samples)
    lowest, highest = samples.min(axis=3), samples.max(axis=3)
    foreign = (lowest >= _PAPER) & ((highest - lowest <= _PAPER_SPREAD) | (lowest >= _GLARE))
    glowing = _NEXT[inside][:, inside][lab[:, 0] > _HIGHLIGHT].any(axis=0)
    skin_alone = (foreign.mean(axis=(1, 2)) < _FOREIGN) & ~glowing
    lightest = np.nan_to_num(individual_typology_angle(lab), nan=-180.0)[skin_alone]
    return bool((lightest > max(_LIGHT_BANDS, angle + _LIGHTER_BY)).any())


def _is_clipped(view: View) -> bool:
    highest = cv2.max(*cv2.split(view.pixels)[:2])  # red clips first on skin
    if view.outside is not None:
        highest[view.outside] = 0
    clipped = cv2.countNonZero(cv2.threshold(highest, 251, 1, cv2.THRESH_BINARY)[1])
    return clipped > _CLIPPED * SIDE**2


def _as_mask(inside: NDArray[np.uint8], view: View) -> NDArray[np.bool_]:
    cells = inside.reshape(_COUNT, _COUNT)
    mask = cv2.resize(cells, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return cv2.subtract(mask, view.hair).view(np.bool_)
