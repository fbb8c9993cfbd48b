"""What the keys of a configuration ask of each other.

A rule names the tables it looks at as its parameters, and is passed over while one of them is itself wrong.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gateway.config.kinds import SQLITE
from gateway.config.people import by_risk
from gateway.config.problems import Problem, guess
from gateway.config.tables import (
    OPENAI,
    SECRET_FILES,
    Actions,
    DatabaseWrite,
    Gateway,
    Graph,
    Http,
    Imap,
    LowRule,
    Mail,
    Person,
    Planner,
    Rules,
    SigningKey,
    Smtp,
    Store,
    Token,
)
from gateway.core import httpheaders, weburl
from gateway.core.execution import BUILTIN
from gateway.core.policy import Decider, Risk
from gateway.core.transport import Security, is_loopback, may_send_password
from gateway.core.vocabulary import DENIALS, Verb, meanings

_SECRET_LENGTH = 32
_ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})
_PROGRAM = Path(__file__).parents[1]
"""The package; in a checkout, the templates lie beside it."""
_ROOM = 64 - len("+") - 42
"""What a plus sign and a handle leave of the 64 octets of a local part (RFC 5321, 4.5.3.1.1)."""


def broken(tables: Mapping[str, Any]) -> Iterator[Problem]:
    """Try every rule whose tables are there."""
    for rule in _RULES:
        wanted = inspect.signature(rule).parameters
        if all(name in tables for name in wanted):
            yield from rule(**{name: tables[name] for name in wanted})


def _smtp_login(smtp: Smtp) -> Iterator[Problem]:
    yield from _login("smtp", smtp)


def _imap_login(imap: Imap) -> Iterator[Problem]:
    yield from _login("imap", imap)


def _login(key: str, server: Smtp | Imap) -> Iterator[Problem]:
    has_password = server.password is not None or server.password_file is not None
    if server.username and not has_password:
        variable = f"GATEWAY_{key.upper()}__PASSWORD"
        yield Problem(f"{key}.password_file", "is missing", f"the username needs it, or {variable}")
    if has_password and not server.username:
        yield Problem(f"{key}.username", "is missing", "there is a password for it")
    if has_password and not may_send_password(Security(server.security), server.host):
        yield Problem(
            f"{key}.security", "must not be 'none', the password could be read on its way", "use 'tls'"
        )


def _folders(imap: Imap) -> Iterator[Problem]:
    folders = {"mailbox": imap.mailbox, "processed": imap.processed, "quarantine": imap.quarantine}
    for (one, name), (other, same) in combinations(folders.items(), 2):
        if name.lower() == same.lower():
            yield Problem(f"imap.{other}", f"must be another folder than imap.{one}")


def _reply_address(mail: Mail) -> Iterator[Problem]:
    local = mail.reply_to.rpartition("@")[0]
    if mail.plus_addressing and "+" in local:
        yield Problem(
            "mail.reply_to", "must not have a plus sign of its own", "or set plus_addressing = false"
        )
    elif mail.plus_addressing and len(local) > _ROOM:
        problem = f"must have at most {_ROOM} characters before the @, the rest is for the token"
        yield Problem("mail.reply_to", problem, "or set plus_addressing = false")


def _authserv(mail: Mail) -> Iterator[Problem]:
    if mail.sender_auth == "address":
        problem = "believes every From line, and anybody can forge one"
        hint = "use 'dmarc' where your mail server writes Authentication-Results"
        yield Problem("mail.sender_auth", problem, hint, warning=True)
    elif mail.authserv == "microsoft365" and mail.authserv_id:
        yield Problem("mail.authserv_id", "means nothing, Microsoft 365 writes no name", "leave it out")
    elif mail.authserv == "named" and not mail.authserv_id:
        hint = (
            "open a mail in the gateway's mailbox: it is the word before the first semicolon of the topmost"
            " Authentication-Results; without any such header set sender_auth = 'address'"
        )
        yield Problem("mail.authserv_id", "is missing", hint)


def _words(mail: Mail) -> Iterator[Problem]:
    taken: dict[str, Verb] = {}
    for verb in (Verb.APPROVE, Verb.REJECT, Verb.MODIFY):
        for position, word in enumerate(getattr(mail.words, verb)):
            key, said = f"mail.words.{verb}[{position}]", word.strip().casefold()
            others = (meanings(said) | {taken.setdefault(said, verb)}) - {verb}
            if others:
                yield Problem(key, f"'{word}' means {min(others).upper()} already")
            elif verb is Verb.APPROVE and said in DENIALS:
                yield Problem(key, f"'{word}' denies, it cannot approve")


def _signing_keys(keys: Sequence[SigningKey]) -> Iterator[Problem]:
    for position, key in enumerate(keys):
        yield from _secret(f"keys[{position}]", key)
    for (first, one), (second, other) in combinations(enumerate(keys), 2):
        if one.created == other.created:
            problem = f"is that of keys[{first}] too, so none of them is the newest"
            yield Problem(f"keys[{second}].created", problem, "give one of them a time")
        if one.secret.get_secret_value() and one.secret == other.secret:
            yield Problem(f"keys[{second}]", f"is the same key as keys[{first}]")


def _tokens(http: Http) -> Iterator[Problem]:
    for position, token in enumerate(http.tokens):
        yield from _secret(f"http.tokens[{position}]", token)
        if "approve" in token.may and token.reviewer is None:
            problem = "needs a reviewer to approve as: programs have no vote of their own"
            yield Problem(f"http.tokens[{position}].may", problem)
    for (first, one), (second, other) in combinations(enumerate(http.tokens), 2):
        if one.name == other.name:
            yield Problem(f"http.tokens[{second}].name", f"is that of http.tokens[{first}] too")
        if one.secret.get_secret_value() and one.secret == other.secret:
            yield Problem(f"http.tokens[{second}]", f"is the same token as http.tokens[{first}]")


def _secret(key: str, table: SigningKey | Token) -> Iterator[Problem]:
    length = len(table.secret)
    if table.file is None and not length:
        yield Problem(f"{key}.file", "is missing", "it names the file with the secret")
    elif 0 < length < _SECRET_LENGTH:
        problem = f"is too short with {length} bytes, {_SECRET_LENGTH} are needed"
        yield Problem(f"{key}.file" if table.file else f"{key}.secret", problem)


def _token_reviewers(http: Http, reviewers: Sequence[Person]) -> Iterator[Problem]:
    known = [person.email for person in reviewers]
    for position, token in enumerate(http.tokens):
        if token.reviewer is not None and token.reviewer not in known:
            problem = f"'{token.reviewer}' is nobody's email in [[reviewers]]"
            yield Problem(f"http.tokens[{position}].reviewer", problem, guess(token.reviewer, known))


def _planner(planner: Planner) -> Iterator[Problem]:
    if planner.kind == "offline":
        return
    if planner.model is None:
        yield Problem("planner.model", "is missing", "kind = 'openai' needs it")
    if planner.base_url == OPENAI and not (planner.api_key or planner.api_key_file):
        hint = "OpenAI needs it; for a server of your own set base_url"
        yield Problem("planner.api_key_file", "is missing", hint)


def _graphs(graphs: Mapping[str, Graph]) -> Iterator[Problem]:
    for name, graph in graphs.items():
        key = f"graphs.{name}"
        if name == BUILTIN:
            yield Problem(key, "is the name of the agent that comes with the gateway", "choose another")
        if (graph.approve_with is None) != (graph.reject_with is None):
            missing = "approve_with" if graph.approve_with is None else "reject_with"
            yield Problem(f"{key}.{missing}", "is missing", "approve_with and reject_with go together")
        for tool in sorted({*graph.low_risk} & {*graph.medium_risk}):
            yield Problem(f"{key}.medium_risk", f"'{tool}' is in low_risk too")
        yield from _server(key, graph)


def _server(key: str, graph: Graph) -> Iterator[Problem]:
    has_key = graph.api_key is not None or graph.api_key_file is not None
    secret = graph.api_key.get_secret_value() if graph.api_key else ""
    if (graph.path is None) == (graph.url is None):
        problem = "has neither path nor url" if graph.path is None else "has both path and url"
        yield Problem(key, problem, "a graph runs in the gateway or on a server")
    if graph.url is None:
        for name, is_given in {"assistant": graph.assistant is not None, "api_key_file": has_key}.items():
            if is_given:
                yield Problem(f"{key}.{name}", "is for a server, and there is no url")
        return
    if graph.assistant is None:
        yield Problem(f"{key}.assistant", "is missing", "the name of the graph on the server")
    if graph.replay:
        yield Problem(f"{key}.replay", "is for a path; what a server runs again is for the server to say")
    if secret and not httpheaders.is_value(secret):
        yield Problem(f"{key}.api_key_file", "must hold one line of plain ASCII")
    if has_key and not may_send_password(_transport(graph.url), weburl.read(graph.url).host):
        yield Problem(f"{key}.url", "must be https, the key could be read on its way")


def _people(reviewers: Sequence[Person]) -> Iterator[Problem]:
    owners: dict[str, int] = {}
    for position, person in enumerate(reviewers):
        for key, address in _addresses(position, person):
            owner = owners.setdefault(address.lower(), position)
            if owner != position:
                problem = f"'{address}' belongs to reviewers[{owner}]"
                yield Problem(key, problem, "an address is one person's; several go into aliases")


def _addresses(position: int, person: Person) -> list[tuple[str, str]]:
    aliases = [(f"reviewers[{position}].aliases[{n}]", alias) for n, alias in enumerate(person.aliases)]
    return [(f"reviewers[{position}].email", person.email), *aliases]


def _loops(gateway: Gateway, smtp: Smtp, mail: Mail, reviewers: Sequence[Person]) -> Iterator[Problem]:
    own = {_mailbox(smtp.sender), _mailbox(mail.reply_to)}
    people = [pair for position, person in enumerate(reviewers) for pair in _addresses(position, person)]
    people += [(f"gateway.operators[{n}]", address) for n, address in enumerate(gateway.operators)]
    for key, address in people:
        if _mailbox(address) in own:
            yield Problem(key, f"'{address}' is the gateway's own address, its mails would go in a circle")


def _mailbox(address: str) -> str:
    """Strip the plus part: the mail arrives in the same mailbox."""
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _policies(policy: Rules, reviewers: Sequence[Person]) -> Iterator[Problem]:
    for risk, rule in by_risk(policy).items():
        if rule.decide is Decider.PEOPLE:
            yield from _quorum(f"policy.{risk}", rule, reviewers)
        elif risk is not Risk.LOW:
            yield Problem(f"policy.{risk}.decide", "must be 'people', 'auto' is for low risk only")


def _quorum(key: str, rule: LowRule, reviewers: Sequence[Person]) -> Iterator[Problem]:
    known = sorted({role for person in reviewers for role in person.roles})
    for role in rule.roles:
        if role not in known:
            yield Problem(f"{key}.roles", f"nobody has the role '{role}'", guess(role, known))
    asked = [person for person in reviewers if not rule.roles or set(rule.roles) & set(person.roles)]
    if 0 < len(asked) < rule.quorum:
        yield Problem(f"{key}.quorum", f"is {rule.quorum}, but only {len(asked)} can be asked")


def _sent_folder(imap: Imap, actions: Actions) -> Iterator[Problem]:
    folder = (actions.send_email.sent_folder or "").lower()
    if folder in map(str.lower, (imap.mailbox, imap.processed, imap.quarantine)):
        problem = "must be another folder than those of [imap], or copies would be read as answers"
        yield Problem("actions.send_email.sent_folder", problem)


def _internal(actions: Actions) -> Iterator[Problem]:
    email = actions.send_email
    if email.internal_risk is not Risk.MEDIUM and not email.internal_domains:
        problem = "means nothing without internal_domains"
        yield Problem("actions.send_email.internal_risk", problem, warning=True)


def _apis(actions: Actions) -> Iterator[Problem]:
    if actions.api_call is None:
        return
    for position, api in enumerate(actions.api_call.allow):
        key, secret = f"actions.api_call.allow[{position}]", api.secret.get_secret_value()
        has_secret = api.file is not None or bool(secret)
        if api.secret_header and not has_secret:
            yield Problem(f"{key}.file", "is missing", "secret_header needs it")
        if has_secret and not api.secret_header:
            yield Problem(f"{key}.secret_header", "is missing", "it says where the secret goes")
        if secret and not httpheaders.is_value(secret):
            yield Problem(f"{key}.file" if api.file else f"{key}.secret", "must hold one line of plain ASCII")
        if has_secret and not may_send_password(_transport(api.url), weburl.read(api.url).host):
            yield Problem(f"{key}.url", "must be https, the secret could be read on its way")
        for name in (*api.headers, *([api.secret_header] if api.secret_header else [])):
            if name.lower() in httpheaders.RESERVED:
                yield Problem(f"{key}.headers", f"{name} is set by the gateway alone")
        if api.secret_header and api.secret_header.lower() in map(str.lower, api.headers):
            yield Problem(f"{key}.headers", f"{api.secret_header} is for the secret, no agent may set it")
    for (first, one), (second, other) in combinations(enumerate(actions.api_call.allow), 2):
        if one.name == other.name:
            problem = f"is that of actions.api_call.allow[{first}] too"
            yield Problem(f"actions.api_call.allow[{second}].name", problem)


def _transport(url: str) -> Security:
    return Security.TLS if url.startswith("https:") else Security.NONE


def _databases(actions: Actions) -> Iterator[Problem]:
    for position, database in enumerate(actions.database_write):
        key = f"actions.database_write[{position}]"
        yield from _database(key, database)
        if any(database.name == other.name for other in actions.database_write[:position]):
            yield Problem(f"{key}.name", "is that of another database too")


def _database(key: str, database: DatabaseWrite) -> Iterator[Problem]:
    if not (database.insert or database.update or database.delete):
        yield Problem(f"{key}.insert", "is missing", "or update or delete: nothing may be written there yet")
    if database.url.startswith(SQLITE):
        if database.password or database.password_file:
            yield Problem(f"{key}.password_file", "means nothing for a file")
        return
    url = urlsplit(database.url)
    if find_spec("psycopg") is None:
        hint = "pip install 'approval-gateway[postgresql]'"
        yield Problem(f"{key}.url", "needs psycopg, which is not installed", hint)
    is_safe = set(parse_qs(url.query).get("sslmode", ())) & _ENCRYPTED
    if url.hostname and not is_loopback(url.hostname) and not is_safe:
        problem = "must say how the connection is protected, password and rows could be read on their way"
        yield Problem(f"{key}.url", problem, "add ?sslmode=verify-full")


def _own_database(gateway: Gateway, store: Store, actions: Actions) -> Iterator[Problem]:
    named = store.url.removeprefix(SQLITE)
    own = [
        Path(named) if named else gateway.data_dir / "gateway.sqlite3",
        gateway.data_dir / "checkpoints.sqlite3",
    ]
    for position, database in enumerate(actions.database_write):
        path = Path(database.url.removeprefix(SQLITE))
        if database.url.startswith(SQLITE) and path.resolve() in [each.resolve() for each in own]:
            yield Problem(f"actions.database_write[{position}].url", "is the gateway's own database")


def _own_files(
    *,
    gateway: Gateway,
    store: Store,
    smtp: Smtp,
    imap: Imap,
    keys: Sequence[SigningKey],
    http: Http,
    planner: Planner,
    graphs: Mapping[str, Graph],
    actions: Actions,
) -> Iterator[Problem]:
    """Keep what the gateway lives on out of the reach of `write_file`, and of attachments."""
    calls = actions.api_call.allow if actions.api_call else ()
    urls = [store.url, *(database.url for database in actions.database_write)]
    named = [smtp, imap, planner, *keys, *http.tokens, *graphs.values(), *calls, *actions.database_write]
    secrets = [getattr(table, key, None) for table in named for key in SECRET_FILES]
    files = [Path(url.removeprefix(SQLITE)) for url in urls if url.startswith(SQLITE)]
    folders = [gateway.data_dir, _PROGRAM, _PROGRAM.parent / "templates"]
    own = [path.resolve() for path in (*folders, *files, *secrets) if path is not None]
    written = actions.write_file.root if actions.write_file else None
    for key, root, harm in (
        ("send_email.attachments", actions.send_email.attachments, "send them away"),
        ("write_file.root", written, "replace them"),
    ):
        if root is None:
            continue
        within = any(root.resolve().is_relative_to(folder.resolve()) for folder in folders)
        if within or any(path.is_relative_to(root.resolve()) for path in own):
            problem = f"holds the gateway's own data, secrets or databases, an agent could {harm}"
            yield Problem(f"actions.{key}", problem, "name a directory of its own")


_RULES: tuple[Callable[..., Iterator[Problem]], ...] = (
    _smtp_login,
    _imap_login,
    _folders,
    _reply_address,
    _authserv,
    _words,
    _signing_keys,
    _tokens,
    _token_reviewers,
    _planner,
    _graphs,
    _people,
    _loops,
    _policies,
    _sent_folder,
    _internal,
    _apis,
    _databases,
    _own_database,
    _own_files,
)
