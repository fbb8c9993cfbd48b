"""The tables of `config.toml`: every key with its type, its default and the sentence that explains it.

The annotated sample, the manual and the JSON Schema are made from this file.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr

from gateway.config.kinds import (
    SQLITE,
    Address,
    ApiPrefix,
    ApiUrl,
    DatabaseUrl,
    Domain,
    Duration,
    FileMode,
    GraphName,
    GraphPath,
    HeaderName,
    Host,
    JsonText,
    Line,
    Location,
    Moment,
    NetworkAddress,
    Port,
    PublicUrl,
    ServerName,
    ServerUrl,
    StoreUrl,
    Switch,
    TableName,
    Whole,
    Zone,
    within,
)
from gateway.core.mail import MAX_BYTES
from gateway.core.policy import Decider, Risk

SECRET_FILES = {"password_file": "password", "api_key_file": "api_key", "file": "secret"}
"""Keys that name a file, each with the key beside it that holds what the file contains."""

OPENAI = "https://api.openai.com/v1"

Security = Literal["tls", "starttls", "none"]
Permission = Literal["start", "status", "approve"]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Door = Literal["reply", "link", "cli", "api"]
Language = Literal["en", "de", "fr", "es", "pt", "it", "nl", "ja", "zh"]

_SECURITY = "How the connection is protected: from the first byte, by STARTTLS or not at all."
_PORT = "Port of the server; without it the usual one of `security`."
_USERNAME = "Login name; without it the gateway does not log in."
_LANGUAGE = "Language whose verbs count in replies, besides English."
_DECIDE = "Who decides: `people`, or `auto` to let the action pass by policy (for low risk only)."
_CHANNELS = "How a vote may come: `reply` by mail, `link` to the page, `cli` command, `api` call."
_EDIT = "Whether an edit is also its editor's approval, once they have seen the difference."
_SMTP_PORTS = {"tls": 465, "starttls": 587, "none": 25}
_AUTHSERV_RECEIVED = {"named": 1, "microsoft365": 3}
_IMAP_PORTS = {"tls": 993, "starttls": 143, "none": 143}


def _usual(ports: dict[str, int], read: dict[str, Any]) -> int:
    return ports[read["security"]]


class Table(BaseModel):
    """A table of the file: it cannot be changed and knows all of its keys."""

    is_switch: ClassVar[bool] = False
    """Whether being there at all switches something on; in the sample it is off."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)


class Gateway(Table):
    """The installation as a whole."""

    name: Line = Field("Approval gateway", description="Name that people see in mails and pages.")
    base_url: PublicUrl = Field(
        description="Address that people see in links, without a path; must be https unless it is loopback.",
        examples=["https://gateway.example.com"],
    )
    data_dir: Location = Field(Path("data"), description="Directory of everything the gateway keeps.")
    timezone: Zone = Field("UTC", description="Time zone of all dates where a person has none of their own.")
    language: Language = Field("en", description=_LANGUAGE)
    operators: tuple[Address, ...] = Field(
        (), description="Who is told when something is stuck.", examples=[["ops@example.com"]]
    )


class Store(Table):
    """Where approvals, votes and outstanding work are kept."""

    url: StoreUrl = Field(
        "", description="`sqlite:///PATH`; without it the file `gateway.sqlite3` in `data_dir`."
    )


class Smtp(Table):
    """The server that sends letters and approved mails."""

    host: Host = Field(description="Server that takes outgoing mail.", examples=["smtp.example.com"])
    security: Security = Field("tls", description=_SECURITY)
    port: Port = Field(default_factory=lambda read: _usual(_SMTP_PORTS, read), description=_PORT)
    username: Line | None = Field(None, description=_USERNAME, examples=["approvals@example.com"])
    password: SecretStr | None = Field(
        None, min_length=1, description="The password itself; better in a file."
    )
    password_file: Location | None = Field(
        None, description="File with the password.", examples=["secrets/smtp-password"]
    )
    sender: Address = Field(
        alias="from", description="Address our letters come from.", examples=["approvals@example.com"]
    )


