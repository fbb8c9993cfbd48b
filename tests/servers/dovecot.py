"""A private Dovecot 2.3: needs no privileges, gives up those it has, and leaves nothing behind."""

import asyncio
import grp
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from servers.certificate import make_certificate

PASSWORD = "secret"

CONFIGURATION = """
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
instance_name = {root.name}
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = {uid}
last_valid_uid = {uid}
first_valid_gid = {gid}
mail_location = maildir:~/Maildir
mail_fsync = never
# How soon IDLE tells of a delivery.
mailbox_idle_check_interval = 1s
mail_max_userip_connections = 50
disable_plaintext_auth = no
auth_username_format = %n
auth_failure_delay = 0
recipient_delimiter = +
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{certificate}

passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/mail/%n allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service anvil {{
  chroot =
  # No pauses for everybody after one test's wrong password.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
service auth {{
  inet_listener {{
    port = {auth_port}
  }}
}}
service stats {{
  client_limit = 1000
}}
"""


def find_dovecot() -> str | None:
    """The server's program, which ordinary users do not have in their path."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Dovecot:
    """Every login is known, with `PASSWORD`, and has an empty mailbox at first."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._root = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self._owner = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.certificate = make_certificate(self._root)
        self.imap_port, self.imaps_port, self.lmtp_port, self.auth_port = free_ports(4)
        self._configure()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._root)

    def start(self) -> None:
        """Start, and wait until mail can be read and delivered."""
        command = [*self._as_owner(), self._program, "-F", "-c", str(self._root / "dovecot.conf")]
        self._process = subprocess.Popen(command, start_new_session=True)
        for port in (self.imap_port, self.lmtp_port):
            _wait_for_greeting(port, self._process)

    def kill(self) -> None:
        """End the server and its workers at once; the master alone would leave them with their clients."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kick(self, login: str) -> None:
        """Make the server say BYE to a user's connections."""
        self._doveadm("kick", login)

    def _doveadm(self, *words: str) -> None:
        command = [*self._as_owner(), "doveadm", "-c", str(self._root / "dovecot.conf"), *words]
        subprocess.run(command, check=True, capture_output=True)

    def _as_owner(self) -> list[str]:
        if os.getuid() != 0:
            return []
        return ["setpriv", f"--reuid={self._owner.pw_uid}", f"--regid={self._owner.pw_gid}", "--clear-groups"]

    def _configure(self) -> None:
        text = CONFIGURATION.format(
            root=self._root,
            user=self._owner.pw_name,
            group=grp.getgrgid(self._owner.pw_gid).gr_name,
            uid=self._owner.pw_uid,
            gid=self._owner.pw_gid,
            certificate=self.certificate,
            password=PASSWORD,
            imap_port=self.imap_port,
            imaps_port=self.imaps_port,
            lmtp_port=self.lmtp_port,
            auth_port=self.auth_port,
        )
        (self._root / "dovecot.conf").write_text(text)
        for name in ("run", "state", "mail"):
            (self._root / name).mkdir()
        for path in (self._root, *self._root.iterdir()):
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)


class Front:
    """Takes mail over SMTP and hands it to Dovecot over LMTP, as an MTA would."""

    def __init__(self, lmtp_port: int) -> None:
        self._lmtp_port = lmtp_port

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="front.test", data_size_limit=50_000_000, loop=loop), "127.0.0.1", 0
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        await asyncio.to_thread(self._deliver, envelope)
        return "250 2.0.0 delivered"

    def _deliver(self, envelope: Envelope) -> None:
        assert envelope.original_content is not None
        with smtplib.LMTP("127.0.0.1", self._lmtp_port) as line:
            line.sendmail(envelope.mail_from or "", envelope.rcpt_tos, envelope.original_content)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, each another."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def _wait_for_greeting(port: int, process: subprocess.Popen[bytes]) -> None:
    """Dovecot has no other signal of being ready than the first line it says."""
    while process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as line:
                if line.recv(100):
                    return
        except ConnectionRefusedError:
            continue
    raise RuntimeError(f"dovecot ended with {process.returncode}")
