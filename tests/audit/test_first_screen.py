"""The first screen answers eight questions on four tables: gap, none, too few, lower scores."""

import dataclasses
import re
from html import unescape

import numpy as np
import pandas as pd
import pytest

from equiderm.audit import Options, Provenance, audit
from equiderm.audit.metrics import phrases_of
from equiderm.audit.report.advice import rounded
from equiderm.audit.report.naming import naming

QUICK = Options(replicates=100)


def table(
    positives: tuple[int, ...], *, weaker: float = 0.0, lower: float = 0.0, seed: int = 1
) -> pd.DataFrame:
    """Return six bands; in the last the classes are ``weaker`` apart and all scores ``lower``."""
    random = np.random.default_rng(seed)
    parts: list[pd.DataFrame] = []
    for band, count in enumerate(positives, 1):
        target = np.repeat([1, 0], [count, 4 * count])
        last = band == len(positives)
        normal = random.normal(size=5 * count) + target * (1.7 - last * weaker) - last * lower
        score = 1 / (1 + np.exp(2.2 - 1.6 * normal))
        parts.append(pd.DataFrame({"target": target, "score": score, "ita_band": band}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(image_id=[f"I{k:05d}" for k in range(len(frame))])


TABLES = {
    "gap": table((100, 100, 80, 60, 40, 80), weaker=1.1),
    "none": table((80,) * 6),
    "few": table((140, 140, 80, 40, 4, 3)),
    "cut": table((150, 150, 120, 120, 120, 120), lower=1.3),
}
PROVENANCE = Provenance(model="SkinApp 1.2", finding="melanoma", tone_source="Tones from t.csv.")


@pytest.fixture(scope="module")
def audits():
    return {
        name: audit(frame, by="ita_band", image="image_id", options=QUICK, provenance=PROVENANCE)
        for name, frame in TABLES.items()
    }


@pytest.fixture(scope="module")
def screens(audits):
    return {name: one.first_screen() for name, one in audits.items()}


@pytest.fixture(scope="module")
def texts(audits):
    """The first sheets as a reader sees them: text alone."""
    found: dict[str, str] = {}
    for name, one in audits.items():
        body = one.to_summary().split("<main>")[1]
        found[name] = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))
    return found