class Imap(Table):
    """The mailbox that receives the answers."""

    host: Host = Field(description="Server that receives the answers.", examples=["imap.example.com"])
    security: Security = Field("tls", description=_SECURITY)
    port: Port = Field(default_factory=lambda read: _usual(_IMAP_PORTS, read), description=_PORT)
    username: Line = Field(description="Login name.", examples=["approvals@example.com"])
    password: SecretStr | None = Field(
        None, min_length=1, description="The password itself; better in a file."
    )
    password_file: Location | None = Field(
        None, description="File with the password.", examples=["secrets/imap-password"]
    )
    mailbox: Line = Field("INBOX", description="Folder that is read.")
    processed: Line = Field("Processed", description="Folder for mails that were understood.")
    quarantine: Line = Field("Quarantine", description="Folder for mails that decided nothing.")


class Words(Table):
    """Words of your own that decide in a reply, besides APPROVE, REJECT and MODIFY and their translations."""

    approve: tuple[Line, ...] = Field(
        (), description='Words or pictures that approve, such as "ok"; without this they are asked about.'
    )
    reject: tuple[Line, ...] = Field((), description="Words that reject.")
    modify: tuple[Line, ...] = Field((), description="Words that begin a change.")


class Mail(Table):
    """How answers find their way back, and which of them count."""

    reply_to: Address = Field(
        description="Address that people answer to; it leads to `[imap]`.", examples=["approvals@example.com"]
    )
    plus_addressing: Switch = Field(
        default=True, description="Whether the server delivers approvals+ANYTHING@ to approvals@."
    )
    sender_auth: Literal["dmarc", "address"] = Field(
        "dmarc",
        description=(
            "What shows who wrote a mail: with `dmarc` your mail server must vouch for the From address, with"
            " `address` it is believed, though anybody can forge it."
        ),
    )
    authserv_id: ServerName | None = Field(
        None,
        description=(
            "Name that your mail server puts first in its Authentication-Results, or `*.example.com` for any"
            " host of that domain; needed for `dmarc`."
        ),
        examples=["mx.example.com"],
    )
    authserv: Literal["named", "microsoft365"] = Field(
        "named",
        description="How it writes them: `named` with its name, `microsoft365` without one, easier to forge.",
    )
    authserv_received: Annotated[Whole, Field(ge=0, le=10)] = Field(
        default_factory=lambda read: _AUTHSERV_RECEIVED[read["authserv"]],
        description="How many Received lines your mail server puts above them; 3 for `microsoft365`.",
    )
    max_size: Annotated[Whole, Field(ge=64 * 1024, le=MAX_BYTES)] = Field(
        2 * 1024 * 1024, description="Largest mail that is read, in bytes; larger ones go to quarantine."
    )
    words: Words = Field(default_factory=Words)


class Token(Table):
    """A program that may use the HTTP API."""

    name: Line = Field(description="What the token is called in logs.", examples=["agent"])
    file: Location | None = Field(
        None, description="File with the token, 32 characters or more.", examples=["secrets/api-token"]
    )
    secret: SecretStr = Field(SecretStr(""), description="The token itself; better in a file.")
    may: Annotated[tuple[Permission, ...], Field(min_length=1)] = Field(
        description="What it may do: `start` requests, read their `status`, `approve` as its reviewer.",
        examples=[["start", "status"]],
    )
    reviewer: Address | None = Field(
        None, description="The person whose votes it casts; needed for `approve`, must be a reviewer."
    )


class Http(Table):
    """The pages and the API."""

    host: Host = Field("127.0.0.1", description="Address to listen on; put a TLS proxy before it.")
    port: Port = Field(8080, description="Port to listen on.")
    tokens: tuple[Token, ...] = Field((), description="Programs that may use the API.")


