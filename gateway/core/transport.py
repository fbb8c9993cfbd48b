"""How a connection to a mail server is protected, and when a password may travel over it."""

from enum import StrEnum
from ipaddress import ip_address


class Security(StrEnum):
    """What protects a connection: TLS from the first byte, TLS after STARTTLS, or nothing."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


def may_send_password(security: Security, host: str) -> bool:
    """Whether a password stays out of strangers' sight: under TLS, or on this machine alone."""
    return security in {Security.TLS, Security.STARTTLS} or is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine; a name other than localhost could be any."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
