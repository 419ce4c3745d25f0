"""The page of the methods, docs/methods.md, written from their docstrings, and its figures.

python -m equiderm.debias.describe docs/methods.md

The figures are drawn as the documentation is built (docs/conf.py), from the methods themselves.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.debias import METHODS
from equiderm.debias.color_consistency import shift_tone, skin_of
from equiderm.debias.color_consistency import srgb_to_lab as tone_lab
from equiderm.debias.flow import draw, in_words, movements
from equiderm.files import write_whole
from equiderm.format import number
from equiderm.page import new_figure
from equiderm.tone.color import individual_typology_angle, srgb_to_lab
from equiderm.tone.scales import SCHEMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = "figures"  # beside the page
SHIFTS = (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)  # degrees of ITA, darker skin first
_INTRO = """\
<!-- Written by `python -m equiderm.debias.describe docs/methods.md` from the docstrings. -->

# Methods

Every method shares a backbone and a target head; those that unlearn have a group head, too. A
method is the order in which losses move these parts: `updates` in its file says which, and `refit`
what is fitted once training is over. Pick one by its name in an experiment file; `experiments/`
holds one for each, those of the paper as published and corrected.

Each section's figure (the paper's Figure 2) and the sentence below it are observed, on one batch
through the method: what moves is filled, what stands still is dashed.

The first five are the paper's and its plainest rival. Of the others `dfr` and `leace` fit a head on
the features of a trained ERM, in seconds: `dfr` for the worst group, `leace` as the control that
tells "unlearned" from "better".

None of them makes a model free of bias. They mitigate; measure what is left with `equiderm probe`
and `equiderm audit`.
"""

_ATTRIBUTES = r"""## Several attributes, and numbers

The sections below are written for one attribute of K groups. Of M attributes each has a group head
$h_1, \dots, h_M$ on the same features, with its own hyper-parameters; `lntl`, `tabe` and `clgr`
(whose heads may mix, as the released code's double heads) then are

```{math}
(1)\quad & \min_{f, g} \; L_t + \sum_m R_m(h_m(f(x))) \\
(2)\quad & \min_{h_1, \dots, h_M} \; \sum_m L_{b_m}, \quad f \text{ moved along }
+ \sum_m c_m \, \nabla_f L_{b_m}
```

with R the head's regulariser (LNTL's $\lambda\,$negative entropy, TABE's and CLGR's
$\alpha\,$confusion) and c its reversal. `dann` and `cdann` have $- \lambda_p \sum_m L_{b_m}$, and
`leace` erases the labels of all attributes side by side.

For an attribute that is a measured number, standardised by the training rows to
$a = (\text{value} - \text{mean}) / \text{deviation}$, the head has one output, and

```{math}
L_b = E\big[(h(f(x)) - a)^2\big], \qquad R = \alpha \, E\big[h(f(x))^2\big]
```

stand for the cross-entropy and TABE's and CLGR's confusion: the squared error is, but for
constants, the cross-entropy of N(h, 1), and R that of N(0, 1), the number's own spread, with it; it
pulls the head's output to the mean, as the uniform distribution does for groups. Entropy has no
such form, as that of N(h, 1) is the same whatever h: LNTL refuses a number unless entropy_weight is
0. TABE's and CLGR's `noise` is drawn for each group and refused, too. An image whose number is
unknown is left out of $L_b$.
"""

_TARGETS = r"""## Targets

$L_t$ below is written for a target of 0 or 1. For other kinds it is the mean over images of

```{math}
\text{classes:}\quad & -\log q_y, \qquad q = \mathrm{softmax}(g(f(x))) \\
\text{ordered:}\quad & \sum_{k=1}^{C-1} \mathrm{BCE}\big(g(f(x)) + t_k, \; [y > k]\big),
\qquad g \text{ one output, } t \text{ the cuts} \\
\text{number:}\quad & \big(g(f(x)) - a\big)^2, \qquad a = (\text{value} - \text{mean}) /
\text{deviation of the training rows}
```

The ordered one is CORAL (Cao, Mirjalili and Raschka 2020), not the method `coral` below. Where a
method counts or compares by target, y is the class.
"""


def methods_page() -> str:
    """Return the page, MyST Markdown, one section per method, in the order of `METHODS`."""
    sections = (_section(name, cls) for name, cls in METHODS.items())
    return "\n".join([_INTRO, _scale_section(), _TARGETS, _ATTRIBUTES, *sections])


def write_figures(folder: Path) -> None:
    """Draw the figures of the page into a folder: the scale, and the flow of each method."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_scale().savefig(folder / "scale.svg")
    for name, cls in METHODS.items():
        draw(movements(cls)).savefig(folder / f"{name}.svg")
    draw_shifts().savefig(folder / "shifts.svg")


