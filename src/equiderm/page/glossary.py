"""The glossary of the reports, shown at the end of each page and in docs/glossary.md.

``python -m equiderm.page.glossary docs/glossary.md`` writes that file.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple


class Term(NamedTuple):
    """One term: the pattern that recognises it, its meaning in two sentences, and the source."""

    name: str
    pattern: str
    meaning: str
    source: str


TERMS = (
    Term(
        "abstain",
        r"abstain\w*|abstention\w*",
        "To give no label for an image instead of a doubtful one. The reason is in the table, "
        "and the row is counted among those left out.",
        "docs/tone.md",
    ),
    Term(
        "AUROC",
        r"AUROC",
        "The chance that the model scores a random image with the disease above a random image "
        "without it: 0.5 is guessing, 1 is perfect order. It depends on no threshold, so a "
        "model with a good AUROC may still miss many at the threshold in use.",
        "Hanley and McNeil 1982, Radiology 143:29",
    ),
    Term(
        "calibration",
        r"calibration\w*|calibrated",
        "Of a score: whether, among images given 20 %, about 20 in 100 have the disease. Of a "
        "scheme of bands: cut points fitted to types that people judged.",
        "Van Calster et al. 2019, BMC Medicine 17:230",
    ),
    Term(
        "confounding",
        r"confound\w*",
        "Two things occur together in the data, such as dark skin and melanoma, so that a model "
        "can use one for the other. Where they come apart, the model fails.",
        "Greenland and Robins 1986, International Journal of Epidemiology 15:413",
    ),
    Term(
        "equivalence margin",
        r"margin|equivalent|equivalence",
        "The difference that you call too small to matter, stated before the results are seen. "
        "Two methods count as equivalent only when the whole interval of their difference lies "
        "within it.",
        "Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15:657",
    ),
    Term(
        "Fitzpatrick skin type",
        r"Fitzpatrick|fitzpatrick_type",
        "Six types, I to VI, that a person judges from how skin burns and tans, or a rater from "
        "a photograph. No computation from one photograph's colours is a Fitzpatrick type.",
        "Fitzpatrick 1988, Archives of Dermatology 124:869",
    ),
    Term(
        "gap",
        r"gaps?",
        "How much a figure differs between the best and the worst group. It is never below zero "
        "and grows by chance with small groups, so it is read beside what chance alone would "
        "show.",
        "docs/audit.md",
    ),
    Term(
        "Holm's adjustment",
        r"Holm\w*|adjusted",
        "With many comparisons one of them looks striking by luck. The adjustment asks more of "
        "each, so that the whole page makes a false claim at most 5 times in 100.",
        "Holm 1979, Scandinavian Journal of Statistics 6:65",
    ),
    Term(
        "ITA",
        r"ITA|ita_band|ITA\u00a0band",
        "Individual typology angle: computed from lightness L* and yellowness b* of skin in a "
        "photograph, in degrees; high is light, low is dark. An ITA band is a range of it, and "
        "light, camera and polarisation move both.",
        "Chardon, Cretois and Hourseau 1991, International Journal of Cosmetic Science 13:191",
    ),
    Term(
        "levelling down",
        r"[Ll]evelling\s+down",
        "A gap that shrinks because the better-off group got worse and nobody got better. It "
        "satisfies a figure of fairness and helps no patient.",
        "Mittelstadt, Wachter and Russell 2023, arXiv:2302.02404",
    ),
    Term(
        "Monk skin tone",
        r"Monk",
        "Ten published swatches from light to dark with which a person compares skin. The "
        "nearest swatch that a program computes has not been validated against people here.",
        "Monk 2019, The Monk Skin Tone Scale",
    ),
    Term(
        "p",
        r"p(?:-value)?",
        "How often chance alone would show a difference as large as this one, if there were "
        "none. Small p does not say that the difference is large, and large p does not say that "
        "there is none.",
        "Wasserstein and Lazar 2016, The American Statistician 70:129",
    ),
    Term(
        "power",
        r"power|noticed",
        "How often a difference of a stated size would be found with this many images; 80 of "
        "100 is customary. A test set with little power finds no gap, whether there is one or "
        "not.",
        "Altman 1980, British Medical Journal 281:1336",
    ),
    Term(
        "prevalence",
        r"prevalence",
        "How many of 100 images have the disease. In a clinic it is usually far lower than in a "
        "test set, and then more of the flagged lesions are false alarms.",
        "Altman and Bland 1994, British Medical Journal 309:102",
    ),
    Term(
        "probe",
        r"probes?",
        "A fresh classifier that tries to read the tone from a trained model's features. If it "
        "does no better than chance, that probe finds nothing; another kind of probe might.",
        "Alain and Bengio 2016, arXiv:1610.01644",
    ),
    Term(
        "seed",
        r"seeds?",
        "The number from which a training run draws its random choices. The same method with "
        "another seed gives another model, so one run says little about a method.",
        "docs/compare.md",
    ),
    Term(
        "sensitivity",
        r"[Ss]ensitivity|[Ff]inds",
        "Of 100 with the disease, how many the model flags. The rest are missed.",
        "Altman and Bland 1994, British Medical Journal 308:1552",
    ),
    Term(
        "specificity",
        r"[Ss]pecificity|[Cc]lears",
        "Of 100 without the disease, how many the model does not flag. The rest are false alarms.",
        "Altman and Bland 1994, British Medical Journal 308:1552",
    ),
    Term(
        "threshold",
        r"threshold",
        "The score from which an image counts as flagged. Lowering it finds more disease and "
        "raises more false alarms.",
        "docs/audit.md",
    ),
    Term(
        "95 % interval",
        r"(?:95\s%\s)?intervals?",
        "The range of true values that agree with the data: built so that 95 of 100 such ranges "
        "hold the truth. Few images or few patients make it wide.",
        "Gardner and Altman 1986, British Medical Journal 292:746",
    ),
)
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.S)


def used_in(html: str) -> list[Term]:
    """Return the terms that occur in the text of a page."""
    text = _TAGS.sub(" ", html)
    return [term for term in TERMS if re.search(rf"\b(?:{term.pattern})\b", text)]


def as_markdown() -> str:
    """Return the glossary as a page of the documentation."""
    parts = [
        "<!-- Written by `python -m equiderm.page.glossary docs/glossary.md`. -->\n\n# "
        "Glossary\n\nThe words that the reports and these pages use. Every report explains "
        "those that it uses at its end.\n"
    ]
    for term in TERMS:
        source = re.sub(r"^docs/(\w+)\.md$", r"[\1](\1.md)", term.source)
        parts.append(f"## {term.name}\n\n{term.meaning}\n\nSource: {source}.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(as_markdown(), encoding="utf-8")
