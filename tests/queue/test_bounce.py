"""Reports to senders as another parser reads them: who gets one, about whom, with what in it."""

import email
import email.message
import email.policy
import itertools

import pytest

from pysendmail.queue.bounce import Ids
from pysendmail.queue.schedule import Schedule
from pysendmail.queue.settings import Settings
from pysendmail.queue.store import Damaged
from pysendmail.queue.values import Item, QueuedRecipient
from tests.delivery.memory import Smarthost
from tests.queue.running import DAY, HOUR, Desk, replying
from tests.queue.stores import NOW

A, B, C = b"a@y.test", b"b@y.test", b"c@y.test"
SENDER = b"alice@example.org"
HEADER = b"From: alice@example.org\r\nSubject: the subject\r\nMessage-ID: <1@x>\r\n"


def refusing(*more: tuple[bytes, bytes]) -> Smarthost:
    """Return a smarthost that refuses a@, puts b@ off and takes c@, and takes no report yet."""
    rules = ((b"RCPT TO:<a@", b"550 5.1.1 no such user"), (b"RCPT TO:<b@", b"450 4.2.1 busy"), (b"MAIL FROM:<>", b"450 later"))
    return Smarthost(replying(*more, *rules), ("PIPELINING",))


def desk(smarthost: Smarthost | None = None, **words: object) -> Desk:
    made = Desk(smarthost or refusing())
    made.settings = Settings(**{"host": "me.test", "domain": b"x.test", "connections": 1, **words})  # type: ignore[arg-type]
    return made


