"""pysendmail queue show and why: everything that is known of a message, and one sentence on each recipient."""

from typing import Any

import pytest

from pysendmail.queue.states import MEANING, STATES
from pysendmail.queue.store import Damaged, Stored
from pysendmail.queue.values import Message, QueuedRecipient
from tests.command.queued import HEADER, NOW, Queue, Shared, deferred, objects, run

Capture = pytest.CaptureFixture[str]
MX = "mx.example.net[192.0.2.1]:587"


@pytest.fixture
def queue() -> Queue:
    return Queue()


def shown(queue: Queue, capfd: Capture, *ids: str) -> dict[str, list[str]]:
    """Give what is shown, the texts by their labels."""
    assert run(queue.store, "show", *ids) == 0
    found: dict[str, list[str]] = {}
    for line in capfd.readouterr().out.partition("header\n")[0].splitlines():
        found.setdefault(line[:13].strip(), []).append(line[14:])
    return found


def why(queue: Queue, capfd: Capture, qid: str) -> str:
    """Give the sentence on a message's only recipient, without id and address."""
    assert run(queue.store, "why", qid) == 0
    out = capfd.readouterr().out
    start = f"{qid}: bob@example.net "
    assert out.startswith(start) and out.endswith(".\n") and out.count("\n") == 1
    return out.removeprefix(start).removesuffix(".\n")


def test_show_tells_the_envelope_and_where_it_comes_from(queue: Queue, capfd: Capture) -> None:
    names: dict[str, Any] = {"account": "work", "config": "/home/a/conf", "tag": "cron"}
    qid = queue.add("bob@example.net", uid=4_000_000, text=b"na\xefve\n", age=7200, ret=b"HDRS", envid=b"QQ314", **names)
    found = shown(queue, capfd, qid)
    assert found["id"] == [qid]
    assert found["from"] == ["alice@example.org"]
    assert found["handed in by"] == ["uid 4000000"]
    assert found["arrived"][0].endswith(", 2 hours ago")
    assert found["size"] == ["79 octets: header 70, body 7 (8-bit)"]
    assert (found["account"], found["configuration"], found["log tag"]) == (["work"], ["/home/a/conf"], ["cron"])
    assert found["DSN"] == ["RET=HDRS ENVID=QQ314"]
    assert found["to"] == ["bob@example.net"]


def test_show_tells_all_of_each_recipient(queue: Queue, capfd: Capture) -> None:
    one = deferred(relay=MX, reply="451 4.7.1 later", dsn="4.7.1", orcpt=b"rfc822;B@x.org", notify=b"NEVER")
    qid = queue.add(one, QueuedRecipient(b"carl@example.net", state="held"))
    found = shown(queue, capfd, qid)
    assert found["state"] == [f"{state}: {MEANING[state]}" for state in ("deferred", "held")]
    assert found["before"] == ["queued"]
    assert found["attempts"][0].startswith("2: first ")
    assert (found["server"], found["reply"], found["status"]) == ([MX], ["451 4.7.1 later"], ["4.7.1"])
    assert (found["ORCPT"], found["NOTIFY"]) == (["rfc822;B@x.org"], ["NEVER"])
    assert len(found["next"]) == 1


def test_show_tells_of_a_warning_of_a_runner_and_of_the_end(queue: Queue, capfd: Capture) -> None:
    qid = queue.add("bob@example.net")
    queue.end(qid, "deferred", due=NOW + 60, warned=True)
    assert shown(queue, capfd, qid)["warned"] == ["the sender was told of the delay"]
    owner = queue.claim(qid)
    assert shown(queue, capfd, qid)["runner"] == [owner]
    queue.store.release(owner)
    queue.end(qid, "failed")
    assert shown(queue, capfd, qid)["ended"][0].endswith(", 60 seconds ago")


def test_show_names_a_report_of_our_own_and_the_default_account(queue: Queue, capfd: Capture) -> None:
    found = shown(queue, capfd, queue.add("bob@example.net", sender=b"", bounce=True))
    assert (found["from"], found["account"]) == (["<> (a report of our own)"], ["the default one"])


def test_show_prints_the_header_and_never_the_body(queue: Queue, capfd: Capture) -> None:
    long = b"X-Long: " + b"x" * 5000
    qid = queue.add("bob@example.net", header=HEADER + long + b"\r\nX-Evil: \x1b[2J\r\n\tfolded\r\n", text=b"the body\n")
    assert run(queue.store, "show", qid) == 0
    out = capfd.readouterr().out
    lines = [line.decode() for line in HEADER.split(b"\r\n")[:-1]] + [long.decode(), "X-Evil: ?[2J", " folded"]
    assert out.partition("header\n")[2].splitlines() == [f"  {line}" for line in lines]
    assert "the body" not in out


