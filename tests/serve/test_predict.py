"""Photographs scored with a run: what stands beside the score, and what is said without one."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("httpx2", reason="Starlette's test client needs it")

from tests.serve.test_serve import client_of, write_photograph

from equiderm.audit import Audit, audit
from equiderm.audit.input import Provenance
from equiderm.engine import Kept
from equiderm.errors import InputError
from equiderm.serve import measuring_pages, open_site, predict_pages
from equiderm.serve.look import Types
from equiderm.serve.predict import (
    About,
    Map,
    Scored,
    Scorer,
    on_such_skin,
    open_scorer,
    work_on,
)
from equiderm.serve.site import Site

BINARY = About("test_resnet trained with erm", ("logit", "score"), "")
NO_WORKER = Kept(work_on, "")


@pytest.fixture(scope="module")
def saved():
    random = np.random.default_rng(0)
    target = random.integers(0, 2, 400)
    band = np.where(np.arange(400) < 6, "6", random.integers(1, 4, 400).astype(str))
    frame = pd.DataFrame(
        {"target": target, "score": (target + 2 * random.random(400)) / 3, "ita_band": band}
    )
    made = audit(frame, by="ita_band", provenance=Provenance(finding="melanoma"))
    return Audit.from_json(made.to_json())


def of_100(saved, metric, group):
    found = saved.figure(metric, group)
    value, low, high = found.value, found.low, found.high
    if metric == "specificity":
        value, low, high = 1 - value, 1 - high, 1 - low
    return [str(round(100 * one)) for one in (value, low, high)]


def test_what_the_audit_found_on_such_skin_is_its_figures_out_of_100(saved):
    found, flagged = on_such_skin(saved, "ita_band", "2")
    shown = [*of_100(saved, "sensitivity", "2"), *of_100(saved, "sensitivity", "overall")]
    assert found == (
        "On skin like this (band 2) it found {} of 100 melanomas in the audit, {} to {}; on all "
        "skin {}, {} to {}.".format(*shown)
    )
    shown = of_100(saved, "specificity", "2")
    assert "it flagged {} of 100 images without a melanoma in the audit, {} to {};".format(
        *shown
    ) in (flagged)


@pytest.mark.parametrize(
    ("by", "group", "words"),
    [("ita_band", "6", "it is not known how many melanomas it found ("),
     ("ita_band", "5", "The audit had no image of band 5, so nothing is known"),
     ("fitzpatrick", "5", "The audit has no groups by fitzpatrick; it has ita_band.")],
)  # fmt: skip
def test_where_the_audit_cannot_say_that_is_said_and_no_number(saved, by, group, words):
    said = on_such_skin(saved, by, group)[0]
    assert words in said
    assert "of 100" not in said.partition(";")[0]


@pytest.fixture
def scored(saved, tmp_path, monkeypatch):
    """A server whose network is replaced by one score."""

    def predict(scorer, photographs, *, maps=False):
        map_ = Map(b"jpeg", {"half_area": 0.1}) if maps else None
        return [Scored(name, {"logit": 1.0, "score": 0.731}, map_) for name, _ in photographs]

    monkeypatch.setattr(predict_pages, "predict", predict)
    return client_of(Site(scorer=Scorer(NO_WORKER, BINARY, saved)))


def test_beside_each_score_stands_what_the_audit_found_on_skin_of_its_band(scored, saved, tmp_path):
    blob = write_photograph(tmp_path / "a.png").read_bytes()
    files = [("photographs", ("a.png", blob)), ("photographs", ("b.png", b"broken"))]
    row = scored.post("/api/predict", files=files).json()["rows"][0]
    assert row["score"] == 0.731
    assert row["audit"] == on_such_skin(saved, "ita_band", row["ita_band"])
    shown = scored.post("/predict", files=files, data={"maps": "1", "skin": "ita_band=3"}).text
    assert "<strong>0.731</strong>" in shown
    assert f"band {row['ita_band']}</strong>" in shown
    assert on_such_skin(saved, "ita_band", "3")[0] in shown
    assert "weight lies on 10.0 %" in shown


@pytest.mark.parametrize(
    ("shares", "answer"),
    [((0.1, 0.6, 0.2, 0.1, 0, 0), "Answer: 2; 1 to 3 together have 90 of 100."),
     ((0.7, 0.2, 0.1, 0, 0, 0), "Answer: 1; 1 to 2 together have 90 of 100."),
     ((0.45, 0, 0.1, 0, 0, 0.45), "No answer: 2 to 4, the middle, have only 10 of 100.")],
)  # fmt: skip
def test_a_network_of_types_shows_its_distribution_and_abstains_as_label_does(
    tmp_path, monkeypatch, shares, answer
):
    about = About("net", ("score_1",), "", Types(tuple("123456"), "Fitzpatrick type", "net"))
    scores = {f"score_{n}": share for n, share in enumerate(shares, 1)} | {"predicted": "2"}
    monkeypatch.setattr(
        measuring_pages, "predict", lambda _, sent: [Scored(name, scores) for name, _ in sent]
    )
    skin = write_photograph(tmp_path / "a.png").read_bytes()
    Image.new("L", (96, 64), 90).save(tmp_path / "gray.png")
    gray = (tmp_path / "gray.png").read_bytes()
    files = [("photographs", ("a.png", skin)), ("photographs", ("gray.png", gray))]
    client = client_of(Site(scorer=Scorer(NO_WORKER, about)))
    shown = client.post("/look", files=files).text
    assert "Fitzpatrick type that people would give 100 photographs like this" in shown
    assert shown.count(answer) == 1  # none where no method measured a tone
    assert shown.count('<td class="number">') == 6


def test_a_skin_that_the_audit_has_not_is_refused(scored):
    files = {"photographs": ("a.png", b"x")}
    answer = scored.post("/api/predict", files=files, data={"skin": "ita_band=9"})
    assert answer.status_code == 400
    assert "no group of the audit" in answer.json()["error"]


def test_without_a_run_the_page_says_how_to_start_with_one_and_the_api_too(monkeypatch):
    client = client_of(Site())
    assert "equiderm serve --run" in client.get("/predict").text
    files = {"photographs": ("a.png", b"x")}
    assert client.post("/predict", files=files).status_code == 404
    assert "--run RUN" in client.post("/api/predict", files=files).json()["error"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install &#39;equiderm[train]&#39;" in client.get("/predict").text


def test_an_audit_without_a_run_and_a_run_that_is_none_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="name their run: `run="):
        open_site([], tmp_path / "j", "monk", audit=tmp_path / "a.json")
    pytest.importorskip("torch", reason="the extra train is not installed")
    (tmp_path / "audit.json").write_text("{}")
    with pytest.raises(InputError, match="is not the JSON of an audit"):
        open_scorer(tmp_path)


@pytest.mark.slow
def test_a_score_is_that_of_the_library_and_a_broken_photograph_is_named(tmp_path):
    pytest.importorskip("torch", reason="the extra train is not installed")
    pytest.importorskip("captum", reason="the extra saliency is not installed")
    from tests.training.conftest import make_lesions

    from equiderm.photo.decode import load_square
    from equiderm.training import ArrayImages, experiment_from, fit
    from equiderm.training import predict as score_rows

    images, frame = make_lesions(24)
    experiment = experiment_from(
        {"method": {"name": "erm"}, "data": {"size": 32},
         "backbone": {"name": "test_resnet", "weights": "random"},
         "training": {"epochs": 1, "batch_size": 8, "tracker": "none"}}
    )  # fmt: skip
    fit(experiment, frame, tmp_path / "run", images=ArrayImages(images, frame["image_id"]))
    site, _ = open_site([], tmp_path / "j", "monk", run=tmp_path / "run")
    blob = write_photograph(tmp_path / "3.png").read_bytes()
    files = [("photographs", ("3.png", blob)), ("photographs", ("bad.png", b"x"))]
    answer = client_of(site).post("/api/predict", files=files, data={"maps": "1"})
    good, bad = json.loads(answer.text)["rows"]
    square = ArrayImages(load_square(blob, 32)[None], ["3"])
    row = score_rows(tmp_path / "run", square, pd.DataFrame({"image_id": ["3"]})).iloc[0]
    assert good["score"] == pytest.approx(row["score"], abs=1e-6)
    assert 0 < good["map"]["half_area"] <= 0.5
    assert bad["error"] == "not an image in a known format"
    site.close()