class SigningKey(Table):
    """A key that signs links, reply addresses and facts; the newest signs, all of them are accepted."""

    file: Location | None = Field(
        None,
        description="File with the key, 32 bytes or more; keep it until what was begun under it has ended.",
        examples=["secrets/signing-key-2026-01"],
    )
    secret: SecretBytes = Field(SecretBytes(b""), description="The key itself; better in a file.")
    created: Moment = Field(
        description="Day it was made, or the time with its offset.", examples=[date(2026, 1, 31)]
    )


class Planner(Table):
    """The language model behind the built-in agent."""

    kind: Literal["openai", "offline"] = Field(
        description="`openai` for any server with that API, `offline` for a simple planner without model.",
        examples=["offline"],
    )
    model: Line | None = Field(None, description="Name of the model; needed for `openai`.")
    base_url: ApiUrl = Field(OPENAI, description="Address of the API.")
    api_key: SecretStr | None = Field(None, min_length=1, description="The API key itself; better in a file.")
    api_key_file: Location | None = Field(None, description="File with the API key.")
    timeout: Annotated[Duration, within(timedelta(seconds=1), timedelta(hours=1))] = Field(
        timedelta(seconds=60), description="How long a plan may take, retries included."
    )
    attempts: int = Field(
        1,
        ge=1,
        le=5,
        description="Proposals that a request may lead to: another where a reviewer rejects and says why.",
    )
    method: Literal["json_schema", "function_calling"] = Field(
        "json_schema", description="How the model is made to answer in our schema; servers differ in it."
    )


class Graph(Table):
    """A graph of your own, under a name of your own: `path` runs it here, `url` where it is served."""

    path: GraphPath | None = Field(
        None,
        description=(
            "Where its code is: a compiled graph, a StateGraph, or a function that takes the saver and"
            " returns one. What is installed is found first, then modules beside this file. It may do all"
            " that the gateway may; code that you do not trust belongs behind `url`."
        ),
        examples=["my_agent.graph:graph"],
    )
    replay: Switch = Field(
        default=False,
        description=(
            "Whether its nodes may run again when the gateway was stopped in the middle of them; without it"
            " such a thread is parked."
        ),
    )
    url: ServerUrl | None = Field(
        None,
        description=(
            "Address of the LangGraph Server that runs it, such as `https://agents.example.com`; in place of"
            " `path`."
        ),
    )
    assistant: Line | None = Field(
        None,
        description="Which of the server's: a graph's name, or an assistant's id; needed for `url`.",
    )
    poll: Annotated[Duration, within(timedelta(seconds=1), timedelta(hours=1))] = Field(
        timedelta(seconds=30), description="How often the server is looked at for questions."
    )
    api_key: SecretStr | None = Field(
        None, min_length=1, description="The server's API key itself; better in a file."
    )
    api_key_file: Location | None = Field(None, description="File with the server's API key.")
    low_risk: tuple[Line, ...] = Field((), description="Tools of it that only read; see `[policy.low]`.")
    medium_risk: tuple[Line, ...] = Field(
        (), description="Tools that create something; tools named in neither list are of high risk."
    )
    approve_with: JsonText | None = Field(
        None,
        description=(
            "JSON that answers a question of no schema that we know when people approve; without it the"
            " thread is parked."
        ),
    )
    reject_with: JsonText | None = Field(None, description="JSON that answers it otherwise.")


class Person(Table):
    """A person who may be asked. Several addresses are still one person and one vote."""

    name: Line = Field(description="Name that others see.", examples=["Ada Example"])
    email: Address = Field(
        description="Where the questions go; also the person's identity.", examples=["ada@example.com"]
    )
    aliases: tuple[Address, ...] = Field((), description="Other addresses that this person answers from.")
    roles: tuple[Line, ...] = Field((), description="What the person may be asked as; see `[policy.high]`.")
    timezone: Zone | None = Field(None, description="Time zone of dates in this person's mails.")
    language: Language | None = Field(None, description=_LANGUAGE)