def read(made: Desk, item: Item) -> email.message.EmailMessage:
    """Return a report as Python's parser reads it."""
    message = email.message_from_bytes(made.text(item), policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "delivery-status"
    return message


def records(message: email.message.EmailMessage) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the fields on the message and those on each recipient."""
    part = next(part for part in message.walk() if part.get_content_type() == "message/delivery-status")
    groups = [{name.lower(): str(value) for name, value in group.items()} for group in part.get_payload()]  # type: ignore[union-attr]
    return groups[0], [group for group in groups[1:] if group]


def only_report(made: Desk) -> Item:
    (item,) = made.reports()
    return item


def test_a_refused_recipient_is_reported_with_the_answer_and_the_message() -> None:
    made = desk()
    qid = made.add(A, C, header=HEADER, uid=1234, account="work", config="/etc/conf", tag="cron")
    made.round()
    item = only_report(made)
    assert (item.message.sender, item.message.bounce, item.message.uid) == (b"", True, 1234)
    assert (item.message.account, item.message.config, item.message.tag) == ("work", "/etc/conf", "cron")
    assert [one.address for one in item.recipients] == [SENDER]
    message = read(made, item)
    assert message["To"] == "alice@example.org" and message["From"].addresses[0].addr_spec == "MAILER-DAEMON@x.test"
    assert message["In-Reply-To"] == "<1@x>" and message["Auto-Submitted"] == "auto-replied"
    about, (one,) = records(message)
    assert about["reporting-mta"] == "dns; me.test"
    assert (one["final-recipient"], one["action"], one["status"]) == ("rfc822; a@y.test", "failed", "5.1.1")
    assert one["diagnostic-code"] == "smtp; 550 5.1.1 no such user" and one["remote-mta"] == "dns; mx.test"
    original = next(part for part in message.walk() if part.get_content_type() == "message/rfc822").get_payload(0)
    assert original["Subject"] == "the subject" and original.get_content().strip() == "hello"  # type: ignore[index, union-attr]
    assert f"{qid}: sender non-delivery notification: {item.message.qid}" in made.log.of("bounce")


def test_all_who_were_refused_together_stand_in_one_report() -> None:
    made = desk()
    made.add(*[b"a@%d.test" % number for number in range(50)], C)
    made.round()
    _, found = records(read(made, only_report(made)))
    assert [one["final-recipient"] for one in found] == [f"rfc822; a@{number}.test" for number in range(50)]


def test_the_report_is_there_as_soon_as_the_failure_is_and_not_before() -> None:
    made = desk()
    made.add(A)
    finish = made.store.finish
    seen = []

    def watch(owner: str, results: object, notices: object = ()) -> list[tuple[int, int]]:
        before = len(made.reports())
        accepted = finish(owner, results, notices)  # type: ignore[arg-type]
        seen.append((before, len(made.reports())))
        return accepted

    made.store.finish = watch  # type: ignore[method-assign]
    made.round()
    assert seen[0] == (0, 1)


@pytest.mark.parametrize(("ret", "kind"), [(None, "message/rfc822"), (b"FULL", "message/rfc822"), (b"HDRS", "text/rfc822-headers")])
def test_ret_decides_how_much_of_the_message_comes_back(ret: bytes | None, kind: str) -> None:
    made = desk()
    made.add(A, ret=ret)
    made.round()
    assert [part.get_content_type() for part in read(made, only_report(made)).iter_parts()][2] == kind


def test_envelope_id_and_original_recipient_come_back_as_they_were_given() -> None:
    made = desk()
    made.add(QueuedRecipient(A, b"rfc822;old+name@y.test", b"FAILURE"), envid=b"id=1+2")
    made.round()
    about, (one,) = records(read(made, only_report(made)))
    assert about["original-envelope-id"] == "id=1+2"
    assert one["original-recipient"] == "rfc822; old+name@y.test"


@pytest.mark.parametrize(
    ("notify", "kinds"),
    [
        (None, ["failed", "delayed"]),
        (b"NEVER", []),
        (b"FAILURE", ["failed"]),
        (b"DELAY", ["delayed"]),
        (b"SUCCESS", ["relayed"]),
        (b"SUCCESS,FAILURE,DELAY", ["failed", "delayed", "relayed"]),
    ],
)
def test_notify_is_honoured(notify: bytes | None, kinds: list[str]) -> None:
    made = desk()
    made.add(*[QueuedRecipient(address, None, notify) for address in (A, B, C)], created=NOW - 5 * HOUR)
    made.round()
    found = {}
    for item in made.reports():
        _, (one,) = records(read(made, item))
        found[one["action"]] = one["final-recipient"]
    wanted = {"failed": "rfc822; a@y.test", "delayed": "rfc822; b@y.test", "relayed": "rfc822; c@y.test"}
    assert found == {kind: wanted[kind] for kind in kinds}


def test_a_delay_says_until_when_it_is_tried_and_encloses_the_header_only() -> None:
    made = desk(schedule=Schedule(expire=3 * DAY))
    made.add(B, created=NOW - 4 * HOUR, header=HEADER)
    made.round()
    message = read(made, only_report(made))
    _, (one,) = records(message)
    assert (one["action"], one["status"]) == ("delayed", "4.2.1")
    assert one["will-retry-until"].startswith("Fri, 17 Nov 2023")  # NOW is the 14th, in the evening
    assert [part.get_content_type() for part in message.iter_parts()][2] == "text/rfc822-headers"


def test_a_delay_and_a_failure_of_one_message_are_two_reports() -> None:
    made = desk()
    made.add(A, B, created=NOW - 5 * HOUR)
    made.round()
    assert sorted([records(read(made, item))[1][0]["action"] for item in made.reports()]) == ["delayed", "failed"]


def test_nobody_is_told_about_a_message_with_the_null_sender() -> None:
    made = desk(Smarthost(replying((b"RCPT TO:<a@", b"550 no"))), postmaster=b"postmaster@x.test")
    qid = made.add(A, sender=b"")
    assert made.round().failed == 1
    assert made.states(qid) == {A: "failed"} and made.reports() == []


def test_a_report_that_cannot_be_delivered_goes_to_the_postmaster_once() -> None:
    smarthost = Smarthost(replying((b"RCPT", b"550 5.1.1 nobody at all")))
    made = desk(smarthost, postmaster=b"postmaster@x.test")
    qid = made.add(A)
    for _ in range(5):
        made.round(due_only=False)
    assert made.states(qid) == {A: "failed"}
    first, second = made.reports()
    assert [one.address for one in first.recipients] == [SENDER]
    assert [one.address for one in second.recipients] == [b"postmaster@x.test"]
    assert {one.state for item in (first, second) for one in item.recipients} == {"failed"}
    message = read(made, second)
    assert message["To"] == "postmaster@x.test" and message["Subject"].startswith("Postmaster Copy")
    _, (one,) = records(message)
    assert one["final-recipient"] == "rfc822; alice@example.org"
    assert any(["postmaster non-delivery notification" in line for line in made.log.of("bounce")])


def test_without_a_postmaster_it_stays_as_failed_and_can_be_looked_at() -> None:
    made = desk(Smarthost(replying((b"RCPT", b"550 5.1.1 nobody at all"))))
    made.add(A)
    made.round()
    item = only_report(made)
    assert [one.state for one in item.recipients] == ["failed"]
    assert b"nobody at all" in made.text(item)


def test_a_hostile_answer_does_not_break_the_report() -> None:
    made = desk(refusing((b"RCPT TO:<a@", b"550-5.1.1 x\r\n550 \x1b[1m\r--boundary Final-Recipient: rfc822; evil@x")))
    made.add(A)
    made.round()
    _, found = records(read(made, only_report(made)))
    assert [one["final-recipient"] for one in found] == ["rfc822; a@y.test"]


def test_a_message_that_has_become_unreadable_is_reported_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = desk()
    qid = made.add(A)
    right, calls = made.store.open, itertools.count()

    def damaged(message: object) -> object:
        if next(calls):
            raise Damaged("changed")
        return right(message)  # type: ignore[arg-type]

    monkeypatch.setattr(made.store, "open", damaged)
    made.round()
    monkeypatch.undo()
    assert made.states(qid) == {A: "failed"}
    _, (one,) = records(read(made, only_report(made)))
    assert one["status"] == "5.1.1"


def test_what_was_given_up_in_doubt_says_so() -> None:
    made = desk(Smarthost(lambda connection, line: b"" if line == b"." else None), schedule=Schedule(60, 60, 120, None))
    qid = made.add(A)
    for _ in range(3):
        made.later(60)
    assert made.states(qid) == {A: "failed"}
    text = next(part for part in read(made, only_report(made)).walk() if part.get_content_type() == "text/plain")
    assert "not known whether" in text.get_content()


def test_every_report_has_a_queue_id_of_its_own_though_the_clock_stands_still() -> None:
    ids = Ids()
    assert len({ids.next(NOW) for _ in range(10_000)}) == 10_000
    assert all([qid.isalnum() and qid == qid.upper() for qid in (ids.next(NOW - DAY) for _ in range(10))])
    made = desk()
    for _ in range(30):
        made.add(A)
    made.round()
    assert len(made.reports()) == 30
