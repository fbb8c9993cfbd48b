"""Reading replies: golden mails, properties of the grammar, and mails made to hurt."""

import json
import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import grammar, reply
from gateway.core.action import Field, FieldType
from gateway.core.reply import Context, Reason, Said, handles, message_id, read
from gateway.core.vocabulary import Verb

REPLIES = Path(__file__).parent / "replies"
MAILS = sorted([*REPLIES.glob("*.eml"), *REPLIES.glob("private/*.eml")])
VALUES = {
    "to": ["team@example.com"],
    "cc": [],
    "subject": "Q1 report",
    "body": "Hello,\n\nI am writing about the Q1 report.\n\nKind regards",
    "amount": 12400,
    "due": "end of March",
    "urgent": False,
}
REQUEST = (REPLIES / "request.txt").read_text(encoding="utf-8")
CONTEXT = Context(
    fields=tuple(Field(name, FieldType.of(value)) for name, value in VALUES.items()),
    values=VALUES,
    letters=(REQUEST,),
)
HANDLE = "abcdefghijklmnopqrstuvwxyz234567abcdefghij"
OTHER = "234567abcdefghijklmnopqrstuvwxyz234567abcd"


def mail(text: str, *header: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    lines = (
        "From: Dana <dana@example.com>",
        "Subject: Re: Approve?",
        *header,
        f"Content-Type: {kind}",
        "",
        text,
    )
    return "\r\n".join(lines).encode("utf-8", "surrogatepass")


def alternative(text: str, html: str) -> bytes:
    plain = f"--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
    parts = f"{plain}--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n--b--"
    return mail(parts, kind="multipart/alternative; boundary=b")


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_golden_mail(path: Path) -> None:
    """T14, T21, T22, T49, T85: each mail of a client's or trap's shape is read as its `.result` says.

    The mails are numbered: up to 99 the traps, from 100 people and their programs, from 300 machines. All
    answer `request.txt`. REWRITE_GOLDENS in the environment writes the results anew, for review.
    """
    told = _as_json(read(path.read_bytes(), replace(CONTEXT, languages=_languages(path))))
    golden = path.with_suffix(".result")
    if "REWRITE_GOLDENS" in os.environ:
        golden.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert told == json.loads(golden.read_text(encoding="utf-8"))


def _languages(path: Path) -> tuple[str, ...]:
    """The reviewer's language stands on the first line of the mail's `.readme`, where it is not English."""
    readme = path.with_suffix(".readme")
    first = readme.read_text(encoding="utf-8").partition("\n")[0] if readme.exists() else ""
    return (first.removeprefix("language: "),) if first.startswith("language: ") else ()


def _as_json(reading: reply.Reading) -> dict[str, Any]:
    return {
        "verdict": reading.said,
        "reason": reading.reason,
        "line": reading.line,
        "comment": reading.comment,
        "edits": dict(reading.edits),
        "problems": list(reading.problems),
        "auto": reading.automatic,
    }


def test_golden_mails_are_enough() -> None:
    """At least 300 mails, and 60 of them machines that answer for people."""
    verdicts = [json.loads(path.with_suffix(".result").read_text(encoding="utf-8")) for path in MAILS]
    assert len(verdicts) >= 300
    assert sum(verdict["reason"] == "automatic" for verdict in verdicts) >= 60


@pytest.mark.parametrize(
    "text",
    [
        "Approved.\n\nThis email contains confidential figures, so remove them beforehand.",
        "APPROVE\n\nThe information in this message is outdated.\nDrop the last paragraph.",
        "APPROVE\n\nBut see what Tom wrote on 3/3/2026 at 10:30:\nonly the managers",
        "APPROVE\n\nFor 2026 use tom@example.com instead:\nthe rest stays",
        "APPROVE\nFrom: approvals@example.com\nTo: managers@example.com",
        "APPROVE\nDate: 2026-05-01 10:30\nTo: managers@example.com",
        "APPROVE\n\nAdd Tom to the mailing list",
        "APPROVE\n\nSent via legal only if they agree",
        "APPROVE\n| only the managers",
        "APPROVE\n\n1000",
        "APPROVE\n\n\N{THUMBS DOWN SIGN}",
        "APPROVE\n\nthat isn\N{RIGHT SINGLE QUOTATION MARK}t the final text",
        "APPROVE\n________________\nonly the managers",
        "Approved\nthe one of Monday",
        "Approved -\nThe one of Monday",
        "Approve www.only-the-managers.example",
        "~~APPROVE~~",
        "A\N{COMBINING LONG STROKE OVERLAY}PPROVE",
        "Approved...",
        "disapprove",
        "not okay",
        "unapproved",
        "> APPROVE",
        "Approved, Tom decides",
        "APPROVE\x0bif legal agrees",
    ],
)
def test_doubtful_approval_is_not_one(text: str) -> None:
    """T21: a condition, a change or a disguise in what was typed leaves the approval open to doubt."""
    assert read(mail(text), CONTEXT).said in {Said.UNCLEAR, Said.IGNORED}


@pytest.mark.parametrize(
    "text",
    [
        *("APPROVE \N{THUMBS UP SIGN}", "APPROVE\n\n\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}"),
        *("Approve\ndana", "Approve\nDana", "Approve\nDana Petrova"),
        *("APPROVE\n\nThanks,\nAl", "APPROVE\n\nViele Grüße\nBo van Dijk", "Approved - looks good to me."),
        "APPROVE\n\nBest regards,\n\nDana Petrova\nTest Engineer",
        "APPROVE\n\nDana Petrova\nChange Manager\nPart of the Example Group\n\nQuestions? Call +49 30 123456",
        "APPROVE\n\nDana Petrova, Head of Finance\nSales: +49 30 1234567\nwww.example.com",
        "APPROVE\n\nSam Nowhere\nExample Ltd.\nTel: +49 30 1234567\nwww.example.com",
        "APPROVE\n\n-- \nDana Petrova\nChange and Update Handling, by appointment",
        "APPROVE\n\nSent from my iPhone, please excuse any typos",
        "APPROVE\n\nGet Outlook for iOS<https://aka.ms/o0ukef>",
        "CAUTION: This email originated from outside of the network. Do not click links or open\n\nAPPROVE",
        *("approve", "APPROVED!", "*Approved*, thanks", "I approve", "Approved. Thank you!", "\ufeffApprove"),
        *("\N{FULLWIDTH LATIN CAPITAL LETTER A}pprove", "Approve\n\nDana Petrova\nTel: +49 30 1234567"),
        *(
            "Approved.\n\nBest regards,\nDana Petrova\nHead of Finance",
            "\n\n  Approve  \n\nGood work, everybody.",
        ),
    ],
)
def test_plain_approval_acts(text: str) -> None:
    """The verb, courtesies, a name and a kind word are an approval."""
    assert read(mail(text), CONTEXT).said is Said.APPROVE


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("APPROVE\n\nLooks good.", "Looks good."),
        ("APPROVE\nLooks good to me, thanks", "Looks good to me, thanks"),
        ("APPROVE\n\nAll fine from my side.\n\nBest regards,\nDana", "All fine from my side."),
        ("APPROVE\n\nNo objections, nice work!", "No objections, nice work!"),
        ("Approved, looks good to me.\nDana", "looks good to me."),
        ("APPROVE\n\nGo ahead.", None),
        ("APPROVE\n\nDana Petrova\nHead of Finance", None),
    ],
)
def test_assent_is_kept_as_the_comment(text: str, comment: str | None) -> None:
    """Words of assent under an approval are its comment; courtesies and the signature are not."""
    reading = read(mail(text), CONTEXT)
    assert (reading.said, reading.comment) == (Said.APPROVE, comment)