class LowRule(Table):
    """Who decides about actions that only read."""

    decide: Decider = Field(Decider.AUTO, description=_DECIDE)
    roles: tuple[Line, ...] = Field(
        (), description="Roles of which a reviewer needs one; empty asks all of them."
    )
    quorum: Annotated[Whole, Field(ge=1)] = Field(1, description="How many different people must approve.")
    expires: Annotated[Duration, within(timedelta(minutes=1), timedelta(days=366))] = Field(
        timedelta(hours=24), description="How long people have to answer; then the action is not approved."
    )
    channels: Annotated[tuple[Door, ...], Field(min_length=1)] = Field(
        ("reply", "link", "cli", "api"), description=_CHANNELS
    )
    edit_approves: Switch = Field(default=True, description=_EDIT)


class MediumRule(LowRule):
    """Who decides about actions that create something."""

    decide: Decider = Field(Decider.PEOPLE, description=_DECIDE)


class HighRule(MediumRule):
    """Who decides about actions that change, delete or send outside."""

    channels: Annotated[tuple[Door, ...], Field(min_length=1)] = Field(
        ("reply", "link"), description=_CHANNELS
    )
    edit_approves: Switch = Field(default=False, description=_EDIT)


class Rules(Table):
    """Who decides what, by risk."""

    low: LowRule = Field(default_factory=LowRule)
    medium: MediumRule = Field(default_factory=MediumRule)
    high: HighRule = Field(default_factory=HighRule)


class SendEmail(Table):
    """Limits of the mails that are sent for the agent."""

    sender: Address | None = Field(
        None, alias="from", description="Address they come from; without it `from` of `[smtp]`."
    )
    reply_to: Address | None = Field(None, description="Address that their recipients answer to.")
    internal_domains: tuple[Domain, ...] = Field(
        (), description="Domains that belong to the house.", examples=[["example.com"]]
    )
    internal_risk: Risk = Field(
        Risk.MEDIUM,
        description=(
            "Risk of a mail that stays within `internal_domains`; any other is high. An agent that calls"
            " its action riskier is believed."
        ),
    )
    max_recipients: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        20, description="Most recipients that one mail may have."
    )
    sent_folder: Line | None = Field(
        None,
        description="Folder of `[imap]` that a copy of each sent mail is laid into; without it, none is.",
    )
    attachments: Location | None = Field(
        None,
        description="Directory of the files that may go along; without it no mail has attachments.",
    )
    max_attachments: Annotated[Whole, Field(ge=1, le=100)] = Field(
        10, description="Most files that one mail may have."
    )
    max_attachment_bytes: Annotated[Whole, Field(ge=1, le=50 * 1024 * 1024)] = Field(
        10 * 1024 * 1024, description="Most bytes that all files of one mail may have together."
    )


class WriteFile(Table):
    """Where files may be written for the agent; without this table, none are."""

    is_switch = True

    root: Location = Field(
        description="Directory that they lie in; its folders must be there, and no link is followed.",
        examples=["files"],
    )
    max_bytes: Annotated[Whole, Field(ge=1, le=50_000)] = Field(
        50_000, description="Largest content, in bytes; people are shown all of it."
    )
    mode: FileMode = Field("0600", description="Rights that each written file gets, in octal digits.")
    dotfiles: Switch = Field(
        default=False, description="Whether files and folders may be named that begin with a dot."
    )


class Api(Table):
    """A part of an API that may be called, and the secret that goes with each call."""

    is_switch = True

    name: Line = Field(description="What people see the service as.", examples=["crm"])
    url: ApiPrefix = Field(
        description="Scheme, host, port and the path that all calls begin with.",
        examples=["https://api.example.com/v1/"],
    )
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = Field(
        description="What may be asked for.", examples=[["GET", "POST"]]
    )
    headers: tuple[HeaderName, ...] = Field((), description="Headers that the agent may set.")
    secret_header: HeaderName | None = Field(
        None, description="Header that the secret is sent in, never shown to anybody."
    )
    file: Location | None = Field(
        None, description="File with the value of that header, such as `Bearer` and a token."
    )
    secret: SecretStr = Field(SecretStr(""), description="The value itself; better in a file.")


