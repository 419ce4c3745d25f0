"""Runs that were damaged, moved, replaced or diverged: named, made again, and nothing stops."""

import contextlib
import dataclasses
import json
import shutil
import threading

import numpy as np
import pandas as pd
import pytest
from tests.training.conftest import make_lesions

from equiderm.compare import runs
from equiderm.compare.comparison import compare
from equiderm.compare.runs import Job, Work, make_runs, run_job
from equiderm.errors import Diverged, InputError
from equiderm.files import only_one
from equiderm.training import ArrayImages, experiment_from, load_run

GROUP = "fitzpatrick_type"


def experiment(method="erm", **tables):
    table = {
        "method": {"name": method},
        "backbone": {"name": "test_resnet", "weights": "random"},
        "data": {"size": 32},
        "optimizer": {"backbone": 0.02, "target_head": 0.02, "group_head": 0.02},
        "training": {"epochs": 1, "batch_size": 16, "tracker": "none", "checkpoint_steps": 2},
        "prediction": {"views": 1},
    }
    return experiment_from(table | tables)


@pytest.fixture(scope="module")
def work():
    images, frame = make_lesions(120)
    frame["split"] = np.where(np.arange(120) < 64, "train", "test")
    store = ArrayImages(images, frame["image_id"].tolist())
    return Work(frame, store, ("test",), (GROUP,), GROUP)


def job_in(folder, name="erm", seed=0):
    return Job(name, dataclasses.replace(experiment(name), seed=seed), folder, untrained=False)


