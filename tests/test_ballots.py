"""Replies to a question of several items: what counts as a verdict on which, and what is asked back."""

from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import ballots
from gateway.core.action import Field, FieldType
from gateway.core.reply import Context, Reading, Reason, Said, read
from gateway.core.vocabulary import ENGLISH
from letters.reading import text_of
from letters.samples import SAMPLES

THREE = Context(items=3)
LETTER = text_of(SAMPLES["ask-several"].write())


def mail(text: str, html: str | None = None) -> bytes:
    made = EmailMessage()
    made["From"] = "Alice Lee <alice@example.com>"
    made["To"] = "approvals@example.com"
    made["Subject"] = "Re: Approve?"
    made["In-Reply-To"] = "<1@example.com>"
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    return made.as_bytes()


def understood(text: str, context: Context = THREE) -> Reading:
    return read(mail(text), context)


def verdicts(reading: Reading) -> list[tuple[int, str, str | None]]:
    return [(each.item, each.said.value, each.comment) for each in reading.items]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1 approve\n2 reject too expensive\n3 APPROVE", [(1, "a"), (2, "r", "too expensive"), (3, "a")]),
        ("2 reject too expensive", [(2, "r", "too expensive")]),
        ("3 approve", [(3, "a")]),
        ("3 reject no budget", [(3, "r", "no budget")]),
        ("3 APPROVED, thanks\n1 Rejected: the wrong order", [(3, "a"), (1, "r", "the wrong order")]),
        ("#1 approve\n\n2. reject\n\n3) approve", [(1, "a"), (2, "r"), (3, "a")]),
        ("1: approve\n2 - reject", [(1, "a"), (2, "r")]),
        ("Hi team,\n\n1 approve\n2 reject\n\nBest regards,\nAlice", [(1, "a"), (2, "r")]),
        ("1 approve\n2 approve\n\nThanks!\n\n-- \nAlice Lee\nFinance", [(1, "a"), (2, "a")]),
        (
            "1 reject\nIt was never paid.\nAsk sales about it.\n2 reject twice already",
            [(1, "r", "It was never paid.\nAsk sales about it."), (2, "r", "twice already")],
        ),
        (
            "1 approve\n2 reject it is far too expensive for an order that has never been\nshipped at all",
            [(1, "a"), (2, "r", "it is far too expensive for an order that has never been\nshipped at all")],
        ),
    ],
)
def test_a_number_and_a_verb_decide_one_item(text: str, wanted: list[tuple[Any, ...]]) -> None:
    """Each line is for its item, with its reason; items that are left out are not spoken of."""
    reading = understood(text)
    words = {"a": "approve", "r": "reject"}
    expected = [(each[0], words[each[1]], each[2] if len(each) > 2 else None) for each in wanted]
    assert (reading.said, reading.reason) == (Said.EACH, Reason.CLEAR), reading
    assert verdicts(reading) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("APPROVE\n2 reject", "mixed-items"),
        ("1 approve\nREJECT", "mixed-items"),
        ("1 reject\n\nAPPROVE", "mixed-items"),
        ("Here you go:\n1 approve", "mixed-items"),
        ("REJECT: 2 is too expensive", "mixed-items"),
        ("REJECT\n\n2 is too expensive", "mixed-items"),
        ("4 approve", "unknown-item"),
        ("0 approve", "unknown-item"),
        ("1 approve\n9999 reject", "unknown-item"),
        ("1 approve\n1 approve", "repeated-item"),
        ("1 approve\n2 reject\n1 reject", "repeated-item"),
        ("1 modify\norder: A7", "item-edit"),
        ("MODIFY\n\norder: A7", "item-edit"),
        ("MODIFY\n\n1. order: A7", "item-edit"),
        ("1 approve\nnot sure about 2", "hedged"),
        ("1 approve\n2 maybe later", "hedged"),
        ("1 approve but only today", "hedged"),
        ("1 approve\norder: A7", "field-lines"),
        ("1 approve, 2 reject", "two-verbs"),
        ("1 approve 2 approve", "extra-words"),
        ("1 approve?\n2 reject", "hedged"),
        ("1 approve\n2 reject too expensive\n\nHold 1 until Monday.", "hedged"),
        ("1 approve\n2 reject too expensive. Hold 1 until Monday.", "hedged"),
        ("1 approve\n2 reject too expensive, and wait with the other one", "hedged"),
        ("1 approve\n2 reject unless 1 fails", "hedged"),
        ("1 approve\n2 reject too expensive\n\nCheers,\nAlice\n\nPS: hold 1 until Monday", "hedged"),
        ("1 approve\n2 reject too expensive\n\n-- \nAlice\nOnly after Monday", "hedged"),
        ("1 approve\n2 reject too expensive\nUse the cheap courier", "hedged"),
        ("1 reject too expensive, 3 perhaps", "hedged"),
        ("1 reject too expensive\nnot sure about 3", "hedged"),
        ("1 reject too expensive\nMaybe the rest next week", "hedged"),
        ("1 reject?", "hedged"),
        ("1 rejected no", "extra-words"),
        ("1 reject then approve", "two-verbs"),
        ("1 reject\n2 a\u0440prove", "hidden"),
        ("1 \u202eapprove", "hidden"),
        ("1 reject I would have taken instead of this one the number\n2 approve", "hedged"),
        ("1 reject I asked for the blue paint and this is the one with\n2 approve", "extra-words"),
        ("approve 1", "mixed-items"),
        ("1 and 2 approve", "no-verb"),
        ("1, 2 approve", "no-verb"),
        ("1-3 approve", "no-verb"),
        ("2.5 approve", "no-verb"),
        ("item 1 approve", "no-verb"),
        ("APPROVE all except 2", "hedged"),
        ("APPROVE\n2", "mixed-items"),
        ("APPROVE, 2", "mixed-items"),
        ("APPROVE 1 and 3", "mixed-items"),
        ("REJECT 2", "mixed-items"),
        ("1 aprove\n2 reject", "mixed-items"),
    ],
)
def test_what_may_have_been_meant_otherwise_is_asked_back(text: str, reason: str) -> None:
    """Not one item is decided by a mail of which any part is in doubt."""
    reading = understood(text)
    assert (reading.said, reading.reason, reading.items) == (Said.UNCLEAR, reason, ())


