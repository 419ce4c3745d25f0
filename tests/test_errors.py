"""What a message quotes, of a library's error or of a huge value, in `equiderm.errors`."""

import getpass

import pytest

from equiderm.errors import InputError, as_flags, reason_of, require_training


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("", 0, "ValueError"),
        ("\n \n", 0, "ValueError"),
        ("...", -1, "ValueError"),
        ("\nA  first line.\nthe last.\n", 0, "A first line"),
        ("\nA first line.\nthe last.\n", -1, "the last"),
        ("word " * 40, 0, " ".join(["word"] * 32) + " ..."),
        ("x" * 400, 0, "x" * 160 + " ..."),
    ],
)
def test_a_librarys_error_is_quoted_as_one_line_of_whole_words(text, line, expected):
    assert reason_of(ValueError(text), line=line) == expected


def test_a_value_that_reads_true_is_kept_as_a_flag_s_value():
    assert (
        as_flags('say `logits=True`, or `positive="True"`.') == "say --logits, or --positive True."
    )


def test_a_message_that_quotes_a_huge_value_is_shortened_in_its_middle():
    message = str(InputError(f"t.csv: '{'x' * 70_000}' is no number; correct it."))
    assert len(message) < 1_100
    assert message.startswith("t.csv: 'xxx")
    assert message.endswith("is no number; correct it.")


def test_a_user_without_a_name_gets_one_before_torch_asks_for_it(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    with pytest.raises(KeyError):
        getpass.getuser()
    monkeypatch.setenv("LOGNAME", "")  # put back after the test
    require_training()
    assert getpass.getuser() == "nobody"


def test_a_working_folder_that_was_deleted_is_missed_before_torch_ends_the_process(
    monkeypatch, tmp_path
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError):
        require_training()
