"""Threads are started, read and answered at most once, whatever came between."""

import asyncio
import itertools
import os
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

import ormsgpack
import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.errors import UnknownInterruptError
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from gateway.agent import Proposed, build
from gateway.graphs import (
    Builder,
    GraphChangedError,
    GraphFailedError,
    Graphs,
    GraphsUnavailableError,
    NotPendingError,
    Progress,
    sqlite_saver,
)
from gateway.graphs.engine import _strictly

Saver = BaseCheckpointSaver[str]


class State(TypedDict, total=False):
    first: str
    second: str
    final_result: str


class Chain:
    """A graph that asks twice, in two nodes or in one, counts its nodes' runs and fails where it is told."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.fails: set[str] = set()

    def _run(self, node: str) -> None:
        self.runs[node] += 1
        if node in self.fails:
            self.fails.remove(node)
            raise ConnectionError(f"{node} broke")

    def two_nodes(self, *, gate: str = "gate") -> Builder:
        async def plan(state: State) -> State:
            self._run("plan")
            return {}

        async def ask(state: State) -> State:
            answer = interrupt("first?")
            self._run("gate")
            return {"first": answer}

        async def execute(state: State) -> State:
            self._run("execute")
            return {}

        async def ask_more(state: State) -> State:
            return {"second": interrupt("second?")}

        async def respond(state: State) -> State:
            return {"final_result": f"{state['first']}, {state['second']}"}

        nodes = {"plan": plan, gate: ask, "execute": execute, "more": ask_more, "respond": respond}
        return _chained(nodes)

    def one_node(self) -> Builder:
        async def ask(state: State) -> State:
            first = interrupt("first?")
            self._run("between")
            return {"final_result": f"{first}, {interrupt('second?')}"}

        return _chained({"gate": ask})


def _chained(nodes: dict[str, Any]) -> Builder:
    graph = StateGraph(State)
    names = [START, *nodes, END]
    for name, node in nodes.items():
        graph.add_node(name, node)
    for before, after in pairwise(names):
        graph.add_edge(before, after)
    return graph


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
async def saver(tmp_path: Path) -> AsyncIterator[Saver]:
    async with sqlite_saver(tmp_path / "checkpoints.db") as opened:
        yield opened


@pytest.fixture(params=[frozenset[str](), frozenset({"one", "two"})], ids=["saved", "replayable"])
def graphs(request: pytest.FixtureRequest, saver: Saver, chain: Chain) -> Graphs:
    builders = {"two": chain.two_nodes(), "one": chain.one_node()}
    return Graphs(saver, builders, replayable_starts=request.param)


async def begin(graphs: Graphs, graph: str = "two", thread: str = "t") -> str:
    return the_question(await graphs.start(graph, thread, {"first": ""}))


def the_question(progress: Progress) -> str:
    (question,) = progress.pending
    assert not progress.finished
    return question.id


# --- from start to end -------------------------------------------------------------------------------------


async def test_a_thread_asks_is_answered_and_ends(graphs: Graphs) -> None:
    """Each answer leads to the next question, and at the end the state's result is told."""
    first = await graphs.start("two", "t", {})
    assert [each.value for each in first.pending] == ["first?"]
    second = await graphs.resume("two", "t", the_question(first), "yes", again=False)
    assert [each.value for each in second.pending] == ["second?"]
    end = await graphs.resume("two", "t", the_question(second), "no", again=False)
    assert end == Progress(pending=(), finished=True, result="yes, no")
    assert await graphs.pending("two", "t") == end


async def test_reading_changes_nothing(graphs: Graphs, chain: Chain) -> None:
    """`pending` runs no node, and knows nothing of a thread that was never started."""
    first = await graphs.start("two", "t", {})
    assert await graphs.pending("two", "t") == first
    assert await graphs.pending("two", "unknown") == Progress(pending=(), finished=False)
    assert chain.runs == {"plan": 1}


async def test_starting_twice_is_starting_once(graphs: Graphs, chain: Chain) -> None:
    """A repeated start reports what is pending, and does not discard it for a new run."""
    first, second = await asyncio.gather(graphs.start("two", "t", {}), graphs.start("two", "t", {}))
    assert first == second
    assert chain.runs["plan"] == 1


async def test_a_start_that_broke_goes_on_where_it_broke(graphs: Graphs, chain: Chain) -> None:
    """F50: a raising node is reported, and starting again runs it again."""
    chain.fails.add("plan")
    with pytest.raises(GraphFailedError, match="ConnectionError: plan broke"):
        await graphs.start("two", "t", {})
    assert (await graphs.start("two", "t", {})).pending
    assert chain.runs["plan"] == 2


