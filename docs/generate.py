# ruff: noqa: INP001  docs is a folder of pages, not a package
"""Write what is made from the code: `config.toml`, the configuration manual and the states.

`python -m docs.generate` writes the files, `--check` names those that differ and exits 1.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from gateway import config
from gateway.core.approval import TRANSITIONS, Fact, State
from gateway.core.execution import ROW_TRANSITIONS, RowState

ROOT = Path(__file__).resolve().parent.parent

_STATES_OPENING = """\
# The states

Two machines, each one table in one file; what is not in its table is forbidden. This page is made from
them.

## An approval: what people said

`TRANSITIONS` in `gateway/core/approval.py`. The question leaves `open` once, and every other state is final.
"""
_ROWS_OPENING = """\
## An outbox row: whether the world was told

`ROW_TRANSITIONS` in `gateway/core/execution.py`. Only an approved action passes through
`in_flight`; found there after a crash, it is in doubt until a person resolves it.
"""


def generated() -> dict[str, str]:
    """Return every generated file's contents by its path in the repository."""
    return {
        "config.toml": config.sample(),
        "docs/configuration.md": config.describe(),
        "docs/states.md": states(),
    }


def states() -> str:
    """Draw the table of states, as a diagram and in words."""
    diagram = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.OPEN}", *_arrows(), *_ends(), "```", ""]
    table = ["| From | Fact | To | Meaning |", "| --- | --- | --- | --- |", *_rows()]
    return "\n".join([_STATES_OPENING, *diagram, *table, "", _ROWS_OPENING, *_row_diagram(), ""])


def _row_diagram() -> Iterator[str]:
    yield from ("```mermaid", "stateDiagram-v2", f"    [*] --> {RowState.QUEUED}")
    for state, following in ROW_TRANSITIONS.items():
        yield from (f"    {state} --> {each}" for each in RowState if each in following)
        if not following:
            yield f"    {state} --> [*]"
    yield "```"


def _steps() -> Iterator[tuple[State, type[Fact], State]]:
    for state, row in TRANSITIONS.items():
        for fact, following in row.items():
            yield state, fact, following


def _arrows() -> Iterator[str]:
    return (f"    {state} --> {following}: {fact.__name__}" for state, fact, following in _steps())


def _ends() -> Iterator[str]:
    return (f"    {state} --> [*]" for state, row in TRANSITIONS.items() if not row)


def _rows() -> Iterator[str]:
    return (
        f"| `{state}` | {fact.__name__} | `{following}` | {fact.__doc__} |"
        for state, fact, following in _steps()
    )


def _differs(name: str, contents: str) -> bool:
    path = ROOT / name
    return not path.exists() or path.read_text(encoding="utf-8") != contents


def main(arguments: list[str]) -> str | None:
    """Write or compare all files; what is returned is the message to exit with."""
    differing = {name: contents for name, contents in generated().items() if _differs(name, contents)}
    if "--check" in arguments:
        return f"not as generated, run python -m docs.generate: {', '.join(differing)}" if differing else None
    for name, contents in differing.items():
        (ROOT / name).write_text(contents, encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
