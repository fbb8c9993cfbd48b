"""Whether our own mail server vouches for the writer: its header found, read strictly, held against From."""

from collections.abc import Iterable

import authres
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.authentication import (
    Form,
    GarbledError,
    Method,
    Result,
    Stamp,
    Trust,
    Verdict,
    Why,
    parse,
    verify,
)

DANA = "dana@example.com"
OURS = Trust(server="mx.example.org")
M365 = Trust(received=3, form=Form.MICROSOFT365)
PASS = "dmarc=pass header.from=example.com"


def mail(*header: str | bytes, sender: str = DANA) -> bytes:
    lines = (line.encode() if isinstance(line, str) else line for line in header)
    return b"\r\n".join((*lines, f"From: {sender}".encode(), b"Subject: Re: Approve?", b"", b"APPROVE", b""))


def stamped(results: str, server: str = "mx.example.org") -> bytes:
    """A mail as Postfix and Dovecot store it: the header stands between their Received lines."""
    return mail(
        "Received: from mx.example.org by mx.example.org with LMTP; Mon, 2 Mar 2026 09:30:00 +0000",
        f"Authentication-Results: {server}; {results}",
        "Received: from phone.example.com by mx.example.org (Postfix); Mon, 2 Mar 2026 09:30:00 +0000",
    )


# --- headers as servers write them -------------------------------------------------------------------------

GMAIL = """\
Delivered-To: approvals@example.org
Received: by 2002:a05:6a10:3b0f:b0:5f1:2345:6789 with SMTP id ab15csp1234567pxc;
        Mon, 2 Mar 2026 01:30:02 -0800 (PST)
X-Received: by 2002:a05:600c:3b1f:b0:439:9b19:9e2d with SMTP id abcdefg-1740907802;
        Mon, 02 Mar 2026 01:30:02 -0800 (PST)
ARC-Authentication-Results: i=1; mx.google.com;
       dkim=pass header.i=@example.com header.s=s1 header.b=lhk5/U+z;
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com
Return-Path: <prvs=107=dana@example.com>
Received: from out.example.com (out.example.com. [192.0.2.25])
        by mx.google.com with ESMTPS id 5b1f17b1804b1-43bc1.2026.03.02.01.30.02
        for <approvals@example.org>; Mon, 02 Mar 2026 01:30:02 -0800 (PST)
Received-SPF: pass (google.com: domain of dana@example.com designates 192.0.2.25) client-ip=192.0.2.25;
Authentication-Results: mx.google.com;
       dkim=pass header.i=@example.com header.s=s1 header.b=lhk5/U+z;
       spf=pass (google.com: domain of prvs=107=dana@example.com designates 192.0.2.25 as permitted sender)
 smtp.mailfrom="prvs=107=dana@example.com";
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1; b=lhk5/U+z"""

MICROSOFT365 = """\
Received: from AM0PR01MB0001.eurprd01.prod.example.net (2603:10a6::1) by
 AM0PR01MB0002.eurprd01.prod.example.net with HTTPS; Mon, 2 Mar 2026 09:30:02 +0000
Received: from DB7PR01CA0001.eurprd01.prod.example.net (2603:10a6::2) by
 AM0PR01MB0001.eurprd01.prod.example.net id 15.20.8511.27; Mon, 2 Mar 2026 09:30:01 +0000
Received: from DB1PEPF00000001.eurprd01.prod.example.net (2603:10a6::3) by
 DB7PR01CA0001.outlook.example.net id 15.20.8534.21 via Frontend Transport; Mon, 2 Mar 2026 09:30:00 +0000
Authentication-Results: spf=pass (sender IP is 192.0.2.25)
 smtp.mailfrom=example.com; dkim=pass (signature was verified)
 header.d=example.com;dmarc=pass action=none header.from=example.com;compauth=pass
 reason=100
Received-SPF: Pass (protection.example.net: domain of example.com designates 192.0.2.25 as permitted sender)
Received: from out.example.com (192.0.2.25) by DB1PEPF00000001.mail.example.net;
 Mon, 2 Mar 2026 09:29:59 +0000"""

