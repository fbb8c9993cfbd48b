"""The first invariant of docs/architecture.md, read off the source of gateway/core."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway.core

MODULES = sorted(Path(gateway.core.__file__).parent.rglob("*.py"))
WAITING = frozenset({"asyncio", "concurrent", "multiprocessing", "subprocess", "threading"})
OUTSIDE = frozenset(
    {"aiosqlite", "io", "logging", "os", "pathlib", "shutil", "socket", "sqlite3", "structlog"}
)
TIME_AND_CHANCE = frozenset({"random", "secrets", "tempfile", "time", "uuid"})
FORBIDDEN_MODULES = WAITING | OUTSIDE | TIME_AND_CHANCE | {"importlib"}
FORBIDDEN_BUILTINS = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})
CLOCKS = frozenset({"now", "today", "utcnow"})


def impurities(source: str) -> Iterator[str]:
    """Name everything that waits, reaches outside, or asks for the time or for chance."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.AsyncFunctionDef() | ast.Await():
                yield f"{node.lineno}: {type(node).__name__}"
            case ast.comprehension(is_async=1):
                yield f"{node.target.lineno}: async comprehension"
            case ast.Import(names=names):
                yield from (f"{node.lineno}: import {each.name}" for each in names if forbidden(each.name))
            case ast.ImportFrom(module=str(module)) if forbidden(module):
                yield f"{node.lineno}: from {module}"
            case ast.Name(id=name) if name in FORBIDDEN_BUILTINS:
                yield f"{node.lineno}: {name}"
            case ast.Attribute(attr=name, value=ast.Name() | ast.Attribute()) if name in CLOCKS:
                yield f"{node.lineno}: .{name}"


def forbidden(module: str) -> bool:
    return module.partition(".")[0] in FORBIDDEN_MODULES


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_core_neither_waits_nor_reaches_outside(module: Path) -> None:
    """A module of the core awaits, opens, prints and logs nothing, and is told time and chance."""
    assert list(impurities(module.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f(): pass",
        "await f()",
        "def f(): return (x async for x in g())",
        "import os.path",
        "import re, time as clock",
        "from time import monotonic",
        "from logging.handlers import SocketHandler",
        "def f():\n    import asyncio",
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "clock = date.today",
        "open('f').read()",
        "print('x')",
        "write = print",
    ],
)
def test_impurities_are_found(source: str) -> None:
    """Whatever would break the invariant is seen, also under another name or inside a function."""
    assert list(impurities(source))


def test_the_whole_core_is_read() -> None:
    """The modules that decide are among those that were looked at."""
    assert {"approval", "reply", "sender", "policy", "tokens"} <= {module.stem for module in MODULES}
