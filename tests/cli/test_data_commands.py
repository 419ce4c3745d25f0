"""`equiderm datasets`, `equiderm fetch` and `equiderm manifest` as a user runs them."""

import dataclasses
import io
import json
import os
import pty
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import releases
import server as local
from typer.testing import CliRunner

from equiderm import data
from equiderm.cli import app
from equiderm.data import SOURCES, catalogue, get_release
from equiderm.data.manifest import read_manifest
from equiderm.data.sources.release import RemoteFile

DOCS = Path(__file__).parents[2] / "docs"


def test_the_documentation_page_is_current():
    assert (DOCS / "datasets.md").read_text() == catalogue.markdown(), (
        "run: equiderm datasets --markdown > docs/datasets.md"
    )


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("entry", ["Images", "Patients", "Label", "Skin type", "How to get it"])
def test_every_adapter_documents_what_a_user_must_know(name, entry):
    assert f"\n    {entry}: " in (get_release(name).read.__doc__ or "")


@pytest.mark.parametrize("name", SOURCES)
def test_every_adapter_documents_its_known_faults(name):
    assert "Known faults: " in (get_release(name).read.__doc__ or "")


def test_datasets_lists_every_source(equiderm):
    done = equiderm("datasets")
    assert done.returncode == 0
    listed = done.stdout.partition("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines()[1:]] == list(SOURCES)


def test_datasets_says_what_actinic_keratoses_count_as_and_where_they_are(equiderm):
    words = " ".join(equiderm("datasets").stdout.split())
    assert "counts as benign unless --premalignant says otherwise; it is in isic2018" in words
    rows = json.loads(equiderm("datasets", "--json").stdout)
    decided = {row["source"]: row["premalignant"] for row in rows}
    assert decided["ham10000"] == decided["fitzpatrick17k"] == decided["ddi"] == "benign"
    assert decided["isic2017"] is None


def test_summaries_fit_80_columns(equiderm, tmp_path):
    equiderm("synthesize", "made", "--n", 60, "--size", 32, "-q")
    made = equiderm("manifest", "folder", "made", "-o", "m.csv")
    split = equiderm("split", "made/manifest.parquet", "-o", "split.parquet")
    assert len(pd.read_parquet(tmp_path / "made" / "manifest.parquet")["ita_band"].unique()) == 6
    for done in (made, split):
        assert done.returncode == 0, done.stderr
        assert max(map(len, done.stdout.splitlines())) <= 80


def test_datasets_prints_json(equiderm):
    rows = json.loads(equiderm("datasets", "--json").stdout)
    assert [row["source"] for row in rows] == list(SOURCES)
    assert rows[3] | {"purpose": ""} == {
        "source": "isic2020",
        "images": 33126,
        "patients": 2056,
        "bytes": 23_000_000_000,
        "licence": "CC-BY-NC 4.0",
        "access": "fetch",
        "purpose": "",
        "premalignant": None,
    }


@pytest.mark.parametrize("name", SOURCES)
def test_manifest_makes_a_checked_table_of_every_source(tmp_path, name, monkeypatch):
    monkeypatch.setattr(catalogue, "WHOLE", {})  # what is drawn here is whole
    releases.write_release(name, tmp_path / "in")
    output = tmp_path / "m.parquet"
    arguments = ["manifest", name, str(tmp_path / "in"), "-o", str(output), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["images"] == len(read_manifest(output)) > 0
    assert summary["missing"] == 0
    assert isinstance(summary["notes"], list)


def test_manifest_says_that_a_part_of_a_set_is_a_part_and_exits_1(equiderm, tmp_path):
    releases.write_release("isic2020", tmp_path)
    done = equiderm("manifest", "isic2020", ".", "-o", "m.csv")
    assert done.returncode == 1
    assert done.stderr == "equiderm: isic2020: 5 of 33,126 images: a part of the set, not all.\n"
    assert len(read_manifest(tmp_path / "m.csv")) == 5


def test_manifest_says_what_was_decided_and_of_nothing_known_a_dash(equiderm, tmp_path):
    releases.write_release("bcn20000", tmp_path)
    arguments = ("manifest", "bcn20000", ".", "--premalignant", "malignant", "-o", "m.csv")
    note = " ".join(json.loads(equiderm(*arguments, "--json").stdout)["notes"])
    assert "of actinic keratosis" in note and "as malignant" in note
    (tmp_path / "a" / "nevus").mkdir(parents=True)
    (tmp_path / "a" / "nevus" / "1.jpg").write_bytes(b"x")
    assert "part                  –" in equiderm("manifest", "folder", "a", "-o", "f.csv").stdout


def test_manifest_counts_lists_and_leaves_out_missing_images(equiderm, tmp_path):
    releases.write_release("ham10000", tmp_path / "in")
    for image in (tmp_path / "in" / "HAM10000_images_part_1").iterdir():
        image.unlink()
    done = equiderm("manifest", "ham10000", "in", "-o", "m.csv", "--report", "missing.csv")
    assert done.returncode == 1
    assert "equiderm: 4 images missing, left out.\n" in done.stderr
    assert "ISIC_0027410" in pd.read_csv(tmp_path / "missing.csv")["image_id"].tolist()
    assert len(pd.read_csv(tmp_path / "m.csv")) == 3


def test_manifest_lists_missing_images_on_stderr(equiderm, tmp_path):
    releases.write_release("ham10000", tmp_path / "in")
    next((tmp_path / "in").rglob("ISIC_0027412.jpg")).unlink()
    done = equiderm("manifest", "ham10000", "in", "-o", "m.csv")
    assert "1 image missing, left out:\nequiderm: ISIC_0027412\n" in done.stderr


def test_manifest_hashes_the_images_on_request(equiderm, tmp_path):
    releases.write_release("ddi", tmp_path)
    equiderm("manifest", "ddi", ".", "-o", "m.csv", "--hash")
    assert read_manifest(tmp_path / "m.csv")["sha256"].str.len().eq(64).all()


def test_manifest_refuses_another_folder_in_one_sentence(equiderm, tmp_path):
    done = equiderm("manifest", "isic2020", ".", "-o", "m.parquet")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "is not ISIC 2020: looked for ISIC_2020_Training_GroundTruth_v2.csv" in done.stderr
    assert not (tmp_path / "m.parquet").exists()


def test_manifest_refuses_an_output_that_is_no_table(equiderm):
    done = equiderm("manifest", "isic2020", ".", "-o", "m.xlsx")
    assert done.returncode == 2
    assert "a table's name must end in" in done.stderr


def test_manifest_maps_the_columns_of_a_table(equiderm, tmp_path):
    releases.write_release("folder", tmp_path)
    (tmp_path / "t.csv").write_text("photo,verdict\nnevus/1.jpg,no\nmelanoma/1.jpg,yes\n")
    done = equiderm(
        *("manifest", "folder", ".", "--table", "t.csv", "--column", "path=photo"),
        *("--column", "target=verdict", "--column", "image_id=photo", "--positive", "yes"),
        *("--target", "melanoma", "-o", "m.csv"),
    )
    assert done.returncode == 0, done.stderr
    assert read_manifest(tmp_path / "m.csv")["target"].tolist() == [0, 1]


@pytest.mark.parametrize("name", ["atlas", "ddi", "bcn20000"])
def test_fetch_says_what_to_do_where_a_program_cannot(equiderm, tmp_path, name):
    done = equiderm("fetch", name, "here", "--yes")
    assert done.returncode == 2
    assert "Licence:" in done.stderr
    assert "cannot be downloaded by a program" in done.stderr
    assert not (tmp_path / "here").exists()


def test_fetch_refuses_an_unknown_source(equiderm):
    done = equiderm("fetch", "isic2021", ".")
    assert done.returncode == 2
    assert "no such source; the sources are" in done.stderr


def test_fetch_without_an_answer_downloads_nothing(equiderm, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "equiderm", "fetch", "milk10k", str(tmp_path / "here")],
        input="n\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "MILK10k: 10,480 images, 314 MB to download" in done.stderr
    assert "nothing was downloaded" in done.stderr
    assert not (tmp_path / "here").exists()


@pytest.fixture
def offered(monkeypatch):
    """A source `ham10000` whose files lie on a local server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with local.serving() as web:

        def offer(directory: Path, **changes: object) -> None:
            releases.write_release("ham10000", directory)
            table = web.add("m.csv", (directory / "HAM10000_metadata.csv").read_bytes())
            files = [RemoteFile("HAM10000_metadata.csv", (table,))]
            for part in ("HAM10000_images_part_1", "HAM10000_images_part_2"):
                buffer = io.BytesIO()
                with zipfile.ZipFile(buffer, "w") as archive:
                    for image in sorted((directory / part).iterdir()):
                        archive.write(image, image.name)
                files.append(RemoteFile(f"{part}.zip", (web.add(part, buffer.getvalue()),)))
            release = dataclasses.replace(
                get_release("ham10000"), bytes=None, files=tuple(files), **changes
            )
            monkeypatch.setattr(data, "get_release", lambda name: release)

        yield offer


def test_from_download_to_manifest_in_two_commands(tmp_path, offered):
    offered(tmp_path / "server")
    here = str(tmp_path / "here")
    fetched = CliRunner().invoke(app, ["fetch", "ham10000", here, "--yes"])
    assert fetched.exit_code == 0, fetched.output
    assert "HAM10000_images_part_1.zip: " in fetched.stdout
    assert "arrived whole and every file in it passed its CRC" in fetched.stdout
    assert fetched.stdout.count("computed sha256: ") == 3
    made = CliRunner().invoke(
        app, ["manifest", "ham10000", here, "-o", str(tmp_path / "m.parquet")]
    )
    assert "7 of 10,015 images" in made.output
    assert len(read_manifest(tmp_path / "m.parquet")) == 7


def test_fetch_that_needs_a_further_step_says_so_and_exits_1(tmp_path, offered):
    offered(tmp_path / "server", by_hand="Ask for the rest.")
    done = CliRunner().invoke(app, ["fetch", "ham10000", str(tmp_path / "here"), "--yes"])
    assert done.exit_code == 1
    assert "still to do: Ask for the rest." in done.stderr


def test_progress_bars_go_to_stderr_and_leave_nothing_behind(tmp_path, offered):
    offered(tmp_path / "server")
    done = CliRunner().invoke(app, ["fetch", "ham10000", str(tmp_path / "here")], input="y\n")
    assert done.exit_code == 0, done.output
    assert "Download to" in done.stderr
    assert "Download to" not in done.stdout


def test_help_of_the_three_commands_names_their_exit_status(equiderm):
    for command in ("fetch", "manifest"):
        assert "Exit status:" in equiderm(command, "--help").stdout


def test_interrupting_a_download_keeps_what_has_come(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    script = (
        "import dataclasses, sys\n"
        "from equiderm import cli, data\n"
        "from equiderm.data.sources.release import RemoteFile\n"
        "release = dataclasses.replace(data.get_release('ham10000'), bytes=None,\n"
        "    files=(RemoteFile('a.bin', (sys.argv[1],)),))\n"
        "data.get_release = lambda name: release\n"
        "sys.argv = ['equiderm', 'fetch', 'ham10000', sys.argv[2], '--yes']\n"
        "cli.main()\n"
    )
    with local.serving() as web:
        url = web.add("a.bin", bytes(8_000_000), pace=0.02)
        command = [sys.executable, "-c", script, url, str(tmp_path)]
        terminal, end = pty.openpty()
        running = subprocess.Popen(
            command,
            stderr=end,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        os.close(end)
        while web.sent["/a.bin"] < 500_000 and running.poll() is None:
            pass
        os.kill(running.pid, 2)
        assert running.wait(30) == 130
        os.close(terminal)
    assert (tmp_path / "downloads" / ".partial" / "a.bin.part").stat().st_size > 0