FASTMAIL = """\
Return-Path: <dana@example.com>
Received: from phl-compute-01.internal (phl-compute-01.internal [10.202.2.41])
\t by sloti01d1t02 (Cyrus 3.13.0) with LMTPA; Mon, 02 Mar 2026 04:30:02 -0500
X-Sieve: CMU Sieve 3.0
Received: from phl-mx-07.messagingengine.com ([10.202.2.206])
  by phl-compute-01.internal (MEProxy); Mon, 02 Mar 2026 04:30:02 -0500
ARC-Authentication-Results: i=1; phl-mx-07.messagingengine.com; dmarc=pass header.from=example.com
Authentication-Results: phl-mx-07.messagingengine.com;
    x-csa=none;
    x-me-sender=none;
    x-ptr=fail smtp.helo=out.example.com policy.ptr="";
    bimi=skipped (DMARC Policy is not at enforcement);
    arc=none (no signatures found);
    dkim=pass (2048-bit rsa key sha256) header.d=example.com header.i=@example.com header.b=Xk3p+/ab
    header.a=rsa-sha256 header.s=fm1 x-bits=2048;
    dmarc=pass policy.published-domain-policy=quarantine policy.applied-disposition=none
    policy.evaluated-disposition=none (p=quarantine,d=none,d.eval=none) policy.policy-from=p
    header.from=example.com;
    iprev=pass smtp.remote-ip=192.0.2.25 (out.example.com);
    spf=pass smtp.mailfrom=dana@example.com smtp.helo=out.example.com;
    x-vs=clean score=0 state=0
Received: from out.example.com (out.example.com [192.0.2.25])
\tby phl-mx-07.messagingengine.com (Postfix) with ESMTPS; Mon, 2 Mar 2026 04:30:01 -0500 (EST)"""

POSTFIX = """\
Return-Path: <dana@example.com>
Delivered-To: approvals@example.org
Received: from mx.example.org ([127.0.0.1])
\tby mx.example.org with LMTP
\tid FlWZKy7ABmv8LAAAg; Mon, 02 Mar 2026 09:30:02 +0000
Authentication-Results: mx.example.org; dmarc=pass (p=reject dis=none) header.from=example.com
Authentication-Results: mx.example.org;
\tdkim=pass (2048-bit key; unprotected) header.d=example.com header.i=@example.com header.a=rsa-sha256
 header.s=s1 header.b=AbC/d+e=;
\tdkim-atps=neutral
Received: from out.example.com (out.example.com [192.0.2.25])
\tby mx.example.org (Postfix) with ESMTPS id 99702214990; Mon,  2 Mar 2026 09:30:02 +0000 (UTC)"""

OPENDKIM = POSTFIX.replace(
    "Authentication-Results: mx.example.org; dmarc=pass (p=reject dis=none) header.from=example.com\n", ""
)

PROVIDERS = {
    "gmail": (GMAIL, Trust(server="mx.google.com", received=2), Method.DMARC),
    "microsoft365": (MICROSOFT365, M365, Method.DMARC),
    "fastmail": (FASTMAIL, Trust(server="*.messagingengine.com", received=2), Method.DMARC),
    "opendmarc": (POSTFIX, OURS, Method.DMARC),
    "opendkim": (OPENDKIM, OURS, Method.DKIM),
}


def written(block: str) -> bytes:
    # In the samples a header is wrapped where its line would be too long for this file.
    return mail(*block.replace("\n", "\r\n").split("\r\n"))


