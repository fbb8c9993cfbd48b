"""The one way to an action: nothing is done that was not approved as it is stored."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway
from builders import approval
from gateway.actions import ActionRefusedError, Actions
from gateway.actions.perform import Attempt, Job, UnapprovedError, perform, recomputed
from gateway.core.action import Action, digest
from gateway.core.approval import Approval, Item, State
from gateway.core.execution import Receipt, ReceiptStatus
from test_action import JSON, TEXT

PACKAGE = Path(gateway.__file__).parent
PERFORM = PACKAGE / "actions" / "perform"
ACTION = Action("ring_bell", {"times": 3, "where": "tower"})


class Bell:
    """A kind of action that only a test can do."""

    def __init__(self) -> None:
        self.rung: list[Action] = []

    async def perform(self, action: Action, attempt: Attempt) -> Receipt:
        await attempt.point_of_no_return({})
        self.rung.append(action)
        return Receipt(ReceiptStatus.DONE, "rung", {})


async def begin(evidence: Mapping[str, Any]) -> None:
    pass


def granted(action: Action = ACTION) -> Approval:
    item = Item(action=action, digest=digest(action), summary="Ring the bell", note="", editable=())
    return replace(approval(state=State.APPROVED), items=(item,))


def job(about: Approval, **changes: Any) -> Job:
    attempt = Attempt(
        approval=about.id,
        message_id="<row@example.com>",
        date=datetime(2026, 3, 2, tzinfo=UTC),
        point_of_no_return=begin,
    )
    values: dict[str, Any] = {
        "approval": about,
        "is_granted": True,
        "digest": digest(ACTION),
        "attempt": attempt,
    }
    return Job(**(values | changes))


async def test_what_was_granted_is_done_by_its_kind() -> None:
    """The performer gets exactly the stored action, and its receipt is the answer."""
    bell = Bell()
    receipt = await perform(job(granted()), {"ring_bell": bell})
    assert (receipt.summary, bell.rung) == ("rung", [ACTION])


async def test_a_kind_that_is_not_configured_is_refused() -> None:
    """An approved action whose table was taken out of the configuration since is not done."""
    bell = Bell()
    with pytest.raises(ActionRefusedError, match="ring_bell is no longer configured"):
        await perform(job(granted()), {"toll_bell": bell})
    assert bell.rung == []


def test_an_action_whose_kind_is_not_configured_is_still_shown() -> None:
    """Its letters and pages are written all the same, with every parameter."""
    rows = Actions({}).rows(ACTION)
    assert [(row.label, row.value) for row in rows] == [("times", "3"), ("where", "tower")]


@given(st.dictionaries(TEXT, JSON | st.floats(allow_nan=False, allow_infinity=False)))
def test_the_executor_digests_alike_with_other_code(parameters: dict[str, Any]) -> None:
    """T09, T16: what is granted is found again by code that shares nothing with what made the digest."""
    action = Action("ring_bell", parameters)
    assert recomputed(action) == digest(action)


@pytest.mark.parametrize("state", [state for state in State if state is not State.APPROVED])
async def test_only_an_approved_question_is_done(state: State) -> None:
    """T27: no other state of a question leads to its action."""
    bell = Bell()
    with pytest.raises(UnapprovedError):
        await perform(job(replace(granted(), state=state)), {"ring_bell": bell})
    assert bell.rung == []


@given(
    is_granted=st.booleans(),
    state=st.sampled_from(State),
    parameters=st.sampled_from([ACTION.parameters, {"times": 4, "where": "tower"}, {}]),
    stored=st.sampled_from([digest(ACTION), "0" * 64, ""]),
    asked=st.sampled_from([digest(ACTION), "f" * 64, ""]),
    items=st.integers(0, 2),
    attempted=st.sampled_from(["", "other"]),
)
async def test_nothing_but_the_very_grant_gets_through(  # noqa: PLR0917 - one argument for each thing that may be wrong
    is_granted: bool,
    state: State,
    parameters: dict[str, Any],
    stored: str,
    asked: str,
    items: int,
    attempted: str,
) -> None:
    """T09, T27: whatever state, seal, digest, number or attempt is wrong, no performer is reached."""
    bell = Bell()
    action = Action("ring_bell", parameters)
    item = Item(action=action, digest=stored, summary="", note="", editable=())
    about = replace(granted(), state=state, items=(item,) * items)
    given_job = job(about, is_granted=is_granted, digest=asked)
    if attempted:
        given_job = replace(given_job, attempt=replace(given_job.attempt, approval=attempted))
    sound = (
        is_granted
        and state is State.APPROVED
        and action == ACTION
        and stored == asked == digest(ACTION)
        and items == 1
        and not attempted
    )
    try:
        await perform(given_job, {"ring_bell": bell})
    except UnapprovedError:
        assert not sound
        assert bell.rung == []
    else:
        assert sound
        assert bell.rung == [ACTION]


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def called(tree: ast.Module) -> set[str]:
    """The last names of everything that a module calls or hands on."""
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)]
    return {node.id if isinstance(node, ast.Name) else node.attr for node in loads}


def test_nothing_else_can_call_an_action() -> None:
    """T27: the gate alone calls a performer, the outbox alone the gate, and all performers lie there."""
    callers = {path.relative_to(PACKAGE).as_posix() for path, tree in modules() if "perform" in called(tree)}
    assert callers == {"actions/perform/__init__.py", "outbox.py"}
    definitions = {
        path.parent
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name == "perform"
    }
    assert definitions == {PERFORM}


def test_only_the_outbox_and_the_composition_root_know_what_performs() -> None:
    """T27: the import wall, seen from the source: nothing else imports a performer, under whatever name."""
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path, tree in modules()
        for node in ast.walk(tree)
        if PERFORM not in path.parents and _imports_perform(node)
    }
    assert importers == {"daemon.py", "outbox.py"}


def _imports_perform(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return any(name.name.startswith("gateway.actions.perform") for name in names)
        case ast.ImportFrom(module=module, names=names):
            whole = [f"{module}.{name.name}" for name in names]
            return any(name.startswith("gateway.actions.perform") for name in whole)
    return False
