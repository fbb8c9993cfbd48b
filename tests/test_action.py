"""The proposed action: one digest for one meaning, and edits that change nothing else."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import FIELDS, email_action
from gateway.core.action import (
    Action,
    Change,
    EditRefusedError,
    Field,
    FieldType,
    diff,
    digest,
    digest_of,
    edit,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


def test_a_digest_is_stable() -> None:
    """The canonical form is a contract: tokens and grants of running installations depend on it."""
    assert digest(email_action()) == "988112d41bc994196863284fcd5fbbbb48023ba65e3883de90b4d4a6c31053f4"


@given(st.dictionaries(TEXT, JSON), JSON)
def test_any_other_value_has_another_digest(parameters: dict[str, Any], value: Any) -> None:
    """T09: equal digests mean equal actions, and the order of keys means nothing."""
    one = Action("kind", parameters)
    other = Action("kind", {**parameters, "x": value})
    reordered = Action("kind", dict(reversed(list(copy.deepcopy(parameters).items()))))
    assert (digest(one) == digest(other)) == (parameters == {**parameters, "x": value})
    assert digest(reordered) == digest(one)


def test_one_item_stands_for_itself() -> None:
    """An approval of one action has that action's digest; of two it depends on both and their order."""
    assert digest_of(["a"]) == "a"
    assert len({digest_of(["a", "b"]), digest_of(["b", "a"]), digest_of(["a"])}) == 3


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    """T20: every other parameter stays, and the diff says exactly what changed."""
    old = email_action()
    new = edit(old, {"subject": "Q1 figures"}, FIELDS)
    assert diff(old, new) == (Change("subject", "Q1 report", "Q1 figures"),)
    assert old == email_action()


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ({"from": "evil@example.net"}, "from cannot be changed; you can change to, cc, subject, body"),
        ({"subject": 7}, "subject must be text"),
        ({"to": "team@example.com"}, "to must be a list of texts"),
        ({"to": [1]}, "to must be a list of texts"),
        ({"subject": "Q1 report"}, "nothing would change"),
        ({}, "nothing would change"),
    ],
)
def test_an_edit_that_is_not_allowed_is_refused_by_name(edits: dict[str, Any], problem: str) -> None:
    """The sentence tells the editor what to do instead."""
    with pytest.raises(EditRefusedError) as refused:
        edit(email_action(), edits, FIELDS)
    assert problem in refused.value.problems


def test_one_is_not_true() -> None:
    """T20: what Python takes for equal may be different JSON, and then it is a change that is shown."""
    old = Action("kind", {"flag": 1, "other": "x"})
    fields = [Field("flag", FieldType.JSON), Field("other", FieldType.STRING)]
    new = edit(old, {"flag": [True], "other": "y"}, fields)
    again = edit(Action("kind", {"flag": [1]}), {"flag": [True]}, fields)
    assert [change.field for change in diff(old, new)] == ["flag", "other"]
    assert [change.field for change in diff(Action("kind", {"flag": [1]}), again)] == ["flag"]


@pytest.mark.parametrize("value", [2**53 + 1, float("inf"), "\ud800"])
def test_what_has_no_exact_form_is_refused_as_an_edit(value: Any) -> None:
    """A number that readers round, and half a character, have no digest that everybody finds again."""
    with pytest.raises(EditRefusedError, match="cannot be kept exactly"):
        edit(Action("kind", {"x": [1]}), {"x": [value]}, [Field("x", FieldType.JSON)])
