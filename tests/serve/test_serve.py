"""The local page: what it answers, what it refuses, and that no judgement is lost."""

import dataclasses
import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("httpx2", reason="Starlette's test client needs it")

from starlette.testclient import TestClient

from equiderm import cli, label
from equiderm.agreement.tables import calibrate_tables
from equiderm.audit import audit, plan
from equiderm.audit.saved import SCHEMA
from equiderm.errors import InputError
from equiderm.format import of_100
from equiderm.serve import open_site, require_web, web_address
from equiderm.serve.agreement import (
    between_raters,
    fit_scheme,
    one_row_per_image,
    with_themselves,
)
from equiderm.serve.app import create_app
from equiderm.serve.guard import Limits
from equiderm.serve.judgements import APART, SCALES, Judgements, Rater, order_of
from equiderm.serve.look import Seen, _marks, look, open_eyes
from equiderm.serve.review import picture
from equiderm.serve.site import Site
from equiderm.serve.tables import safe_name
from equiderm.tone.estimate import ToneEstimate
from equiderm.tone.fitted_scheme import load_fitted

ADDRESS = "http://127.0.0.1:8000"
SKIN = (224, 172, 138)


def write_photograph(path, colour=SKIN, size=(96, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(-3, 4, (size[1], size[0], 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype("uint8")).save(path)
    return path


def client_of(site, host="127.0.0.1", token="", address=ADDRESS):
    app = create_app(site, host=host, token=token)
    return TestClient(app, base_url=address, follow_redirects=False)


@pytest.fixture
def folder(tmp_path):
    for n in range(6):
        write_photograph(tmp_path / "photos" / f"{n}.png", tuple(c - 20 * n for c in SKIN))
    return tmp_path / "photos"


@pytest.fixture
def reviewed(folder, tmp_path):
    site, _ = open_site([str(folder)], tmp_path / "j.sqlite", "fitzpatrick")
    yield client_of(site)
    site.judgements.close()


@pytest.fixture(scope="module")
def bare():
    return client_of(Site(limits=Limits(files=3, file_bytes=100_000, request_bytes=200_000)))


def begin(client, name="Ada", **choices):
    done = client.post("/review", data={"name": name, **choices})
    assert done.status_code == 303
    return done.headers["location"]


def position(client, place):
    return re.search(r'name="position" value="(\d+)"', client.get(place).text)[1]


def judge(client, place, answer):
    return client.post(place, data={"position": position(client, place), "answer": answer})


# --- review ----------------------------------------------------------------------------------


def test_a_rater_judges_every_image_once_and_is_done(reviewed):
    place = begin(reviewed)
    for _ in range(6):
        assert judge(reviewed, place, "3").status_code == 303
    assert "All judged" in reviewed.get(place).text


def test_undo_shows_the_same_image_again_and_keeps_the_other_answers(reviewed):
    place = begin(reviewed)
    judge(reviewed, place, "3")
    shown = position(reviewed, place)
    judge(reviewed, place, "5")
    reviewed.post(f"{place}/undo")
    assert position(reviewed, place) == shown
    assert "1 of 6 judged" in reviewed.get("/review").text


def test_a_key_pressed_twice_judges_one_image(reviewed):
    place = begin(reviewed)
    answer = {"position": position(reviewed, place), "answer": "2"}
    reviewed.post(place, data=answer)
    reviewed.post(place, data={**answer, "answer": "6"})
    table = pd.read_csv(__import__("io").StringIO(reviewed.get("/review/judgements.csv").text))
    assert table["fitzpatrick_type"].tolist() == [2]


def test_cannot_tell_is_a_judgement_without_a_type_and_skipped_is_asked_again(reviewed):
    place = begin(reviewed)
    judge(reviewed, place, "cannot tell")
    skipped = position(reviewed, place)
    judge(reviewed, place, "skipped")
    for _ in range(4):
        judge(reviewed, place, "4")
    assert "All but 1 judged" in reviewed.get(place).text
    reviewed.post(f"{place}/skipped")
    assert position(reviewed, place) == skipped
    lines = reviewed.get("/review/judgements.csv").text.splitlines()
    assert len(lines) == 6
    assert ",,cannot tell," in lines[1]


@pytest.mark.parametrize("answer", ["0", "7", "IV", "", "3' OR 1=1"])
def test_what_is_no_answer_of_the_scale_is_refused(reviewed, answer):
    place = begin(reviewed)
    assert judge(reviewed, place, answer).status_code == 400
    assert "0 of 6 judged" in reviewed.get("/review").text


def test_two_raters_have_orders_of_their_own_and_go_on_where_they_stopped(reviewed):
    ada, ben = begin(reviewed), begin(reviewed, "Ben")
    orders = []
    for place in (ada, ben):
        order = []
        for _ in range(6):
            order.append(re.search(r"/review/image/(\d+)", reviewed.get(place).text)[1])
            judge(reviewed, place, "1")
        orders.append(order)
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    assert begin(reviewed, "ada") == ada


def test_a_table_of_tones_is_reviewed_by_doubt_and_the_band_is_hidden_unless_asked_for(
    folder, tmp_path
):
    write_photograph(folder / "gray.png", (90, 90, 90))
    label(folder, output=tmp_path / "tones.csv")
    site, _ = open_site([str(tmp_path / "tones.csv")], tmp_path / "j.sqlite", "fitzpatrick")
    client = client_of(site)
    assert site.review.by_doubt
    assert site.review.names != tuple(sorted(site.review.names))
    blind, shown = begin(client, ordering="given"), begin(client, "Ben", machine="1")
    assert "computed:" not in client.get(blind).text
    assert re.search("computed: ITA|no tone computed", client.get(shown).text)
    site.judgements.close()


def test_repeats_come_later_and_no_image_is_missing():
    rater = Rater(1, "Ada", "random", True, 20)
    turns = order_of(range(100), rater, seed="ada")
    first = {image: place for place, (image, again) in enumerate(turns) if not again}
    again = {image: place for place, (image, second) in enumerate(turns) if second}
    assert sorted(first) == list(range(100))
    assert len(again) == 20
    assert min(again[image] - first[image] for image in again) > APART
    assert turns == order_of(range(100), rater, seed="ada")


def judged(tmp_path, scale="fitzpatrick", n=40, **raters):
    """Return judgements of n images: of each rater, the type that a function of the image gives."""
    kept = Judgements(tmp_path / "j.sqlite", SCALES[scale], [f"{k}.jpg" for k in range(n)])
    for name, answer in raters.items():
        rater = kept.join(name, repeats=50)
        while turn := kept.turn(rater):
            kept.answer(rater, turn.position, str(answer(int(kept.name_of(turn.image)[:-4]))))
    return kept


def test_agreement_between_and_with_oneself_is_that_of_the_answers(tmp_path):
    kept = judged(tmp_path, ada=lambda k: k % 6 + 1, ben=lambda k: (k if k % 4 else k + 1) % 6 + 1)
    pair = between_raters(kept.table(), kept.scale)[0].pair
    assert pair.n == 40
    assert pair.figures["exact"][0] == 0.75
    alone = with_themselves(kept.table(), kept.scale)
    assert alone[0].words().startswith("ada, first and second answers, 20 images: same type 100")
    assert [(one.n, one.pair.figures["exact"][0]) for one in alone] == [(20, 1.0), (20, 1.0)]


def test_two_raters_at_once_on_two_servers_lose_nothing(tmp_path):
    names = [f"{n}.jpg" for n in range(20)]
    both = [Judgements(tmp_path / "j.sqlite", SCALES["monk"], names) for _ in range(2)]

    def judge_all(name, kept):
        rater = kept.join(name)
        while turn := kept.turn(rater):
            assert kept.answer(rater, turn.position, str(turn.image % 10 + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(judge_all, ("Ada", "Ben", "Cem", "Dot"), both * 2))
    for kept in both:
        assert kept.table().groupby("rater")["image"].nunique().tolist() == [20] * 4
        kept.close()


def test_few_common_images_give_a_count_and_no_figure(tmp_path):
    kept = judged(tmp_path, n=5, ada=lambda k: 1, ben=lambda k: 2)
    assert "5 images judged twice; figures need at least 20" in (
        between_raters(kept.table(), kept.scale)[0].words()
    )


def test_agree_and_calibrate_take_what_is_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = judged(tmp_path, ada=lambda k: k // 7 + 1, ben=lambda k: min(6, (k + 1) // 7 + 1))
    table = one_row_per_image(kept.table(), kept.scale, {f"{k}.jpg": f"p{k}" for k in range(40)})
    table.to_csv("judged.csv", index=False)
    images = [f"{k}.jpg" for k in range(40)]
    pd.DataFrame({"image": images, "ita": 70.0 - 2 * np.arange(40)}).assign(
        ita_band=[str(k // 7 + 1) for k in range(40)], scheme="paper"
    ).to_csv("tones.csv", index=False)
    truth = ["--truth", "judged.csv", "--truth-column", "fitzpatrick_type"]
    more = ["--second-rater", "fitzpatrick_type_ben", "--json"]
    agreed = CliRunner().invoke(cli.app, ["agree", "tones.csv", *truth, *more])
    assert agreed.exit_code == 0, agreed.output
    assert json.loads(agreed.stdout)["figures"]["exact"]["value"] == 1.0
    fitted = CliRunner().invoke(
        cli.app, ["calibrate", "tones.csv", *truth, "--patient", "patient_id", "-o", "s.json"]
    )
    assert fitted.exit_code == 0, fitted.output
    assert Path("s.json").is_file()


def test_a_scheme_is_fitted_to_judgements_and_then_shows_its_distribution(tmp_path):
    shades = [tuple(c - 6 * n for c in SKIN) for n in range(24)]
    photographs = [
        write_photograph(tmp_path / "photos" / f"{n:02}.png", shade, (24, 24))
        for n, shade in enumerate(shades)
    ]
    tones = tmp_path / "tones.csv"
    label(tmp_path / "photos", method="whole", output=tones)
    site, _ = open_site([str(tones)], tmp_path / "j.sqlite", "fitzpatrick")
    client = client_of(site)
    rater = site.judgements.join("Ada")
    while turn := site.judgements.turn(rater):
        place = int(Path(site.judgements.name_of(turn.image)).stem) // 6
        site.judgements.answer(rater, turn.position, str(place + 1))
    judged = one_row_per_image(site.judgements.table(), site.judgements.scale)
    fit = calibrate_tables(
        tones, judged, truth_columns=["fitzpatrick_type"], types=range(1, 7), patient="image"
    )
    (tmp_path / "scheme.json").write_bytes(client.get("/review/scheme.json").content)
    assert load_fitted(tmp_path / "scheme.json").cuts == pytest.approx(fit.scheme.cuts)
    assert "was not fitted on" in fit_scheme(judged, (tones, site.judgements.scale))[1]
    site.close()
    site, _ = open_site([], tmp_path / "j", "monk", scheme=str(tmp_path / "scheme.json"))
    files = {"photographs": ("a.png", photographs[10].read_bytes())}
    shown = client_of(site).post("/look", files=files).text
    shares = fit.scheme.predict_proba(label(photographs[10], method="whole"))[0]
    assert [f'"number">{of_100(share)}</td>' in shown for share in shares] == [True] * 6
    assert "estimated by the fitted scheme scheme.json" in shown
    document = client_of(site).get("/api/openapi.json").json()["paths"]["/api/label"]["post"]
    form = document["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert form["scheme"]["default"] == site.first == form["scheme"]["enum"][0]


def test_a_report_of_what_was_looked_at_is_one_offline_page(tmp_path, bare):
    blob = write_photograph(tmp_path / "a.png").read_bytes()
    files = {"photographs": ("a.png", blob)}
    saved = bare.post("/look", files=files, data={"answer": "html"})
    assert 'filename="look.html"' in saved.headers["content-disposition"]
    assert saved.text.count("<article>") == 8
    assert "Not for diagnosis" in saved.text
    assert not re.findall(r'(?:src|href)="(?!data:)', saved.text)
    assert "No distribution over types is shown" in saved.text


def test_monk_tones_are_judged_with_ten_keys(folder, tmp_path):
    site, _ = open_site([str(folder)], tmp_path / "j.sqlite", "monk")
    client = client_of(site)
    place = begin(client)
    assert 'value="10" data-key="0"' in client.get(place).text
    assert judge(client, place, "10").status_code == 303
    site.judgements.close()
    with pytest.raises(InputError, match="on the scale monk, not fitzpatrick"):
        open_site([str(folder)], tmp_path / "j.sqlite", "fitzpatrick")


def test_new_photographs_join_the_end_and_absent_ones_are_shown_to_nobody(tmp_path):
    path, scale = tmp_path / "j.sqlite", SCALES["fitzpatrick"]
    Judgements(path, scale, ["a", "b"]).join("Ada")
    kept = Judgements(path, scale, ["b", "c"])
    rater, seen = kept.join("Ada"), []
    while turn := kept.turn(rater):
        seen.append(kept.name_of(turn.image))
        kept.answer(rater, turn.position, "1")
    assert seen == ["b", "c"]
    assert kept.progress(rater) == {"total": 2, "judged": 2, "skipped": 0, "left": 0}


def test_the_photograph_is_shown_whole_upright_and_without_its_metadata(tmp_path):
    image = Image.new("RGB", (60, 30), SKIN)
    exif = image.getexif()
    exif[0x0112], exif[0x010E] = 6, "a patient's name"
    image.save(tmp_path / "p.jpg", exif=exif)
    blob = picture(str(tmp_path / "p.jpg"))
    assert b"patient" not in blob
    with Image.open(__import__("io").BytesIO(blob)) as shown:
        assert shown.size == (30, 60)
        assert len(shown.getexif()) == 0


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(folder, tmp_path, port):
    command = [sys.executable, "-m", "equiderm", "serve", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    for _ in range(200):
        try:
            return process, urllib.request.urlopen(f"http://127.0.0.1:{port}/review").read()
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise AssertionError("the server did not start")


def test_fifty_judgements_with_a_kill_half_way_are_all_there(tmp_path):
    for n in range(50):
        write_photograph(tmp_path / "photos" / f"{n:02}.png", size=(24, 24))
    port, given = free_port(), []
    address = f"http://127.0.0.1:{port}/review"

    def send(place, **fields):
        data = urllib.parse.urlencode(fields).encode()
        return urllib.request.urlopen(place, data).read().decode()

    process, _ = start(tmp_path / "photos", tmp_path, port)
    try:
        text = send(address, name="Ada")
        for n in range(50):
            turn = re.search(r'name="position" value="(\d+)"', text)[1]
            given.append(str(n % 6 + 1))
            text = send(f"{address}/1", position=turn, answer=given[-1])
            if n == 24:
                process.send_signal(signal.SIGKILL)
                process.wait()
                process, _ = start(tmp_path / "photos", tmp_path, port)
                text = urllib.request.urlopen(f"{address}/1").read().decode()
        table = urllib.request.urlopen(f"{address}/judgements.csv").read().decode().splitlines()
    finally:
        process.kill()
        process.wait()
    assert [line.split(",")[3] for line in table[1:]] == given
    assert len({line.split(",")[0] for line in table[1:]}) == 50


# --- look, audit, JSON -----------------------------------------------------------------------


def test_every_method_looks_and_a_broken_file_is_named_without_stopping_the_others(tmp_path):
    good = write_photograph(tmp_path / "good.png").read_bytes()
    client = client_of(Site())
    files = [("photographs", ("good.png", good)), ("photographs", ("<b>bad.jpg", b"nothing"))]
    shown = client.post("/look", files=files)
    assert shown.status_code == 200
    assert shown.text.count("<article>") == 8
    assert "ITA 44" in shown.text
    assert "&lt;b&gt;bad.jpg" in shown.text
    assert "not an image in a known format" in shown.text
    assert "data:text/csv;base64," in shown.text


def test_the_json_of_label_is_that_of_the_library(tmp_path):
    path = write_photograph(tmp_path / "good.png")
    files = [("photographs", ("good.png", path.read_bytes()))]
    answer = client_of(Site()).post("/api/label", files=files, data={"method": "whole"}).json()
    row = label(path, method="whole").iloc[0]
    assert answer["images"] == 1
    assert answer["rows"][0]["ita"] == pytest.approx(row["ita"])
    assert answer["rows"][0]["ita_band"] == row["ita_band"]


def test_work_that_takes_too_long_is_ended_and_said(tmp_path):
    blob = write_photograph(tmp_path / "good.png").read_bytes()
    assert "was not done within" in look(open_eyes(), [("a", blob)], seconds=0.05)[0].error


def predictions(n=120):
    random = np.random.default_rng(0)
    target = random.integers(0, 2, n)
    score = (target + 2 * random.random(n)) / 3
    return pd.DataFrame(
        {"target": target, "score": score, "ita_band": random.integers(1, 4, n).astype(str)}
    )


def test_a_dropped_table_is_audited_as_the_library_does():
    frame = predictions()
    files = {"predictions": ("p.csv", frame.to_csv(index=False))}
    quick = {"replicates": "100"}
    client = client_of(Site())
    shown = client.post("/audit", files=files, data=quick)
    assert shown.status_code == 200
    assert "script-src" not in shown.headers["content-security-policy"]
    assert audit(frame, by="ita_band").first_screen().headline in shown.text
    assert client.post("/api/audit", files=files, data=quick).json()["schema"] == SCHEMA


def test_a_preview_says_what_each_column_gives_before_anything_is_computed():
    frame = predictions()
    files = {"predictions": ("p.csv", frame.to_csv(index=False))}
    client = client_of(Site())
    shown = client.post("/audit", files=files, data={"answer": "preview", "by": "ita_band"})
    positive = int(frame["target"].sum())
    assert f"Truth (column target): {positive} positive, {120 - positive} negative." in shown.text
    first = frame[frame["ita_band"] == "1"]
    assert f"1: {len(first)} ({int(first['target'].sum())} positive)" in shown.text
    assert "Show the report" in shown.text
    wrong = {"answer": "preview", "by": "tone"}
    refused = client.post("/audit", files=files, data=wrong)
    assert refused.status_code == 400
    assert "The tables have these columns: target, score, ita_band" in refused.text


def test_a_table_without_the_columns_is_refused_with_those_that_it_has():
    files = {"predictions": ("p.csv", predictions().rename(columns={"score": "p_mel"}).to_csv())}
    shown = client_of(Site()).post("/audit", files=files, data={"finding": "melanoma"})
    assert shown.status_code == 400
    assert "p_mel" in shown.text
    assert 'value="melanoma"' in shown.text
    assert "/tmp" not in shown.text


def test_a_new_test_set_is_planned_as_the_library_does(bare):
    wanted = {"figure": "sensitivity", "base": "0.85", "drop": "0,1"}
    made = plan(metrics="sensitivity", base=0.85, drop=0.1)
    assert made.answer()[0] in html.unescape(bare.post("/plan", data=wanted).text)
    assert bare.post("/api/plan", data=wanted).json() == json.loads(made.to_json())
    refused = bare.post("/plan", data={"drop": "a tenth"})
    assert refused.status_code == 400
    assert "is no number; write 0.1" in html.unescape(refused.text)


def test_a_dropped_test_set_is_counted_and_its_columns_are_named_where_one_is_missing():
    frame = predictions(1200).drop(columns="score")
    files = {"test_set": ("t.csv", frame.to_csv(index=False))}
    client = client_of(Site())
    shown = client.post("/plan", files=files, data={"figure": "sensitivity"})
    patient = "patient_id" if "patient_id" in frame else None
    expected = plan(frame, metrics="sensitivity", patient=patient).answer()[0]
    assert "There are" in expected
    assert expected in html.unescape(shown.text)
    refused = client.post("/plan", files=files, data={"by": "skin"})
    assert refused.status_code == 400
    assert "ita_band" in refused.text


def test_the_openapi_document_names_every_path_of_the_api(bare):
    named = set(bare.get("/api/openapi.json").json()["paths"])
    routes = {route.path for route in bare.app.routes}
    assert named == {path for path in routes if path.startswith("/api/")} - {"/api/openapi.json"}


def test_marks_of_methods_that_agree_stand_above_each_other_by_letters():
    angles = {"patch-max": 30.0, "robust": 31.0, "whole": None, "patch-median": -20.0}
    empty = dict.fromkeys(field.name for field in dataclasses.fields(ToneEstimate))
    seen = [
        Seen(ToneEstimate(**{**empty, "method": method, "ita": ita}), b"")  # pyright: ignore
        for method, ita in angles.items()
    ]
    marks = {mark["letter"]: mark for mark in _marks(seen)}
    assert [marks[k]["method"] for k in ("A", "B", "D")] == ["patch-max", "robust", "patch-median"]
    assert len(marks) == 3
    assert {marks["A"]["row"], marks["B"]["row"]} == {0, 1}
    assert marks["D"]["row"] == 0
    assert [marks[k]["x"] for k in ("A", "D")] == [34.62, 73.08]  # (75 - ITA) / 130


# --- safe ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""]
)
def test_a_request_for_another_host_is_refused(bare, host):
    assert bare.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_a_request_for_this_machine_is_answered(bare, host):
    assert bare.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
)
def test_a_form_of_another_page_is_refused(bare, headers):
    assert bare.post("/review", data={"name": "Ada"}, headers=headers).status_code == 403


def test_an_oversized_upload_is_refused_whether_or_not_it_says_its_size(bare):
    large = {"photographs": ("a.jpg", bytes(150_000))}
    assert "larger than" in bare.post("/look", files=large).text
    assert bare.post("/look", files={"photographs": ("a.jpg", bytes(300_000))}).status_code == 413
    kind = {"content-type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="photographs"; filename="a"\r\n\r\n'
    unsaid = (part for part in [head, *[bytes(50_000)] * 6, b"\r\n--x--\r\n"])
    assert bare.post("/look", content=unsaid, headers=kind).status_code == 413


def test_photographs_beyond_the_limit_are_left_out_and_files_beyond_it_refused(bare, monkeypatch):
    files = [("photographs", (f"{n}.jpg", b"")) for n in range(5)]
    answer = bare.post("/api/label", files=files).json()
    assert len(answer["rows"]) == 3
    assert "2 photographs beyond the first 3" in answer["notes"][0]
    monkeypatch.setattr("equiderm.serve.site.MOST_SENT", 4)
    assert bare.post("/look", files=files).status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd",
     "/review/image/../../etc",
     "/static/..%2f..%2fcli%2fserve.py", "/review/image/%2fetc%2fpasswd", 
     f"/review/image/{10**30}"],
)  # fmt: skip
def test_no_file_of_the_server_is_read_by_its_path(reviewed, path):
    assert reviewed.get(path).status_code == 404


@pytest.mark.parametrize("name", ["../../x.csv", "/etc/passwd", "..", "", "a\0b.csv", "c:\\x.csv"])
def test_an_uploaded_name_stays_a_plain_file_name(name):
    assert Path(safe_name(name)).name == safe_name(name) not in ("", ".", "..")


def test_a_scheme_of_the_form_reads_no_file(bare):
    files = {"photographs": ("a.jpg", b"x")}
    shown = bare.post("/look", files=files, data={"scheme": "/etc/x.json"})
    assert shown.status_code == 400
    assert "there is no scheme" in shown.text


def test_another_address_asks_for_a_token_once():
    client = client_of(Site(), host="0.0.0.0", token="secret", address="http://nurse.local:8000")
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    assert client.get("/", headers={"authorization": "Bearer secret"}).status_code == 200
    entered = client.get("/look?token=secret")
    assert (entered.status_code, entered.headers["location"]) == (303, "/look")
    assert client.get("/look").status_code == 200


def test_a_token_is_drawn_for_every_address_but_loopback(tmp_path):
    assert open_site([], tmp_path / "j", "monk", host="127.0.0.1")[1] == ""
    drawn = {open_site([], tmp_path / "j", "monk", host="0.0.0.0")[1] for _ in range(2)}
    assert len(drawn) == 2
    assert min(map(len, drawn)) >= 32
    assert web_address("::1", 80, "t") == "http://[::1]:80/?token=t"
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize(
    "path", ["/", "/look", "/review", "/audit", "/plan", "/predict", "/nothing"]
)
def test_every_page_is_not_for_diagnosis_and_runs_no_inline_script_or_style(bare, path):
    shown = bare.get(path)
    assert "Not for diagnosis." in shown.text
    assert "unsafe" not in shown.headers["content-security-policy"]
    assert not re.search(r"<script(?! src=\"/static/)|<style| style=| on\w+=", shown.text)
    assert shown.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", ["/look", "/review", "/audit", "/plan"])
def test_every_field_has_a_label(reviewed, path):
    text = reviewed.get(path).text
    fields = set(re.findall(r"<(?:input|select)[^>]* id=\"([\w-]+)\"", text))
    assert fields
    assert fields <= set(re.findall(r"<label for=\"([\w-]+)\"", text))


def test_judgements_are_not_saved_among_the_photographs(folder):
    with pytest.raises(InputError, match="nothing is written into those"):
        open_site([str(folder)], folder / "j.sqlite", "monk")


def test_a_file_that_is_no_database_is_refused(folder, tmp_path):
    (tmp_path / "j.sqlite").write_text("no database at all, but long enough to be read as one" * 9)
    with pytest.raises(InputError, match="cannot hold judgements"):
        open_site([str(folder)], tmp_path / "j.sqlite", "monk")


def test_without_the_extra_one_sentence_names_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr("equiderm.serve.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"not installed; run: pip install 'equiderm\[web\]'"):
        require_web()


def test_the_command_line_imports_no_starlette():
    code = "import sys, equiderm.cli, equiderm.serve; print('starlette' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "False\n"


def test_uploads_beyond_those_that_may_wait_are_sent_away_and_pages_still_answer(bare):
    site = bare.app.state.site
    site.waiting = 100
    try:
        refused = bare.post("/look", files={"photographs": ("a.jpg", b"x")})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
        assert bare.get("/").status_code == 200
    finally:
        site.waiting = 0


def test_a_folder_named_in_another_way_goes_on_or_its_earlier_answers_are_counted(
    folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    left, absent = [], []
    for name in ("photos", "./photos//", str(folder)):
        site, _ = open_site([name], tmp_path / "j.sqlite", "fitzpatrick")
        rater = site.judgements.join("A")
        absent.append(site.judgements.absent())
        left.append(site.judgements.progress(rater)["left"])
        site.judgements.answer(rater, site.judgements.turn(rater).position, "3")
        site.judgements.close()
    assert left == [6, 5, 6] and absent == [0, 0, 2]


def test_a_photograph_that_was_replaced_is_shown(reviewed, folder):
    before = reviewed.get("/review/image/1").content
    write_photograph(folder / "0.png", (90, 60, 40), (128, 96))
    assert reviewed.get("/review/image/1").content != before
