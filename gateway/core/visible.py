"""Make characters visible that show nothing, reorder their neighbours or look different to each reader.

Text from an agent or a stranger passes through here before it is shown to anybody.
"""

import re
import sys
import unicodedata

_ASTRAL = 0x10000
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


def one_line(text: str) -> str:
    """Reveal `text` and put it on one line, for subjects, names and labels."""
    return " ".join(reveal(text).split())


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
