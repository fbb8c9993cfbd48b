"""Pages and API over a real office, served on a loopback port; a browser that knows how to fill in a form."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx

from builders import ALICE
from gateway import web
from gateway.core.approval import Approval
from gateway.core.policy import Policy
from gateway.core.tokens import Purpose
from gateway.letters import packaged_templates
from office import Office, open_office

ADMIN = web.ApiToken(name="admin", secret="s3cret-admin", may=frozenset({"start", "status"}))
VOTER = web.ApiToken(
    name="alice", secret="s3cret-alice", may=frozenset({"approve", "status"}), reviewer="A.LEE@example.org"
)
LIMITED = web.ApiToken(name="limited", secret="s3cret-limited", may=frozenset({"approve"}))
NONCE_KEY = b"n" * 32
SETTINGS = web.WebSettings(
    name="Example approvals",
    base_url="https://gateway.example.com",
    timezone="Europe/Berlin",
    tokens=(ADMIN, VOTER, LIMITED),
)


class Site:
    """The running site with its office, and what a browser does with it."""

    def __init__(self, office: Office, client: httpx.AsyncClient, port: int) -> None:
        self.office = office
        self.client = client
        self.port = port
        self.health: dict[str, str] = {"mailbox": "ok"}

    async def link(self, approval: Approval, reviewer: str = ALICE.email) -> str:
        return f"/a/{await self.office.handle(approval, Purpose.LINK, reviewer)}"

    async def form(self, path: str) -> dict[str, str]:
        """Open a page and take over its form as a browser would post it untouched."""
        return defaults((await self.client.get(path)).text)

    async def post(self, path: str, fields: Mapping[str, str], **more: Any) -> httpx.Response:
        return await self.client.post(path, data=dict(fields), **more)

    async def choose(self, path: str, **fields: str) -> httpx.Response:
        """Open a page, fill in its form and confirm."""
        return await self.post(path, await self.form(path) | fields)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.fields: dict[str, str] = {}
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        kind = found.get("type")
        if tag == "input" and (kind == "hidden" or (kind == "radio" and "checked" in found)):
            self.fields[found["name"]] = found.get("value", "")
        elif tag == "textarea":
            self._area = found["name"]
            self.fields[self._area] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            # A browser drops the first line feed of a text area and posts CRLF.
            self.fields[self._area] = self.fields[self._area].removeprefix("\n").replace("\n", "\r\n")
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data


def elements(html: str) -> list[tuple[str, dict[str, str]]]:
    """List the start tags of a page with their attributes."""
    reader = _Reader()
    reader.feed(html)
    return reader.elements


def defaults(html: str) -> dict[str, str]:
    """Take over the form of a page as a browser would post it untouched."""
    reader = _Reader()
    reader.feed(html)
    return reader.fields


@asynccontextmanager
async def open_site(path: Path, people: Policy | None = None) -> AsyncIterator[Site]:
    stop = asyncio.Event()
    async with open_office(path, people) as office:
        sock = web.bind("127.0.0.1", 0)
        port = sock.getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            site = Site(office, client, port)
            app = web.application(
                service=office.service,
                store=office.store,
                policy=office.policy,
                actions=office.actions,
                settings=SETTINGS,
                nonce_key=NONCE_KEY,
                templates=[packaged_templates()],
                health=lambda: site.health,
                clock=office.clock,
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(web.serve(app, sock, stop))
                try:
                    yield site
                finally:
                    stop.set()
