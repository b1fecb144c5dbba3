"""What goes into a queue comes out of it as it was, or does not go in at all."""

import pytest

from pysendmail import errors
from pysendmail.message.body import Body
from pysendmail.queue import states
from pysendmail.queue.store import Damaged, Store
from pysendmail.queue.values import Entry, QueuedRecipient
from tests.queue.stores import HEADER, NOW, body, claim, contents, entry, fields, results, text

MANY = b"".join([b"%06d " % number + b"x" * 60 + b"\n" for number in range(45000)])


def test_what_was_added_comes_back_with_all_its_facts(store: Store) -> None:
    new = entry(
        QueuedRecipient(b"bob@example.net", b"rfc822;Bob@Example.NET", b"SUCCESS,FAILURE"),
        QueuedRecipient("jürgen@example.net".encode()),
        account="work",
        config="/home/alice/.config/pysendmail/pysendmail.conf",
        ret=b"HDRS",
        envid=b"e+1",
        tag="cron",
        bounce=True,
        data="grüße\n".encode() + b"y" * 1500 + b"\n\0\n",
    )
    qid = store.add(new)
    item = store.get(qid)
    assert item is not None
    message = item.message
    assert fields(message, without=["id", "header_size", "body_size", "eight_bit", "nul", "long_line"]) == fields(
        new, without=["header", "body", "recipients"]
    )
    assert (message.header_size, message.body_size) == (len(HEADER), new.body.size)
    assert message.size == len(text(store, item))
    assert message.eight_bit and message.nul and message.long_line
    assert [fields(one, without=["message"]) for one in item.recipients] == [
        {
            **fields(given, without=["tried"]),
            "number": number, "due": NOW, "first_tried": 0.0, "last_tried": 0.0, "done": 0.0, "origin": "", "owner": "",
            "warned": False,
        }
        for number, given in enumerate(new.recipients)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [b"", b"one line\n", b".\n..\n", bytes(range(256)), b"x" * (1 << 20), MANY[: (1 << 20) - 70], MANY],
    ids=["empty", "line", "dots", "octets", "one row", "almost one row", "several rows"],
)
@pytest.mark.parametrize("header", [HEADER, b"X: " + b"y" * (1 << 20) + b"\r\n"], ids=["small", "large"])
def test_the_text_is_read_as_it_was_written(store: Store, data: bytes, header: bytes) -> None:
    new = entry(data=data, header=header)
    store.add(new)
    (item,) = claim(store, store.enroll())
    stored = store.open(item.message)
    original = b"".join(new.body.chunks())
    assert stored.header == header
    assert b"".join(stored.body.chunks()) == original == b"".join(stored.body.chunks())
    assert b"".join(stored.body.chunks(1000)) == original
    assert all(0 < len(chunk) <= 1000 for chunk in stored.body.chunks(1000))
    assert (stored.body.size, stored.body.long_line) == (new.body.size, new.body.long_line)
    stored.body.close()


def test_a_body_that_lay_in_a_file_is_taken_too(store: Store, tmp_path) -> None:
    spooled = body(MANY, memory=1000, folders=[str(tmp_path)])
    new = entry(qid="SPOOLED1")
    new.body = spooled
    store.add(new)
    spooled.close()
    (item,) = claim(store, store.enroll())
    assert text(store, item) == HEADER + b"\r\n" + MANY.replace(b"\n", b"\r\n")


def test_a_stored_body_can_enter_another_queue(store: Store) -> None:
    store.add(entry(qid="FIRST", data=MANY))
    (item,) = claim(store, store.enroll())
    again = entry(qid="SECOND")
    again.body = store.open(item.message).body
    store.add(again)
    copy = store.get("SECOND")
    assert copy is not None and text(store, copy) == text(store, item)


def test_a_recipient_who_was_tried_once_enters_with_what_is_known(store: Store) -> None:
    tried = QueuedRecipient(
        b"bob@example.net",
        state=states.UNCERTAIN,
        due=NOW + 60,
        attempts=1,
        reply="lost",
        dsn="4.4.2",
        relay="mx[192.0.2.1]:25",
        tried=NOW - 1,
    )
    item = store.get(store.add(entry(tried, QueuedRecipient(b"carol@x", state=states.HELD))))
    assert item is not None
    bob, carol = item.recipients
    assert (bob.state, bob.due, bob.attempts, bob.reply, bob.dsn, bob.relay) == (
        "uncertain", NOW + 60, 1, "lost", "4.4.2", "mx[192.0.2.1]:25",
    )  # fmt: skip
    assert (bob.first_tried, bob.last_tried) == (NOW - 1, NOW - 1)
    assert (carol.state, carol.origin) == ("held", "queued")
    assert claim(store, store.enroll()) == []


