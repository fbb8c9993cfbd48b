"""An OpenAI-compatible server that answers as its script says, and remembers what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; without a body its headers never end."""

    body: dict[str, Any] | None
    status: int = 200


@dataclass
class Model:
    """The running server: the last reply is repeated, and `asked` holds every request's JSON."""

    script: list[Reply]
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    base_url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.keys.append(headers["authorization"].removeprefix("bearer "))
        self.asked.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if reply.body is None:
            await _trickle(reader, writer)
        else:
            writer.write(_http(reply))
            await writer.drain()
        writer.close()


@asynccontextmanager
async def model(*script: Reply) -> AsyncIterator[Model]:
    """Serve the script on loopback."""
    served = Model(list(script))
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    async with server:
        served.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield served


def completion(content: str | None, *, finish: str = "stop", **message: Any) -> Reply:
    """A chat completion whose message is `content`."""
    message = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "finish_reason": finish, "message": message}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return Reply(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    )


def tool_call(name: str, arguments: str, *, finish: str = "tool_calls") -> Reply:
    """A chat completion that calls one function."""
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return completion(None, finish=finish, tool_calls=[call])


def refusal(status: int, code: str) -> Reply:
    """An HTTP error as OpenAI words it."""
    return Reply({"error": {"message": f"no: {code}", "type": code, "code": code}}, status)


async def _trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 Scripted\r\n")
    while not reader.at_eof():
        writer.write(b"x-more: yes\r\n")
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.02)


def _http(reply: Reply) -> bytes:
    body = json.dumps(reply.body).encode()
    lines: Sequence[str] = (
        f"HTTP/1.1 {reply.status} Scripted",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "retry-after-ms: 1",
        "connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + body
