"""The flow of a method, observed: what moves in which update, and which way."""

import pytest

from equiderm.debias import METHODS
from equiderm.debias.describe import write_figures
from equiderm.debias.flow import Movement, in_words, movements

MAIN, GROUP = ("backbone", "target_head"), ("backbone", "group_head")
FIRST = Movement("target", ("target",), MAIN, ("group_head",))


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("lntl", Movement("group", ("group",), GROUP, (), "away from the group")),
        ("clgr", Movement("group", ("group",), GROUP, (), "away from the group")),
        ("tabe", Movement("group", ("group",), ("group_head",), ("backbone",))),
    ],
)
def test_the_paper_s_methods_move_what_their_equations_say(name, second):
    assert movements(METHODS[name]) == [FIRST, second]


def test_without_reversal_the_bias_step_moves_the_backbone_towards_the_group():
    found = movements(METHODS["lntl"], reversal=-1.0)
    assert found[1].direction == "towards the group"


def test_what_is_fitted_after_training_is_told():
    assert in_words(movements(METHODS["leace"])).endswith("the backbone stands still.")


def test_every_method_has_its_figure_and_so_have_the_scale_and_the_shifts(tmp_path):
    write_figures(tmp_path)
    drawn = {path.stem for path in tmp_path.glob("*.svg") if path.stat().st_size > 5000}
    assert drawn == {"scale", "shifts", *METHODS}