class ApiCall(Table):
    """What may be called for the agent; without this table, nothing is."""

    is_switch = True

    timeout: Annotated[Duration, within(timedelta(seconds=1), timedelta(minutes=10))] = Field(
        timedelta(seconds=30),
        description="How long a call may take; without an answer by then it is in doubt.",
    )
    max_response_bytes: Annotated[Whole, Field(ge=4096, le=50 * 1024 * 1024)] = Field(
        1024 * 1024, description="Most bytes of an answer that are read."
    )
    allow_private: tuple[NetworkAddress, ...] = Field(
        (), description="Addresses that may be called although they are not public."
    )
    allow: Annotated[tuple[Api, ...], Field(min_length=1)]


class DatabaseWrite(Table):
    """A database that rows may be written to for the agent; without such a table, none are."""

    is_switch = True

    name: Line = Field(description="What proposals and mails call it.", examples=["shop"])
    url: DatabaseUrl = Field(
        description="`sqlite:///PATH` of a file that is there, or `postgresql://USER@HOST/NAME`.",
        examples=["postgresql://gateway@db.example.com/shop?sslmode=verify-full"],
    )
    password: SecretStr | None = Field(
        None, min_length=1, description="The password itself; better in a file."
    )
    password_file: Location | None = Field(
        None, description="File with the password.", examples=["secrets/shop-password"]
    )
    insert: tuple[TableName, ...] = Field(
        (), description="Tables that rows may be inserted into.", examples=[["orders"]]
    )
    update: tuple[TableName, ...] = Field(
        (), description="Tables whose rows may be changed; people see the rows as they are, all columns."
    )
    delete: tuple[TableName, ...] = Field((), description="Tables whose rows may be deleted.")
    max_rows: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        10, description="Most rows that one statement may change or delete."
    )
    timeout: Annotated[Duration, within(timedelta(seconds=1), timedelta(minutes=5))] = Field(
        timedelta(seconds=30), description="How long the database may take to answer."
    )


class Actions(Table):
    """What can be done for an agent, and within which limits."""

    send_email: SendEmail = Field(default_factory=SendEmail)
    write_file: WriteFile | None = None
    api_call: ApiCall | None = None
    database_write: tuple[DatabaseWrite, ...] = ()


class File(Table):
    """All tables of the file."""

    gateway: Gateway
    store: Store = Field(default_factory=Store)
    smtp: Smtp
    imap: Imap
    mail: Mail
    http: Http = Field(default_factory=Http)
    keys: Annotated[tuple[SigningKey, ...], Field(min_length=1)]
    planner: Planner
    graphs: dict[GraphName, Graph] = Field(default_factory=dict)
    reviewers: Annotated[tuple[Person, ...], Field(min_length=1)]
    policy: Rules = Field(default_factory=Rules)
    actions: Actions = Field(default_factory=Actions)


class Config(File):
    """A configuration that was found to be sound; paths are absolute and secrets are read."""

    directory: Path = Field(description="Where the file is.")

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The keys that sign and verify handles, oldest first."""
        dated = sorted(self.keys, key=lambda key: key.created)
        return tuple(key.secret.get_secret_value() for key in dated)

    @property
    def store_path(self) -> Path:
        """The SQLite file."""
        named = self.store.url.removeprefix(SQLITE)
        return Path(named) if named else self.gateway.data_dir / "gateway.sqlite3"

    @property
    def action_sender(self) -> str:
        """The address that mails sent for the agent come from."""
        return self.actions.send_email.sender or self.smtp.sender
