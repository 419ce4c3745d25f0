"""Runs as estimators of skin tone: what they say is what `predict` says."""

import pickle

import numpy as np
import pytest
from PIL import Image

from equiderm.errors import InputError
from equiderm.tone import label
from equiderm.tone.learned import middle_type
from equiderm.training import ToneModel, fit, load_run, predict

ORDERED = {"target": "fitzpatrick_type", "target_kind": "ordered", "group": "split"}
NUMBER = {"target": "ita", "target_kind": "number", "group": "split"}


def test_a_run_labels_photographs_with_what_it_predicts(make_experiment, lesions, tmp_path):
    images, frame = lesions
    frame["ita"] = 60 - 30 * frame["fitzpatrick_type"] + np.arange(len(frame)) % 7
    warm = np.clip(images.images[:3] * np.array([1.0, 0.8, 0.65]), 0, 255).astype(np.uint8)
    (tmp_path / "in").mkdir()
    for number, picture in enumerate(warm):
        Image.fromarray(picture).save(tmp_path / "in" / f"{number}.png")
    runs = [
        fit(make_experiment(data=data, training={"epochs": 1}), frame, tmp_path / name,
            images=images)
        for name, data in (("types", ORDERED), ("ita", NUMBER))
    ]  # fmt: skip
    model = pickle.loads(pickle.dumps(ToneModel(*runs)))  # as a worker process gets it
    found = label(tmp_path / "in", model=model)
    store = type(images)(warm, list("012"))
    frame = frame.head(3).assign(image_id=list("012"))
    types, angles = (predict(load_run(run), store, frame) for run in runs)
    scores = ["score_1", "score_2", "score_3"]
    np.testing.assert_allclose(found[scores], types[scores], atol=1e-6)
    np.testing.assert_allclose(found["ita"], angles["predicted"], atol=1e-4)
    sure = [middle_type(row).is_sure for row in types[scores].to_numpy()]
    bands = types["predicted"].astype(str).where(sure, "none")
    assert found["ita_band"].fillna("none").tolist() == bands.tolist()
    assert ToneModel(runs[0]).digest != model.digest


def test_a_run_on_another_kind_of_target_is_no_scale_of_tone(make_experiment, lesions, tmp_path):
    images, frame = lesions
    run = fit(make_experiment(training={"epochs": 1}), frame, tmp_path / "run", images=images)
    with pytest.raises(InputError, match="of kind binary; a scale of tone has an order"):
        ToneModel(run)
