"""No figure of an audit moves unnoticed: small audits of every kind against what they gave before.

Where a difference is meant, `python -m tests.audit.test_unmoved` writes the figures anew, and the
changelog says what moved.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import Options, audit, audit_classes, find_subgroups, plan
from equiderm.audit.comparison import compare
from equiderm.audit.label_error import correct
from equiderm.statistics.confusion import Confusion

GOLDEN = Path(__file__).parents[1] / "golden" / "audits.json"
FEW = Options(replicates=50)
VARIES = {"a", "b", "provenance", "versions", "date", "made", "sha256"}


def table(rows=360):
    """Two images a patient; whole numbers alone decide, so that every machine has the same."""
    k = np.arange(rows)
    noise, other = (k * k * 7919 + k * 104729) % 997 / 997, (k * k * 389 + k * 7001) % 991 / 991
    tone, target = k // 2 % 7 // 3, (k * 31 % 10 < 4).astype(int)
    return pd.DataFrame(
        {
            "image_id": [f"i{one:03d}" for one in k],
            "patient": k // 2,
            "tone": np.array(["light", "middle", "dark"])[tone],
            "site": np.array(["arm", "face"])[k // 3 % 2],
            "ita": np.round(60 - 30 * tone - 25 * other, 1),
            "target": target,
            "score": np.round(0.75 * noise + (0.25 - 0.08 * tone) * target, 2),
            "rival": np.round(0.8 * other + 0.2 * target, 2),
            "weight": 1 + k % 4,
            "kind": np.array(["nevus", "mole", "melanoma"])[target * (1 + k % 2)],
        }
    )


def plain(record):
    def simple(value):
        return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)

    return json.dumps(dataclasses.asdict(record), default=simple)


def with_patients(score):
    return audit(table(), score=score, by="tone", patient="patient", image="image_id", options=FEW)


def with_weights():
    options = Options(replicates=50, threshold=0.4, acceptable=0.1, min_count=3, specificity=0.8)
    full = audit(
        table(), by="tone", weight="weight", patient="patient", along="ita", adjust="site",
        options=options, reference={"tone": "light"},
    )  # fmt: skip
    full.compute()
    return full.to_json()


def of_images():
    options = Options(replicates=50, interval="percentile")
    return audit(table().head(180), by="tone", options=options)


def corrected(metric):
    types = Confusion(("light", "middle", "dark"), np.array([[40.0, 8, 1], [7, 50, 9], [0, 6, 30]]))
    return plain(correct(of_images().results["tone"], types, metric))


def subgroups(**options):
    return plain(find_subgroups(table(), ["tone", "site", "ita"], **options))


def of_classes():
    rows = table()
    scores = {name: f"p_{name}" for name in ("nevus", "mole", "melanoma")}
    several = rows.assign(
        p_nevus=1 - rows["score"], p_mole=rows["rival"] * rows["score"],
        p_melanoma=(1 - rows["rival"]) * rows["score"],
    )  # fmt: skip
    return audit_classes(several, target="kind", scores=scores, by="tone", options=FEW).to_json()


def of_plan():
    given = {"by": "tone", "thirds": "light/middle/dark", "patient": "patient"}
    return plan(table(), metrics="auroc", **given).to_json()


RESULTS = {
    "patients": lambda: with_patients("score").to_json(),
    "weights": with_weights,
    "images": lambda: of_images().to_json(),
    "label error": lambda: corrected("auroc"),
    "label error of a share": lambda: corrected("specificity"),
    "two models": lambda: compare(with_patients("score"), with_patients("rival")).to_json(),
    "subgroups": lambda: subgroups(patient="patient"),
    "subgroups by weight": lambda: subgroups(weight="weight", depth=1),
    "classes": of_classes,
    "plan": of_plan,
}


def flat(value):
    """Every number of a document in its order; texts are other tests' business."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [number for key, one in pairs if key not in VARIES for number in flat(one)]
    return [float(f"{value:.7g}")] if isinstance(value, int | float) else []


def found(name):
    """The numbers of every part of an audit."""
    return {part: flat(value) for part, value in json.loads(RESULTS[name]()).items() if flat(value)}


@pytest.mark.parametrize("name", RESULTS)
def test_no_figure_has_moved(name):
    now, before = found(name), json.loads(GOLDEN.read_text())[name]
    assert sum(map(len, before.values())) > 10
    assert now.keys() == before.keys()
    for part, numbers in before.items():
        np.testing.assert_allclose(now[part], numbers, rtol=1e-4, atol=1e-9, err_msg=part)


if __name__ == "__main__":
    every = {name: found(name) for name in RESULTS}
    GOLDEN.write_text(json.dumps(every, separators=(",", ":")) + "\n")