@pytest.mark.parametrize("name", PROVIDERS)
def test_servers_in_the_field_are_understood(name: str) -> None:
    """T43: what Gmail, Microsoft 365, Fastmail, OpenDKIM and OpenDMARC write shows the writer."""
    block, trust, method = PROVIDERS[name]
    assert verify(written(block), DANA, trust) == Verdict(method, Why.AUTHENTICATED)
    assert verify(written(block), "eve@example.net", trust).method is None


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_failed_check_is_never_a_pass(name: str) -> None:
    """The same headers with `fail` where they said `pass` show nothing."""
    block, trust, _ = PROVIDERS[name]
    for failure in ("fail", "softfail", "temperror", "permerror", "neutral", "policy"):
        assert verify(written(block.replace("=pass", f"={failure}")), DANA, trust).why is Why.FAILED


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_is_trusted_only_as_it_was_configured(name: str) -> None:
    """T12, T43: another server's name, one Received line too many, or another form, and it is nobody's."""
    block, trust, _ = PROVIDERS[name]
    deeper = written("Received: from relay by mx; Mon, 2 Mar 2026 09:31:00 +0000\n" + block)
    assert verify(deeper, DANA, trust).why is Why.BURIED
    form = Form.NAMED if trust.form is Form.MICROSOFT365 else Form.MICROSOFT365
    other = Trust(server="mx.example.net", received=trust.received, form=form)
    assert verify(written(block), DANA, other).method is None
    if trust.form is Form.NAMED:
        stranger = Trust(server="mx.example.net", received=trust.received)
        assert verify(written(block), DANA, stranger).why is Why.FOREIGN


# --- what the results are worth ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "method"),
    [
        (PASS, Method.DMARC),
        ("DMARC=Pass header.from=Example.COM", Method.DMARC),
        ("dmarc=pass (p=none) header.from=example.com (dis=none)", Method.DMARC),
        ('dmarc=pass reason="it\'s; (fine)" header.from=example.com;', Method.DMARC),
        ("dmarc/1=pass header.from=example.com", Method.DMARC),
        (f"dkim=fail header.d=example.com; {PASS}", Method.DMARC),
        ("dkim=pass header.d=example.com", Method.DKIM),
        ("dkim=pass header.i=@example.com", Method.DKIM),
        ("dkim=pass header.i=dana@example.com", Method.DKIM),
        ("dkim=pass header.d=example.com header.i=@mail.example.com", Method.DKIM),
        ("dkim=pass header.d=example.com; dkim=fail header.d=lists.example.net", Method.DKIM),
        ("dkim=pass header.d=example.com; dkim=pass header.d=example.com", Method.DKIM),
        ("dmarc=none header.from=example.com; dkim=pass header.d=example.com", Method.DKIM),
        ("spf=pass smtp.mailfrom=example.com", Method.SPF),
        ("spf=pass smtp.mailfrom=bounces+7=x@example.com smtp.helo=out.example.com", Method.SPF),
        ('spf=pass smtp.mailfrom="odd one"@example.com', Method.SPF),
        ("spf=fail smtp.helo=out.example.com; spf=pass smtp.mailfrom=example.com", Method.SPF),
        ("dkim=none; spf=pass smtp.mailfrom=example.com", Method.SPF),
        ("auth=pass smtp.auth=dana@example.com", Method.AUTH),
        ("auth=pass smtp.auth=DANA@example.com smtp.mailfrom=other@example.net", Method.AUTH),
        ("auth=pass smtp.auth=dana@example.com; dkim=none", Method.AUTH),
    ],
)
def test_what_shows_the_writer(results: str, method: Method) -> None:
    """DMARC for exactly the From domain; without it DKIM or SPF of that domain, or the writer's own login."""
    assert verify(stamped(results), DANA, OURS) == Verdict(method, Why.AUTHENTICATED)