# Parted by "|", with "+" for a line's end.
TAKE_BACKS = """
Scratch that, this is phishing. Veto.|Scratch that|Nope|Nope.|Nah.|No.|N|NO|Not.|Negative.
Never mind.|Nevermind|Forget it.|Hang on.|One moment.|Stand by.|Call me.|Call Me|Talk to Bob.
Bob decides.|Bob has to agree.|Skip Bob|Skip Bob.|Leave Bob out.|Omit the second paragraph.
Take Bob off the list.|Misclick.|Ugh, misclicked.|Oops.|Whoops, fat fingers.|Nein.|Nein|Non.|Нет.
Никогда|いいえ|不要|Abgelehnt|Stopp!|Warte auf Bob.|Ohne Bob.|Erst Montag.|Am Montag.|Sin Bob.
El lunes.|Attends.|Ablehnen!|As long as Bob agrees.|So long as it goes to Bob.
Given that Bob agrees.|With reservations.|With caveats.|Conditions apply.
Same caveats as last time.|Modulo the typo.|Barring objections from Bob.|Postpone to Monday.
Delay it to Monday.|On Monday, that is.|On Monday|Monday morning 9am.|Also to carol@example.com
carol@example.com|Plus Carol.|Minus the second paragraph.|I take that back.
On second thoughts, veto.|Abort.|Halt!|Revoke.|I revoke this.|Rescinded.|This is spam.
This looks like phishing!|Pause it.|Tone it down.|In German.|Subject line is off.|Run it by legal.
Get legal's sign-off.|Anonymise the names.|Redact The Names|Tell Bob beforehand.|Cap it at 10k.
LOL|As if.|/s|Yeah right.|In your dreams.|Over My Dead Body|Is this ok|No good.|To all
To everybody.|Done.|Already done.|Looks wrong.|:-(|;-)|❌|👎🏽|🙈|Alice|Ask Dana|Carol Smith
Sent with reservations: hold it|Sent with hesitation, please wait for legal
Sent via fax it is better, cancel the mail|Sent from my boss, skip it
Confidential note: don't send this to Bob!|Disclaimer: I only looked at the subject.
Legal notice: wait until legal signs.|wrong mailing list
You received this because you must reject it|P.S. Nope|--+Do not send this before Bob signs off.
Best regards,+Dana++Scratch that|Best regards,+Dana++Bob decides|Best regards,+Nope
Best regards,+scratch that|Dana Petrova+Scratch that.|Dana Petrova+subject: Q2
Dana Petrova+P.S. skip Bob|Best regards,+Dana+bob decides
Dana Petrova - only to Bob|Dana Petrova++Plus Carol|--+Bob decides.
Best regards,+Dana+veto|Skip Bob++Dana Petrova+Tel: +49 30 1234567
Skip Bob+Dana Petrova+www.example.com|Bob wrote on 3 March 2026:+Do the other one.|____+no way
Thanks,+but leave Bob out|Dana decides|> old+Scratch that|Dana Petrova+a+b+c+d+e+f+g+h+i
"""


