"""Each page in Chromium: accessible, usable by keyboard alone, and whole on a narrow screen.

Pictures of every page go to the folder that EQUIDERM_PICTURES names; docs/serve.md shows one.
"""

import io
import os
import re
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("httpx2", reason="Starlette's test client needs it")
pytest.importorskip("axe_playwright_python", reason="it carries axe-core")

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

from equiderm import label
from equiderm.audit import Audit, audit
from equiderm.audit.input import Provenance
from equiderm.data.synthetic import synthesize
from equiderm.engine import Kept
from equiderm.serve import open_site, predict_pages
from equiderm.serve.app import create_app
from equiderm.serve.predict import About, Map, Scored, Scorer, work_on
from equiderm.serve.site import Site

CHROMIUM = next(
    (place for place in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
     if Path(place).exists()), None,
)  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS = [(width, scheme) for width in (390, 1200) for scheme in ("light", "dark")]


def predictions(n=300):
    random = np.random.default_rng(0)
    target = random.integers(0, 2, n)
    band = random.integers(1, 5, n)
    score = (target * (1.6 - band / 5) + 2 * random.random(n)) / 3.5
    return pd.DataFrame({"target": target, "score": score, "ita_band": band.astype(str)})


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Drawn lesions: a folder of six, and files to drop."""
    drawn = synthesize(6, size=384, seed=3)
    folder = tmp_path_factory.mktemp("browser") / "photographs"
    folder.mkdir()
    for n, pixels in enumerate(drawn.images):
        Image.fromarray(pixels).save(folder / f"lesion-{n}.jpg", quality=90)
    return folder


@pytest.fixture(scope="module")
def dropped(photographs):
    """What is dropped on the pages."""
    folder = photographs.parent
    with zipfile.ZipFile(folder / "photographs.zip", "w") as archive:
        for path in sorted(photographs.iterdir())[:2]:
            archive.write(path, path.name)
        archive.writestr("broken.jpg", b"no image")
    predictions().to_csv(folder / "predictions.csv", index=False)
    predictions().rename(columns={"score": "p"}).to_csv(folder / "renamed.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def address(photographs, tmp_path_factory):
    """A server with photographs to judge and a network that is replaced by one score."""
    folder = tmp_path_factory.mktemp("judged")
    label(photographs, output=folder / "tones.csv")
    site, _ = open_site([str(folder / "tones.csv")], folder / "j.sqlite", "fitzpatrick")
    made = audit(predictions(), by="ita_band", provenance=Provenance(finding="melanoma"))
    about = About("tf_efficientnet_lite0 trained with lntl", ("logit", "score"), "")
    site.scorer = Scorer(Kept(work_on, str(folder)), about, Audit.from_json(made.to_json()))
    patch = pytest.MonkeyPatch()
    patch.setattr(predict_pages, "predict", score_of_brightness)
    with served(site) as place:
        yield place
    patch.undo()
    site.close()


def score_of_brightness(scorer, photographs, *, maps=False):
    """Return a score and a map without a network: how bright a picture is, and where."""
    from equiderm.training.saliency import draw_map, measure_map

    scored = []
    for name, blob in photographs:
        try:
            square = np.asarray(Image.open(io.BytesIO(blob)).convert("RGB").resize((256, 256)))
        except OSError:
            scored.append(Scored(name, error="not an image in a known format"))
            continue
        heat = 160 - square.mean(2)
        buffer = io.BytesIO()
        draw_map(square, heat).save(buffer, "JPEG")
        drawn = Map(buffer.getvalue(), measure_map(heat)) if maps else None
        score = 1 - float(square.mean()) / 255
        scored.append(Scored(name, {"logit": np.log(score / (1 - score)), "score": score}, drawn))
    return scored


class served:
    """A ``with`` block in which a site is served, on a port of its own."""

    def __init__(self, site):
        config = uvicorn.Config(create_app(site), port=0, log_level="warning")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self):
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *error):
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, request):
    """Open a page of one width and colour scheme; console errors fail the test."""
    said = []

    def note(message):
        if message.type == "error" and "status of 4" not in message.text:  # a refused form
            said.append(message.text)

    def open_one(width=1200, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        request.addfinalizer(context.close)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", note)
        page.on("pageerror", lambda error: said.append(str(error)))
        return page

    yield open_one
    assert said == []


def check(page, name):
    """Assert that axe finds nothing and nothing is cut off; keep a picture where one is wanted."""
    width = page.viewport_size["width"]
    if folder := os.environ.get("EQUIDERM_PICTURES"):
        dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        scheme = "dark" if dark else "light"
        page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    found = Axe().run(
        page,
        options={
            "runOnly": {"type": "tag", "values": TAGS},
            "resultTypes": ["violations"],
            "iframes": False,  # a report's frame runs no scripts, axe's neither
        },
    )
    assert [
        (name, one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found.response["violations"]
    ] == []


def send(page, path, button, **files):
    page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/")[2] + path)
    for field, place in files.items():
        page.set_input_files(f"#{field}", place)
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_load_state()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_meets_wcag_2_2_aa_as_far_as_axe_sees(
    address, open_page, dropped, width, scheme
):
    page = open_page(width, scheme)
    for path in ("", "look", "review", "audit", "plan", "predict", "nothing"):
        page.goto(f"{address}/{path}")
        check(page, path.replace("/", "-") or "home")
    send(page, "/look", "Measure", photographs=dropped / "photographs.zip")
    assert page.get_by_role("img", name="lesion-0.jpg: what robust measured").is_visible()
    check(page, "looked")
    send(page, "/predict", "Score", photographs=dropped / "photographs.zip")
    assert page.get_by_text("On skin like this").first.is_visible()
    check(page, "predicted")
    send(page, "/audit", "Show the report", predictions=dropped / "renamed.csv")
    assert page.get_by_role("alert").is_visible()
    check(page, "audit-refused")
    page.goto(f"{address}/review")
    page.get_by_label("Your name").fill(f"Rater {width} {scheme}")
    page.get_by_label("Show me the computed band").check()
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector(".photo img")
    check(page, "turn")
    judge_all(page, "3")
    check(page, "all-judged")
    page.goto(f"{address}/review/agreement")
    check(page, "agreement")


def test_a_preview_shows_what_will_be_audited_and_keeps_the_chosen_file(
    address, open_page, dropped
):
    page = open_page(390, "dark")
    page.goto(address)
    send(page, "/audit", "See what will be audited", predictions=dropped / "renamed.csv")
    page.get_by_role("alert").wait_for()
    page.get_by_label("Score", exact=True).fill("p")
    page.get_by_role("button", name="See what will be audited").click()
    page.get_by_text("Score (column p)").wait_for()
    check(page, "audit-preview")
    assert page.evaluate("document.getElementById('predictions').files.length") == 1


def test_reports_that_are_saved_meet_it_too(address, open_page, dropped):
    """Shown by the server they are in a sandbox, in which axe cannot run."""
    page = open_page(390)
    for path, field, button in (
        ("/audit", "predictions", "Save the report"),
        ("/plan", "test_set", "Save the plan"),
    ):
        page.goto(address)
        with page.expect_download() as download:
            send(page, path, button, **{field: dropped / "predictions.csv"})
        report = dropped / f"{path.strip('/')}.html"
        download.value.save_as(report)
        page.goto(report.as_uri())
        check(page, f"{report.stem}-report")


def judge_all(page, key):
    """Press a key on image after image, until there is none."""
    while page.locator(".photo").count():
        press(page, key)


def press(page, key):
    """Press a key and wait for the next image."""
    before = page.title()
    page.keyboard.press(key)
    page.wait_for_function("before => document.title !== before", arg=before)
    page.wait_for_load_state()


def test_pages_without_photographs_or_run_and_the_monk_scale_meet_it_too(
    photographs, tmp_path, open_page
):
    page = open_page(390)
    with served(Site()) as address:
        for path in ("review", "predict"):
            page.goto(f"{address}/{path}")
            check(page, f"{path}-none")
    site, _ = open_site([str(photographs)], tmp_path / "j.sqlite", "monk")
    with served(site) as address:
        page.goto(f"{address}/review")
        page.get_by_label("Your name").fill("Ada")
        page.get_by_role("button", name="Begin").click()
        page.wait_for_selector(".photo img")  # of the next page
        check(page, "turn-monk")
    site.close()


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


def tab_to(page, wanted):
    """Press Tab until something has the focus, and assert that it is seen to have it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(page).startswith(wanted):
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style != "none", wanted
            return
    raise AssertionError(f"Tab never comes to {wanted}")


