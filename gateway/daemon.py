"""The composition root: build the parts from the configuration, run them together, stop them in order."""

import asyncio
import gc
import hmac
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gateway import agent, claims, explain, mailbox, mailer, web
from gateway.actions import ActionKind, Actions
from gateway.actions.api_call import NAME as API_CALL
from gateway.actions.api_call import ApiCall
from gateway.actions.api_call import Service as ApiService
from gateway.actions.attachments import Attachments
from gateway.actions.database import Database
from gateway.actions.database_write import NAME as DATABASE_WRITE
from gateway.actions.database_write import DatabaseWrite
from gateway.actions.perform import Performer
from gateway.actions.perform.api_call import ApiCaller
from gateway.actions.perform.database_write import DatabaseWriter
from gateway.actions.perform.send_email import EmailSender
from gateway.actions.perform.write_file import FileWriter
from gateway.actions.send_email import NAME as SEND_EMAIL
from gateway.actions.send_email import SendEmail
from gateway.actions.write_file import NAME as WRITE_FILE
from gateway.actions.write_file import WriteFile
from gateway.config import Config, policy
from gateway.core import network, tokens, weburl
from gateway.core.authentication import Form, Trust
from gateway.core.execution import BUILTIN
from gateway.core.policy import Policy
from gateway.core.tokens import Purpose, Signatory
from gateway.core.transport import Security
from gateway.graphs import (
    Foreign,
    GraphLoadError,
    Graphs,
    Saver,
    Server,
    ServerSettings,
    load,
    sqlite_saver,
)
from gateway.inbound import Inbound, Mail
from gateway.letters import Letterhead, Letters, packaged_templates
from gateway.log import log, step
from gateway.mailbox import Copies
from gateway.outbox import Outbox, PostOffice
from gateway.reading.reader import Reader
from gateway.service import Service
from gateway.store import InboundRow, SqliteStore, StoreUnavailableError, Transaction
from gateway.watch import Watch

Clock = Callable[[], datetime]

_STRIKE_SECONDS = 1.0
_RELEASE_SECONDS = 1.0
_RELEASE_PAUSE_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A gateway put together and not yet running."""

    service: Service
    store: SqliteStore
    outbox: Outbox
    mailbox: mailbox.Mailbox
    copies: Copies | None
    watches: Sequence[Watch]
    app: web.FastAPI
    socket: socket.socket

    @property
    def address(self) -> str:
        """Where pages and API are served, as `host:port`."""
        host, port = self.socket.getsockname()[:2]
        return f"{host}:{port}"


def _now() -> datetime:
    return datetime.now(UTC)


async def run(
    config: Config,
    *,
    stop: asyncio.Event,
    ready: Callable[[Parts], None] = lambda _: None,
    clock: Clock = _now,
) -> None:
    """Run until `stop` is set; `ready` is called once everything is listening and recovered.

    All that is recorded, due or late is so by `clock`.

    Raises:
        StoreInUseError: another gateway runs on the same database.
        GraphLoadError: a graph of the configuration cannot be used.
        PortTakenError: the HTTP port is not free.
    """
    async with put_together(config, clock) as parts:
        await parts.service.recover()
        async with asyncio.TaskGroup() as group:
            outbox = group.create_task(parts.outbox.run(stop))
            pages = group.create_task(web.serve(parts.app, parts.socket, stop))
            endless = [
                group.create_task(parts.mailbox.run()),
                group.create_task(_strike(parts.service)),
                group.create_task(_release(parts.store, parts.mailbox)),
            ]
            endless += [group.create_task(each.run()) for each in parts.watches]
            if parts.copies:
                endless.append(group.create_task(parts.copies.run()))
            # What start-up made stays: the collector need not look at it again for every letter.
            gc.freeze()
            log.info("gateway.ready", address=parts.address)
            ready(parts)
            await stop.wait()
            for task in endless:
                task.cancel()
            await asyncio.gather(outbox, pages)
    log.info("gateway.stopped")


def stop_on_signals(stop: asyncio.Event) -> None:
    """Let SIGTERM and SIGINT end the running loop in order."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)


@asynccontextmanager
async def put_together(config: Config, clock: Clock = _now) -> AsyncIterator[Parts]:
    """Open what has to be closed again, and build every part."""
    store, common = open_store(config), _common(config, clock)
    post, reader = _post_office(config), Reader()
    try:
        with store.exclusive(), web.bind(config.http.host, config.http.port) as sock:
            async with open_servers(config) as servers, open_graphs(config, servers) as graphs:
                service = _service(config, store, common)
                inbound = Inbound(
                    store=store,
                    service=service,
                    policy=common.policy,
                    reader=reader,
                    trust=_trust(config),
                    own=(config.smtp.sender, config.mail.reply_to),
                    clock=clock,
                )
                box, copies = _mailbox(config, inbound), _copies(config)
                yield Parts(
                    service=service,
                    store=store,
                    outbox=_outbox(common, store, service, graphs, post, _performers(config, post, copies)),
                    mailbox=box,
                    copies=copies,
                    watches=_watches(config, servers, store, service, clock),
                    app=_app(config, store, service, common, lambda: _health(box)),
                    socket=sock,
                )
    finally:
        await reader.close()
        await post.mailer.close()
        await store.close()


