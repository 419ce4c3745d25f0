"""The colour of skin from its pigments: melanin over blood over scattering dermis.

Source:
    Melanosome and dermal absorption, dermal scattering: Jacques 2013, Phys. Med. Biol. 58:R37, and
    the notes "Skin Optics" (Jacques 1998). Haemoglobin: the tabulation of Prahl (Oregon Medical
    Laser Center, after Gratzer and Kollias), 150 g/l of whole blood. Diffuse reflectance of the
    dermis: Farrell, Patterson and Wilson 1992, Med. Phys. 19:879. Pigment below a scattering layer:
    Kubelka and Munk 1931. Colour matching functions: the analytic fit of Wyman, Sloan and Shirley
    2013, JCGT 2(2). Illuminant D65 and sRGB: CIE 15 and IEC 61966-2-1.

Differs:
    `BACKSCATTER`, `BLOODLESS` and the exponent of melanin (Jacques: -3.33) are fitted, with the
    blood of a typical person (0.0096), to the median colorimeter colours of 1,797 places on
    people's skin, in steps of 10 degrees of ITA from -60 to 70 (MSKCC Skin Tone Labeling Dataset,
    doi:10.34970/962049): 1.05 units of L*, a*, b* root mean square. With Jacques' exponent and
    0.014 dark skin came out 7 units too dark and 1.6 times too colourful.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from equiderm.data.synthetic.canvas import Floats, srgb
from equiderm.tone.color import individual_typology_angle, srgb_to_lab

WAVELENGTHS = np.arange(400.0, 701.0, 10.0)  # nm
MELANIN_MAX, BLOOD_MAX = 2.0, 0.3  # the ends of the colour tables; beyond them colours are clipped
EPIDERMIS_CM = 0.006
BACKSCATTER = 0.0424  # of light that the horny layer and the epidermis return before any pigment
BLOODLESS = 0.7  # share of Jacques' baseline absorption kept: lets pale skin reach an ITA of 70
MELANIN_EXPONENT = -2.63  # of wavelength; the absorption at 550 nm is Jacques'
SATURATION = 0.7
_ROWS, _COLUMNS = 96, 192

# Molar extinction, 1/(cm M), and relative power, every 10 nm from 400 to 700.
_OXY = np.array(
    [
        266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209, 26629, 23684, 20933,
        20035, 24202, 39957, 53236, 43016, 32613, 44496, 50104, 14401, 3200, 1506, 942, 610,
        442, 368, 320, 294, 278, 276, 290,
    ]
)  # fmt: skip
_DEOXY = np.array(
    [
        223296, 303956, 407560, 528600, 413280, 103292, 23389, 16156, 14550, 16684, 20862,
        25774, 31590, 39036, 46592, 53412, 53788, 45072, 37020, 28324, 14677, 9444, 6510,
        5149, 4345, 3750, 3227, 2795, 2408, 2052, 1794,
    ]
)  # fmt: skip
_D65 = np.array(
    [
        82.75, 91.49, 93.43, 86.68, 104.86, 117.01, 117.81, 114.86, 115.92, 108.81, 109.35,
        107.8, 104.79, 107.69, 104.41, 104.05, 100, 96.33, 95.79, 88.69, 90.01, 89.6, 87.7,
        83.29, 83.7, 80.03, 80.21, 82.28, 78.28, 69.72, 71.61,
    ]
)  # fmt: skip
_WHITE = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_RGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)


def reflectance(melanin: ArrayLike, blood: ArrayLike, *, deep: bool = False) -> NDArray[np.float64]:
    """Return the diffuse reflectance of skin, shape (..., wavelengths), each in 0..1.

    Args:
        melanin: Volume fraction of melanosomes in a 60 micrometre epidermis (pale skin 0.01,
            very dark 0.4); above 1 it stands for a thicker pigmented layer, as in a lesion.
        blood: Volume fraction of blood in the dermis (0.002 pale, 0.02 flushed).
        deep: Whether a dense pigment lies in the dermis, 150 micrometres down. Only light that
            scatters above it returns, mostly blue: the blue-grey of deep melanin.
    """
    melanin, blood = np.asarray(melanin)[..., None], np.asarray(blood)[..., None]
    melanosome = 6.6e11 * 550**-3.33 * (WAVELENGTHS / 550) ** MELANIN_EXPONENT
    extinction = SATURATION * _OXY + (1 - SATURATION) * _DEOXY
    absorption = BLOODLESS * 7.84e8 * WAVELENGTHS**-3.255
    absorption = absorption + blood * np.log(10) * 150 / 64500 * extinction
    scattering = 46 * (WAVELENGTHS / 500) ** -1.421
    albedo = scattering / (absorption + scattering)
    depth = np.sqrt(3 * (1 - albedo))
    mismatch = 2.95  # internal reflection at a refractive index of 1.4
    dermis = albedo / 2 * (1 + np.exp(-4 / 3 * mismatch * depth)) * np.exp(-depth)
    if deep:
        above = 0.75 * scattering * 0.015
        above = above / (1 + above) * np.exp(-0.03 * absorption)
        dermis = above + (1 - above) ** 2 * 0.03 / (1 - 0.03 * above)
    passed = np.exp(-2 * EPIDERMIS_CM * melanin * melanosome)
    return BACKSCATTER + (1 - BACKSCATTER) ** 2 * passed * dermis


def linear_rgb(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return linear sRGB in 0..1, shape (..., 3), of reflectances at `WAVELENGTHS` under D65."""

    def lobe(mean: float, below: float, above: float) -> NDArray[np.float64]:
        width = np.where(mean > WAVELENGTHS, below, above)
        return np.exp(-0.5 * ((WAVELENGTHS - mean) / width) ** 2)

    x = 1.056 * lobe(599.8, 37.9, 31.0) + 0.362 * lobe(442.0, 16.0, 26.7)
    x = x - 0.065 * lobe(501.1, 20.4, 26.2)
    y = 0.821 * lobe(568.8, 46.9, 40.5) + 0.286 * lobe(530.9, 16.3, 31.1)
    z = 1.217 * lobe(437.0, 11.8, 36.0) + 0.681 * lobe(459.0, 26.0, 13.8)
    matching = np.stack([x, y, z], axis=1) * _D65[:, None]
    xyz = spectrum @ (matching / matching.sum(axis=0)) * _WHITE
    return np.clip(xyz @ _XYZ_TO_RGB.T, 0, 1)