@pytest.mark.parametrize("below", TAKE_BACKS.strip().replace("\n", "|").split("|"))
@pytest.mark.parametrize("blank", ["\n", "\n\n"])
def test_take_back_below_approve_never_approves(below: str, blank: str) -> None:
    """T21: whatever stands under APPROVE and is neither assent nor signature leaves it unclear."""
    typed = re.sub(r"\+(?!\d)", "\n", below)
    assert read(mail(f"APPROVE{blank}{typed}\n"), CONTEXT).said is Said.UNCLEAR


@pytest.mark.parametrize(
    ("author", "signed"),
    [
        ("alice@example.com", "alice"),
        ("<alice@example.com>", "ALICE"),
        ("Dr. Robert Smith <rs@example.com>", "R. Smith"),
        ("=?utf-8?q?J=C3=BCrgen_Gro=C3=9F?= <jg@example.com>", "Jürgen"),
        ("Jo Ann de la Cruz <x@example.com>", "Jo Ann de la Cruz"),
    ],
)
def test_name_of_the_sender_is_a_signature(author: str, signed: str) -> None:
    """A name alone signs an approval where From has it; anybody else's does not."""
    raw = mail(f"Approve\n{signed}")
    assert read(raw.replace(b"Dana <dana@example.com>", author.encode())).said is Said.APPROVE
    assert read(raw).said is Said.UNCLEAR