# The eight questions of a reader, and the words that answer each on each of the four tables.
ANSWERS = {
    "is there a gap": {
        "gap": "No. It misses more melanomas",
        "none": "No difference was established",
        "few": "Nobody can say: dark skin was hardly tested",
        "cut": "No. It misses more melanomas",
    },
    "how big": {
        "gap": r"it finds \d+ on the darkest skin \(band 6\), \d+ on all other skin: \d+ fewer",
        "none": r"A difference of up to \d+ in 100 could have gone unnoticed",
        "few": r"nothing about them.*The clearest difference, \d+ (fewer|more) on",
        "cut": r"it finds \d+ on the darkest skin \(band 6\), \d+ on all other skin: \d+ fewer",
    },
    "to whose disadvantage": {
        "gap": r"on the darkest skin \(band 6\)\.",
        "none": r"The clearest difference, \d+ (fewer|more) on",
        "few": r"bands 5 and 6 \(the darkest\) have 4 and 3 melanomas",
        "cut": r"on the darkest skin \(band 6\)\.",
    },
    "could it be chance": {
        "gap": r"Chance does not explain this \(p < 0\.001",
        "none": r"could be chance \(p = 0\.",
        "few": r"could be chance \(p = [01]\.",
        "cut": r"Chance does not explain this \(p < 0\.001",
    },
    "for whom are there too few": {
        "gap": r"Every group has enough images for a figure; the fewest melanomas, 40, are on",
        "none": r"Every group has enough images for a figure; the fewest melanomas, 80, are",
        "few": r"6 darkest 3 cannot be judged : 3 melanomas, too few",
        "cut": r"Every group has enough images for a figure; the fewest melanomas, 120, are",
    },
    "what does it mean for 100 patients": {
        "gap": r"Of every 100 melanomas on the darkest skin \(band 6\), about \d+ more would be",
        "none": r"It finds \d+ of 100 melanomas over all groups",
        "few": r"It finds \d+ of 100 melanomas over all groups",
        "cut": r"a lower cut-off on this skin would find more",
    },
    "what should be done": {
        "gap": r"Do not rely on it for the darkest skin \(band 6\)",
        "none": r"\d+ melanomas in each of the 6 groups \(now 80\)",
        "few": r"Collect \d+ melanomas in each of bands 5 and 6",
        "cut": r"Do not rely on it for the darkest skin \(band 6\)",
    },
    "how far can the labels be trusted": dict.fromkeys(
        TABLES, r"on 26 to 32 of 100 photographs, and was at most one step off on 57 to 83"
    ),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("question", ANSWERS)
def test_the_first_sheet_answers_the_question(texts, question, name):
    assert re.search(ANSWERS[question][name], texts[name]), texts[name]


def test_the_outcomes_are_the_verdicts(audits, screens):
    outcomes = {name: one.outcome for name, one in screens.items()}
    assert outcomes == {"gap": "gap", "none": "none found", "few": "cannot say", "cut": "gap"}
    assert outcomes == {name: one.verdict().outcome for name, one in audits.items()}


def test_figures_on_the_screen_are_those_of_the_audit(audits, screens):
    for name, one in audits.items():
        rows = {row.group.split()[0]: row for row in screens[name].rows}
        for group in ("1", "3"):
            figure = one.figure("sensitivity", group)
            assert rows[group].share.startswith(f"{100 * figure.value:.0f} (")
            assert rows[group].low == pytest.approx(100 * figure.low)
        assert rows["all"].tested == f"{TABLES[name]['target'].sum():,}"


def test_too_few_on_dark_skin_is_the_first_sentence_even_beside_a_gap():
    frame = table((150, 150, 150, 150, 3, 3))
    frame.loc[frame["ita_band"] == 2, "score"] **= 3
    screen = audit(frame, by="ita_band", options=QUICK).first_screen()
    assert screen.outcome == "gap"
    assert screen.headline.startswith("Dark skin was hardly tested. Elsewhere: It misses more")
    assert screen.evidence[0].startswith("Too few images: bands 5 and 6 (the darkest)")


def test_bands_that_are_judged_together_are_named_and_shown_together():
    frame = table((140, 140, 80, 60, 4, 4))
    dark = frame["ita_band"] >= 5
    frame.loc[dark & (frame["target"] == 1), "score"] *= 0.2
    made = audit(frame, by="ita_band", image="image_id", options=QUICK)
    assert made.verdict().pooled == (("5", "6"),)
    screen = made.first_screen()
    assert screen.headline == "No. It misses more positives on the darkest skin (bands 5 to 6)."
    assert screen.left_out[0] == (
        "Judged together, as each alone has too few images: bands 5 and 6 (the darkest)."
    )
    assert [row.state for row in screen.rows][-3:] == ["worst", "worst", "worst"]
    assert screen.rows[-1].group == "5 to 6 together"
    assert screen.rows[-1].tested == "8"
    assert set(made.missed()["ita_band"]) == {"5", "6"}


def test_a_ranking_that_is_no_worse_says_that_a_cut_off_would_help_and_a_worse_one_not(screens):
    assert any("another cut-off alone would not repair" in text for text in screens["gap"].meaning)
    assert any("a lower cut-off on this skin" in text for text in screens["cut"].meaning)


def test_an_acceptable_difference_turns_none_found_into_less_than_that():
    frame = table((900,) * 3)
    screen = audit(
        frame, by="ita_band", options=Options(replicates=100, acceptable=0.15)
    ).first_screen()
    assert screen.headline == "No group differs by 0.15 or more: the difference called acceptable."
    strict = audit(frame, by="ita_band", options=Options(replicates=100, acceptable=0.01))
    unsure = "above the acceptable 0.01 was established, but one cannot be ruled out"
    assert unsure in strict.first_screen().headline


def test_the_first_sheet_is_a_page_of_its_own_and_the_start_of_the_report(audits):
    summary, page = audits["gap"].to_summary(), audits["gap"].to_html()
    sheet = summary.split("<main>")[1].split("</main>")[0].strip()
    assert sheet in page
    assert summary.count("<h1>") == page.count("<h1>") == 1
    assert "STANDING Together" not in summary


def test_the_missed_positives_of_the_worst_group_are_listed_lowest_first(audits):
    made, frame = audits["gap"].missed(), TABLES["gap"]
    expected = frame[(frame["ita_band"] == 6) & (frame["target"] == 1) & (frame["score"] < 0.5)]
    assert made["image"].tolist() == expected.sort_values("score")["image_id"].tolist()
    assert set(made["ita_band"]) == {"6"}
    other = audits["gap"].missed(group="1")
    assert set(other["ita_band"]) == {"1"}


@pytest.mark.parametrize(
    ("column", "labels", "expected"),
    [
        ("ita_band", [1, 2, 6], ["1 lightest", "2", "6 darkest"]),
        ("ita_band", [1, 2, 5], ["1 lightest", "2", "5 darkest here"]),
        ("fitzpatrick", ["I", "III", "VI"], ["I lightest", "III", "VI darkest"]),
        ("tone", ["very-light", "tan", "dark"], ["very-light (lightest)", "tan", "dark"]),
        ("tone", ["light", "medium", "dark"], ["light", "medium", "dark"]),
        ("skin_tone", [12, 34, 56], ["1-2 lightest", "3-4", "5-6 darkest"]),
        ("fst", ["V-VI", "III-IV", "I-II"], ["I-II lightest", "III-IV", "V-VI darkest"]),
        ("monk", ["MST 10", "MST 2", "MST 1"], ["MST 1 lightest", "MST 2", "MST 10 darkest"]),
        ("sex", ["f", "m", "x"], ["f", "m", "x"]),
        ("age", [10, 20, 30], ["10", "20", "30"]),
    ],
)
def test_the_ends_of_a_scale_of_tone_are_named_and_no_others(column, labels, expected):
    frame = pd.DataFrame({"target": [0, 1] * 9, "score": np.linspace(0, 1, 18)})
    made = audit(frame.assign(**{column: np.repeat(labels, 6)}), by=column)
    names = naming(made)
    assert [names.shown(label) for label in names.grouping.labels] == expected


def test_a_mixed_verdict_names_both_groups_and_warns_of_both():
    frame = table((200, 200, 200), lower=1.3)
    light = frame["ita_band"] == 1
    random = np.random.default_rng(3).random(len(frame))
    frame["score"] = frame["score"].where(~light, 0.4 * frame["score"] + 0.6 * random)
    screen = audit(frame, by="ita_band", options=QUICK).first_screen()
    assert screen.outcome == "mixed"
    assert "It misses more positives on the darkest skin (band 3)." in screen.headline
    assert "from other images less well on the lightest skin (band 1)." in screen.headline
    assert screen.steps[0].startswith(
        "Do not rely on it for skin of bands 1 and 3 (the darkest) be"
    )


def test_every_group_that_is_established_to_be_worse_is_named_warned_of_and_marked():
    frame = table((300, 300, 300, 300), lower=1.3)
    third = frame["ita_band"] == 3
    frame["score"] = frame["score"].where(~third, 1 / (1 + np.exp(1.3) * (1 / frame["score"] - 1)))
    screen = audit(frame, by="ita_band", options=QUICK).first_screen()
    assert screen.headline == "No. It misses more positives on skin of bands 3 and 4 (the darkest)."
    assert screen.steps[0].startswith(
        "Do not rely on it for skin of bands 3 and 4 (the darkest) be"
    )
    assert [row.group for row in screen.rows if row.state == "worst"] == [
        "3",
        "4 darkest here",
    ]
    assert "finds 16 on the darkest skin (band 4), 52 on all other skin" in screen.evidence[0]
    assert screen.evidence[0].endswith("Likewise on skin of band 3: 32 against 46.")
    assert "missed on the darkest skin (band 4) (listed" in screen.steps[1]


def test_false_alarms_and_a_ranking_alone_are_told_in_numbers_of_100():
    screen = audit(table((150,) * 4, lower=-1.0), by="ita_band", options=QUICK).first_screen()
    assert screen.headline == "No. It raises more false alarms on the darkest skin (band 4)."
    assert screen.steps[1].startswith("Look at the negative images that it flagged there")
    frame = table((250,) * 4, weaker=0.5, lower=-0.45)
    screen = audit(frame, by="ita_band", options=QUICK).first_screen()
    assert screen.headline.startswith("No. It tells positives from other images less well on the d")
    assert re.search(
        r"Of 100 pairs of a positive image .* in \d+ on the darkest", screen.meaning[0]
    )


@pytest.mark.parametrize(
    ("frame", "headline"),
    [
        (table((100,)), "Nobody can say: all images are of one group."),
        (table((3, 3)), "Nobody can say: every group has too few images."),
    ],
)
def test_what_cannot_be_compared_is_said_and_reported_all_the_same(frame, headline):
    made = audit(frame, by="ita_band", options=QUICK)
    assert made.first_screen().headline == headline
    assert headline in made.to_html()
    assert made.to_dict()["verdicts"][0]["outcome"] == "cannot say"


def test_groups_where_a_large_loss_would_go_unnoticed_are_told_from_those_without_a_figure():
    screen = audit(table((140, 140, 140, 14, 3)), by="ita_band", options=QUICK).first_screen()
    assert screen.evidence[0].endswith("has 3 positives, so this audit says nothing about it.")
    assert "14 positives, so few that finding half as many" in screen.evidence[1]
    every = audit(table((10,) * 4), by="ita_band", options=QUICK).first_screen()
    assert every.headline == "Nobody can say: every group has too few images."


def test_positives_of_one_patient_are_said_to_be_of_one():
    frame = table((100, 100, 6))
    frame["patient_id"] = frame["image_id"].where(frame["ita_band"] < 3, "P0")
    made = audit(frame, by="ita_band", patient="patient_id", options=QUICK)
    screen = made.first_screen()
    assert "6 positives of 1 patient" in screen.rows[-1].why
    assert any(one.startswith("Too few patients: band 3 (the darkest)") for one in screen.evidence)


def test_a_model_that_flags_nobody_is_said_to():
    frame = TABLES["none"].assign(score=TABLES["none"]["score"] / 10)
    screen = audit(frame, by="ita_band", options=QUICK).first_screen()
    assert any("No image at all is flagged from a score of 0.5" in one for one in screen.meaning)
    assert screen.steps[0].startswith("Choose the threshold")


def test_false_alarms_on_dark_skin_do_not_hide_that_it_has_too_few_positives():
    frame = TABLES["none"]
    dark = (frame["ita_band"] == 6).to_numpy()
    frame = frame[~dark | (np.arange(len(frame)) % 80 < 6) | (frame["target"] == 0)]
    dark = frame["ita_band"] == 6
    frame = frame.assign(score=frame["score"].where(~dark, np.sqrt(frame["score"])))
    screen = audit(frame, by="ita_band", options=QUICK).first_screen()
    assert screen.headline == (
        "Too few positives on dark skin to say how many it finds. Still: It raises more false "
        "alarms on the darkest skin (band 6)."
    )
    assert "band 6 (the darkest) has 6 positives" in screen.evidence[0]


def test_two_types_in_one_name_are_written_as_two():
    frame = TABLES["gap"].assign(fitzpatrick_group=lambda f: f["ita_band"].map(
        {1: "12", 2: "12", 3: "34", 4: "34", 5: "56", 6: "56"}
    ))  # fmt: skip
    screen = audit(frame, by="fitzpatrick_group", options=QUICK).first_screen()
    assert screen.headline == "No. It misses more positives on the darkest skin (types 5-6)."
    assert [row.group for row in screen.rows] == ["all", "1-2 lightest", "3-4", "5-6 darkest"]


def test_the_end_of_an_interval_that_is_above_0_is_not_written_as_0():
    assert phrases_of("sensitivity").write_above_0(0.003) == "under 1"
    assert phrases_of("auroc").write_above_0(0.003) == "under 0.01"
    assert phrases_of("auroc").write_difference(0.634, 0.846, 0.1, 0.3)["size"] == "0.22"


def test_the_words_of_a_column_that_is_no_tone_do_not_speak_of_skin():
    frame = TABLES["gap"].assign(site=TABLES["gap"]["ita_band"].map(lambda k: f"S{k}"))
    screen = audit(frame, by="site", options=QUICK).first_screen()
    assert screen.headline == "No. It misses more positives in group S6 of site."
    assert "skin" not in " ".join([screen.title, *screen.evidence, *screen.steps, *screen.trust])


def test_without_a_truth_the_screen_says_what_is_flagged_and_that_nothing_can_be_said():
    frame = TABLES["gap"].drop(columns="target")
    made = audit(frame, by="ita_band", no_truth=True, options=QUICK)
    screen = made.first_screen()
    assert screen.headline == "Nobody can say: the truth is not known yet."
    assert screen.rows[0].share.startswith(f"{100 * (frame['score'] >= 0.5).mean():.0f} (")
    page = made.to_html()
    assert "melanoma" not in page
    assert "AUROC" not in page.split("<main>")[1].split("Checklist")[0]
    assert made.to_dict()["truth"] is False


def test_groups_that_look_like_a_fault_are_pointed_out_in_the_box_and_corrections_in_the_trust():
    frame = TABLES["gap"].assign(ita_band_corrected=[6, *[None] * 2299], corrected_by="Dr A")
    frame["ita_band"] = frame["ita_band"].replace(1, -1)
    screen = audit(frame, by="ita_band", options=QUICK).first_screen()
    assert screen.evidence[-1].startswith("'-1' is a group of ita_band with 499 rows")
    assert screen.trust[0] == "1 label of ita_band was corrected by hand by Dr A."


def test_who_was_left_out_is_on_the_first_sheet(predictions):
    frame = predictions(400)
    frame.loc[:7, "ita_band"] = None
    screen = audit(frame, by="ita_band", options=QUICK).first_screen()
    assert screen.left_out[1:] == (
        "8 rows have no ita_band; they count overall but in none of its groups.",
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [(7, "7"), (41.2, "42"), (441, "450"), (1234, "1,300"), (np.inf, "any number of")],
)
def test_needed_numbers_are_rounded_up_to_two_digits(count, text):
    assert rounded(count) == text


def test_scores_that_rank_the_wrong_way_round_are_said_so_first():
    frame = TABLES["none"]
    turned = audit(frame.assign(score=1 - frame["score"]), by="ita_band", options=QUICK)
    upright = audit(frame, by="ita_band", options=QUICK)
    low, high = turned.figure("auroc").low, turned.figure("auroc").high
    first = turned.first_screen().evidence[0]
    assert f"({low:.2f} to {high:.2f}), below the 0.5 of any constant score" in first
    assert "positives below negative images" in first
    assert first.endswith("audit 1 - score.")
    assert "constant" not in " ".join(upright.first_screen().evidence)


def test_scores_no_better_than_chance_are_said_so_first():
    random = np.random.default_rng(0)
    frame = TABLES["none"].assign(score=random.random(len(TABLES["none"])))
    first = audit(frame, by="ita_band", options=QUICK).first_screen().evidence[0]
    assert first.endswith("not established to be above the 0.5 of any constant score.")


def test_of_many_small_groups_the_screen_says_how_many_they_are():
    frame = table((20,) * 6)
    frame["site"] = [f"clinic {k % 40}" for k in range(len(frame))]
    text = "\n".join(audit(frame, by="site", options=QUICK).first_screen().lines())
    assert "all 40 groups of site have 3 positives each" in text
    assert text.count("clinic") < 2 * 12
    assert "one more or one fewer" not in text


def test_a_band_without_images_is_not_named_between_others():
    band = np.repeat([1, 2, 3, 5], [400, 4, 4, 4])
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"ita_band": band, "target": np.arange(412) % 2})
    frame["score"] = (frame["target"] + 2 * random.random(412)) / 3
    said = " ".join(audit(frame, by="ita_band", options=Options(replicates=50)).answer())
    assert "bands 2, 3 and 5" in said and "2 to 5" not in said
    frame["ita_band"] = frame["ita_band"].replace(5, 4)
    said = " ".join(audit(frame, by="ita_band", options=Options(replicates=50)).answer())
    assert "bands 2 to 4" in said


