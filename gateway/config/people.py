"""The configured rules and people as the core's own values."""

import json
from collections.abc import Mapping

from gateway.config.tables import Config, Graph, LowRule, Rules
from gateway.core.policy import Answers, GraphRule, Policy, Reviewer, Risk, Rule
from gateway.core.vocabulary import Verb


def policy(config: Config) -> Policy:
    """Take rules and reviewers out of the configuration; a person without a time zone gets the gateway's."""
    rules = {risk: _rule(table) for risk, table in by_risk(config.policy).items()}
    reviewers = tuple(
        Reviewer(
            email=person.email,
            name=person.name,
            aliases=person.aliases,
            roles=person.roles,
            timezone=person.timezone or config.gateway.timezone,
            language=person.language or config.gateway.language,
        )
        for person in config.reviewers
    )
    own = config.mail.words
    words = {Verb.APPROVE: own.approve, Verb.REJECT: own.reject, Verb.MODIFY: own.modify}
    graphs = {name: _graph_rule(table) for name, table in config.graphs.items()}
    spoken = tuple((word, verb) for verb, each in words.items() for word in each)
    return Policy(rules, reviewers, spoken, graphs)


def by_risk(rules: Rules) -> Mapping[Risk, LowRule]:
    """Give each risk its table."""
    return {Risk.LOW: rules.low, Risk.MEDIUM: rules.medium, Risk.HIGH: rules.high}


def _graph_rule(table: Graph) -> GraphRule:
    risks = dict.fromkeys(table.low_risk, Risk.LOW) | dict.fromkeys(table.medium_risk, Risk.MEDIUM)
    answers = None
    if table.approve_with is not None and table.reject_with is not None:
        answers = Answers(json.loads(table.approve_with), json.loads(table.reject_with))
    return GraphRule(risks=risks, answers=answers)


def _rule(table: LowRule) -> Rule:
    return Rule(
        decide=table.decide,
        roles=table.roles,
        quorum=table.quorum,
        expires=table.expires,
        channels=table.channels,
        edit_approves=table.edit_approves,
    )
