"""Public addresses by our own table, the same on every version of Python."""

from ipaddress import ip_address

import pytest

from gateway.core.network import canonical, is_public, is_within, networks

NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.170", "192.0.2.1"),
    *("192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:7f00:1::"),
    *("2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::", "3fff::1", "3ffe::1"),
    *("5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1", "4000::1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1"),
    *(
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "2001:4860::8888",
    ),
]


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_addresses_that_are_not_public(text: str) -> None:
    """T24, V15: private, shared, local, carried, reserved and multicast ones, in both versions."""
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_that_are_public(text: str) -> None:
    """The neighbours of what is reserved are not shut out with it."""
    assert is_public(ip_address(text))


def test_networks_of_ones_own() -> None:
    """What is configured counts for its own version alone."""
    own = networks(["10.1.2.0/24", "fd00::/8", "127.0.0.1"])
    assert [
        is_within(ip_address(text), own) for text in ("10.1.2.3", "10.1.3.3", "fd00::1", "127.0.0.1", "::1")
    ] == [
        True,
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "host",
    [
        *(
            "2130706433",
            "0x7f000001",
            "017700000001",
            "127.1",
            "0",
            "0x7f.1",
            "127.0.0.01",
            "127.0.0.1.",
            "1.2.3.4.5",
        ),
        *("::0001", "0:0:0:0:0:0:0:1", "::FFFF:1.2.3.4", "::1%eth0", "a.0x7f", "1.2.3.256"),
    ],
)
def test_odd_forms_of_addresses_are_refused(host: str) -> None:
    """T24, V15: what one program takes for loopback and another for a name is neither."""
    with pytest.raises(ValueError, match="odd form"):
        canonical(host)


def test_names_are_no_addresses() -> None:
    """A name is left to the resolver; an address in its one form is read."""
    assert canonical("api.example.com") is None
    assert canonical("0x.example") is None
    assert (canonical("127.0.0.1"), canonical("::1")) == (ip_address("127.0.0.1"), ip_address("::1"))
