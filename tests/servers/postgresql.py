"""A private PostgreSQL on loopback, with a database of its own for each test."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import psycopg

from servers.dovecot import free_ports

PASSWORD = "only-for-tests"
_PATH = os.pathsep.join(
    [os.environ.get("PATH", ""), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
)


def find_postgresql() -> Path | None:
    """Find the folder of the server's programs, if it is installed and there is a user to run it as."""
    program = shutil.which("pg_ctl", path=_PATH)
    is_ours = os.geteuid() != 0 or "postgres" in {user.pw_name for user in pwd.getpwall()}
    return Path(program).resolve().parent if program and is_ours else None


class Postgresql:
    """Runs from `with` to its end; it keeps nothing."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        (self.port,) = free_ports(1)
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="pg-")
        root = Path(self._folder.name)
        secret = root / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (root, secret):
                shutil.chown(path, "postgres")
        self._data = root / "data"
        self._run("initdb", "-D", self._data, "-U", "owner", "-A", "scram-sha-256", f"--pwfile={secret}")
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={root} -c fsync=off"
        )
        self._run("pg_ctl", "-D", self._data, "-w", "-l", root / "log", "-o", settings, "start")
        return self

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")
        self._folder.cleanup()

    def made(self, schema: str) -> str:
        """Make a database and return its URL, without the password."""
        name = f"test{next(self._numbers)}"
        with self.connect("postgres") as owner:
            owner.execute(f"CREATE DATABASE {name}")
        with self.connect(name) as owner:
            owner.execute(schema)
        return f"postgresql://owner@127.0.0.1:{self.port}/{name}"

    def connect(self, database: str) -> psycopg.Connection:
        """Look into a database; every statement is its own transaction."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="owner",
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def _run(self, program: str, *arguments: object) -> None:
        user = "postgres" if os.geteuid() == 0 else None
        subprocess.run(
            [self._programs / program, *map(str, arguments)],
            check=True,
            user=user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