@pytest.mark.parametrize(
    ("text", "said"), [("APPROVE", Said.APPROVE), ("Rejected: too expensive", Said.REJECT)]
)
def test_a_word_without_a_number_is_for_all(text: str, said: Said) -> None:
    """It is read as where there is one item."""
    assert understood(text) == read(mail(text))
    assert understood(text).said is said


@pytest.mark.parametrize("text", ["1 approve", "2 reject too expensive", "1 approve\n2 reject", "1. APPROVE"])
def test_a_number_means_nothing_where_there_is_one_item(text: str) -> None:
    """A question of one item has no numbers, so nothing is read into them."""
    assert read(mail(text)).said is Said.UNCLEAR


def test_what_stands_below_the_quote_keeps_a_numbered_approval_from_counting() -> None:
    """An answer between the quoted lines is asked about, and so is what was typed under them."""
    quote = "\n".join(f"> {line}" for line in LETTER.splitlines())
    context = Context(items=2, letters=(LETTER,))
    head = "On Monday, Approvals <approvals@example.com> wrote:\n"
    assert understood(f"1 approve\n\n{head}{quote}\n", context).said is Said.EACH
    for below in ("2 reject", "2 approve", "please wait", "2 reject too expensive"):
        reading = understood(f"1 approve\n\n{head}{quote}\n\n{below}\n", context)
        assert reading.said is Said.UNCLEAR, below
    assert understood(f"{head}{quote}\n\n1 approve\n", context).said is not Said.EACH


