"""The configured rules and people as the core's own values."""

from collections.abc import Mapping

from gateway.config.tables import Config, LowRule, Rules
from gateway.core.policy import Policy, Reviewer, Risk, Rule


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
        )
        for person in config.reviewers
    )
    return Policy(rules, reviewers)


def by_risk(rules: Rules) -> Mapping[Risk, LowRule]:
    """Give each risk its table."""
    return {Risk.LOW: rules.low, Risk.MEDIUM: rules.medium, Risk.HIGH: rules.high}


def _rule(table: LowRule) -> Rule:
    return Rule(
        decide=table.decide,
        roles=table.roles,
        quorum=table.quorum,
        expires=table.expires,
        channels=table.channels,
        edit_approves=table.edit_approves,
    )
