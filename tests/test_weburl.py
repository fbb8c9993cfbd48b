"""Web addresses: one plain form, and nothing is mended."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.weburl import read


@pytest.mark.parametrize(
    "text",
    [
        "https://api.example.com/",
        "https://api.example.com/v1/orders/7?limit=10&after=%C3%A9",
        "http://api.example.com:8080/a%20b",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]:8443/x",
        "https://xn--bnk-qla.example/",
        "https://localhost/a;b=c,d:@!$&()*+~",
        "https://api.example.com/?next=%2Fhome%26",
        "https://api.example.com/.well-known/a..b/c./%C3%A9..",
    ],
)
def test_a_plain_address_stays_what_it_is(text: str) -> None:
    """What is shown is what is asked for: taken apart and put together, it is the same text."""
    assert str(read(text)) == text


REFUSED = [
    "",
    "api.example.com/",
    "//api.example.com/",
    "ftp://api.example.com/",
    "file:///etc/passwd",
    "HTTPS://api.example.com/",
    "https://API.example.com/",
    "https:/api.example.com/",
    "https:///api.example.com/",
    "https://api.example.com",
    "https://api.example.com\\@evil.example/",
    "https://user@api.example.com/",
    "https://user:pass@api.example.com/",
    "https://@api.example.com/",
    "https://api.example.com/#fragment",
    "https://api.example.com#@evil.example/",
    "https://api.example.com./",
    "https://api..example.com/",
    "https://-api.example.com/",
    "https://api_x.example.com/",
    "https://api.example.com:/",
    "https://api.example.com:0/",
    "https://api.example.com:443/",
    "http://api.example.com:80/",
    "https://api.example.com:080/",
    "https://api.example.com:65536/",
    "https://api.example.com:8080:80/",
    "https://api.example.com:٤٤٣/",
    "https://bänk.example/",
    "https://api。example/",
    "https://ⓐpi.example/",
    "https://①②⑦.0.0.1/",
    "https://%61pi.example.com/",
    "https://api.example.com%00.evil.example/",
    "https://api.example.com /",
    " https://api.example.com/",
    "https://api.example.com/\n",
    "https://api.example.com/a b",
    "https://api.example.com/\tx",
    "https://api.example.com/\r\nHost: evil.example",
    "https://api.example.com/a/../b",
    "https://api.example.com/./b",
    "https://api.example.com/v1/..;/admin",
    "https://api.example.com/v1/.;a=b/admin",
    "https://api.example.com/a/..",
    "https://api.example.com/v1/..%3Bx/admin",
    "https://api.example.com/v1/..%20/admin",
    "https://api.example.com/v1/%20../admin",
    "https://api.example.com/v1/..%C3%A9/admin",
    "https://api.example.com/v1/..%C0%AF/x",
    "https://api.example.com/v1/%C0%AE%C0%AE/x",
    "https://api.example.com/v1/..x/admin",
    "https://api.example.com/v1/...",
    "https://api.example.com/v1/.%3B/admin",
    "https://api.example.com/?a=%C0%AF",
    "https://api.example.com//evil.example/",
    "https://api.example.com/a//b",
    "https://api.example.com/%2e%2e/b",
    "https://api.example.com/%2E%2E/b",
    "https://api.example.com/a%2Fb",
    "https://api.example.com/a%5Cb",
    "https://api.example.com/a%00b",
    "https://api.example.com/a%0D%0Ab",
    "https://api.example.com/%41",
    "https://api.example.com/%c3%a9",
    "https://api.example.com/%",
    "https://api.example.com/%4",
    "https://api.example.com/%GG",
    "https://api.example.com/%252e",
    "https://api.example.com/?",
    "https://api.example.com/?a=%00",
    "https://api.example.com/?a='b",
    'https://api.example.com/"x',
    "https://api.example.com/<x>",
    "https://api.example.com/{x}",
    "https://api.example.com/" + "x" * 2000,
    "https://2130706433/",
    "https://0x7f000001/",
    "https://017700000001/",
    "https://127.1/",
    "https://0/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::1%25eth0]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://::1/",
    "https://[api.example.com]/",
    "https://127.0.0.1.:80/",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_programs_could_read_in_two_ways_is_refused(text: str) -> None:
    """T24, V15: no user names, odd escapes or addresses, other alphabets, trailing dots, steps up."""
    with pytest.raises(ValueError):  # noqa: PT011 - the message is for the agent, its kind is what counts
        read(text)


@given(
    st.from_regex(
        r"\Ahttps?://[a-z0-9.\[\]:-]{1,12}/[A-Za-z0-9._~!$&'()*+,;=:@/%-]{0,20}(\?[A-Za-z0-9._~!$&()*+,;=:@/?%-]{1,20})?\Z"
    )
)
def test_the_client_asks_for_exactly_what_was_read(text: str) -> None:
    """T24: a whole different parser sees the same host, port and target, or the address was refused."""
    try:
        url = read(text)
    except ValueError:
        return
    other = httpx.URL(text)
    assert (other.scheme, other.host, other.raw_path.decode()) == (url.scheme, url.host, url.target)
    assert (other.port or {"https": 443, "http": 80}[other.scheme]) == url.port