def choose(page, field):
    """Open the choice of files by keyboard; the page answers it with what the test has set."""
    tab_to(page, field)
    page.keyboard.press("Enter")
    page.wait_for_function("field => document.getElementById(field).files.length", arg=field)


@pytest.mark.parametrize(
    ("path", "field", "file", "button", "seen"),
    [("/look", "photographs", "photographs.zip", "Measure", "Save as a table"),
     ("/look", "folder", "photographs", "Measure", "Save as a table"),
     ("/predict", "photographs", "photographs.zip", "Score", "On skin like this"),
     ("/audit", "predictions", "predictions.csv", "Show the report", "AUROC"),
     ("/plan", "test_set", "predictions.csv", "Show the plan", "images")],
)  # fmt: skip
def test_what_is_sent_is_sent_by_keyboard_alone(
    address, open_page, dropped, path, field, file, button, seen
):
    page = open_page()
    page.on("filechooser", lambda chooser: chooser.set_files(dropped / file))
    page.goto(address)
    tab_to(page, path.strip("/").capitalize())
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{path}", wait_until="load")
    choose(page, field)
    tab_to(page, button)
    page.keyboard.press("Enter")
    page.get_by_text(seen).first.wait_for()


def test_a_review_is_begun_judged_undone_and_finished_by_keyboard_alone(address, open_page):
    page = open_page()
    page.goto(f"{address}/review")
    tab_to(page, "name")
    page.keyboard.type("Keys")
    page.keyboard.press("Enter")
    page.wait_for_selector(".photo img")
    for key in ("3", "u", "c", "s"):
        press(page, key)
    judge_all(page, "1")
    assert page.get_by_role("heading", name="All but 1 judged").is_visible()
    tab_to(page, "Show the 1 skipped again")
    page.keyboard.press("Enter")
    page.wait_for_selector(".photo img")
    page.keyboard.press("6")
    page.get_by_role("heading", name="All judged").wait_for()