def of_two(counts: dict[str, tuple[int, int, int, int]], **more: str) -> pd.DataFrame:
    """Return positives, how many of them are found, negatives, and how many are flagged."""
    parts = [
        pd.DataFrame(
            {
                "target": np.repeat([1, 0], [m, n]),
                "score": np.repeat([0.8, 0.3, 0.7, 0.2], [found, m - found, flagged, n - flagged]),
                "site": group,
            }
        )
        for group, (m, found, n, flagged) in counts.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(**more)


def screen_of(frame: pd.DataFrame, by: str = "site", **options: float):
    provenance = Provenance(finding="melanoma")
    made = audit(frame, by=by, options=Options(replicates=100, **options), provenance=provenance)
    return made.first_screen()


def test_a_group_with_too_few_negatives_is_not_said_to_have_too_few_positives():
    screen = screen_of(of_two({"a": (300, 240, 300, 30), "b": (300, 240, 2, 0)}))
    assert screen.headline == (
        "Nobody can say for all: group b of site had too few images without a melanoma."
    )
    assert screen.evidence[0] == (
        "Too few images without a melanoma: group b of site has 2, so this audit says nothing "
        "about false alarms there, nor about the AUROC."
    )
    text = " ".join([*screen.meaning, *screen.steps])
    assert "Collect images without a melanoma in group b of site, too" in text
    assert "not tested" not in text and "one more or one fewer" not in text


def test_dark_skin_with_too_few_negatives_is_not_said_to_be_hardly_tested():
    frame = of_two({"light": (300, 240, 300, 30), "dark": (300, 150, 2, 0)}, skin_tone="")
    screen = screen_of(frame.assign(skin_tone=frame["site"]), by="skin_tone")
    assert screen.headline == "No. It misses more melanomas on dark skin."


def test_figures_that_are_close_are_written_with_the_digits_that_tell_them_apart():
    frame = of_two({"a": (200_000, 174_200, 50, 5), "b": (200_000, 173_200, 50, 5)})
    screen = screen_of(frame)
    assert (
        "it finds 86.6 in group b of site, 87.1 in group a of site: 0.5 fewer"
        in (screen.evidence[0])
    )
    assert "about 0.5 more would be missed" in screen.meaning[0]


@pytest.mark.parametrize("metric", ["auroc", "sensitivity", "specificity"])
def test_a_difference_as_written_lies_within_its_interval_as_written(metric):
    random = np.random.default_rng(0)
    for _ in range(500):
        one = random.random()
        other = np.clip(one + random.normal() * 10.0 ** random.uniform(-3, -0.5), 0, 1)
        low = abs(one - other) * random.uniform(0.9, 1)
        words = phrases_of(metric).write_difference(one, other, low, 1.1 * abs(one - other))
        whole = {"under 1": "0", "over 99": "100"}
        texts = [whole.get(words[key], words[key]) for key in ("one", "other", "size")]
        one, other, size = map(float, texts)
        near, far = (float(words[key].removeprefix("under ")) for key in ("low", "high"))
        assert abs(abs(one - other) - size) < 1e-9
        assert words["low"].startswith("under") or near <= size
        assert size <= far


def test_all_are_said_to_be_found_only_where_none_is_missed():
    screen = screen_of(of_two({"a": (500, 499, 500, 50), "b": (500, 500, 500, 50)}))
    assert [row.share.split(" (")[0] for row in screen.rows] == ["over 99", "over 99", "100"]
    assert "finds over 99 of 100 melanomas over all groups" in screen.meaning[0]
    assert (
        "finds over 99 in the group with the fewest and 100 in that with the most"
        in (screen.evidence[0])
    )


def test_a_difference_within_the_acceptable_one_is_not_said_to_be_chance():
    frame = of_two({"a": (4000, 3200, 4000, 400), "b": (4000, 3000, 4000, 400)})
    screen = screen_of(frame, acceptable=0.2)
    assert screen.headline.startswith("No group differs by 0.2 or more")
    assert "is more than chance explains (p < 0.001" in screen.evidence[0]
    assert "but within the 20 in 100 called acceptable" in screen.evidence[0]
    assert "could be chance" not in screen.evidence[0]


def test_the_group_called_all_is_not_taken_for_all_images():
    screen = screen_of(of_two({"all": (100, 80, 100, 10), "b": (100, 80, 100, 10)}))
    assert [row.group for row in screen.rows] == ["all groups", "all", "b"]


@pytest.mark.parametrize(
    ("finding", "plural"),
    [
        ("melanoma", "melanomas"),
        ("melanomas", "melanomas"),
        ("abscess", "abscesses"),
        ("nevus", "nevi"),
        ("actinic keratosis", "actinic keratoses"),
        ("malignancy", "malignancies"),
    ],
)
def test_a_finding_has_the_plural_of_its_word(audits, finding, plural):
    made = audits["gap"]
    named = dataclasses.replace(made, provenance=Provenance(finding=finding))
    assert naming(named).positives == plural


def test_people_who_have_the_finding_are_counted_and_not_all_people():
    frame = table((100, 100, 6))
    frame["patient_id"] = frame["image_id"].where(
        (frame["ita_band"] < 3) | (frame["target"] == 0), "P0"
    )
    screen = audit(frame, by="ita_band", patient="patient_id", options=QUICK).first_screen()
    assert any("has 6 positives of 1 patient, so" in one for one in screen.evidence)
    assert "one more or one fewer" not in " ".join(screen.meaning)


def test_of_one_group_nothing_is_adjusted():
    screen = screen_of(of_two({"a": (100, 80, 100, 10)}))
    assert "adjusted" not in screen.foot


def test_two_types_in_one_name_have_few_and_not_has_few():
    frame = of_two({"12": (300, 240, 300, 30), "34": (300, 240, 300, 30), "56": (1, 1, 300, 30)})
    text = screen_of(frame.rename(columns={"site": "skin"}), by="skin").evidence[0]
    assert "tones 5-6 (the darkest) have 1 melanoma, so this audit says nothing about them" in text


def test_bands_that_are_compared_together_are_said_to_be_few_together(screens):
    assert screens["few"].evidence[0] == (
        "Too few images: bands 5 and 6 (the darkest) have 4 and 3 melanomas, so this audit says "
        "nothing about them one by one; together they are so few that finding half as many as "
        "elsewhere would go unnoticed."
    )
