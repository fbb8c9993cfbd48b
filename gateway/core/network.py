"""Which IP addresses are public: reachable by anybody, and in nobody's own network.

The table is our own because the standard library's answers differ between its versions. It follows the
special-purpose registries of IANA (RFC 6890), and takes addresses that carry another one for what they carry.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def is_public(address: Address) -> bool:
    """Whether a stranger may be sent to this address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    # Only this block has been given to anybody (RFC 4291, 2.4).
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_6)


def is_within(address: Address, networks: tuple[Network, ...]) -> bool:
    """Whether an address lies in one of the networks; an IPv4 address is in no IPv6 network."""
    return any(address.version == network.version and address in network for network in networks)


def canonical(host: str) -> Address | None:
    """Read an address in its one canonical form (RFC 5952, dotted decimals); None for any other text.

    Raises:
        ValueError: it is an address in another form, which programs read in different ways.
    """
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is None or str(address) != host or "%" in host:
        if ":" in host or _is_numeric(host):
            raise ValueError(f"{host!r} is an address in an odd form")
        return None
    return address


def _is_numeric(host: str) -> bool:
    """Whether a program may take the host for an IPv4 address (WHATWG URL, "ends in a number")."""
    last = host.removesuffix(".").rpartition(".")[2].lower()
    if last.startswith("0x"):
        return not last[2:].strip("0123456789abcdef")
    return last.isdigit()


_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by carriers
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, and the clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_NOT_PUBLIC_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo and ORCHID among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, carries IPv4
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
            "3ffe::/16",  # 6bone, given back
        ),
    )
)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks such as `10.0.0.0/8` or `fd00::/8`.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(map(ip_network, texts))