def test_messages_are_shown_with_a_blank_line_between(queue: Queue, capfd: Capture) -> None:
    queue.add("bob@example.net")
    queue.add("carl@example.net")
    assert run(queue.store, "show", "1M0001", "1m0002*") == 0
    parts = capfd.readouterr().out.split("\n\n")
    assert [part.splitlines()[0].split() for part in parts] == [["id", "1M0001"], ["id", "1M0002"]]


def test_show_as_json_has_the_header_as_text(queue: Queue, capfd: Capture) -> None:
    qid = queue.add("bob@example.net", header=HEADER + b"X-Odd: \xff\r\n")
    assert run(queue.store, "show", "--json", qid, qid) == 0
    (found,) = objects(capfd.readouterr().out)
    assert found["header"] == HEADER.decode().replace("\r\n", "\n") + "X-Odd: \\xff\n"
    assert (found["id"], found["body_size"], found["recipients"][0]["state"]) == (qid, 6, "queued")


class Broken(Shared):
    """A queue in which the texts of the first message and of no other are damaged."""

    def open(self, message: Message) -> Stored:
        if message.id == 1:
            raise Damaged("message 1 cannot be read", "/q.db")
        return super().open(message)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_what_is_known_of_a_damaged_message_is_shown_and_the_others_too(
    arguments: list[str], queue: Queue, capfd: Capture
) -> None:
    queue.store = Broken()
    queue.add("bob@example.net")
    queue.add("carl@example.net")
    assert run(queue.store, "show", *arguments, "1M0001", "1M0002") == Damaged.exit_code
    out, err = capfd.readouterr()
    assert "bob@example.net" in out and "carl@example.net" in out and "Subject: hello" in out
    assert err == "pysendmail: /q.db: message 1 cannot be read\n"


@pytest.mark.parametrize("command", ["show", "why"])
def test_a_user_is_told_of_his_own_messages_only(command: str, queue: Queue, capfd: Capture) -> None:
    queue.add("bob@example.net", uid=1000)
    queue.add("carl@example.net", uid=1001)
    assert run(queue.store, command, "1M0001", "1M0002", uid=1001) == 66
    out, err = capfd.readouterr()
    assert "carl@example.net" in out and "1M0001" not in out
    assert err == "pysendmail: no message of the id 1M0001 is in the queue\n"


def test_why_of_a_new_one_says_that_it_was_not_tried_and_how_it_will_be(queue: Queue, capfd: Capture) -> None:
    assert why(queue, capfd, queue.add("bob@example.net")) == (
        "was not tried yet; the next attempt is due now, and `sendmail -q` makes it at once; nothing has to be done"
    )


def test_why_of_a_deferred_one_has_the_servers_words_and_the_time_of_the_next_attempt(queue: Queue, capfd: Capture) -> None:
    told = why(queue, capfd, queue.add(deferred(relay=MX, reply="451 4.7.1 later", dsn="4.7.1")))
    start = f"has not got it yet (2 attempts, the last one 5 minutes ago); {MX} said: 451 4.7.1 later"
    assert told.startswith(f"{start}; the next attempt comes in 15 minutes (")
    assert told.endswith("); nothing has to be done")


def test_why_does_not_put_our_own_words_into_the_servers_mouth(queue: Queue, capfd: Capture) -> None:
    told = why(queue, capfd, queue.add(deferred(relay=MX, reply="the connection was lost", dsn="4.4.2")))
    assert "5 minutes ago): the connection was lost; the next" in told and MX not in told


@pytest.mark.parametrize(
    ("reply", "dsn", "advice"),
    [
        ("connect to smtp.example.org: Connection refused", "4.4.1", "see that this machine has a connection"),
        ("535 5.7.8 bad password", "4.7.0", "correct user and password in the configuration"),
        ("the issuer of the certificate is unknown", "4.7.5", "`pysendmail check` shows which test"),
        ("unknown word", "4.3.5", "correct the configuration"),
        ("452 4.2.2 mailbox full", "4.2.2", "the recipient has to make room"),
        ("450 4.3.0 try later", "4.3.0", "nothing has to be done"),
    ],
)
def test_why_advises_by_the_kind_of_trouble(reply: str, dsn: str, advice: str, queue: Queue, capfd: Capture) -> None:
    assert f"; {advice}" in why(queue, capfd, queue.add(deferred(reply=reply, dsn=dsn)))