@asynccontextmanager
async def open_servers(config: Config) -> AsyncIterator[Mapping[str, Server]]:
    """Make a client of each server of a configuration; none is asked anything yet."""
    async with AsyncExitStack() as stack:
        servers = {}
        for name, graph in config.graphs.items():
            if graph.url is not None:
                settings = ServerSettings(
                    url=graph.url, assistant=graph.assistant or "", api_key=_secret(graph.api_key)
                )
                servers[name] = await stack.enter_async_context(aclosing(Server(settings)))
        yield servers


def _watches(
    config: Config, servers: Mapping[str, Server], store: SqliteStore, service: Service, clock: Clock
) -> Sequence[Watch]:
    return [
        Watch(
            graph=name,
            server=server,
            store=store,
            service=service,
            poll=config.graphs[name].poll.total_seconds(),
            clock=clock,
        )
        for name, server in servers.items()
    ]


@asynccontextmanager
async def open_graphs(config: Config, servers: Mapping[str, Server]) -> AsyncIterator[Graphs]:
    """Load every graph of a configuration over the checkpoints of this installation, beside the servers'.

    Raises:
        GraphLoadError: one of them cannot be used; the message names it.
    """
    async with sqlite_saver(_checkpoints(config)) as saver:
        yield Graphs(
            saver,
            {BUILTIN: agent.build(_planner(config), config.planner.attempts)},
            replayable_starts=frozenset({BUILTIN}),
            foreign={
                name: load_graph(config, name, saver)
                for name, graph in config.graphs.items()
                if graph.path is not None
            },
            remote=servers,
        )


def load_graph(config: Config, name: str, saver: Saver) -> Foreign:
    """Load one graph of a configuration.

    Raises:
        GraphLoadError: it cannot be used.
    """
    graph = config.graphs[name]
    if graph.path is None:
        raise GraphLoadError(f"graphs.{name} runs on a server; there is nothing of it here to load")
    try:
        return load(graph.path, config.directory, saver, replay=graph.replay)
    except GraphLoadError as error:
        raise GraphLoadError(f"graphs.{name}: {error}") from error


def open_store(config: Config) -> SqliteStore:
    """Open the store of a configuration.

    Raises:
        StoreUnavailableError: it does not work; the message says what to do.
    """
    return SqliteStore(config.store_path, audit_keys(config))


def audit_keys(config: Config) -> list[bytes]:
    """Derive the keys that seal facts from those that sign, oldest first."""
    return [_derived(key, b"gateway.audit") for key in config.signing_keys]


def build_service(config: Config, store: SqliteStore) -> Service:
    """Build the service over a store; commands use it without a daemon."""
    return _service(config, store, _common(config, _now))


@dataclass(frozen=True, slots=True)
class _Common:
    """What several parts share."""

    policy: Policy
    actions: Actions
    signatory: Signatory
    clock: Clock


def _common(config: Config, clock: Clock) -> _Common:
    return _Common(policy(config), _actions(config), Signatory(config.signing_keys), clock)


def _service(config: Config, store: SqliteStore, common: _Common) -> Service:
    return Service(
        store=store,
        signatory=common.signatory,
        policy=common.policy,
        actions=common.actions,
        operators=config.gateway.operators,
        clock=common.clock,
        entropy=os.urandom,
    )


def _checkpoints(config: Config) -> Path:
    """Name the file of the graphs' checkpoints, in a directory that is there."""
    directory = config.gateway.data_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreUnavailableError(f"{directory} cannot be made: {error.strerror}") from error
    return directory / "checkpoints.sqlite3"


async def _strike(service: Service) -> None:
    while True:
        try:
            more = await service.strike()
        except Exception:  # noqa: BLE001 - the next stroke may succeed
            log.exception("clock.broke")
            more = 0
        if not more:
            await asyncio.sleep(_STRIKE_SECONDS)


async def _release(store: SqliteStore, box: mailbox.Mailbox) -> None:
    """Fetch what operators release from quarantine, so that it is read once more."""
    while True:
        await asyncio.sleep(_RELEASE_SECONDS)
        try:
            asked = await store.read(lambda tx: tx.releasing())
            if asked and box.connected:
                found = await box.take_back([_wanted(row) for row in asked])
                await store.write(partial(_note_released, asked, found))
                step("release-noted")
        except Exception:  # noqa: BLE001 - the request stays, and a refused login must not be repeated soon
            log.exception("release.broke")
            await asyncio.sleep(_RELEASE_PAUSE_SECONDS)


