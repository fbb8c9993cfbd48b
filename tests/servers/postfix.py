"""A private Postfix in front of Dovecot; OpenDKIM checks its mail, with keys from a file. Needs root."""

import base64
import os
import shutil
import smtplib
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import dkim

from servers.dovecot import PASSWORD, Dovecot, free_ports

NAME = "mx.example.com"
"""The server's name, also in the Authentication-Results that it writes."""
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_SELECTOR = "test"

MAIN = """
compatibility_level = 3.6
queue_directory = {root}/spool
data_directory = {root}/data
command_directory = {sbin}
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = {name}
mydestination =
mynetworks =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = {root}/log
maillog_file_prefixes = {root}
local_header_rewrite_clients =
recipient_delimiter = +
virtual_mailbox_domains = example.com
virtual_transport = lmtp:inet:127.0.0.1:{lmtp_port}
default_transport = error:nothing leaves this machine
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_milters = inet:127.0.0.1:{milter_port}
milter_default_action = tempfail
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{submission_port} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=inet:127.0.0.1:{auth_port}
  -o smtpd_milters=
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
  -o smtpd_data_restrictions=check_sasl_access,regexp:{root}/logins
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
LOGINS = r"""
/^([a-z0-9]+)$/ PREPEND Authentication-Results: {name}; auth=pass smtp.auth=$1@example.com
"""
OPENDKIM = """
Socket inet:{milter_port}@127.0.0.1
Mode v
AuthservID {name}
AlwaysAddARHeader yes
RemoveARAll yes
TestDNSData {root}/dns
Syslog no
UserID opendkim
"""


def find_postfix() -> str | None:
    """Postfix's program, if OpenDKIM is here too and we may start them: Postfix wants to be root."""
    programs = [shutil.which(name, path=_PATH) for name in ("postfix", "opendkim")]
    return programs[0] if all(programs) and os.getuid() == 0 else None


class Postfix:
    """Takes mail for example.com from anybody; `domains` have DKIM keys in the DNS that OpenDKIM is shown."""

    def __init__(self, program: str, dovecot: Dovecot, *domains: str) -> None:
        self._program = program
        self._dovecot = dovecot
        self._root = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.port, self._submission_port, self._milter_port = free_ports(3)
        self._keys = {domain: _private_key() for domain in domains}

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, self._root)
            self._configure()
            opendkim = shutil.which("opendkim", path=_PATH)
            assert opendkim is not None
            milter = subprocess.Popen([opendkim, "-f", "-x", self._root / "opendkim.conf"])
            undo.callback(milter.wait)
            undo.callback(milter.terminate)
            _wait_for(self._milter_port, milter)
            self._postfix("start")
            undo.callback(self._postfix, "stop")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def take(self, octets: bytes, recipient: str) -> None:
        """Hand in a mail as any server in the world may."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as line:
            line.sendmail("bounces@example.net", [recipient], octets)

    def take_from(self, login: str, octets: bytes, recipient: str) -> None:
        """Hand in a mail as a person of the house does."""
        with smtplib.SMTP("127.0.0.1", self._submission_port, timeout=30) as line:
            line.login(login, PASSWORD)
            line.sendmail(f"{login}@example.com", [recipient], octets)

    def signed(self, octets: bytes, domain: str) -> bytes:
        """Sign a mail as the outgoing server of `domain` does."""
        signature: bytes = dkim.sign(octets, _SELECTOR.encode(), domain.encode(), self._keys[domain])
        return signature + octets

    def _postfix(self, command: str) -> None:
        # Both wait: the one until mail is taken, the other until every process has ended.
        done = subprocess.run(
            [self._program, "-c", self._root / "etc", command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"postfix {command}: {done.stderr}{(self._root / 'log').read_text()}")

    def _configure(self) -> None:
        for name in ("spool", "data", "etc"):
            (self._root / name).mkdir()
        self._root.chmod(0o755)
        shutil.chown(self._root / "data", "postfix")
        values = {
            "root": self._root,
            "name": NAME,
            "sbin": Path(self._program).parent,
            "daemons": _default("daemon_directory"),
            "port": self.port,
            "milter_port": self._milter_port,
            "submission_port": self._submission_port,
            "auth_port": self._dovecot.auth_port,
            "lmtp_port": self._dovecot.lmtp_port,
        }
        files = {"etc/main.cf": MAIN, "etc/master.cf": MASTER, "opendkim.conf": OPENDKIM, "logins": LOGINS}
        for name, text in files.items():
            (self._root / name).write_text(text.format(**values))
        records = (f"{_SELECTOR}._domainkey.{domain} {_record(key)}\n" for domain, key in self._keys.items())
        (self._root / "dns").write_text("".join(records))


def _default(setting: str) -> str:
    program = shutil.which("postconf", path=_PATH)
    assert program is not None
    told = subprocess.run([program, "-dh", setting], check=True, capture_output=True, text=True)
    return told.stdout.strip()


def _private_key() -> bytes:
    made = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], check=True, capture_output=True)
    return made.stdout


def _record(key: bytes) -> str:
    command = ["openssl", "rsa", "-pubout", "-outform", "DER"]
    public = subprocess.run(command, input=key, check=True, capture_output=True).stdout
    return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """A milter says nothing before it is spoken to."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            continue
        return
    raise RuntimeError(f"opendkim ended with {process.returncode}")