def mean_ita(linear: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the ITA, in degrees, of the mean L* and mean b* of linear sRGB colours (..., n, 3)."""
    lab = srgb_to_lab(srgb(linear.astype(np.float64)))
    return individual_typology_angle(lab.mean(axis=-2))


@lru_cache(maxsize=1)
def _tables() -> tuple[Floats, Floats, NDArray[np.float64]]:
    """Return colours without and with deep pigment, (blood, melanin, 3), and the ITA of each."""
    melanin = np.linspace(0, 1, _COLUMNS) ** 2 * MELANIN_MAX
    blood = np.linspace(0, 1, _ROWS) ** 2 * BLOOD_MAX
    plain, below = (
        linear_rgb(reflectance(melanin[None], blood[:, None], deep=deep)) for deep in (False, True)
    )
    ita = mean_ita(plain[:, :, None])
    return plain.astype(np.float32), below.astype(np.float32), ita


def pigments_for(ita: float, blood: float) -> tuple[float, float]:
    """Return the melanin and blood fractions of skin of an ITA, in degrees.

    Skin paler than this much blood allows gets less blood. The range is about -60 to 70 degrees;
    beyond it the palest or darkest skin of the model is returned.
    """
    table = _tables()[2]
    palest = table[:, 4]  # hardly any melanin
    place = min(
        np.sqrt(blood / BLOOD_MAX) * (_ROWS - 1), np.interp(-ita, -palest, np.arange(_ROWS))
    )
    low = min(int(place), _ROWS - 2)
    row = table[low] + (place - low) * (table[low + 1] - table[low])
    column = np.interp(-ita, -row, np.arange(_COLUMNS))
    melanin, volume = (column / (_COLUMNS - 1)) ** 2, (place / (_ROWS - 1)) ** 2
    return float(melanin) * MELANIN_MAX, float(volume) * BLOOD_MAX


def colour(melanin: Floats, blood: Floats, deep: Floats | None = None) -> Floats:
    """Return the linear sRGB picture (h, w, 3) of maps (h, w) of melanin, blood and deep pigment.

    ``deep`` in 0..1 is the share of a pixel that lies over dermal pigment; None where there is
    none at all.
    """
    plain, below, _ = _tables()
    column = cv2.sqrt(np.clip(melanin / MELANIN_MAX, 0, 1)) * (_COLUMNS - 1)
    row = cv2.sqrt(np.clip(blood / BLOOD_MAX, 0, 1)) * (_ROWS - 1)
    picture = cv2.remap(plain, column, row, cv2.INTER_LINEAR)
    if deep is not None:
        veiled = cv2.remap(below, column, row, cv2.INTER_LINEAR)
        picture = picture + (veiled - picture) * deep[..., None]
    return picture