@given(st.text(st.sampled_from("abcdefgnorstADNS .,:!'\n-"), min_size=1, max_size=40))
def test_only_the_structure_stands_below_approve(below: str) -> None:
    """T21: text under APPROVE approves only where each line is assent or belongs to a signature."""
    if read(mail(f"APPROVE\n{below}"), CONTEXT).said is Said.APPROVE:
        lines = [line for line in below.split("\n") if line.strip()]
        signed = next((at for at, line in enumerate(lines) if line.strip() in {"--", "Dana"}), len(lines))
        assert all(grammar.is_assent(line) for line in lines[:signed])


TONGUES = tomllib.loads((Path(__file__).parent / "tongues.toml").read_text(encoding="utf-8"))


def _tongues(*verdicts: Said) -> list[tuple[str, str, Said]]:
    return [
        (tongue, text, said) for tongue, each in TONGUES.items() for said in verdicts for text in each[said]
    ]


@pytest.mark.parametrize(
    ("tongue", "text", "said"),
    _tongues(Said.APPROVE, Said.REJECT, Said.MODIFY),
)
def test_a_reviewers_own_language_decides(tongue: str, text: str, said: Said) -> None:
    """The exact words of each language count for who speaks it, and for nobody else."""
    assert read(mail(text), replace(CONTEXT, languages=(tongue,))).said is said
    assert read(mail(text), CONTEXT).said not in {Said.APPROVE, Said.REJECT, Said.MODIFY}


@pytest.mark.parametrize(("tongue", "text", "said"), _tongues(Said.UNCLEAR))
def test_no_language_approves_by_half(tongue: str, text: str, said: Said) -> None:
    """T21: negations, conditions and questions of each language leave the approval unclear."""
    assert read(mail(text), replace(CONTEXT, languages=(tongue,))).said is said


@pytest.mark.parametrize("tongue", TONGUES)
@pytest.mark.parametrize("other", TONGUES)
def test_a_condition_in_any_language_is_one(tongue: str, other: str) -> None:
    """T21: reviewers fall into other languages below the verb."""
    hedge = TONGUES[other][Said.UNCLEAR][0]
    assert read(mail(f"APPROVE\n\n{hedge}"), replace(CONTEXT, languages=(tongue,))).said is Said.UNCLEAR


OWN = replace(
    CONTEXT, words=(("ok", Verb.APPROVE), ("\N{THUMBS UP SIGN}", Verb.APPROVE), ("nope", Verb.REJECT))
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *(("ok", Said.APPROVE), ("OK, thanks!", Said.APPROVE), ("\N{THUMBS UP SIGN}", Said.APPROVE)),
        ("\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4} thank you", Said.APPROVE),
        *(("Nope - wrong list", Said.REJECT), ("okay", Said.UNCLEAR), ("ok?", Said.UNCLEAR)),
        *(("ok but not to Bob", Said.UNCLEAR), ("not ok", Said.UNCLEAR), ("ok\n\nonly to Bob", Said.UNCLEAR)),
    ],
)
def test_an_operators_own_words_decide(text: str, said: Said) -> None:
    """Words and pictures of the configuration count like the verbs, under the same rules."""
    assert read(mail(text), OWN).said is said


