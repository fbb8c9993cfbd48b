"""The composition root: what it holds while it runs, and what it says when it cannot."""

from pathlib import Path

import pytest

from gateway import web
from gateway.config import Config, load
from gateway.daemon import put_together
from gateway.store import StoreInUseError, StoreUnavailableError
from running import PEOPLE, install
from servers.post import Post


@pytest.fixture
async def config(tmp_path: Path) -> Config:
    async with Post(*PEOPLE) as post:
        return load(install(tmp_path, post), {})


async def test_a_second_daemon_is_refused_while_the_first_runs(config: Config) -> None:
    """F16: two workers on one SQLite store would both send; the lock goes with its holder."""
    async with put_together(config):
        with pytest.raises(StoreInUseError, match="pid"):
            async with put_together(config):
                pass
    async with put_together(config):
        pass


async def test_a_port_in_use_is_said(config: Config) -> None:
    """F54: the message names the address and the table to change."""
    with web.bind(config.http.host, config.http.port), pytest.raises(web.PortTakenError, match=r"\[http\]"):
        async with put_together(config):
            pass


async def test_a_data_directory_that_cannot_be_made_is_said(config: Config, tmp_path: Path) -> None:
    """F13: a path through a file is no directory; that is unavailable, not a crash."""
    (tmp_path / "file").touch()
    gateway = config.gateway.model_copy(update={"data_dir": tmp_path / "file" / "data"})
    with pytest.raises(StoreUnavailableError):
        async with put_together(config.model_copy(update={"gateway": gateway})):
            pass