@pytest.mark.parametrize("answer", ["APPROVE", "1 approve\n2 approve"])
def test_a_changed_copy_of_the_letter_is_no_approval(answer: str) -> None:
    """Whoever changes a value in the quote approves something else; each item's values are known apart."""
    fields = (
        Field("order", FieldType.STRING),
        *(Field(ballots.label(n, "order"), FieldType.STRING) for n in (1, 2)),
    )
    values = {ballots.label(1, "order"): "A17", ballots.label(2, "order"): "B8"}
    context = Context(items=2, letters=(LETTER,), fields=fields, values=values)
    head = "On Monday, Approvals <approvals@example.com> wrote:\n"
    for letter, said in (
        (LETTER, {Said.APPROVE, Said.EACH}),
        (LETTER.replace("2. order: B8", "2. order: B9"), {Said.UNCLEAR}),
    ):
        quote = "\n".join(f"> {line}" for line in letter.splitlines())
        assert understood(f"{answer}\n\n{head}{quote}\n", context).said in said


@pytest.mark.parametrize("head", ["Approvals <approvals@example.com> wrote:", ">>>>> On Sat, X wrote:"])
def test_a_quote_right_below_takes_no_answer_in(head: str) -> None:
    """The heading of a quote may begin with a number; answers that stand on it do not."""
    quote = "\n".join(f"> {line}" for line in LETTER.splitlines())
    for answer in ("1 approve", "2 reject\n1 approve", "1 approve\nThanks"):
        reading = understood(f"{answer}\n{head}\n{quote}\n", Context(items=2, letters=(LETTER,)))
        assert 1 in [each.item for each in reading.items], answer


def test_text_and_html_have_to_say_the_same_of_each_item() -> None:
    """A mail with two faces decides nothing."""
    html = "<p>1 approve<br>2 reject</p>"
    assert read(mail("1 approve\n2 reject\n", html), THREE).said is Said.EACH
    for other in (
        html.replace("2", "3"),
        html.replace("reject", "approve"),
        "<p>1 approve</p>",
        "<p>Approve</p>",
    ):
        reading = read(mail("1 approve\n2 reject\n", other), THREE)
        assert (reading.said, reading.reason) == (Said.UNCLEAR, Reason.DISAGREE)


@pytest.mark.parametrize(
    "html",
    [
        "<ol><li>approve</li></ol>",
        '<ol start="2"><li>approve</li></ol>',
        '<ol start="2"><li>reject</li></ol>',
        "<p style='mso-list:l0'><![if !supportLists]><span>2.</span><![endif]>approve</p>",
    ],
)
def test_a_number_that_a_program_made_a_list_of_is_not_lost(html: str) -> None:
    """Outlook turns `2. approve` into a list, whose text may have no number: that is no word for all."""
    alone = EmailMessage()
    alone["From"] = "Alice Lee <alice@example.com>"
    alone.set_content(html, subtype="html")
    for raw in (alone.as_bytes(), mail("approve\n", html), mail("2. approve\n", html)):
        reading = read(raw, THREE)
        assert reading.said in {Said.UNCLEAR, Said.EACH}, reading
        assert [each.item for each in reading.items] in ([], [2])


def test_a_forwarded_mail_decides_no_item() -> None:
    """Numbered or not, what is passed on is nobody's answer."""
    raw = mail("1 approve").replace(b"Subject: Re:", b"Subject: Fwd:")
    assert read(raw, THREE).said is not Said.EACH


def test_an_items_reason_is_its_own() -> None:
    """Reasons go to the items under whose numbers they stand, courtesies to none."""
    reading = understood("1 reject: no budget\n3 reject\nWe have two of them.\n\nThanks\nAlice")
    assert verdicts(reading) == [(1, "reject", "no budget"), (3, "reject", "We have two of them.")]