def _scale_section() -> str:
    monk, paper = SCHEMES["monk"], SCHEMES["paper"]
    angles = ", ".join(number(angle, 0) for angle in _swatch_angles())
    return f"""\
## The scale

Figure 1 of the paper shows the Fitzpatrick scale as colours; that scale has none: a type is how
skin burns and tans, judged by a person. The Monk Skin Tone scale has ten published swatches. Here
they are placed at their ITA, over the six bands of Eq. 2, which serve as groups where nobody judged
a type.

![The ten Monk swatches at {angles} degrees of ITA, over six bands cut at
{", ".join(f"{cut:g}" for cut in paper.cuts)} degrees]({FIGURES}/scale.svg)

Swatches: {monk.source.partition(";")[0]}. Cuts: {paper.source.partition(";")[0]}.
"""


def _swatch_angles() -> list[float]:
    codes = np.array([list(bytes.fromhex(code)) for code in SCHEMES["monk"].swatches], np.uint8)
    return [float(angle) for angle in individual_typology_angle(srgb_to_lab(codes))]


def draw_scale() -> Figure:
    """Return the paper's Figure 1 from published swatches: each at its angle, over the bands."""
    monk, paper = SCHEMES["monk"], SCHEMES["paper"]
    angles = _swatch_angles()
    canvas = new_figure(8.6, 2.7)
    axes: Any = canvas.subplots()
    light, dark = 90.0, -90.0
    places = np.linspace(light - 8, dark + 8, len(angles))
    for place, angle, code, name in zip(places, angles, monk.swatches, monk.bands, strict=True):
        axes.plot([angle, place], [1.0, 1.55], color="#888888", linewidth=0.8)
        axes.plot(place, 1.95, "s", color=f"#{code}", markersize=26, markeredgecolor="#444444")
        axes.text(place, 2.55, f"{name}\n{number(angle, 0)}°", ha="center", va="bottom", fontsize=8)
    ends = [light, *paper.cuts, dark]
    for band, high, low in zip(paper.bands, ends, ends[1:], strict=False):
        axes.axvspan(low, high, 0, 0.28, facecolor="#FFFFFF", edgecolor="#444444")
        axes.text((high + low) / 2, 0.5, band, ha="center", va="center")
    axes.set(xlim=(light, dark), ylim=(0, 3.5), xlabel="ITA, degrees: Monk swatches, Eq. 2's bands")
    axes.set_xticks([light, *paper.cuts, -30, -60, dark])
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    return canvas


def draw_shifts() -> Figure:
    """Return what colour consistency does to a drawn lesion: its skin moved by `SHIFTS`."""
    import torch

    side = 96
    across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    radius = np.hypot(across / 1.1, down / 0.9) * (1 + 0.08 * np.sin(5 * np.arctan2(down, across)))
    inside = 1 / (1 + np.exp((radius - 0.45) * 30))[..., None]
    skin, lesion = np.array([0.80, 0.62, 0.50]), np.array([0.42, 0.27, 0.20])
    image = torch.from_numpy(skin + inside * (lesion - skin)).permute(2, 0, 1)
    moved = shift_tone(image.repeat(len(SHIFTS), 1, 1, 1), torch.tensor(SHIFTS).double())
    light, blue = skin_of(tone_lab(moved))
    canvas = new_figure(1.25 * len(SHIFTS), 1.7)
    panels: Any = canvas.subplots(1, len(SHIFTS))
    for k, panel in enumerate(panels.flat):
        panel.imshow(moved[k].permute(1, 2, 0).numpy())
        angle = np.degrees(np.arctan2(float(light[k]) - 50, float(blue[k])))
        name = f"{SHIFTS[k]:+.0f}°" if SHIFTS[k] else "as it is"
        panel.set_title(f"{name}\nITA {number(angle, 0)}°", fontsize=9)
        panel.axis("off")
    return canvas


def _section(name: str, cls: type) -> str:
    text = inspect.cleandoc(cls.__doc__ or "")
    text = re.sub(
        r"\.\. math::(?P<line>[^\n]*)\n(?P<block>(?:\n|[ ]+[^\n]*\n)*)",
        lambda match: _equation(match["line"] + "\n" + match["block"]),
        text + "\n",
    )
    text = re.sub(r"(?m)^(Args|Source|Differs):$", r"**\1**\n", text)
    text = re.sub(r"(?m)^    (\w+): ", r"- `\1`: ", text)
    text = re.sub(r"(?m)^    +", "", text)
    text = re.sub(r"``(.+?)``", r"`\1`", text)
    text = re.sub(r":math:`(.+?)`", r"$\1$", text)
    file = Path(inspect.getfile(cls)).name
    moved = in_words(movements(cls))
    if name == "color_consistency":
        degrees = ", ".join(f"{shift:+.0f}" for shift in SHIFTS if shift)
        text += f"\n![A drawn lesion, its skin moved by {degrees} degrees]({FIGURES}/shifts.svg)\n"
    picture = f"![The flow of {name}: what each update moves]({FIGURES}/{name}.svg)"
    text = f"{text.strip()}\n\n{picture}\n\n{moved}"
    return f"## {name}\n\n{text}\n\nIn `src/equiderm/debias/{file}`.\n"


def _equation(block: str) -> str:
    body = inspect.cleandoc(block)
    return f"```{{math}}\n{body}\n```\n\n"


def main() -> None:
    """Write the page to the file named."""
    with write_whole(Path(sys.argv[1])) as temporary:
        temporary.write_text(methods_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