@pytest.mark.parametrize(
    ("results", "why"),
    [
        ("none", Why.UNPROVEN),
        ("dmarc=none header.from=example.com", Why.UNPROVEN),
        ("dkim=none; spf=none smtp.mailfrom=example.com", Why.UNPROVEN),
        ("arc=pass header.from=example.com; x-dmarc=pass header.from=example.com", Why.UNPROVEN),
        ("dmarc=fail header.from=example.com", Why.FAILED),
        ("dmarc=bestguesspass header.from=example.com", Why.FAILED),
        ("dmarc=fail header.from=example.com; dkim=pass header.d=example.com", Why.FAILED),
        ("dmarc=fail header.from=example.com; auth=pass smtp.auth=dana@example.com", Why.FAILED),
        (f"{PASS}; dmarc=fail header.from=example.com", Why.CONFLICTING),
        (f"dmarc=fail header.from=example.com; {PASS}", Why.CONFLICTING),
        (f"{PASS}; {PASS}", Why.CONFLICTING),
        (f"dmarc=none; {PASS}", Why.CONFLICTING),
        ("dmarc=pass", Why.UNALIGNED),
        ("dmarc=pass header.d=example.com", Why.UNALIGNED),
        ("dmarc=pass from=example.com", Why.UNALIGNED),
        ("dmarc=pass header.from=example.net", Why.UNALIGNED),
        ("dmarc=pass header.from=mail.example.com", Why.UNALIGNED),
        ("dmarc=pass header.from=example.com.", Why.UNALIGNED),
        ("dmarc=pass header.from=dana@example.com", Why.UNALIGNED),
        ("dmarc=pass header.from=example.com header.from=example.net", Why.UNALIGNED),
        ("dmarc=pass header.from=example.com'.example.net", Why.UNALIGNED),
        ("dmarc=pass smtp.from=example.com", Why.UNALIGNED),
        ("dkim=pass header.d=com", Why.UNALIGNED),
        ("dkim=pass header.d=mail.example.com", Why.UNALIGNED),
        ("dkim=pass header.d=example.com'a.example.net", Why.UNALIGNED),
        ("dkim=pass header.d=example.com/.example.net", Why.UNALIGNED),
        ("dkim=pass header.d=example.com header.d=example.net", Why.UNALIGNED),
        ("dkim=pass header.d=example.net header.i=@example.com", Why.UNALIGNED),
        ("dkim=pass header.d=example.com header.i=@example.net", Why.UNALIGNED),
        ("dkim=pass header.d=example.com header.i=@example.com@example.net", Why.UNALIGNED),
        ("dkim=pass header.i=@example.com@example.net", Why.UNALIGNED),
        ("dkim=pass header.i=example.com", Why.UNALIGNED),
        ("dkim=pass header.from=example.com", Why.UNALIGNED),
        ("dkim=pass header.d=example.com; dkim=fail header.d=example.com", Why.CONFLICTING),
        ("dkim=pass header.d=example.com; dkim=fail", Why.CONFLICTING),
        (
            "dkim=pass header.d=example.com; dkim=fail header.d=example.com; spf=pass smtp.mailfrom=a.test",
            Why.CONFLICTING,
        ),
        ("dkim=fail header.d=example.com", Why.FAILED),
        ("dkim=fail (bad signature)", Why.FAILED),
        ("spf=softfail smtp.mailfrom=example.com", Why.FAILED),
        ("spf=pass smtp.helo=example.com", Why.UNPROVEN),
        ("spf=pass smtp.mailfrom=example.net", Why.UNALIGNED),
        ("spf=pass smtp.mailfrom=dana@example.com@example.net", Why.UNALIGNED),
        ('spf=pass smtp.mailfrom="dana@example.com"@example.net', Why.UNALIGNED),
        ('spf=pass smtp.mailfrom="dana@example.com "@example.net', Why.UNALIGNED),
        ("spf=pass smtp.mailfrom=example.com; spf=fail smtp.mailfrom=example.com", Why.CONFLICTING),
        ("auth=pass smtp.auth=eve@example.com", Why.UNALIGNED),
        ("auth=pass smtp.auth=dana", Why.UNALIGNED),
        ("auth=fail smtp.auth=dana@example.com", Why.UNPROVEN),
        ("auth=pass smtp.auth=dana@example.com; auth=fail smtp.auth=dana@example.com", Why.CONFLICTING),
        ("auth=pass smtp.mailfrom=dana@example.com", Why.UNALIGNED),
    ],
)
def test_what_shows_nothing(results: str, why: Why) -> None:
    """T13, T42, T45: failures, contradictions and names that are nearly right show nobody."""
    assert verify(stamped(results), DANA, OURS) == Verdict(None, why)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";",
        "mx.example.org",
        "mx.example.org;",
        f"mx.example.org 2; {PASS}",
        f"mx.example.org mx.example.org; {PASS}",
        f"mx.example.org, mx.example.net; {PASS}",
        f"mx.example.org {PASS}",
        f"mx.example.org; none; {PASS}",
        f"mx.example.org;; {PASS}",
        f"{PASS}",
        "mx.example.org; dmarc pass header.from=example.com",
        "mx.example.org; dmarc = pass header.from=example.com",
        "mx.example.org; dmarc/2=pass header.from=example.com",
        "mx.example.org; dmarc=pass header.from = example.com",
        "mx.example.org; dmarc=pass header.from=",
        "mx.example.org; dmarc=pass dmarc=fail header.from=example.com",
        "mx.example.org; dkim=fail dmarc=pass header.from=example.com",
        "mx.example.org; dmarc=pass header.from=example.com, header.from=example.net",
        "mx.example.org; dmarc=pass header.from=<example.com>",
        "mx.example.org; dmarc=pass header.from=example.com\\",
        # A bracket in a domain (d=example.com(.example.net) would make a comment of the rest.
        "mx.example.org; dkim=pass header.d=example.com(.example.net header.s=a) header.b=x",
        "mx.example.org; dkim=pass header.d=example.com(a.example.net)",
        "mx.example.org; dkim=pass header.d=(a)example.com",
        "mx.example.org; dkim=pass header.d=example.com (.example.net",
        "mx.example.org; dkim=pass header.d=example.com ).example.net",
        "mx.example.org; dkim=pass (" + "(" * 2000 + ") header.d=example.com",
        'mx.example.org; dkim=pass header.d="example.com',
        'mx.example.org; dkim=pass header.d=example.com".example.net',
        'mx.example.org; dkim=pass header.d="example.com".example.net',
        "mx.example.org; dkim=pass header.d=example.com\x00.example.net",
        "mx.example.org; dkim=pass header.d=example.com\x0b.example.net",
        "mx.example.org; dkim=pass header.d=ex\u0430mple.com",
        "mx.example.org; " + "x-a=pass; " * 1000 + PASS,
    ],
)
def test_what_does_not_fit_the_grammar_is_refused(value: str) -> None:
    """T13: espoofer's A3 to A7 and their like: brackets, quotes, NUL and blanks where they do not belong."""
    with pytest.raises(GarbledError):
        parse(value.encode())
    raw = mail(f"Authentication-Results: {value}")
    assert verify(raw, DANA, OURS).method is None