def test_why_of_a_closed_lane_says_what_keeps_all_of_the_account(queue: Queue, capfd: Capture) -> None:
    qid = queue.add("bob@example.net", account="work")
    queue.store.close_lane("work", "", NOW + 1800, reply="535 5.7.8 bad password", dsn="5.7.8")
    told = why(queue, capfd, qid)
    start = "was not tried yet; all mail of this account is put off: 535 5.7.8 bad password; the next attempt"
    assert told.startswith(f"{start} comes in 30 minutes (")
    assert told.endswith("; correct user and password in the configuration; `pysendmail check` tries it")
    assert shown(queue, capfd, qid)["put off"][0].endswith(": 535 5.7.8 bad password")


def test_why_of_an_uncertain_one_says_that_it_may_have_arrived(queue: Queue, capfd: Capture) -> None:
    told = why(queue, capfd, queue.add(deferred(state="uncertain", reply="timed out")))
    assert told.startswith("may have got it already (2 attempts, the last one 5 minutes ago, when the connection was lost")
    assert told.endswith("; ask whether it arrived, and if it did, `pysendmail queue remove 1M0001`")


def test_why_of_a_held_one_says_how_the_hold_ends(queue: Queue, capfd: Capture) -> None:
    told = why(queue, capfd, queue.add(QueuedRecipient(b"bob@example.net", state="held")))
    assert told == "is held before the first attempt; no attempt follows; `pysendmail queue release 1M0001` ends that"
    qid = queue.add("bob@example.net")
    queue.end(qid, "held", origin="uncertain", reply="timed out")
    assert why(queue, capfd, qid).startswith("is held after 1 attempt (the last of which may have arrived): timed out; no")


def test_why_of_a_failed_one_says_what_was_refused_and_how_to_begin_anew(queue: Queue, capfd: Capture) -> None:
    qid = queue.add("bob@example.net")
    queue.end(qid, "failed", reply="550 5.1.1 no such user", dsn="5.1.1", relay=MX)
    assert why(queue, capfd, qid) == (
        f"failed for good 60 seconds ago, after 1 attempt; {MX} said: 550 5.1.1 no such user; no attempt follows; "
        f"there is no such address, so send the message anew to the right one; `pysendmail queue retry {qid}` begins anew"
    )


def test_why_of_one_in_delivery_says_that_it_happens_now(queue: Queue, capfd: Capture) -> None:
    qid = queue.add(deferred())
    queue.claim(qid)
    assert why(queue, capfd, qid).startswith("is being tried right now, after 2 attempts: connect to")


def test_why_has_a_sentence_for_every_state(queue: Queue, capfd: Capture) -> None:
    from pysendmail.command.admin.outlook import Outlook
    from pysendmail.command.admin.queue_why import sentence

    queue.add(deferred())
    (item,) = queue.store.listing()
    (one,) = item.recipients
    told = []
    for state in STATES:
        one.state, one.done = state, NOW - 60
        told.append(sentence(item.message, one, Outlook([], NOW)))
    assert len({text.split(" (")[0] for text in told}) >= 7
    assert all([text.endswith(".") and "\n" not in text for text in told])


def test_why_tells_programs_the_same(queue: Queue, capfd: Capture) -> None:
    qid = queue.add(deferred(), "carl@example.net")
    assert run(queue.store, "why", "--json", qid) == 0
    one, two = objects(capfd.readouterr().out)
    assert (one["id"], one["address"], one["state"], one["next"]) == (qid, "bob@example.net", "deferred", NOW + 900)
    assert one["why"].startswith("has not got it yet")
    assert two["next"] == NOW and isinstance(two, dict)


def test_hostile_text_makes_no_lines_and_no_colours(queue: Queue, capfd: Capture) -> None:
    one = deferred("b\x1b\n@x.org", reply="450 a\r\n\x1b[31m\x9b", relay="r\n[1]:2", dsn="4.0.0")
    qid = queue.add(one, tag="t\n", account="a\x1b")
    for command in ("show", "why"):
        assert run(queue.store, command, qid) == 0
        out = capfd.readouterr().out
        assert not [character for character in out if character != "\n" and not character.isprintable()]
    assert run(queue.store, "why", qid) == 0
    assert capfd.readouterr().out.count("\n") == 1