async def test_a_replayable_start_is_saved_once(saver: Saver, chain: Chain) -> None:
    """What has no effects before its first question is saved only when it stops there."""
    await begin(Graphs(saver, {"two": chain.two_nodes()}, replayable_starts={"two"}))
    saved = [each async for each in saver.alist({"configurable": {"thread_id": "t"}})]
    assert len(saved) == 1


async def test_the_builtin_graph_survives_a_restart(tmp_path: Path) -> None:
    """A new saver on the same file, as after a restart, goes on at the same question."""

    async def planner(request: str) -> Proposed:
        return Proposed("send_email", "Sends it.", {"to": ["team@example.com"]}, "high")

    path = tmp_path / "checkpoints.db"
    async with sqlite_saver(path) as saver:
        asked = await Graphs(saver, {"builtin": build(planner)}).start("builtin", "t", {"user_request": "go"})
    async with sqlite_saver(path) as saver:
        graphs = Graphs(saver, {"builtin": build(planner)})
        assert await graphs.pending("builtin", "t") == asked
        value = {"decision": "approved", "feedback": "", "approval": "A", "digest": "d"}
        granted = await graphs.resume("builtin", "t", the_question(asked), value, again=False)
    async with sqlite_saver(path) as saver:
        graphs = Graphs(saver, {"builtin": build(planner)})
        receipt = {"status": "done", "summary": "Sent.", "detail": {}}
        end = await graphs.resume("builtin", "t", the_question(granted), receipt, again=False)
    assert end == Progress(pending=(), finished=True, result="Sent.")


# --- at most once ------------------------------------------------------------------------------------------


async def test_concurrent_resumes_execute_once(graphs: Graphs, chain: Chain) -> None:
    """T08: of two resumes at the same moment one runs and the other is refused, in each of 30 threads."""

    async def race(thread: str) -> None:
        question = await begin(graphs, thread=thread)
        answers = (graphs.resume("two", thread, question, word, again=False) for word in ("yes", "no"))
        won, lost = await asyncio.gather(*answers, return_exceptions=True)
        assert isinstance(won, Progress)
        assert isinstance(lost, NotPendingError)

    await asyncio.gather(*(race(f"t{number}") for number in range(30)))
    assert chain.runs["execute"] == 30


async def test_threads_do_not_wait_for_each_other(saver: Saver) -> None:
    """Only the same thread is taken in turns: two threads meet at a barrier inside their nodes."""
    meeting = asyncio.Barrier(2)

    async def meet(state: State) -> State:
        async with asyncio.timeout(10):
            await meeting.wait()
        return {"final_result": "met"}

    graphs = Graphs(saver, {"meet": _chained({"meet": meet})})
    ends = await asyncio.gather(*(graphs.start("meet", thread, {}) for thread in ("a", "b")))
    assert [end.result for end in ends] == ["met", "met"]
    assert not graphs._turns


@pytest.mark.parametrize("graph", ["two", "one"])
async def test_a_late_duplicate_never_answers_the_next_question(graphs: Graphs, graph: str) -> None:
    """T07: with the next question waiting, in another node or the same one, the first answer is refused."""
    first = await begin(graphs, graph)
    waiting = await graphs.resume(graph, "t", first, "yes", again=False)
    with pytest.raises(NotPendingError, match="does not wait for"):
        await graphs.resume(graph, "t", first, "yes", again=False)
    assert await graphs.resume(graph, "t", first, "yes", again=True) == waiting
    assert await graphs.pending(graph, "t") == waiting


async def test_an_answer_to_a_finished_thread_changes_nothing(graphs: Graphs, chain: Chain) -> None:
    """Whoever comes after the end gets the end."""
    first = await begin(graphs)
    second = the_question(await graphs.resume("two", "t", first, "yes", again=False))
    end = await graphs.resume("two", "t", second, "no", again=False)
    ran = chain.runs.copy()
    for again in (False, True):
        assert await graphs.resume("two", "t", second, "other", again=again) == end
    assert chain.runs == ran


@pytest.mark.parametrize("again", [False, True])
async def test_an_unknown_thread_is_not_started_by_an_answer(
    graphs: Graphs, chain: Chain, *, again: bool
) -> None:
    """F49: an answer to a thread without checkpoints is refused, and no planner runs on nothing."""
    with pytest.raises(NotPendingError, match="never started"):
        await graphs.resume("two", "t", "0" * 32, "yes", again=again)
    assert not chain.runs


