"""A run that is exported gives its own scores; its card says what the audit says."""

import html
import json
import sys
from dataclasses import replace
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import make_lesions

from equiderm.audit import Audit, Options, audit, audit_classes, audit_number
from equiderm.audit.saved import read_saved
from equiderm.errors import InputError
from equiderm.training import ArrayImages, experiment_from, export, fit, load_run, model_card
from equiderm.training import predict as score_images
from equiderm.training.export import Network


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run with the eight views."""
    images, frame = make_lesions(48)
    experiment = experiment_from(
        {
            "method": {"name": "clgr"},
            "backbone": {"name": "test_resnet", "weights": "random"},
            "data": {"size": 32},
            "training": {
                "epochs": 1,
                "batch_size": 16,
                "tracker": "none",
                "precision": "fp32",  # an export computes in it
            },
        }
    )
    folder = tmp_path_factory.mktemp("export") / "run"
    store = ArrayImages(images, frame["image_id"].tolist())
    return load_run(fit(experiment, frame, folder, images=store))


@pytest.fixture(scope="module")
def others():
    """Five images on which no export is compared, and their table."""
    images, frame = make_lesions(5, seed=9)
    return images, frame


def test_onnxruntime_gives_the_scores_of_predict_for_one_image_and_for_five(run, others, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 12):
        pytest.skip("the extra asks for torch 2.12")
    images, frame = others
    done = export(run, tmp_path / "run.onnx", make_lesions(3)[0])
    assert (done.images, max(done.logit, done.score) < 1e-4) == (3, True)
    session = onnxruntime.InferenceSession(done.path)
    expected = score_images(run, ArrayImages(images, frame["image_id"].tolist()), frame)
    for n in (1, 5):
        logit, score = session.run(["logit", "score"], {"image": images[:n]})
        np.testing.assert_allclose(logit, expected["logit"][:n], atol=1e-4)
        np.testing.assert_allclose(score, expected["score"][:n], atol=1e-4)
    about = session.get_modelmeta().custom_metadata_map
    assert about["equiderm.input"] == "image: uint8 sRGB, shape (n, 32, 32, 3)"
    assert json.loads(about["equiderm.groups"]) == [1, 2, 3]
    assert "not for diagnosis" in session.get_modelmeta().description


def test_a_program_of_torch_holds_the_resize_to_the_backbone_s_own_size(run, others, tmp_path):
    images, frame = others
    larger = replace(run.experiment.backbone, img_size=48)
    run = replace(run, experiment=replace(run.experiment, backbone=larger))
    done = export(run, tmp_path / "run.pt2", make_lesions(3)[0])
    logit, score = torch.export.load(done.path).module()(torch.from_numpy(images))
    expected = score_images(run, ArrayImages(images, frame["image_id"].tolist()), frame)
    np.testing.assert_allclose(logit.detach(), expected["logit"], atol=1e-4)
    np.testing.assert_allclose(score.detach(), expected["score"], atol=1e-4)


def test_a_program_that_the_disk_cannot_hold_is_an_error_and_the_process_lives(run):
    with pytest.raises(OSError, match="No space left"):
        sys.modules["equiderm.training.export"]._write_pt2(Network(run), Path("/dev/full"), {})


def test_an_export_that_does_not_give_the_run_s_scores_is_not_written(run, tmp_path, monkeypatch):
    module = sys.modules["equiderm.training.export"]
    monkeypatch.setattr(module, "dihedral_views", lambda image: [image] * 8)
    with pytest.raises(InputError, match=r"differs from predict by .* is not written"):
        export(run, tmp_path / "run.pt2", make_lesions(3)[0])
    assert not list(tmp_path.iterdir())


def test_an_ending_or_a_library_that_is_not_there_is_one_sentence(run, tmp_path, monkeypatch):
    images = make_lesions(2)[0]
    with pytest.raises(InputError, match=r"ends in \.onnx or \.pt2"):
        export(run, tmp_path / "run.pt", images)
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'equiderm\[export\]'"):
        export(run, tmp_path / "run.onnx", images)


def test_a_run_on_features_has_no_pictures_to_start_from(tmp_path):
    from equiderm.training import Features

    _, frame = make_lesions(48)
    features = Features(np.random.default_rng(0).normal(size=(48, 4)), frame["image_id"].tolist())
    experiment = experiment_from(
        {
            "method": {"name": "erm"},
            "backbone": {"name": "features"},
            "training": {"epochs": 1, "batch_size": 16, "tracker": "none"},
        }
    )
    with pytest.raises(InputError, match="was trained on features"):
        Network(load_run(fit(experiment, frame, tmp_path / "run", images=features)))


@pytest.fixture(scope="module")
def audited():
    """An audit of drawn scores by type, read back from its JSON."""
    _, frame = make_lesions(120)
    frame["score"] = (frame["target"] + 2 * np.random.default_rng(0).random(120)) / 3
    made = audit(frame, by="fitzpatrick_type", options=Options(replicates=100))
    return Audit.from_json(made.to_json())


def test_the_card_s_header_holds_every_headline_figure_as_model_hubs_read_it(run, audited):
    from huggingface_hub import ModelCard

    data = ModelCard(model_card(run, audited)).data
    assert data.pipeline_tag == "image-classification"
    assert "not-for-diagnosis" in data.tags
    read = {(one.dataset_config, one.metric_type): one for one in data.eval_results}
    assert len(read) == 4 * 3
    for group in ("overall", "1", "2", "3"):
        figure = audited.figure("auroc", group)
        one = read[f"fitzpatrick_type={group}", "auroc"]
        assert one.metric_value == figure.value
        assert one.metric_args["low"] == figure.low
        assert one.metric_args["n"] == figure.counted


def test_the_card_says_figures_with_intervals_use_and_limits(run, audited):
    from equiderm.format import with_interval

    text = model_card(run, audited)
    figure = audited.figure("sensitivity", "3")
    assert with_interval(figure.value, figure.low, figure.high) in text
    assert audited.answer()[0] in text
    assert "Not for diagnosis" in text
    assert run.about["manifest"] in text
    assert str(run.directory) not in text


@pytest.mark.parametrize("kind", ["classes", "number"])
def test_the_card_of_another_target_holds_the_figures_of_its_own_audit(run, tmp_path, kind):
    from huggingface_hub import ModelCard

    rng = np.random.default_rng(0)
    _, frame = make_lesions(120)
    if kind == "number":
        target, by = {"kind": "number", "names": [], "mean": 30.0, "std": 20.0}, {}
        frame = frame.assign(target=rng.normal(30, 20, 120))
        frame["predicted"] = frame["target"] + rng.normal(0, 5, 120)
        made = audit_number(frame, by="fitzpatrick_type")
    else:
        target, by = {"kind": "classes", "names": ["bcc", "mel", "nv"]}, {"class": "macro"}
        frame = frame.assign(target=rng.choice(["bcc", "mel", "nv"], 120))
        frame["predicted"] = np.where(rng.random(120) < 0.8, frame["target"], "nv")
        made = audit_classes(frame, predicted="predicted", by="fitzpatrick_type")
    (tmp_path / "audit.json").write_text(made.to_json(), encoding="utf-8")
    saved = read_saved(tmp_path / "audit.json")
    assert saved.to_dict() == made.to_dict()
    about = run.about | {"target": {"column": "target", "mean": 0.0, "std": 1.0, **target}}
    text = model_card(replace(run, about=about), saved)
    assert html.unescape(text).count("\n- " + "\n- ".join(made.answers())) == 1
    assert all(cell in text for _, table in made.summaries() for cell in table.iloc[-1])
    read = {(one.dataset_config, one.metric_type): one for one in ModelCard(text).data.eval_results}
    rows = [row for row in saved.content["figures"] if by.items() <= row.items()]
    for row in rows:
        if row["value"] is not None:
            one = read[f"fitzpatrick_type={row['group']}", row["figure"]]
            assert (one.metric_value, one.metric_args["high"]) == (row["value"], row["high"])
    with pytest.raises(InputError, match="needs an audit of 0 and 1, and this is one of"):
        model_card(run, saved)


def test_a_card_without_an_audit_says_that_it_has_no_figures(run):
    text = model_card(run)
    assert "None: no audit was given." in text
    assert "model-index" not in text


def test_a_card_names_the_audit_by_target_and_group(run):
    assert "`equiderm audit scores.csv --by fitzpatrick_type -o audit.json`" in model_card(run)


def test_a_card_is_not_written_over_the_run_s_own_record(run, monkeypatch, capsys):
    from equiderm import cli

    record = run.directory / "run.json"
    before = record.read_bytes()
    monkeypatch.setattr(
        sys, "argv", ["equiderm", "export", str(run.directory), "--card", str(record)]
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and "name a file that ends in .md" in capsys.readouterr().err
    assert record.read_bytes() == before
