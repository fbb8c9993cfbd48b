"""Load the templates, and make sure that whatever they print is visible and cannot pass for our own words."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from gateway.core.effects import Letter
from gateway.core.visible import reveal

_WIDTH = 76
# Words that decide something at the start of a reply; gluing too many words together costs nothing. Mail
# programs may quote our lines without a mark, so none of them may begin with such a word.
_VERB = re.compile(
    r" +(?=(?:approv|reject|modif|accept|agree|den[iy]|declin|refus|yes|no|ok|sure|lgtm))", re.IGNORECASE
)
_GLUE = "\x00"


def packaged_templates() -> Path:
    """Find the templates that came with the program: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


@dataclass(frozen=True, slots=True)
class Templates:
    """The compiled text and HTML template of every kind of letter."""

    text: Mapping[Letter, Template]
    html: Mapping[Letter, Template]

    def render(self, letter: Letter, context: Mapping[str, Any]) -> tuple[str, str]:
        """Return the text and the HTML of a letter."""
        return self.render_text(letter, context), self.html[letter].render(context)

    def render_text(self, letter: Letter, context: Mapping[str, Any]) -> str:
        """Return the text of a letter alone."""
        return _tidy(self.text[letter].render(context))


def load(directories: Sequence[Path]) -> Templates:
    """Compile all templates; for each file the first directory that has it wins.

    Raises:
        jinja2.TemplateError: a template is missing or does not compile.
    """
    # Two environments and not one: a macro escapes by where it was compiled, not by where it is called.
    return Templates(
        text=_compile(environment(directories, html=False), "txt"),
        html=_compile(environment(directories, html=True), "html"),
    )


def environment(directories: Sequence[Path], *, html: bool) -> SandboxedEnvironment:
    """Make the environment in which every printed value is visible, and escaped in HTML."""
    made = SandboxedEnvironment(
        loader=FileSystemLoader(directories),
        autoescape=html,
        undefined=StrictUndefined,
        finalize=_shown,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(fill=_fill, mark=_mark)
    return made


def _compile(environment: SandboxedEnvironment, suffix: str) -> dict[Letter, Template]:
    return {letter: environment.get_template(f"letters/{letter}.{suffix}") for letter in Letter}


def _shown(value: Any) -> str:
    """Make every printed value visible, so that no template can forget to."""
    shown = reveal(str(value))
    return Markup(shown) if isinstance(value, Markup) else shown  # noqa: S704 - it was escaped before


def _fill(text: str) -> str:
    """Wrap a sentence, never in front of a verb."""
    glued = _VERB.sub(_GLUE, text)
    wrapped = textwrap.fill(glued, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return wrapped.replace(_GLUE, " ")


def _mark(text: str) -> str:
    """Put a mark before each line, so that no line of a value can pass for one of ours."""
    return "\n".join(f"    | {line}" if line else "    |" for line in text.split("\n"))


def _tidy(text: str) -> str:
    """Leave one empty line between parts. Values are not touched: their empty lines are marked."""
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"