async def test_langgraph_itself_refuses_what_is_not_pending(graphs: Graphs) -> None:
    """The private key still makes LangGraph strict: without it, answer one would answer question two."""
    first = await begin(graphs, "one")
    waiting = await graphs.resume("one", "t", first, "yes", again=False)
    with pytest.raises(UnknownInterruptError):
        await graphs._graphs["one"].engine.ainvoke(Command(resume={first: "yes"}), _strictly("t"))
    assert await graphs.pending("one", "t") == waiting


async def test_what_is_no_interrupts_id_answers_nothing(graphs: Graphs) -> None:
    """LangGraph would hand an answer without a proper address to whatever is asked."""
    await begin(graphs)
    with pytest.raises(NotPendingError):
        await graphs.resume("two", "t", "interrupt-1", "yes", again=False)
    assert (await graphs.pending("two", "t")).pending


# --- what an earlier attempt left --------------------------------------------------------------------------


async def test_another_attempt_answers_what_still_asks(graphs: Graphs, chain: Chain) -> None:
    """F05: cut off before the graph was reached, the second attempt resumes once."""
    question = await begin(graphs)
    assert (await graphs.resume("two", "t", question, "yes", again=True)).pending
    assert chain.runs == {"plan": 1, "gate": 1, "execute": 1}


@pytest.mark.parametrize("node", ["gate", "execute"])
async def test_another_attempt_plays_out_a_stored_answer(graphs: Graphs, chain: Chain, node: str) -> None:
    """F06: cut off in the middle, the second attempt goes on with the first one's answer, not its own."""
    question = await begin(graphs)
    chain.fails.add(node)
    with pytest.raises(GraphFailedError, match=f"{node} broke"):
        await graphs.resume("two", "t", question, "yes", again=False)
    waiting = await graphs.resume("two", "t", question, "no", again=True)
    end = await graphs.resume("two", "t", the_question(waiting), "done", again=False)
    assert end.result == "yes, done"


@pytest.mark.parametrize("fatal", [1, 2, 3, 4])
async def test_another_attempt_takes_in_what_was_half_saved(
    graphs: Graphs, chain: Chain, monkeypatch: pytest.MonkeyPatch, fatal: int
) -> None:
    """F06: cut off between a node's writes and their checkpoint, the thread goes on and repeats no node."""
    question = await begin(graphs)
    save, saved = AsyncSqliteSaver.aput, itertools.count(1)

    async def cut_off(*checkpoint: Any) -> Any:
        if next(saved) == fatal:
            raise sqlite3.OperationalError("cut off")
        return await save(*checkpoint)

    async def answer(question: str, value: str) -> Progress:
        try:
            return await graphs.resume("two", "t", question, value, again=False)
        except GraphsUnavailableError:
            return await graphs.resume("two", "t", question, "never mind", again=True)

    monkeypatch.setattr(AsyncSqliteSaver, "aput", cut_off)
    waiting = await answer(question, "yes")
    assert [each.value for each in waiting.pending] == ["second?"]
    end = await answer(the_question(waiting), "done")
    assert (end.finished, end.result) == (True, "yes, done")
    assert (await graphs.pending("two", "t")).finished
    assert chain.runs == {"plan": 1, "gate": 1, "execute": 1}


async def test_another_attempt_does_not_answer_the_next_question_of_the_node(
    graphs: Graphs, chain: Chain
) -> None:
    """A node that broke between two questions asks the second, instead of taking the first answer again."""
    question = await begin(graphs, "one")
    chain.fails.add("between")
    with pytest.raises(GraphFailedError):
        await graphs.resume("one", "t", question, "yes", again=False)
    waiting = await graphs.resume("one", "t", question, "yes", again=True)
    assert [each.value for each in waiting.pending] == ["second?"]


async def test_a_graph_that_lost_its_node_is_not_finished(saver: Saver, chain: Chain) -> None:
    """F49: after a change of code the answer is refused and kept for when the node is back."""
    question = await begin(Graphs(saver, {"two": chain.two_nodes()}))
    changed = Graphs(saver, {"two": chain.two_nodes(gate="renamed")})
    with pytest.raises(GraphChangedError):
        await changed.resume("two", "t", question, "yes", again=False)
    with pytest.raises(GraphChangedError):
        await changed.pending("two", "t")
    restored = Graphs(saver, {"two": chain.two_nodes()})
    assert (await restored.resume("two", "t", question, "yes", again=True)).pending


