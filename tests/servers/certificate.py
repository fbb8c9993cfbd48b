"""Certificates that no authority signed, for localhost and for somebody else."""

import shutil
import subprocess
from pathlib import Path

import pytest


def make_certificate(folder: Path, host: str = "localhost", *, days: int = 1) -> Path:
    """Write key and certificate for `host` (and 127.0.0.1 if it is localhost) into one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = folder / f"{host}.pem"
    names = "DNS:localhost,IP:127.0.0.1" if host == "localhost" else f"DNS:{host}"
    subject = ["-subj", f"/CN={host}", "-addext", f"subjectAltName={names}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made = subprocess.run(
        ["openssl", "req", "-x509", *key, "-days", str(days), *subject, "-keyout", "-", "-out", "-"],
        check=True,
        capture_output=True,
    )
    path.write_bytes(made.stdout)
    return path
