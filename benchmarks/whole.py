"""The gateway: a whole daemon on a configuration file, with its logs in a file.

`python -m benchmarks.whole DIRECTORY SMTP_PORT IMAP_PORT [PROFILE]`; with PROFILE, where its CPU time
goes is written into that file.
"""

import asyncio
import secrets
import socket
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from benchmarks.profiling import profiled
from benchmarks.subject import GATEWAY, PASSWORD, REQUESTER, REVIEWER, request, serve
from gateway import daemon
from gateway.config import load
from gateway.core.approval import Channel, Identity, Verdict
from gateway.core.execution import BUILTIN, RowState
from gateway.demo.mailserver import HOSTNAME
from gateway.log import configure, on_step
from gateway.service import Ballot
from gateway.store import Transaction

_GLANCE_SECONDS = 0.02
_CONFIG = """\
[gateway]
base_url = "http://127.0.0.1:{http_port}"
data_dir = "data"

[smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
from = "{gateway}"

[imap]
host = "127.0.0.1"
port = {imap_port}
security = "none"
username = "{gateway}"
password = "{password}"

[mail]
reply_to = "{gateway}"
authserv_id = "{authserv_id}"

[http]
port = {http_port}

[[keys]]
file = "signing-key"
created = 2026-01-01

[planner]
kind = "offline"

[[reviewers]]
name = "Alice"
email = "{reviewer}"
"""


class Whole:
    """Drives the gateway as its doors do: a request comes in, and a confirmed link decides."""

    def __init__(self, parts: daemon.Parts) -> None:
        self._service, self._store, self._mailbox = parts.service, parts.store, parts.mailbox
        self._threads: dict[str, str] = {}

    async def start(self, key: str) -> None:
        thread = await self._service.start(BUILTIN, {"user_request": request(key)}, REQUESTER)
        self._threads[key] = thread.id

    async def approve(self, key: str) -> None:
        thread = self._threads.pop(key)
        (approval,) = await self._store.read(lambda tx: tx.approvals_of(thread))
        ballot = Ballot(
            approval=approval.id,
            by=REVIEWER,
            verdict=Verdict.APPROVE,
            channel=Channel.LINK,
            identity=Identity.LINK,
        )
        await self._service.vote(ballot)

    async def settle(self) -> None:
        # From outside there is nothing to wait for but time.
        while not (self._mailbox.connected and await self._store.read(_is_idle)):  # noqa: ASYNC110  no event says so
            await asyncio.sleep(_GLANCE_SECONDS)


def _is_idle(tx: Transaction) -> bool:
    return tx.next_due() is None and not tx.outbox_in([RowState.CLAIMED, RowState.IN_FLIGHT])


def _write_config(place: Path, smtp_port: int, imap_port: int) -> Path:
    with socket.create_server(("127.0.0.1", 0)) as free:
        http_port = free.getsockname()[1]
    key = place / "signing-key"
    key.touch(mode=0o600)
    key.write_text(secrets.token_hex(32), "utf-8")
    path = place / "config.toml"
    text = _CONFIG.format(
        http_port=http_port,
        smtp_port=smtp_port,
        imap_port=imap_port,
        gateway=GATEWAY,
        authserv_id=HOSTNAME,
        reviewer=REVIEWER,
        password=PASSWORD,
    )
    path.write_text(text, "utf-8")
    return path


async def main(place: Path, smtp_port: int, imap_port: int) -> None:
    """Run the daemon, serving commands beside it until they end."""
    configure(json=True)
    resumed: list[float] = []
    on_step.append(lambda name: resumed.append(time.time()) if name == "resumed" else None)
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        config = load(_write_config(place, smtp_port, imap_port), {})
        group.create_task(daemon.run(config, stop=stop, ready=ready.set_result))
        await serve(Whole(await ready), resumed)
        stop.set()


if __name__ == "__main__":
    directory, smtp, imap, *profile = sys.argv[1:]
    with profiled(Path(profile[0])) if profile else nullcontext():
        asyncio.run(main(Path(directory), int(smtp), int(imap)))