@pytest.mark.parametrize("state", sorted(set(states.STATES) - set(states.FIRST)))
def test_nobody_enters_in_a_state_that_only_the_queue_gives(store: Store, state: str) -> None:
    with pytest.raises(errors.SoftwareError):
        store.add(entry(QueuedRecipient(b"bob@x", state=state)))
    assert store.counts().messages == 0


def test_a_message_without_recipients_is_refused(store: Store) -> None:
    new = entry()
    new.recipients = []
    with pytest.raises(errors.SoftwareError):
        store.add(new)
    assert store.counts().messages == 0


class Breaking(Body):
    """A body that cannot be read to its end."""

    def __init__(self, failure: errors.Failure | None) -> None:
        self.size, self.eight_bit, self.nul, self.long_line = 3 << 20, False, False, False
        self.failure = failure

    def chunks(self, size: int = 1 << 18):
        yield b"x" * (1 << 20)
        if self.failure:
            raise self.failure
        yield b"y" * (1 << 20)

    def close(self) -> None: ...


@pytest.mark.parametrize("failure", [errors.TempFail("the disk is broken"), None], ids=["fails", "is too short"])
def test_nothing_is_there_of_a_message_whose_body_breaks_off(store: Store, failure: errors.Failure | None) -> None:
    new = entry()
    new.body = Breaking(failure)
    with pytest.raises(errors.Failure):
        store.add(new)
    assert store.counts().messages == 0 and list(store.check()) == []
    store.add(entry())
    assert store.counts().messages == 1


def test_several_messages_enter_all_or_none(store: Store) -> None:
    assert store.add_many([]) == []
    ids = store.add_many(iter([entry(), entry(), entry()]))
    assert list(contents(store)) == ids
    broken = entry()
    broken.recipients = []
    with pytest.raises(errors.SoftwareError):
        store.add_many([entry(), broken])
    assert list(contents(store)) == ids


def test_a_queue_id_is_there_once(store: Store) -> None:
    store.add(entry(qid="ONCE"))
    with pytest.raises(errors.TempFail, match="queue id"):
        store.add(entry(b"other@x", qid="ONCE"))
    assert contents(store) == {"ONCE": [(b"bob@example.net", "queued")]}


def test_numbers_of_messages_never_come_again(store: Store) -> None:
    seen = []
    for _ in range(3):
        store.add(entry())
        (item,) = claim(store, owner := store.enroll())
        seen.append(item.message.id)
        assert store.finish(owner, results([item]))
    assert sorted(set(seen)) == seen
    with pytest.raises(Damaged, match="removed"):
        store.open(item.message)


def test_names_that_are_no_text_survive(store: Store) -> None:
    config = b"/home/\xff\xfe/conf".decode("utf-8", "surrogateescape")
    item = store.get(store.add(entry(config=config, tag="\udcfftag", account="geschäft")))
    assert item is not None
    assert (item.message.config, item.message.account) == (config, "geschäft")
    assert [(lane.account, lane.config) for lane in store.lanes()] == [("geschäft", config)]


def test_the_null_sender_and_odd_addresses_survive(store: Store) -> None:
    odd = [b'"a b"@x', b"\xff@x", b"a" * 2000 + b"@x", b"'; DROP TABLE message; --@x"]
    item = store.get(store.add(entry(*odd, sender=b"")))
    assert item is not None
    assert (item.message.sender, [one.address for one in item.recipients]) == (b"", odd)


def test_ten_thousand_recipients_enter_and_leave(store: Store) -> None:
    store.add(entry(*[b"user%d@example.net" % number for number in range(10_000)]))
    owner = store.enroll()
    (item,) = claim(store, owner)
    assert [one.number for one in item.recipients] == list(range(10_000))
    assert len(store.finish(owner, results([item]))) == 10_000
    assert store.counts().messages == 0


def test_an_entry_is_a_plain_value() -> None:
    new = Entry("Q1", 1, b"a@x", HEADER, body(), [QueuedRecipient(b"b@x")], created=1.0)
    assert (new.account, new.config, new.ret, new.envid, new.tag, new.bounce) == ("", "", None, None, "", False)
