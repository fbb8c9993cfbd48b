import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.visible import conceal, hidden, one_line, reveal, warnings

ANYTHING = st.text(alphabet=st.characters(exclude_categories=()))
HARMLESS = st.text(alphabet=st.characters(categories=("Lu", "Nd", "Pd", "Po", "Sm", "Sc", "Zs")))
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("invoice\u202excod.exe", "invoice⟦U+202E⟧xcod.exe"),
        ("pay\u200bpal", "pay⟦U+200B⟧pal"),
        ("a\tb\rc\x00", "a⟦U+0009⟧b⟦U+000D⟧c⟦U+0000⟧"),
        ("\U000e0041\ue000\ud800\U000e0100", "⟦U+E0041⟧⟦U+E000⟧⟦U+D800⟧⟦U+E0100⟧"),
        ("👩\u200d🔬 ❤\ufe0f", "👩⟦U+200D⟧🔬 ❤⟦U+FE0F⟧"),
        ("\u3164\u2800\u034f", "⟦U+3164⟧⟦U+2800⟧⟦U+034F⟧"),
        ("first\nsecond\u2028third", "first\nsecond⟦U+2028⟧third"),
    ],
)
def test_hidden_characters_are_shown(text: str, shown: str) -> None:
    """Characters that hide, reorder or draw nothing are shown by their code point (T54)."""
    assert reveal(text) == shown


@given(ANYTHING)
@example("\u202e\u2066\ufeff\x85\ud83d")
def test_nothing_hidden_remains(text: str) -> None:
    """Whatever comes in, what goes out has no hidden character but the line feed (T54)."""
    shown = reveal(text)
    assert not {char for char in shown if unicodedata.category(char) in INVISIBLE} - {"\n"}
    assert hidden(shown) == 0
    assert shown.encode().decode() == shown


@given(ANYTHING)
def test_each_hidden_character_is_counted(text: str) -> None:
    """The count is the number of marks that were made."""
    assert reveal(text).count("⟦U+") - text.count("⟦U+") == hidden(text)


@given(HARMLESS)
def test_plain_text_is_unchanged(text: str) -> None:
    """Text without hidden characters comes out as it is."""
    assert reveal(text) == text
    assert hidden(text) == 0


@given(ANYTHING)
def test_one_line_is_one_line(text: str) -> None:
    """A subject or a name never has a second line."""
    assert len(one_line(text).splitlines()) <= 1


@given(ANYTHING)
@example("already ⟦U+202E⟧ marked \u202e")
def test_marks_left_alone_turn_back_into_their_characters(text: str) -> None:
    """What was revealed for editing and not touched is what it was, unless it contained marks itself."""
    restored = conceal(reveal(text))
    assert restored == text or "⟦U+" in text
    assert conceal(reveal(restored)) == restored


def test_a_mark_of_no_hidden_character_is_left() -> None:
    """Only marks that `reveal` could have made are taken for characters."""
    assert conceal("⟦U+0041⟧ ⟦U+FFFFFF⟧ ⟦U+20⟧") == "⟦U+0041⟧ ⟦U+FFFFFF⟧ ⟦U+20⟧"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p\N{CYRILLIC SMALL LETTER A}ypal", "“p\N{CYRILLIC SMALL LETTER A}ypal” (U+0430)"),
        ("\N{KELVIN SIGN}arl", "(U+212A)"),
        ("examp\N{FULLWIDTH LATIN SMALL LETTER L}e", "(U+FF4C)"),
        ("p\N{MATHEMATICAL BOLD SMALL A}y", "(U+1D41A)"),
        ("no\N{ZERO WIDTH SPACE}thing\N{RIGHT-TO-LEFT OVERRIDE}", "2 hidden characters"),
    ],
)
def test_what_may_not_be_what_it_looks_like_is_named(text: str, expected: str) -> None:
    """T54, T55: hidden characters are counted, and letters among those of another alphabet are named."""
    (warning,) = warnings(["harmless", text])
    assert expected in warning


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"pay 5{' ' * 21}000", "more than 20 blanks in a row"),
        ("pay 5" + "\N{NO-BREAK SPACE}" * 21 + "000", "more than 20 blanks in a row"),
        ("pay 5" + "\N{EM SPACE} " * 11 + "000", "more than 20 blanks in a row"),
        (f"a\n{' ' * 500}b", "more than 20 blanks in a row"),
        (f"a\n{chr(10) * 21}b", "more than 20 empty lines"),
        (f"{chr(10) * 21}b", "more than 20 empty lines"),
        ("a\n" + " \n\N{NO-BREAK SPACE}\n" * 11 + "b", "more than 20 empty lines"),
    ],
)
def test_what_may_be_out_of_sight_is_told(text: str, expected: str) -> None:
    """T53: words behind a wide gap, and lines below an empty page, are announced."""
    (warning,) = warnings(["harmless", text])
    assert expected in warning


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece", [" ", "\n", " \n", " \n\n", f"{' ' * 20}x", f"{chr(10) * 20}x", f"{' ' * 9_000}\n"]
)
def test_no_gap_takes_long(piece: str) -> None:
    """T75: the longest value is looked through at once, whatever it repeats; gaps at its end are none."""
    text = piece * (100_000 // len(piece))
    assert warnings([text]) == warnings([text.rstrip()])


@pytest.mark.parametrize(
    "text",
    [
        "plain\ntext",
        f"a{' ' * 20}b",
        f"a\n{chr(10) * 20}b",
        f"a{' ' * 50}\nb{chr(10) * 50}",
        "Größe façade naïve",
        "Привет, мир",
        "\N{FULLWIDTH LATIN CAPITAL LETTER A}\N{FULLWIDTH DIGIT ONE} 価格",
        "承認 approve",
        "3 µs",
    ],
)
def test_how_people_write_is_no_reason_to_warn(text: str) -> None:
    """Words in one alphabet each are no disguise, whatever the alphabet."""
    assert warnings([text]) == ()