def test_a_dropped_folder_and_what_lies_beside_it_are_taken(address, open_page, dropped):
    page = open_page()
    page.goto(f"{address}/look")
    (dropped / "photographs" / ".hidden.jpg").write_bytes(b"no photograph")
    place = page.locator(".drop").bounding_box()
    data = {
        "items": [],
        "files": [str(dropped / "photographs"), str(dropped / "photographs.zip")],
        "dragOperationsMask": 1,
    }
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"x": place["x"] + 20, "y": place["y"] + 10}
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
    page.get_by_text("6 photographs").wait_for()
    names = "id => [...document.getElementById(id).files].map(file => file.name)"
    assert page.evaluate(names, "photographs") == ["photographs.zip"]
    assert page.evaluate(names, "folder") == [f"photographs/lesion-{n}.jpg" for n in range(6)]


def test_the_photographs_of_a_folder_are_chosen(address, open_page, dropped):
    page = open_page()
    page.goto(f"{address}/look")
    page.set_input_files("#folder", dropped / "photographs")
    assert page.get_by_text("6 photographs").is_visible()
    page.get_by_role("button", name="Measure").click()
    page.get_by_text("Save as a table").wait_for()
    names = page.locator("section h2").all_inner_texts()
    assert [re.sub(".*/", "", name) for name in names] == [f"lesion-{n}.jpg" for n in range(6)]
