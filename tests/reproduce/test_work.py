import pandas as pd
import pytest

from equiderm.reproduce.work import cached

TABLE = pd.DataFrame({"image": ["a", "b"], "ita": [1.0, 2.0]})


def test_a_table_is_made_once(tmp_path):
    made: list[str] = []

    def make(place):
        made.append(place.name)
        return TABLE

    for _ in range(2):
        pd.testing.assert_frame_equal(
            cached(tmp_path / "t", ["a", "b"], make), TABLE, check_dtype=False
        )
    assert len(made) == 1


@pytest.mark.parametrize("damage", [b"", b"PAR1 cut"])
def test_a_kept_table_that_is_damaged_is_named_and_made_again(tmp_path, damage):
    cached(tmp_path / "t", ["a", "b"], lambda place: TABLE)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(damage)
    with pytest.warns(UserWarning, match=f"{kept.name}: is empty or damaged"):
        again = cached(tmp_path / "t", ["a", "b"], lambda place: TABLE)
    pd.testing.assert_frame_equal(again, TABLE, check_dtype=False)