_LINES = st.lists(
    st.one_of(
        st.builds(
            "{}{}{}{}".format,
            st.sampled_from(["", " ", "#", "*", "- "]),
            st.sampled_from(["", "0", "1", "2", "3", "4", "1,", "1-2", "2.", "3)", "1 and 2", "first"]),
            st.sampled_from([" ", "", "\n", " - "]),
            st.sampled_from(["approve", "APPROVED", "reject", "reject not this", "modify", "aprove", "ok"]),
        ),
        st.sampled_from(
            ["", "thanks", "but wait", "not 2", "only 1", "Alice", "APPROVE", "the rest later", "2?"]
        ),
    ),
    max_size=5,
)


@given(_LINES)
def test_no_item_is_approved_but_by_a_line_of_its_own(lines: list[str]) -> None:
    """Invariant: an item counts as approved only by a whole line of its number and the verb, and only where
    nothing that doubts, no other word for all and no second line for it stands anywhere in the mail."""
    text = "\n".join(lines)
    reading = understood(text)
    typed = [line.strip(" \t*#") for line in text.split("\n") if line.strip(" \t*#")]
    for each in reading.items:
        own = [line for line in typed if line.startswith(str(each.item))]
        if each.said is Said.APPROVE:
            (line,) = own
            assert line.split()[-1].lower() in {"approve", "approved"}
            assert not {"but wait", "not 2", "only 1", "APPROVE", "the rest later", "2?", "ok"} & set(typed)
    if reading.said is Said.APPROVE:
        assert not any(line[0].isdigit() for line in typed)


_TAILS = st.lists(
    st.sampled_from(
        [
            *("", "Thanks", "Looks good to me", "Best regards,", "Alice Lee", "Finance, Example Ltd", "-- "),
            *(
                "but wait",
                "only today",
                "order: A7",
                "PS: hold it",
                "2",
                "REJECT",
                "is it paid?",
                "Send it now",
            ),
            *("On Monday, Approvals <approvals@example.com> wrote:", "> 1. order: A17", "> APPROVE", "typed"),
        ]
    ),
    max_size=6,
)


@given(_TAILS)
def test_what_stands_under_a_numbered_approval_is_judged_as_under_a_bare_one(tail: list[str]) -> None:
    """Also where the last number is a rejection: what follows may be meant for all of it."""
    below = "\n".join(tail)
    bare = read(mail(f"APPROVE\n\n{below}\n"))
    for answers in ("1 APPROVE", "1 APPROVE\n2 REJECT too expensive", "2 REJECT too expensive\n1 APPROVE"):
        numbered = understood(f"{answers}\n\n{below}\n", Context(items=2))
        if bare.said is not Said.APPROVE:
            assert numbered.said is not Said.EACH, (answers, bare)
        else:
            assert numbered.said is Said.EACH, (answers, numbered)


def test_a_letters_rows_are_renamed_item_by_item() -> None:
    """Only lines that begin with an item's number are, whatever stands before them in a quote."""
    quote = ["> 1. order:   A1", "  2. order: A2", "order: A3", "    | 1. order: A4", "12 order"]
    assert ballots.labelled(quote) == [
        "> i1.order:   A1",
        "  i2.order: A2",
        "order: A3",
        "    | 1. order: A4",
        "12 order",
    ]


def test_a_street_number_in_a_signature_is_no_item() -> None:
    """What stands under a name is not said about the question."""
    assert understood("REJECT\n\nNo budget.\n\nAlice Lee\n2 High Street").said is Said.REJECT
    assert understood("1 reject no budget\n\nAlice Lee\n2 High Street").said is Said.EACH


def test_a_number_needs_its_verb() -> None:
    """A line of a sentence that happens to begin with a number is none."""
    assert ballots.is_numbered("2 approve", ENGLISH)
    assert not ballots.is_numbered("2 people agree", ENGLISH)
    assert ballots.names_item("2 people", 3)
    assert not ballots.names_item("2.5 hours", 3)