def test_comments_and_quotes_are_read_as_what_they_are() -> None:
    """Semicolons, brackets and results within them are no results; names are compared as they read."""
    value = (
        rb'"MX.Example.org" 1 (v\) ; dmarc=pass header.from=a.example (nested)); DKIM=Pass (1;2) Header.D=x'
    )
    assert parse(value) == Stamp("mx.example.org", (Result("dkim", "pass", (("header.d", "x"),)),))
    assert parse(b'mx; x-new=pass any thing; spf=pass smtp.mailfrom="a;\\"b"@x').results == (
        Result("x-new", "pass"),
        Result("spf", "pass", (("smtp.mailfrom", 'a;"b@x'),)),
    )
    assert parse(b" mx. ; none") == Stamp("mx.", ())


# --- whose header it is ------------------------------------------------------------------------------------

AR = f"Authentication-Results: mx.example.org; {PASS}"
FAIL = "Authentication-Results: mx.example.org; dmarc=fail header.from=example.com"
RECEIVED = "Received: from out.example.com by mx.example.org; Mon, 2 Mar 2026 09:30:00 +0000"


@pytest.mark.parametrize(
    "header",
    [
        [AR],
        [RECEIVED, AR, RECEIVED],
        [f"AUTHENTICATION-RESULTS:MX.Example.ORG.;{PASS}"],
        [f'Authentication-Results: "mx.example.org" ; {PASS}'],
        [f"Authentication-Results: mx.example.org 1; {PASS}"],
        [f"Authentication-Results: (ours) mx.example.org (v1); {PASS}"],
        ["Authentication-Results:\r\n mx.example.org;\r\n\tdmarc=pass\r\n\theader.from=example.com"],
        [AR, FAIL],
        [AR, f"Authentication-Results: mx.example.net; {PASS}"],
        ["Authentication-Results-Original: mx.example.net; none", AR],
        ["X-Received: by mx.example.org", "Received-SPF: pass", RECEIVED, AR],
    ],
)
def test_our_own_header_is_the_topmost_one(header: list[str]) -> None:
    """T12: our server's name in any of its spellings, above all others and what came from outside."""
    assert verify(mail(*header), DANA, OURS).why is Why.AUTHENTICATED


