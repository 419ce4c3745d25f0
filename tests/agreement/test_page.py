import re

import numpy as np
import pandas as pd

from equiderm.agreement.agreement import measure_agreement
from equiderm.agreement.page import (
    agreement_page,
    confusion_picture,
    figure_table,
    interval_note,
    summary_lines,
    verdict,
)

TYPES = (1, 2, 3, 4, 5, 6)
DDI = np.repeat(np.eye(3, dtype=bool), 2, axis=1)


def measured(sets, label, **options):
    return measure_agreement(sets, label, TYPES, **options)


def rows_of(result):
    figure = confusion_picture(result.confusion, result.types, rows=result.judged)
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def test_the_picture_of_ranges_has_a_row_for_each_range_that_occurs():
    label = np.tile(TYPES, 10).astype(float)
    assert rows_of(measured(DDI[(label.astype(int) - 1) // 2], label)) == ["1-2", "3-4", "5-6"]


def test_the_picture_of_types_has_a_row_for_each_type_of_the_scale():
    truth = np.array([1.0, 2] * 20)
    assert rows_of(measured(truth, truth)) == ["1", "2", "3", "4", "5", "6"]


def test_the_verdict_says_worse_where_the_labels_are_worse_than_the_constant():
    truth = np.array([2.0] * 90 + [5.0] * 10)
    said = verdict(measured(truth, np.full(100, 6.0)))
    assert re.search(r"The labels do worse than that, by \d+\.\d to \d+\.\d points", said)


def test_labels_that_answer_the_constant_are_no_evidence_either_way():
    truth = np.array([2.0] * 60 + [5.0] * 40)
    constant = measured(truth, truth).figures["within_one"].constant_type
    result = measured(truth, np.full(100, float(constant)))
    assert "no evidence that the labels do better or worse" in verdict(result)


def test_images_without_a_patient_are_said_beside_the_patients():
    label = np.tile(TYPES, 10).astype(float)
    patient = pd.Series([f"p{i % 15}" if i % 4 else None for i in range(60)], name="p")
    result = measured(label, label, patient=patient)
    assert "60" not in interval_note(result)
    assert f"{result.patients - 15} named, 15 images without one" in interval_note(result)
    assert any("15 images have no patient in column 'p'" in line for line in summary_lines(result))


def test_the_page_and_the_table_hold_every_figure():
    label = np.tile(TYPES, 10).astype(float)
    result = measured(DDI[(label.astype(int) - 1) // 2], label)
    table = figure_table(result)
    assert table["labels"].tolist()[:2] == ["100.0 %", "100.0 %"]
    page = agreement_page(result, title="<b>T</b>")
    assert "&lt;b&gt;T" in page
    assert "60 of 60 images are judged a range of types" in page
    assert verdict(result)[:40] in page
