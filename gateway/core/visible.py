"""Make characters visible that show nothing, reorder their neighbours or look different to each reader.

Text from an agent or a stranger passes through here before it is shown to anybody.
"""

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_ASTRAL = 0x10000
_WORD = re.compile(r"[^\W\d_]+")
_PLAIN = re.compile(r"[ -~\n]*")
_ALPHABETS = frozenset(
    {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "FULLWIDTH"}
    | {"MATHEMATICAL", "KELVIN"}
)
_MOST_NAMED = 5
_MOST_BLANKS = 20
_BLANK = r"[^\S\n]"
# A run is tried from its beginning alone, so that a long one takes no longer than it is.
_FAR_RIGHT = re.compile(rf"(?<!{_BLANK}){_BLANK}{{{_MOST_BLANKS + 1},}}+(?=\S)")
_FAR_BELOW = re.compile(rf"(?:^|\n)(?:{_BLANK}*+\n){{{_MOST_BLANKS + 1}}}")
_MARK = re.compile(r"⟦U\+([0-9A-F]{4,6})⟧")

# Control, format (bidi, zero-width, tags), surrogate, private, unassigned, line and paragraph separators.
_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters, marks and symbols by category, but drawn as nothing: fillers, joiners, selectors, empty braille.
_BLANKS = frozenset(
    map(
        chr,
        (
            0x034F,
            0x115F,
            0x1160,
            0x17B4,
            0x17B5,
            *range(0x180B, 0x1810),
            0x2800,
            0x3164,
            *range(0xFE00, 0xFE10),
            0xFFA0,
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def reveal(text: str) -> str:
    """Replace each hidden character by its code point, like ⟦U+202E⟧; only the line feed stays what it is.

    A tab is marked too: it may be wide enough to push what follows out of sight. The sequences that join
    emoji are marked like any other; a picture in pieces is better than a word that is not what it seems.
    """
    return text.translate(_REVEALED)


def conceal(text: str) -> str:
    """Undo `reveal` in a text that a person has edited: a mark that is left means its character."""
    return _MARK.sub(lambda mark: _concealed(mark[0], int(mark[1], 16)), text)


def hidden(text: str) -> int:
    """Count the characters that `reveal` would mark."""
    return sum(map(_hides, text))


def has_odd_blank(text: str) -> bool:
    """Whether white space other than the space is in it, which looks like that and names another thing."""
    return any(char.isspace() and char != " " for char in text)


def warnings(texts: Iterable[str]) -> tuple[str, ...]:
    """Say what in these texts may not be what it looks like, or may be overlooked.

    These are hidden characters, words of mixed alphabets, and what stands behind so many blanks or empty
    lines that it may be out of sight. A word of one foreign alphabet is not named: so most people write.
    """
    each = [text.rstrip() for text in texts]
    return (*_disguised("\n".join(each)), *_pushed_away(each))


def _pushed_away(texts: Sequence[str]) -> Iterator[str]:
    if any(map(_FAR_RIGHT.search, texts)):
        yield f"words stand behind more than {_MOST_BLANKS} blanks in a row, perhaps out of sight"
    if any(map(_FAR_BELOW.search, texts)):
        yield f"lines stand below more than {_MOST_BLANKS} empty lines, perhaps out of sight"


def _disguised(whole: str) -> tuple[str, ...]:
    if _PLAIN.fullmatch(whole):
        return ()
    count = hidden(whole)
    mixed = list(dict.fromkeys(filter(_is_mixed, _WORD.findall(whole))))
    named = ", ".join(f"“{reveal(word)}” ({_named(word)})" for word in mixed[:_MOST_NAMED])
    more = f" and {len(mixed) - _MOST_NAMED} more" if len(mixed) > _MOST_NAMED else ""
    found = (
        (count, f"{count} hidden characters are shown by their numbers, like ⟦U+200B⟧"),
        (len(mixed), f"letters of several alphabets stand in one word: {named}{more}"),
    )
    return tuple(sentence for number, sentence in found if number)


def one_line(text: str) -> str:
    """Reveal `text` and put it on one line, for subjects, names and labels."""
    return " ".join(reveal(text).split())


def _is_mixed(word: str) -> bool:
    return not word.isascii() and len({*map(_alphabet, word)} - {""}) > 1


def _named(word: str) -> str:
    """Name the letters that do not belong to the alphabet of most of the word."""
    alphabets = [_alphabet(letter) for letter in word]
    usual = max(alphabets, key=alphabets.count)
    odd = [letter for letter, each in zip(word, alphabets, strict=True) if each not in {usual, ""}]
    return ", ".join(f"U+{ord(letter):04X}" for letter in dict.fromkeys(odd))


def _alphabet(letter: str) -> str:
    """Name the alphabet of a letter whose shapes recur in others; Unicode's names begin with it."""
    name = unicodedata.name(letter, "").partition(" ")[0]
    return name if name in _ALPHABETS else ""


def _concealed(mark: str, code: int) -> str:
    return chr(code) if code <= sys.maxunicode and _hides(chr(code)) else mark


class _Revealed(dict[int, str | int]):
    """What each character is shown as, found out when it is first met: a letter passes here many times.

    Only the characters of the basic plane are kept, so that no text can make the table large.
    """

    def __missing__(self, code: int) -> str | int:
        shown: str | int = f"⟦U+{code:04X}⟧" if _hides(chr(code)) else code
        if code < _ASTRAL:
            self[code] = shown
        return shown


_REVEALED = _Revealed()


def _hides(char: str) -> bool:
    if " " <= char <= "~" or char == "\n":
        return False
    return char in _BLANKS or unicodedata.category(char) in _CATEGORIES