FORGED: list[tuple[list[str | bytes], Why]] = [
    ([], Why.UNSTAMPED),
    ([RECEIVED, RECEIVED, AR], Why.BURIED),
    ([RECEIVED, RECEIVED, "To: a@example.org", AR], Why.BURIED),
    ([RECEIVED, "received: from x by mx.example.org", AR], Why.BURIED),
    ([RECEIVED, FAIL, RECEIVED, AR], Why.FAILED),
    ([FAIL, AR], Why.FAILED),
    ([RECEIVED, "Authentication-Results: mx.example.org; none", RECEIVED, AR], Why.UNPROVEN),
    ([RECEIVED, "Authentication-Results: mx.example.org; none", AR], Why.UNPROVEN),
    ([f"Authentication-Results: mx.example.net; {PASS}"], Why.FOREIGN),
    ([f"Authentication-Results: mx.example.net; {PASS}", AR], Why.FOREIGN),
    ([f"Authentication-Results: mx.example.org.example.net; {PASS}"], Why.FOREIGN),
    ([f"Authentication-Results: amx.example.org; {PASS}"], Why.FOREIGN),
    ([f"Authentication-Results: example.org; {PASS}"], Why.FOREIGN),
    ([f"Authentication-Results: .mx.example.org; {PASS}"], Why.FOREIGN),
    ([f"Authentication-Results: mx.example.org..; {PASS}"], Why.FOREIGN),
    ([f'Authentication-Results: "mx.example.org "; {PASS}'], Why.FOREIGN),
    ([f"Authentication-Results: mx.example.org/1; {PASS}"], Why.GARBLED),
    ([f"Authentication-Results: mx.example.org(x)mx.example.net; {PASS}"], Why.GARBLED),
    ([f"Authentication-Results: mx.example.org (x; {PASS}"], Why.GARBLED),
    ([f"Authentication-Results: mx.example.org; {PASS}".encode() + b"\xff"], Why.GARBLED),
    ([f"ARC-Authentication-Results: i=1; mx.example.org; {PASS}"], Why.UNSTAMPED),
    ([f"X-MS-Exchange-Authentication-Results: mx.example.org; {PASS}"], Why.UNSTAMPED),
    ([f"X-Authentication-Results: mx.example.org; {PASS}"], Why.UNSTAMPED),
    ([f"Authentication-Result: mx.example.org; {PASS}"], Why.UNSTAMPED),
    ([f"Authentication-Results : mx.example.org; {PASS}"], Why.AMBIGUOUS),
    ([f"X-One: 1\rAuthentication-Results: mx.example.org; {PASS}".encode()], Why.AMBIGUOUS),
    ([f"Authentication-Results: mx.example.org\x00; {PASS}".encode()], Why.AMBIGUOUS),
    (["Authentication-Results: mx.example.org;", " \t", f" {PASS}"], Why.AMBIGUOUS),
    (["no header at all", AR], Why.AMBIGUOUS),
    (["X-Long: " + "x" * 70_000, AR], Why.AMBIGUOUS),
    ([f"Subject: x\r\n\r\nAuthentication-Results: mx.example.org; {PASS}"], Why.UNSTAMPED),
]


@pytest.mark.parametrize(("header", "why"), FORGED)
def test_a_forged_header_shows_nothing(header: list[str | bytes], why: Why) -> None:
    """T12: below our own, under another name, in another header, or where programs disagree about lines."""
    verdict = verify(mail(*header), DANA, OURS)
    assert (verdict.method, verdict.why) == (None, why)


def test_a_foreign_header_is_named() -> None:
    """Operators who have configured a wrong name learn the right one from the log."""
    assert verify(stamped(PASS, "mx2.example.org"), DANA, OURS) == Verdict(
        None, Why.FOREIGN, "mx2.example.org"
    )