async def test_checkpoints_that_cannot_be_written_are_nobodys_answer(
    graphs: Graphs, saver: Saver, chain: Chain
) -> None:
    """F10: while the disk refuses, the attempt is put off, and a later one finds everything as it was."""
    question = await begin(graphs)
    assert isinstance(saver, AsyncSqliteSaver)
    await saver.conn.execute("PRAGMA query_only=ON")
    with pytest.raises(GraphsUnavailableError):
        await graphs.resume("two", "t", question, "yes", again=False)
    await saver.conn.execute("PRAGMA query_only=OFF")
    assert (await graphs.resume("two", "t", question, "yes", again=True)).pending
    assert chain.runs["execute"] == 1


# --- the checkpoints' file ---------------------------------------------------------------------------------


def modes(directory: Path) -> set[int]:
    return {each.stat().st_mode & 0o777 for each in directory.iterdir()}


async def test_the_file_is_private_and_durable(tmp_path: Path) -> None:
    """T26: nobody else reads the checkpoints, even in a file that was open to all; a commit is on disk."""
    path = tmp_path / "checkpoints.db"
    path.touch(mode=0o644)
    async with sqlite_saver(path) as saver:
        assert isinstance(saver, AsyncSqliteSaver)
        assert modes(tmp_path) == {0o600}
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2)):
            async with saver.conn.execute(f"PRAGMA {pragma}") as cursor:
                assert await cursor.fetchone() == (value,)


async def test_closing_ends_the_savers_thread(tmp_path: Path) -> None:
    """Nothing of the saver keeps the process alive."""
    before = set(threading.enumerate())
    async with sqlite_saver(tmp_path / "checkpoints.db"):
        ours = set(threading.enumerate()) - before
    assert ours
    for thread in ours:
        thread.join(timeout=10)
        assert not thread.is_alive()


def crafted(marker: Path) -> bytes:
    """A value that, read permissively, runs a command."""
    return ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(("os", "system", f"touch '{marker}'"))))


def infect_values(path: Path, payload: bytes) -> None:
    with sqlite3.connect(path) as database:
        (blob,) = database.execute(
            "SELECT checkpoint FROM checkpoints ORDER BY checkpoint_id DESC"
        ).fetchone()
        checkpoint = JsonPlusSerializer().loads_typed(("msgpack", blob))
        whole = ormsgpack.packb(checkpoint | {"channel_values": {"first": "INFECTED"}})
        spliced = whole.replace(ormsgpack.packb("INFECTED"), payload)
        database.execute("UPDATE checkpoints SET checkpoint = ?", [spliced])
    database.close()


def infect_writes(path: Path, payload: bytes) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE writes SET type = 'msgpack', value = ?", [payload])
    database.close()


@pytest.mark.parametrize("infect", [infect_values, infect_writes])
async def test_a_crafted_row_runs_nothing(
    tmp_path: Path, chain: Chain, infect: Callable[[Path, bytes], None]
) -> None:
    """T26: a payload that a permissive reader would run is at most an error."""
    path, marker = tmp_path / "checkpoints.db", tmp_path / "marker"
    async with sqlite_saver(path) as saver:
        question = await begin(Graphs(saver, {"two": chain.two_nodes()}))
    infect(path, crafted(marker))
    async with sqlite_saver(path) as saver:
        graphs = Graphs(saver, {"two": chain.two_nodes()})
        await asyncio.gather(
            graphs.pending("two", "t"),
            graphs.resume("two", "t", question, "yes", again=True),
            return_exceptions=True,
        )
    assert not marker.exists()


def test_the_crafted_row_is_a_real_one(tmp_path: Path) -> None:
    """T26: the same payload does run where everything is allowed, so the test above is not empty."""
    marker = tmp_path / "marker"
    permissive = JsonPlusSerializer(allowed_msgpack_modules=True)
    permissive.loads_typed(("msgpack", crafted(marker)))
    assert marker.exists()


def test_graphs_refuse_a_permissive_langgraph() -> None:
    """T26: where LangGraph was imported first, and so is permissive, the message says what to do."""
    code = "import langgraph.checkpoint.serde.jsonplus; from gateway.graphs import Graphs; Graphs(None, {})"
    environment = {name: value for name, value in os.environ.items() if "MSGPACK" not in name}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "UnsafeCheckpointsError: LangGraph would run code" in ended.stderr
    assert "import gateway before langgraph" in ended.stderr
