"""No figure of an audit moves unnoticed: small audits of every kind against what they gave before.

Where a difference is meant, `python -m tests.audit.test_unmoved` writes the figures anew, and the
changelog says what moved.
"""

import dataclasses
import json
import re
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import Options, audit, audit_classes, find_subgroups, groups, plan
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


def bands():
    """Six bands, of which two together are large enough; scores that tie and that hit 0.5."""
    rows = table(244)
    band = np.repeat(["1", "2", "3", "4", "5", "6"], [84, 60, 44, 9, 7, 40])
    score = np.round(0.7 * rows["rival"] + 0.3 * rows["target"], 1)
    score[band == "3"], score[band == "6"] = 0.5, 0.2 + 0.6 * rows["target"][band == "6"]
    ita = rows["ita"].where(np.arange(244) % 9 > 0)
    return rows.assign(ita_band=band, score=score, ita=ita, patient=np.arange(244) // 3)


def at_limits(**more):
    options = Options(replicates=50, acceptable=0.05, min_count=5)
    full = audit(bands(), by="ita_band", options=options, **more)
    full.compute()
    return full.to_json()


def large(**more):
    """As a table of thousands of rows is audited: closed forms, small groups resampled."""
    with mock.patch.multiple(groups, LARGE_ROWS=200, LARGE_CLASS=30):
        full = audit(bands(), by="ita_band", options=FEW, **more)
        full.compute()
        return full.to_json()


def along(rows, **more):
    return plain(audit(rows, by="tone", along="ita", options=FEW, **more).along())


def adjusted(columns, **more):
    rows = table(300)
    rows["site"] = rows["site"].mask(rows["tone"] == "light", "arm").mask(rows["patient"] % 11 == 0)
    rows["age"] = 30 + rows["patient"] * 7 % 50 - 6 * (rows["tone"] == "dark")
    rows["tone"] = rows["tone"].mask(
        np.arange(300) % 3 == 0, np.where(rows.index < 50, "deep", "fair")
    )
    return plain(audit(rows, by="tone", adjust=columns, options=FEW, **more).adjusted())


def two_models():
    one = table(200).drop(columns="weight")
    other = one[["image_id", "tone", "target", "rival"]].iloc[::-1].iloc[7:]
    given = {"by": "tone", "image": "image_id", "options": Options(replicates=50, threshold=0.3)}
    return compare(audit(one, **given), audit(other, score="rival", **given)).to_json()


def two_weighted_models():
    given = {"by": "tone", "weight": "weight", "options": FEW}
    every = (audit(table(200), score=score, **given) for score in ("score", "rival"))
    return compare(*every).to_json()


def classes_answered():
    rows = table(200)
    answer = rows["kind"].where(np.arange(200) % 3 > 0, rows["kind"].shift(1, fill_value="mole"))
    given = {"target": "kind", "predicted": "answer", "by": "site", "patient": "patient"}
    return audit_classes(rows.assign(answer=answer), options=FEW, **given).to_json()


def plans():
    given = {"by": "tone", "thirds": "dark/middle/light"}
    new = {"images_per_patient": 2.5, "correlation": 0.6, "prevalence": 0.4, "others": 40}
    every = (
        plan(),
        plan(drop={"auroc": 0.1}, base={"specificity": 0.9}, **new),
        plan(table(), metrics=["sensitivity", "specificity"], others=60, prevalence=0.2, **given),
        plan(table(60), drop=0.2, patient="patient", **given),
    )
    return json.dumps({str(k): json.loads(one.to_json()) for k, one in enumerate(every)})


def corrected_weights():
    types = Confusion(("light", "middle", "dark"), np.array([[30.0, 3, 0], [5, 50, 9], [1, 6, 40]]))
    every = audit(table(180), by="tone", weight="weight", patient="patient", options=FEW)
    parts = {name: correct(every.results["tone"], types, name) for name in ("auroc", "sensitivity")}
    return json.dumps({name: json.loads(plain(one)) for name, one in parts.items()})


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
    "bands": at_limits,
    "bands of patients": lambda: at_limits(patient="patient", reference={"ita_band": "1"}),
    "bands by weight": lambda: at_limits(weight="weight"),
    "large": lambda: large(patient="patient"),
    "large by weight": lambda: large(weight="weight"),
    "along": lambda: along(table().assign(score=lambda rows: 0.9 * rows["target"] + 0.05)),
    "along, unknown": lambda: along(bands(), weight="weight"),
    "along, patients": lambda: along(bands(), patient="patient"),
    "equal mix": lambda: adjusted("site"),
    "equal mix of numbers": lambda: adjusted(["age", "site"], patient="patient"),
    "models of other images": two_models,
    "weighted models": two_weighted_models,
    "answers": classes_answered,
    "plans": plans,
    "label error by weight": corrected_weights,
    "three conditions": lambda: subgroups(depth=3, threshold=0.4),
    "subgroups of weighted patients": lambda: subgroups(weight="weight", patient="patient"),
}


def flat(value):
    """Every number of a document in its order, with those in its texts and of its names."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [number for key, one in pairs if key not in VARIES for number in flat(one)]
    if isinstance(value, str):  # names and outcomes are short, sentences may change
        name = [float(zlib.crc32(value.encode()) % 1009)] if len(value) < 20 else []
        return [float(len(value) > 0), *name, *map(float, re.findall(r"\d+\.?\d*", value))]
    return [float(f"{value:.7g}")] if isinstance(value, int | float) else []


def found(name):
    """The numbers of every part of an audit."""
    parts = json.loads(RESULTS[name]()).items()
    return {part: flat(value) for part, value in parts if part not in VARIES and flat(value)}


@pytest.mark.parametrize("name", RESULTS)
def test_no_figure_has_moved(name):
    now, before = found(name), json.loads(GOLDEN.read_text())[name]
    assert sum(map(len, before.values())) > 10
    assert now.keys() == before.keys()
    for part, numbers in before.items():
        np.testing.assert_allclose(now[part], numbers, rtol=2e-6, atol=1e-9, err_msg=part)


if __name__ == "__main__":
    every = {name: found(name) for name in RESULTS}
    GOLDEN.write_text(json.dumps(every, separators=(",", ":")) + "\n")
