"""Serve an application on a socket of ours until the daemon says stop."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

_GRACE_SECONDS = 3
_CONNECTIONS = 1000


class PortTakenError(OSError):
    """The address cannot be listened on; the message says why and what to do."""


class _Server(uvicorn.Server):
    """uvicorn that leaves signals alone: it would stop by itself, before the daemon has drained."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 takes any that is free.

    Raises:
        PortTakenError: somebody else listens there, or we may not.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        hint = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror or error
        raise PortTakenError(
            f"cannot listen on {host}:{port}: {hint}; change host or port in [http]"
        ) from error


async def serve(app: FastAPI, sock: socket.socket, stop: asyncio.Event) -> None:
    """Answer requests until `stop` is set; those under way then have three seconds to end."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # a path of ours is a secret
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config)

    async def end() -> None:
        await stop.wait()
        app.state.stopping.set()
        server.should_exit = True

    ending = asyncio.create_task(end())
    try:
        await server.serve(sockets=[sock])
    finally:
        ending.cancel()