@pytest.mark.parametrize(
    "text",
    [
        "ok",
        "OK!",
        "yes",
        "Yes please",
        "+1",
        "LGTM",
        "\N{THUMBS UP SIGN}",
        "go ahead",
        "sure",
        "no",
        "agreed",
    ],
)
def test_an_answer_that_is_no_decision_is_asked_about(text: str) -> None:
    """Whoever says so wanted to decide, and without the operator's word nobody knows what."""
    assert read(mail(text), CONTEXT).said is Said.UNCLEAR


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("Who is the vendor? I cannot tell from this.", "Who is the vendor? I cannot tell from this."),
        ("Thanks, will look at it tomorrow.", "Thanks, will look at it tomorrow."),
        (
            "Hi,\n\nwhich of the two lists is it?\n\nBest regards,\nDana",
            "Hi,\n\nwhich of the two lists is it?",
        ),
        ("Welcher Lieferant ist das?", "Welcher Lieferant ist das?"),
        ("このリストには誰が載っていますか", "このリストには誰が載っていますか"),
    ],
)
def test_a_question_or_a_remark_is_a_comment(text: str, comment: str) -> None:
    """It decides nothing and its words are kept, without farewell and signature."""
    reading = read(mail(text), CONTEXT)
    assert (reading.said, reading.reason, reading.comment) == (Said.RESPOND, Reason.COMMENT, comment)


@pytest.mark.parametrize(
    "text", ["I do not approve this", "Aproved, thank you", "Is it approved by legal already"]
)
def test_a_remark_near_a_decision_is_asked_about(text: str) -> None:
    """A form of a verb, or a slip of one, makes it a decision that was not understood."""
    assert read(mail(text), CONTEXT).said is Said.UNCLEAR


@pytest.mark.parametrize(
    "banner",
    [
        "This message was sent from an external address: I reject it, never send",
        "This email is external, skip Bob",
    ],
)
def test_banner_with_other_words_is_typed_text(banner: str) -> None:
    """T21: a line that only begins like a server's warning is the first line, and no verb."""
    assert read(mail(f"{banner}\nAPPROVE"), CONTEXT).reason is Reason.NO_VERB


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MODIFY\nbody: I am on vacation from Monday", Said.MODIFY),
        ("REJECT\nI am out of the office tomorrow, ask Bob.", Said.REJECT),
        ("APPROVE\nI am out of the office tomorrow.", Said.IGNORED),
        ("I am on vacation from Monday", Said.IGNORED),
    ],
)
def test_absence_in_a_change_is_its_text(text: str, said: Said) -> None:
    """An edited text or a reason may speak of an absence; with APPROVE or no verb it is an auto-reply."""
    assert read(mail(text), CONTEXT).said is said


@pytest.mark.parametrize(
    ("text", "reason"),
    [("APPROVE", Reason.CLEAR), ("", Reason.REACTION), ("> liked", Reason.REACTION), ("hm", Reason.NO_VERB)],
)
def test_subject_like_a_reaction_counts_only_without_text(text: str, reason: Reason) -> None:
    """An agent chooses our subjects, so one that ends like a reaction's makes no reply to it a reaction."""
    raw = mail(text).replace(b"Subject: Re: Approve?", b"Subject: Re: Approve? Bob liked your message")
    assert read(raw, CONTEXT).reason is reason


@pytest.mark.parametrize(
    "text",
    ["Rejected? No.", "Reject unless Tom agrees", "Rejected by mistake", "reject the second paragraph"],
)
def test_doubtful_rejection_is_not_one(text: str) -> None:
    """A rejection in doubt is asked about as well."""
    assert read(mail(text), CONTEXT).said is Said.UNCLEAR


def test_rejection_keeps_its_reason() -> None:
    """The reason of a rejection may hold the words that would hedge an approval."""
    reading = read(mail("Rejected: not before the audit.\n\nAsk me first.\n\nBest regards,\nDana"))
    assert reading.said is Said.REJECT
    assert reading.comment == "not before the audit.\n\nAsk me first."


