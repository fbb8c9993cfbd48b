"""The built-in agent: planners that propose an action, and the graph that has it approved and done."""

from gateway.agent.act import act
from gateway.agent.graph import Grant, ProposedAction, Request, State, build
from gateway.agent.offline import offline_planner
from gateway.agent.planner import Declined, Method, Planner, PlannerError, Proposed, openai_planner

__all__ = [
    "Declined",
    "Grant",
    "Method",
    "Planner",
    "PlannerError",
    "Proposed",
    "ProposedAction",
    "Request",
    "State",
    "act",
    "build",
    "offline_planner",
    "openai_planner",
]
