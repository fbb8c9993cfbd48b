"""Who may decide what: one rule per risk, the people it asks, and the named reasons to refuse a vote."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from gateway.core.vocabulary import Verb

POLICY = "policy"
"""The voter's name where a rule lets an action pass without people."""


class Risk(StrEnum):
    """Low reads, medium creates, high changes, deletes or sends outside."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Decider(StrEnum):
    """Who answers at a risk: the rule itself, or people."""

    AUTO = "auto"
    PEOPLE = "people"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one risk asks for. A copy is kept with each approval, so that a later edit does not reach it."""

    decide: Decider = Decider.PEOPLE
    roles: tuple[str, ...] = ()
    """Roles of which a reviewer needs one; empty asks every reviewer."""
    quorum: int = 1
    """How many different persons must approve."""
    expires: timedelta = timedelta(hours=24)
    channels: tuple[str, ...] = ("reply", "link", "cli", "api")
    """The doors through which a vote counts."""
    edit_approves: bool = False
    """Whether an edit whose diff its editor has seen is also the editor's approval of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewer:
    """A person who may be asked; `email` is the identity, `aliases` other addresses of the same one."""

    email: str
    name: str
    aliases: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    timezone: str = "UTC"
    language: str = "en"
    """The language whose verbs count besides English, as ISO 639-1 code."""

    @property
    def addresses(self) -> frozenset[str]:
        """Every address of this person, lower case."""
        return frozenset(address.lower() for address in (self.email, *self.aliases))


@dataclass(frozen=True, slots=True)
class Ruling:
    """The rule for one question and the persons it asks."""

    rule: Rule
    reviewers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """How a graph with payloads of its own is answered, in plain JSON."""

    approve: Any
    reject: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRule:
    """What the configuration knows of a foreign graph: its tools' risks, and how it is answered."""

    risks: Mapping[str, Risk] = field(default_factory=dict)
    """The risk of a tool by its name; a tool that is not here is high."""
    answers: Answers | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules and all people, from the configuration."""

    rules: Mapping[Risk, Rule]
    reviewers: tuple[Reviewer, ...]
    words: tuple[tuple[str, Verb], ...] = ()
    """The operator's own words for the verbs of a reply."""
    graphs: Mapping[str, GraphRule] = field(default_factory=dict)
    """What is known of the foreign graphs, by name."""

    def ruling(self, risk: Risk, *, is_long: bool = False) -> Ruling:
        """Name the rule and the reviewers for a question of this risk; nobody is asked under an auto rule.

        What is too long for a mail is not decided by reply: programs show its beginning and fold the rest.
        """
        rule = self.rules[risk]
        if is_long:
            rule = replace(rule, channels=tuple(door for door in rule.channels if door != "reply"))
        if rule.decide is Decider.AUTO:
            return Ruling(rule, ())
        return Ruling(rule, tuple(person.email for person in self.reviewers if _has_role(person, rule)))

    def person(self, address: str) -> Reviewer | None:
        """Find the reviewer one of whose addresses this is, compared without case and nothing else."""
        wanted = address.lower()
        return next((person for person in self.reviewers if wanted in person.addresses), None)


def higher(one: Risk, other: Risk) -> Risk:
    """Return the graver of two assessments."""
    order = list(Risk)
    return max(one, other, key=order.index)


def _has_role(person: Reviewer, rule: Rule) -> bool:
    return not rule.roles or bool(set(rule.roles) & set(person.roles))