def test_modify_reads_values_by_type() -> None:
    """Names count without case, lists are parted at commas, and the reviewer's farewell is no value."""
    reading = read(
        mail("Modify TO: a@example.com,\n b@example.com\nSubject: Is it final?\n\nThanks,\nDana"), CONTEXT
    )
    assert reading.said is Said.MODIFY
    assert reading.edits == {"to": ["a@example.com", "b@example.com"], "subject": "Is it final?"}


def test_modify_body_keeps_paragraphs_and_drops_the_quote() -> None:
    """A body runs over blank lines to the next field, the quote or the signature."""
    typed = "MODIFY\nbody: Hello,\n\nNote: it is final.\n\nYours\nsubject: Q1\n\n> subject: old\n"
    assert read(mail(typed), CONTEXT).edits == {
        "body": "Hello,\n\nNote: it is final.\n\nYours",
        "subject": "Q1",
    }


@pytest.mark.parametrize(
    ("text", "reason", "problem"),
    [
        (
            "MODIFY\nfrom: x@example.com",
            Reason.UNKNOWN_FIELD,
            "from cannot be changed; you can change to, cc, subject",
        ),
        ("MODIFY\nto: a@b\nto: c@d", Reason.REPEATED_FIELD, "to is given more than once"),
        ("MODIFY\n\nmake it shorter", Reason.NO_FIELD, "no field is named; you can change to, cc, subject"),
    ],
)
def test_modify_names_what_is_wrong(text: str, reason: Reason, problem: str) -> None:
    """Unknown, repeated and missing fields change nothing and are named."""
    reading = read(mail(text), CONTEXT)
    assert (reading.said, reading.reason) == (Said.UNCLEAR, reason)
    assert reading.problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<p>APPROVE</p>", Said.APPROVE),
        ("<div>APPROVE<br></div><blockquote>REJECT</blockquote>", Said.APPROVE),
        ("<style>p{}</style><p>APPROVE<p hidden>REJECT<p>Thanks", Said.APPROVE),
        (
            "<p>APPROVE</p><div id=divRplyFwdMsg><b>From:</b> A<br><b>Sent:</b> Monday</div><p>REJECT",
            Said.APPROVE,
        ),
        ("<p>APPROVE</p><div id=divRplyFwdMsg></div><p>REJECT</p>", Said.UNCLEAR),
        ("<div>APPROVE</div><div style='border-top:solid #ccc 1.0pt'>only after Friday</div>", Said.UNCLEAR),
        (
            "<p>APPROVE</p><blockquote style='margin:0 0 0 40px;border:none'>only Bob</blockquote>",
            Said.UNCLEAR,
        ),
        ("<p>APPROVE</p><noscript>only Bob</noscript>", Said.UNCLEAR),
        ("<p>APPROVE</p><p style='max-height:0.5em'>only Bob</p>", Said.UNCLEAR),
        ("<p>APPROVE</p><!-- x --!><p>only Bob</p>", Said.UNCLEAR),
        ("<style>.x{text-decoration:line-through}</style><p class=x>APPROVE</p>", Said.UNCLEAR),
        ("<p>APPROVE</p><!-- REJECT --><script>REJECT</script>", Said.APPROVE),
        ("<p>APPROVE</p><p>only the managers</p>", Said.UNCLEAR),
        ("<blockquote>old</blockquote><p>APPROVE</p>", Said.UNCLEAR),
        ("<p>APPROVE</p><blockquote>old</blockquote><p>but wait</p>", Said.UNCLEAR),
        ("<p><s>APPROVE</s> REJECT</p>", Said.UNCLEAR),
        ("<title>APPROVE</title><img alt=APPROVE>", Said.UNCLEAR),
        ("<p>REJECT</p>", Said.UNCLEAR),
        ("", Said.UNCLEAR),
    ],
)
def test_text_and_html_must_agree(html: str, said: Said) -> None:
    """T22: what the HTML shows above its quote has to say the same as the text."""
    assert read(alternative("APPROVE", html), CONTEXT).said is said


