"""Graphs that others wrote: loaded by their path, put on our saver, and known again by their shape."""

import copy
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel

Engine = Pregel[Any, Any, Any, Any]
Saver = BaseCheckpointSaver[str]


class Kind(StrEnum):
    """What stands at a graph's path."""

    COMPILED = "compiled graph"
    BUILDER = "builder"
    FACTORY = "factory"


class GraphLoadError(Exception):
    """A graph cannot be used; the message says what was found and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A graph of somebody else's over our saver.

    `replay` is the operator's word that its nodes may run again after a crash. `had_saver` says that it came
    with a saver of its own, which is not used.
    """

    engine: Engine
    kind: Kind
    replay: bool = False
    had_saver: bool = False

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes, without those that LangGraph adds."""
        return tuple(name for name in self.engine.nodes if not name.startswith("__"))

    @property
    def breakpoints(self) -> tuple[str, ...]:
        """The nodes around which it stops without asking anything."""
        return breakpoints(self.engine)

    @property
    def inputs(self) -> frozenset[str]:
        """The fields that it can be started with; empty where that cannot be told."""
        builder = self.engine.builder if isinstance(self.engine, CompiledStateGraph) else None
        return frozenset(builder.schemas[builder.input_schema]) if builder else frozenset()

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that are found in its nodes, which need not be all of them."""
        nodes = (getattr(node, "bound", None) for node in self.engine.nodes.values())
        return tuple(sorted({name for node in nodes for name in getattr(node, "tools_by_name", ())}))

    @property
    def fingerprint(self) -> str:
        """The SHA-256, in hex, of the names of its nodes and edges; other code has another one, mostly."""
        return sha256(json.dumps(_shape(self.engine), sort_keys=True).encode()).hexdigest()


def scratch_saver() -> Saver:
    """Return a saver that keeps nothing, to look at a graph with."""
    return InMemorySaver()


def load(path: str, directory: Path, saver: Saver, *, replay: bool = False) -> Foreign:
    """Import `package.module:attribute` and put the graph that is there on `saver`.

    What is installed is found first, then what lies in `directory`, which stays on the import path: a graph
    imports its own modules when it runs. Its code runs here, with everything that this process may do.

    Raises:
        GraphLoadError: there is no such thing, it is no graph, or its own code raised.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise GraphLoadError(f"{path!r} is no path of a graph: write package.module:attribute")
    found = _attribute(_module(module_name, directory), attribute, path)
    match found:
        case Pregel():
            return Foreign(
                engine=_on(found, saver),
                kind=Kind.COMPILED,
                replay=replay,
                had_saver=bool(found.checkpointer),
            )
        case StateGraph():
            return Foreign(engine=_compiled(found, saver, path), kind=Kind.BUILDER, replay=replay)
        case _ if callable(found):
            return Foreign(engine=_made(found, saver, path), kind=Kind.FACTORY, replay=replay)
    raise GraphLoadError(
        f"{path} is {_named(found)}; it must be a compiled graph, a StateGraph, or a function that takes a"
        " saver and returns one of them"
    )


def breakpoints(engine: Engine) -> tuple[str, ...]:
    """List the nodes before or after which a graph is compiled to stop."""
    listed = (engine.interrupt_before_nodes, engine.interrupt_after_nodes)
    return tuple(name for names in listed for name in ([names] if isinstance(names, str) else names))


def _module(name: str, directory: Path) -> Any:
    # Behind everything else, so that a file there cannot stand in for something that is installed.
    if str(directory) not in sys.path:
        sys.path.append(str(directory))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        where = f"it is neither installed nor in {directory}"
        raise GraphLoadError(f"there is no module {error.name!r}, which {name} needs: {where}") from error
    except Exception as error:
        raise GraphLoadError(f"importing {name} raised {type(error).__name__}: {error}") from error


def _attribute(module: Any, attribute: str, path: str) -> Any:
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = sorted(name for name, each in vars(module).items() if _is_graph(each))
            hint = f"; graphs in it: {', '.join(names)}" if names else ""
            raise GraphLoadError(f"{path}: {module.__name__} has no {attribute}{hint}")
        found = getattr(found, part)
    return found


def _made(factory: Callable[..., Any], saver: Saver, path: str) -> Engine:
    try:
        made = factory(saver)
    except Exception as error:
        raise GraphLoadError(
            f"{path}, called with the saver, raised {type(error).__name__}: {error}"
        ) from error
    if inspect.iscoroutine(made):
        made.close()
        raise GraphLoadError(f"{path} is async; a factory must be a plain function")
    if isinstance(made, StateGraph):
        return _compiled(made, saver, path)
    if isinstance(made, Pregel):
        return _on(made, saver)
    raise GraphLoadError(f"{path} returned {_named(made)}, and no graph")


def _compiled(builder: Any, saver: Saver, path: str) -> Engine:
    try:
        return _on(builder.compile(checkpointer=saver), saver)
    except Exception as error:
        raise GraphLoadError(f"{path} does not compile: {error}") from error


def _on(engine: Engine, saver: Saver) -> Engine:
    """Keep all that a graph was compiled with, but for where its checkpoints go.

    Pregel's own `copy` forgets which types of the graph's state may be read back from a checkpoint.
    """
    moved = copy.copy(engine)
    moved.checkpointer = saver
    return moved


def _shape(engine: Any) -> Mapping[str, Any]:
    builder = engine.builder if isinstance(engine, CompiledStateGraph) else None
    shape: dict[str, Any] = {"nodes": sorted(engine.nodes), "breakpoints": sorted(breakpoints(engine))}
    if builder is not None:
        shape["edges"] = sorted([list(edge) for edge in builder.edges])
        shape["joins"] = sorted([[*starts], end] for starts, end in builder.waiting_edges)
        shape["branches"] = sorted(
            [node, name, sorted(map(str, branch.ends or ()))]
            for node, branches in builder.branches.items()
            for name, branch in branches.items()
        )
    shape["inner"] = {name: _shape(inner) for name, inner in engine.get_subgraphs()}
    return shape


def _is_graph(value: Any) -> bool:
    return isinstance(value, Pregel | StateGraph)


def _named(value: Any) -> str:
    return f"a {type(value).__name__}"
