"""Drives LangGraph: starts threads, reads what they ask, and answers each question at most once."""

from gateway.graphs.engine import (
    Builder,
    GraphBusyError,
    GraphChangedError,
    GraphFailedError,
    GraphInDoubtError,
    Graphs,
    GraphsError,
    GraphsUnavailableError,
    NotPendingError,
    Pending,
    Progress,
    UnsafeCheckpointsError,
    assert_strict,
    sqlite_saver,
)
from gateway.graphs.foreign import Foreign, GraphLoadError, Kind, Saver, load, scratch_saver
from gateway.graphs.server import Server, ServerSettings, Waiting

__all__ = [
    "Builder",
    "Foreign",
    "GraphBusyError",
    "GraphChangedError",
    "GraphFailedError",
    "GraphInDoubtError",
    "GraphLoadError",
    "Graphs",
    "GraphsError",
    "GraphsUnavailableError",
    "Kind",
    "NotPendingError",
    "Pending",
    "Progress",
    "Saver",
    "Server",
    "ServerSettings",
    "UnsafeCheckpointsError",
    "Waiting",
    "assert_strict",
    "load",
    "scratch_saver",
    "sqlite_saver",
]