def test_handles_are_found_in_order() -> None:
    """T11: addresses come first, then ids, then the body; each once, lower case, never from elsewhere."""
    raw = mail(
        f"APPROVE\r\n\r\n> ref: {OTHER}\r\n> ref: {HANDLE}\r\n{'c' * 42}\r\n",
        f"To: <approvals+{HANDLE.upper()}@example.com>",
        f"References: <first@example.com>\r\n <{'b' * 42}.17@example.com>",
        f"Subject: {'d' * 42}",
    )
    assert handles(raw) == (HANDLE, "b" * 42, OTHER)


def test_handles_are_capped() -> None:
    """A mail full of handles costs no more than a few look-ups."""
    numbered = (f"a+{HANDLE[:40]}{letter}{other}@b" for letter in "abcdefg" for other in "abcdefg")
    assert len(handles(mail("", f"To: {', '.join(numbered)}"))) == reply.MAX_HANDLES


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (["Message-ID: <a.b@example.com>"], "<a.b@example.com>"),
        (["Message-ID: <a@b>", "Message-ID: <c@d>"], None),
        (["Message-ID: a@b"], None),
        (["Message-ID: <a b@c>"], None),
        ([], None),
    ],
)
def test_message_id(header: list[str], wanted: str | None) -> None:
    """One Message-ID of the usual form is taken, anything else is none."""
    assert message_id(mail("APPROVE", *header)) == wanted


POISON = {
    "ten megabytes": mail("APPROVE\r\n" + "x" * 10_000_000),
    "long header": mail("APPROVE", "X-Long: " + "x" * 70_000),
    "nested parts": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth)
        for depth in range(60)
    ),
    "many parts": mail("--b\r\n\r\nAPPROVE\r\n" * 900, kind="multipart/mixed; boundary=b"),
    "thousands of parts": mail("--b\r\n\r\n" * 100_000, kind="multipart/mixed; boundary=b"),
    "many lines": mail("APPROVE\r\n" + "good\r\n" * 500),
    "unclosed tags": alternative("APPROVE", "<a " * 200_000),
    "deep tags": alternative("APPROVE", "<div>" * 2000),
}


@pytest.mark.parametrize("name", POISON)
def test_poison_is_too_large(name: str) -> None:
    """T72, T73: more than a reply has is refused before it costs anything."""
    assert read(POISON[name]).reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "html", ["<a " * 100_000, "<!--" * 90_000, "&#" + "1" * 9000, "<script>" * 40_000, "<p a='" * 60_000]
)
def test_markup_without_end_agrees_with_nothing(html: str) -> None:
    """T73: markup that never ends shows nothing, and so takes the decision with it."""
    assert read(alternative("APPROVE", html)).said is Said.UNCLEAR


WORDS = st.sampled_from(
    [
        *(
            "approve",
            "Approved",
            "APPROVE",
            "reject",
            "modify",
            "if",
            "not",
            "only",
            "thanks",
            "please",
            "the",
            "Tom",
        ),
        *(
            "amount",
            "\n",
            "\n\n",
            ",",
            ".",
            "?",
            "-",
            ":",
            "> ",
            "I",
            "do",
            "it",
            "once",
            "legal",
            "agrees",
            "wait",
        ),
    ]
)
TAKES_BACK = {"if", "not", "only", "reject", "modify", "?", "once", "wait"}


@given(st.lists(WORDS, max_size=12))
def test_text_outside_the_grammar_never_approves(words: list[str]) -> None:
    """T21: only a first line of verb and courtesies approves, and only where nothing typed takes it back."""
    text = " ".join(words)
    if read(mail(text), CONTEXT).said is not Said.APPROVE:
        return
    typed = text.split(">")[0].lower()
    first = next(line for line in typed.split("\n") if line.strip())
    assert set(re.findall(r"\w+", first)) <= {"approve", "approved", "thanks", "please", "i", "it"}
    assert TAKES_BACK.isdisjoint(re.findall(r"\w+|\?", typed))