def _wanted(row: InboundRow) -> mailbox.Wanted:
    return mailbox.Wanted(sha256=str(row.sha256), size=row.size, uidvalidity=row.uidvalidity, uid=row.uid)


def _note_released(asked: Sequence[InboundRow], found: Collection[str], tx: Transaction) -> None:
    for row in asked:
        sha256 = str(row.sha256)
        # A crash after the move: it has been received again since, or it is about to be.
        if sha256 in found or tx.inbound_like(sha256):
            tx.released(sha256)
        else:
            tx.not_released(sha256, "not released: it is no longer on the mail server")
            log.error("release.not_found", mail=row.n)


def _outbox(
    common: _Common,
    store: SqliteStore,
    service: Service,
    graphs: Graphs,
    post: PostOffice,
    performers: Mapping[str, Performer],
) -> Outbox:
    return Outbox(
        store=store,
        service=service,
        graphs=graphs,
        post=post,
        actions=common.actions,
        performers=performers,
        signatory=common.signatory,
        policy=common.policy,
        owner=f"{socket.gethostname()}/{os.getpid()}",
        clock=common.clock,
        jitter=random.random,
    )


def _post_office(config: Config) -> PostOffice:
    sender = config.smtp.sender
    domain = sender.rsplit("@", 1)[1]
    letterhead = Letterhead(
        name=config.gateway.name,
        sender=sender,
        reply_to=config.mail.reply_to,
        base_url=config.gateway.base_url,
        domain=domain,
        plus_addressing=config.mail.plus_addressing,
    )
    settings = mailer.SmtpSettings(
        host=config.smtp.host,
        port=config.smtp.port,
        security=Security(config.smtp.security),
        username=config.smtp.username,
        password=_secret(config.smtp.password),
    )
    return PostOffice(
        letters=Letters(letterhead, _templates(config)),
        mailer=mailer.Mailer(settings),
        sender=sender,
        domain=domain,
        timezone=config.gateway.timezone,
    )


def _trust(config: Config) -> Trust | None:
    """Say whose Authentication-Results are believed; None believes the From line."""
    mail = config.mail
    if mail.sender_auth == "address":
        return None
    return Trust(server=mail.authserv_id or "", received=mail.authserv_received, form=Form(mail.authserv))


def explaining(config: Config, tx: Transaction | None, setting: explain.Setting) -> explain.Setting:
    """Let mails be explained as this installation would read them; `tx` looks up its tokens."""
    common = _common(config, _now)
    people = common.policy
    named = next((people.person(address) for address in setting.addresses), None)

    def find(handles: Sequence[str]) -> explain.Question | None:
        if tx is None:
            return None
        for handle in handles:
            try:
                claim, approval = claims.verified(
                    tx, tokens.read(handle), Purpose.REPLY, common.signatory, people
                )
            except tokens.TokenError:
                continue
            person = people.person(claim.reviewer)
            if person:
                context = claims.context_of(tx, approval, person, people)
                return explain.Question(approval=approval.id, addresses=person.addresses, context=context)
        return None

    return replace(
        setting,
        context=replace(
            setting.context,
            languages=setting.context.languages or (named.language if named else config.gateway.language,),
            words=people.words,
        ),
        addresses=named.addresses if named else setting.addresses,
        trust=setting.trust or _trust(config),
        believes_from=config.mail.sender_auth == "address",
        find=find,
    )


def _mailbox(config: Config, inbound: Inbound) -> mailbox.Mailbox:
    imap = config.imap
    account = f"{imap.username}@{imap.host}"

    async def receive(arrival: mailbox.Arrival) -> mailbox.Filing:
        mail = Mail(
            account=account,
            folder=imap.mailbox,
            uidvalidity=arrival.uidvalidity,
            uid=arrival.uid,
            size=arrival.size,
            received_at=arrival.received_at,
            octets=arrival.octets,
        )
        return mailbox.Filing(await inbound.receive(mail))

    async def baseline(uidvalidity: int, uidnext: int) -> int:
        return await inbound.floor(account, imap.mailbox, uidvalidity, uidnext)

    return mailbox.Mailbox(_imap_settings(config), receive=receive, baseline=baseline)


def _copies(config: Config) -> Copies | None:
    folder = config.actions.send_email.sent_folder
    return Copies(_imap_settings(config), folder) if folder else None


def _imap_settings(config: Config) -> mailbox.ImapSettings:
    imap = config.imap
    return mailbox.ImapSettings(
        host=imap.host,
        port=imap.port,
        security=Security(imap.security),
        username=imap.username,
        password=_secret(imap.password) or "",
        mailbox=imap.mailbox,
        processed=imap.processed,
        quarantine=imap.quarantine,
        max_size=config.mail.max_size,
    )