@pytest.fixture(scope="module")
def finished(work, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "seed-0"
    assert run_job(job_in(folder), work).state == "trained"
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run, to be damaged."""
    return shutil.copytree(finished, tmp_path / "seed-0")


def scores_of(folder):
    return pd.read_parquet(folder / "test.parquet")["score"].to_numpy()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_scores(path):
    frame = pd.read_parquet(path)
    frame.assign(score=np.nan).to_parquet(path, index=False)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda run: cut(run / "test.parquet"), "test.parquet: is not what this run wrote"),
        (lambda run: without_scores(run / "test.parquet"), "test.parquet: is not what this run"),
        (lambda run: cut(run / "test-probe.json"), "test-probe.json: is damaged"),
        (lambda run: (run / "test-probe.json").write_text("[]"), "test-probe.json: is damaged"),
        (
            lambda run: cut(run / "run.json"),
            "damaged; set aside as seed-0-damaged-1",
        ),
        (lambda run: cut(run / "model.safetensors"), "set aside as seed-0-damaged-1"),
        (lambda run: (run / "experiment.toml").unlink(), "set aside as seed-0-damaged-1"),
    ],
)
def test_what_was_damaged_is_named_and_made_again(run, work, finished, damage, named):
    damage(run)
    outcome = run_job(job_in(run), work)
    assert any(named in note for note in outcome.notes), outcome
    np.testing.assert_allclose(scores_of(run), scores_of(finished), atol=1e-6)
    assert run_job(job_in(run), work).notes == ()


def test_a_run_of_another_experiment_is_named_set_aside_and_trained_anew(run, work):
    job = job_in(run)
    other = dataclasses.replace(job, experiment=experiment(optimizer={"backbone": 0.01}))
    before = scores_of(run)
    outcome = run_job(other, work)
    assert outcome.state == "trained"
    assert "holds a run of another experiment; set aside as seed-0-other-1" in outcome.notes[0]
    assert (scores_of(run.with_name("seed-0-other-1")) == before).all()
    assert not (scores_of(run) == before).all()


def test_scores_of_another_run_are_known_and_made_again(run, work, finished, tmp_path):
    other = tmp_path / "other"
    run_job(job_in(other, seed=1), work)
    for name in ("test.parquet", "test-probe.json"):
        shutil.copy(other / name, run / name)
    outcome = run_job(job_in(run), work)
    assert outcome.state == "found"
    assert "is not what this run wrote" in outcome.notes[0]
    np.testing.assert_allclose(scores_of(run), scores_of(finished), atol=1e-6)


def test_weights_of_another_run_are_set_aside_and_not_scored(run, work, finished, tmp_path):
    other = tmp_path / "other"
    run_job(job_in(other, seed=1), work)
    shutil.copy(other / "model.safetensors", run / "model.safetensors")
    with pytest.raises(InputError, match="is not what the run of"):
        load_run(run)
    outcome = run_job(job_in(run), work)
    assert outcome.state == "trained"
    assert "weights that its run did not write; set aside as seed-0-other-1" in outcome.notes[0]
    np.testing.assert_allclose(scores_of(run), scores_of(finished), atol=1e-6)


def test_a_finished_run_is_left_as_it_is(run, work):
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    outcome = run_job(job_in(run), work)
    assert (outcome.state, outcome.notes) == ("found", ())
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


@pytest.fixture
def diverging(monkeypatch):
    """Let the runs of TABE diverge; returns how often one was tried."""
    fit, tried = runs.fit, []

    def fail(experiment, manifest, out, **options):
        if experiment.method["name"] == "tabe":
            tried.append(out)
            out.mkdir(parents=True, exist_ok=True)
            raise Diverged("the target loss is nan at or before step 3.")
        return fit(experiment, manifest, out, **options)

    monkeypatch.setattr(runs, "fit", fail)
    return tried


def test_a_run_that_diverged_is_a_result_that_stops_nothing_and_is_not_tried_again(
    work, tmp_path, diverging
):
    said = []
    jobs = [job_in(tmp_path / name, name) for name in ("tabe", "erm")]
    for _ in range(2):
        outcomes = make_runs(jobs, work, workers=1, watch=said.append)
        assert outcomes[0].state == "diverged"
        assert outcomes[0].reason == "the target loss is nan at or before step 3."
    assert outcomes[1].state == "found"
    assert len(diverging) == 1
    assert "tabe, seed 0: diverged: the target loss is nan" in said[0]


def test_a_comparison_names_what_diverged_and_counts_none_of_its_scores(work, tmp_path, diverging):
    chosen = {name: experiment(name) for name in ("erm", "tabe", "resampling")}
    found = compare(chosen, work.manifest, tmp_path, images=work.images, seeds=2)
    assert found.failed["experiment"].tolist() == ["tabe", "tabe"]
    table = found.tests[0].differences
    assert table[table["experiment"] == "tabe"]["difference"].isna().all()
    assert np.isfinite(found.tests[0].difference("resampling", "erm", "overall")["p"])


def test_scores_that_are_no_numbers_are_a_run_that_diverged(work, tmp_path, monkeypatch):
    predict = runs.predict
    monkeypatch.setattr(runs, "predict", lambda *given: predict(*given).assign(score=float("nan")))
    outcome = run_job(job_in(tmp_path / "run"), work)
    assert outcome.state == "diverged"
    assert "its scores on test are not finite" in outcome.reason
    assert not (tmp_path / "run" / "test.parquet").exists()


def test_a_run_that_fails_stops_the_rest_unless_they_are_to_go_on(work, tmp_path, monkeypatch):
    fit = runs.fit

    def fail(experiment, *given, **options):
        if experiment.method["name"] == "tabe":
            raise InputError("no room on the disk.")
        return fit(experiment, *given, **options)

    monkeypatch.setattr(runs, "fit", fail)
    jobs = [job_in(tmp_path / name, name) for name in ("tabe", "erm")]
    with pytest.raises(InputError, match=r"tabe, seed 0: no room on the disk\."):
        make_runs(jobs, work, workers=1, watch=lambda sentence: None)
    outcomes = make_runs(jobs, work, workers=1, watch=lambda sentence: None, keep_going=True)
    assert [one.state for one in outcomes] == ["failed", "trained"]


def test_a_second_comparison_in_a_folder_says_that_it_waits_and_then_goes_on(work, tmp_path):
    held, waiting, said = threading.Event(), threading.Event(), []

    def hold():
        with only_one(tmp_path / "runs"):
            held.set()
            waiting.wait(60)

    def hear(sentence):
        said.append(sentence)
        if "waiting" in sentence:
            waiting.set()

    other = threading.Thread(target=hold)
    other.start()
    held.wait(60)
    compare({"erm": experiment()}, work.manifest, tmp_path, images=work.images, seeds=1, watch=hear)
    other.join()
    assert "another run is writing it; waiting" in said[0]
    assert said[-1].endswith("erm, seed 0: trained")


def test_what_others_have_in_hand_is_left_to_them_and_taken_when_they_end(
    work, tmp_path, monkeypatch
):
    jobs = [job_in(tmp_path / f"seed-{seed}", seed=seed) for seed in range(3)]
    ran: list[int] = []
    monkeypatch.setattr(runs, "POLL", 0.01)
    monkeypatch.setattr(
        runs, "run_job", lambda job, _: ran.append(job.experiment.seed) or runs.Outcome("trained")
    )
    said: list[str] = []
    with contextlib.ExitStack() as other:
        other.enter_context(only_one(jobs[0].folder))

        def hear(sentence: str) -> None:
            said.append(sentence)
            if "waiting" in sentence:
                other.close()

        outcomes = make_runs(jobs, work, workers=1, watch=hear)
    assert ran == [1, 2, 0], "each once, in hand elsewhere last"
    assert [outcome.state for outcome in outcomes] == ["trained"] * 3
    assert said[2] == "1 of 3 are run by other processes; waiting for them."
    assert said[3].startswith("3 of 3: erm, seed 0")


def test_a_folder_that_is_a_file_is_refused(work, tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(InputError, match="is a file; choose a folder"):
        compare({"erm": experiment()}, work.manifest, tmp_path / "runs", images=work.images)


def test_the_record_of_a_test_holds_the_hashes_of_scores_and_weights(finished):
    about = json.loads((finished / "test-probe.json").read_text())
    assert {len(about["scores"]), len(about["weights"])} == {64}