@pytest.mark.parametrize(
    ("server", "is_ours"),
    [
        ("mx1.example.org", True),
        ("MX2.example.org.", True),
        ("example.org", False),
        ("a.b.example.org", False),
        ("mx1.example.org.example.net", False),
        ("mx1example.org", False),
    ],
)
def test_a_star_stands_for_one_host(server: str, is_ours: bool) -> None:
    """T12: a provider with many hosts is one label below its own domain, and no deeper."""
    verdict = verify(stamped(PASS, server), DANA, Trust(server="*.example.org"))
    assert (verdict.why is Why.AUTHENTICATED) is is_ours


def test_without_a_name_nothing_is_ours() -> None:
    """T43: no name is never any name, and in the form without one a name is not read over."""
    assert verify(stamped(PASS), DANA, Trust()).why is Why.FOREIGN
    assert verify(stamped(PASS), DANA, M365).why is Why.GARBLED


# --- properties --------------------------------------------------------------------------------------------

NAMES = {"header.from", "header.d", "header.i", "smtp.mailfrom", "smtp.auth"}
WORDS = st.sampled_from(
    [
        *("mx.example.org", "dmarc=pass", "dkim=pass", "spf=pass", "auth=pass", "dkim=fail", "none", "x=y"),
        *("header.from=example.com", "header.d=example.com", "header.i=@example.com", "header.d=example.net"),
        *("smtp.mailfrom=example.com", "smtp.auth=dana@example.com", "smtp.mailfrom=", "reason=x", "reason="),
        *(
            ";",
            " ",
            "\t",
            "(",
            ")",
            '"',
            "\\",
            "=",
            ".",
            "@",
            "/1",
            "1",
            ",",
            "example.com",
            "a",
            "\x00",
            "é",
        ),
    ]
)


def names_in(properties: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Of all properties those that say for whom a check has passed."""
    return {(key, value) for key, value in properties if key in NAMES}


def as_read_by_authres(value: str) -> list[tuple[str, str, set[tuple[str, str]]]] | None:
    try:
        header = authres.AuthenticationResultsHeader.parse_value(value)
    except (authres.core.AuthResError, ValueError, IndexError, TypeError):
        return None
    return [
        (
            result.method.lower(),
            result.result.lower(),
            names_in((f"{each.type}.{each.name}".lower(), each.value) for each in result.properties),
        )
        for result in header.results
    ]


@given(st.lists(WORDS, max_size=14).map("".join))
@example(f"mx.example.org; {PASS}")
@example("mx.example.org; dkim=pass (a) header.d=example.com; spf=pass smtp.mailfrom=example.com")
def test_authres_never_reads_another_pass(text: str) -> None:
    """Where we read that a check has passed for a name, the reference parser reads the same or gives up."""
    value = f"mx.example.org; {text}"
    try:
        ours = parse(value.encode())
    except GarbledError:
        return
    theirs = as_read_by_authres(value)
    if theirs is None:
        return
    passed = [each for each in ours.results if each.method in set(Method) and each.result == "pass"]
    for each in passed:
        assert (each.method, each.result, names_in(each.properties)) in theirs


@pytest.mark.parametrize("name", PROVIDERS)
def test_authres_agrees_about_servers_in_the_field(name: str) -> None:
    """T43: the reference parser reads the same, and cannot read what has no server's name."""
    block, trust, _ = PROVIDERS[name]
    unfolded = block.replace("\n ", " ").replace("\n\t", "\t").split("\n")
    value = next(line for line in unfolded if line.startswith("Authentication-Results:")).partition(":")[2]
    ours = parse(value.encode(), trust.form)
    theirs = as_read_by_authres(value)
    assert (theirs is None) == (name == "microsoft365")
    for each in ours.results if theirs is not None else ():
        read = [(method, result) for method, result, _ in theirs or ()]
        assert (each.method, each.result) in read


@given(st.binary(max_size=300), st.sampled_from([OURS, M365]))
def test_no_bytes_raise(raw: bytes, trust: Trust) -> None:
    """T72: whatever the bytes are, there is an answer."""
    assert verify(raw, DANA, trust).why in Why
    assert verify(b"Authentication-Results: " + raw, DANA, trust).why in Why