def _app(
    config: Config,
    store: SqliteStore,
    service: Service,
    common: _Common,
    health: Callable[[], Mapping[str, str]],
) -> web.FastAPI:
    tokens = tuple(
        web.ApiToken(
            name=token.name,
            secret=token.secret.get_secret_value(),
            may=frozenset(token.may),
            reviewer=token.reviewer,
        )
        for token in config.http.tokens
    )
    settings = web.WebSettings(
        name=config.gateway.name,
        base_url=config.gateway.base_url,
        timezone=config.gateway.timezone,
        tokens=tokens,
        graphs=(BUILTIN, *config.graphs),
    )
    return web.application(
        service=service,
        store=store,
        policy=common.policy,
        actions=common.actions,
        settings=settings,
        nonce_key=_derived(config.signing_keys[-1], b"gateway.nonce"),
        templates=_templates(config),
        health=health,
        clock=common.clock,
    )


def _actions(config: Config) -> Actions:
    limits = config.actions.send_email
    send_email = SendEmail(
        sender=config.action_sender,
        envelope_sender=config.smtp.sender,
        reply_to=limits.reply_to,
        internal_domains=frozenset(limits.internal_domains),
        internal_risk=limits.internal_risk,
        max_recipients=limits.max_recipients,
        attachments=_attachments(config),
    )
    kinds: dict[str, ActionKind] = {SEND_EMAIL: send_email}
    if files := config.actions.write_file:
        kinds[WRITE_FILE] = WriteFile(
            root=files.root, max_bytes=files.max_bytes, mode=int(files.mode, 8), dotfiles=files.dotfiles
        )
    if calls := _api_call(config):
        kinds[API_CALL] = calls
    if databases := _databases(config):
        kinds[DATABASE_WRITE] = DatabaseWrite(databases)
    return Actions(kinds)


def _api_call(config: Config) -> ApiCall | None:
    settings = config.actions.api_call
    if settings is None:
        return None
    services = [
        ApiService(
            name=api.name,
            url=weburl.read(api.url),
            methods=frozenset(api.methods),
            headers=frozenset(map(str.lower, api.headers)),
            secret_header=api.secret_header,
        )
        for api in settings.allow
    ]
    return ApiCall(services=services, private=network.networks(settings.allow_private))


def _performers(config: Config, post: PostOffice, copies: Copies | None) -> Mapping[str, Performer]:
    """Build what does each kind of action, for the outbox alone."""
    keep = copies.keep if copies else lambda _: None
    performers: dict[str, Performer] = {SEND_EMAIL: EmailSender(post.mailer, _attachments(config), keep)}
    if files := config.actions.write_file:
        performers[WRITE_FILE] = FileWriter(files.root, dotfiles=files.dotfiles)
    if (calls := _api_call(config)) and (settings := config.actions.api_call):
        performers[API_CALL] = ApiCaller(
            calls=calls,
            secrets={api.name: api.secret.get_secret_value() for api in settings.allow},
            timeout=settings.timeout.total_seconds(),
            max_response=settings.max_response_bytes,
        )
    if databases := _databases(config):
        performers[DATABASE_WRITE] = DatabaseWriter(databases)
    return performers


def _attachments(config: Config) -> Attachments | None:
    limits = config.actions.send_email
    if limits.attachments is None:
        return None
    return Attachments(limits.attachments, limits.max_attachments, limits.max_attachment_bytes)


def _databases(config: Config) -> Sequence[Database]:
    return [
        Database(
            name=table.name,
            url=table.url,
            password=_secret(table.password),
            tables={
                "insert": frozenset(table.insert),
                "update": frozenset(table.update),
                "delete": frozenset(table.delete),
            },
            max_rows=table.max_rows,
            timeout=table.timeout,
        )
        for table in config.actions.database_write
    ]


def _planner(config: Config) -> agent.Planner:
    planner = config.planner
    if planner.kind == "offline":
        return agent.offline_planner()
    return agent.openai_planner(
        model=planner.model or "",
        base_url=planner.base_url,
        api_key=_secret(planner.api_key),
        timeout=planner.timeout.total_seconds(),
        method=planner.method,
    )


def _templates(config: Config) -> list[Path]:
    """Templates beside the configuration win over ours, file by file."""
    own = config.directory / "templates"
    return [own, packaged_templates()] if own.is_dir() else [packaged_templates()]


def _health(box: mailbox.Mailbox) -> Mapping[str, str]:
    return {"mailbox": "ok" if box.connected else box.last_error or "not connected yet"}


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, purpose, "sha256")


def _secret(value: object) -> str | None:
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if reveal else None