FRESH = st.sampled_from(
    [
        "Approved, thanks",
        "APPROVE",
        "Reject - too early",
        "MODIFY\nsubject: Q1",
        "I do not approve",
        "Hello",
        "ok",
    ]
)
BELOW = st.sampled_from(
    [
        "\n\nOn Tue, 3 Mar 2026 at 09:14, Approvals <a@example.com> wrote:\n> APPROVE\n> REJECT if not\n",
        "\n\n> REJECT\n>\n> subject: old\n",
        "\n\n----Original Message----\nFrom: a@b.example\nSent: Tuesday\nTo: b@example.com\n\nREJECT\nif\n",
        "\n\n____________________\nVon: Approvals\nGesendet: Dienstag\nAn: Dana\n\nREJECT unless\nonly\n",
        "\n\n-- \nDana Petrova\nChange Handling, by appointment\n",
        "\n\nSent from my iPhone\n",
        "\n\nThis e-mail and any attachments are confidential. Do not reject it unless told.\n",
        (
            "\n\nDISCLAIMER\nThis message is intended only for the named recipient. Unless you are the"
            " addressee, copying or use of it is prohibited; it will be rejected. Approve nothing.\n"
        ),
    ]
)


@given(FRESH, st.lists(BELOW, min_size=1, max_size=3))
def test_what_stands_below_changes_nothing(text: str, below: list[str]) -> None:
    """T21: quotes, signatures and footers under a reply leave its reading as it was."""
    bare, dressed = read(mail(text), CONTEXT), read(mail(text + "".join(below)), CONTEXT)
    assert (dressed.said, dressed.edits) == (bare.said, bare.edits)


@given(st.binary(max_size=400))
def test_no_bytes_raise(raw: bytes) -> None:
    """T72: whatever the bytes are, there is an answer, and it is not a decision by chance."""
    assert read(raw, CONTEXT).said in {Said.UNCLEAR, Said.IGNORED, Said.RESPOND}
    handles(raw)
    message_id(raw)


@given(st.sampled_from(MAILS), st.data())
def test_damage_never_raises(path: Path, data: st.DataObject) -> None:
    """T72: a mail with bytes lost or overwritten is read as something."""
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=4))
    assert read(bytes(raw), CONTEXT).said in Said


@pytest.mark.parametrize(
    "text", ["Make it shorter", "Please say where to.", "Add a link to it, then ask me again"]
)
def test_words_are_an_answer_where_a_question_takes_them(text: str) -> None:
    """An order decides nothing, so it is asked about, unless it is what the agent waits for."""
    assert read(mail(text), CONTEXT).said is not Said.APPROVE
    reading = read(mail(text), replace(CONTEXT, takes_words=True))
    assert (reading.said, reading.comment) == (Said.RESPOND, text)


@pytest.mark.parametrize(
    "text", ["ok", "Yes, go ahead", "I do not approve", "aprove", "Approve it if Bob agrees", "thanks"]
)
def test_who_wanted_to_decide_is_asked_what(text: str) -> None:
    """T21: near a decision, words are neither a decision nor an answer to the agent."""
    reading = read(mail(text), replace(CONTEXT, takes_words=True))
    assert reading.said in {Said.UNCLEAR, Said.IGNORED}


def test_a_number_that_was_changed_in_the_quote_is_seen() -> None:
    """T20, T21: also in a field that cannot be changed: who wrote it there did not mean what was asked."""
    nothing = replace(CONTEXT, fields=(), values={})
    quoted = "".join(f"> {line}\n" for line in REQUEST.splitlines())
    assert read(mail(f"APPROVE\n\n{quoted}"), nothing).said is Said.APPROVE
    touched = quoted.replace("12400", "10", 1)
    assert read(mail(f"APPROVE\n\n{touched}"), nothing).said is Said.UNCLEAR
