"""-odi, -odb and -odq with a queue: what the caller is told, what is sent, and what waits."""

import pytest

from tests.command.caller import MESSAGE, until
from tests.queue_command.keeper import SENDER, Keeper
from tests.scripted import Peer, ScriptedServer, ehlo, envelope

BOB, CAROL = "bob@example.net", "carol@example.net"


@pytest.mark.parametrize("mode", ["-odq", "-odd"])
def test_queue_only_commits_and_sends_nothing(caller: Keeper, mode: str) -> None:
    caller.submit(mode, BOB)
    assert caller.waiting() == [(BOB, "queued")]
    assert caller.server.connections == 0
    [text] = caller.texts().values()
    assert text.endswith(b"\r\n\r\ntext\r\n") and b"Subject: hello\r\n" in text


def test_the_configuration_can_ask_for_the_queue(caller: Keeper) -> None:
    caller.submit(BOB, words={"delivery": "queue"})
    assert caller.waiting() == [(BOB, "queued")] and caller.server.connections == 0


def test_an_option_overrules_the_configuration(caller: Keeper) -> None:
    caller.submit("-odi", BOB, words={"delivery": "queue"})
    assert caller.waiting() == [] and len(caller.server.deliveries) == 1


def test_the_background_mode_answers_before_the_server_does(caller: Keeper) -> None:
    import threading

    gate = caller.server.gates["greeting"] = threading.Event()
    caller.submit("-odb", BOB)
    assert [address for address, _ in caller.waiting()] == [BOB]
    assert caller.server.deliveries == []
    gate.set()
    caller.until_empty()
    [delivery] = caller.server.deliveries
    assert (delivery.sender, delivery.recipients) == (SENDER, [BOB])


def test_what_the_background_cannot_deliver_waits(caller: Keeper, dead: dict[str, str]) -> None:
    caller.submit("-odb", BOB, words=dead)
    until(lambda: "refused" in caller.mailq())
    caller.flush()
    assert caller.waiting() == [] and len(caller.server.deliveries) == 1


def test_what_is_sent_at_once_leaves_nothing_in_the_queue(caller: Keeper) -> None:
    delivery = caller.deliver("-odi", BOB, CAROL)
    assert delivery.recipients == [BOB, CAROL]
    assert caller.waiting() == []
    assert "Mail queue is empty" in caller.mailq()


def test_a_smarthost_that_is_down_leaves_the_message_in_the_queue(caller: Keeper, dead: dict[str, str]) -> None:
    caller.submit("-odi", BOB, words=dead)
    assert caller.waiting() == [(BOB, "deferred")]
    listed = caller.mailq()
    assert "Connection refused" in listed and dead["port"] in listed and BOB in listed and "in 1 Request." in listed
    assert any("status=deferred" in line for line in caller.log)


def test_a_recipient_who_is_refused_alone_is_told_by_the_exit_code(caller: Keeper) -> None:
    caller.server.answers["RCPT"] = "550 5.1.1 no such mailbox"
    assert "no such mailbox" in caller.refuse(67, "-odi", BOB)
    assert caller.waiting() == []


def test_beside_one_who_waits_a_refused_recipient_is_told_by_a_bounce(caller: Keeper) -> None:
    caller.server.answers |= {f"RCPT TO:<{BOB}": "550 5.1.1 no such mailbox", f"RCPT TO:<{CAROL}": "450 4.2.0 busy"}
    caller.submit("-odi", BOB, CAROL, "dave@example.net")
    assert sorted(caller.waiting()) == [(CAROL, "deferred"), (SENDER, "queued")]
    [bounce] = [item for item in caller.items() if item.message.bounce]
    assert bounce.message.sender == b""
    text = caller.texts()[bounce.message.qid]
    assert b"Action: failed" in text and b"no such mailbox" in text and BOB.encode() in text
    assert b"carol@" not in text.partition(b"Content-Type: message/rfc822")[0]
    assert [one.recipients for one in caller.server.deliveries] == [["dave@example.net"]]
    caller.server.answers.clear()
    caller.flush()
    assert sorted(one.recipients for one in caller.server.deliveries) == [[CAROL], ["dave@example.net"], [SENDER]]
    assert caller.waiting() == []


def test_beside_one_who_is_served_a_refused_recipient_is_told_by_the_exit_code(caller: Keeper) -> None:
    caller.server.answers[f"RCPT TO:<{BOB}"] = "550 5.1.1 no such mailbox"
    done = caller.run("-odi", BOB, CAROL)
    assert done.returncode == 67 and b"accepted for carol@example.net" in done.stderr
    assert caller.waiting() == []


def _lost(peer: Peer) -> None:
    """Take a message and go without a word about it."""
    peer.say("220 mx.test ESMTP")
    ehlo(peer)
    envelope(peer)
    peer.message()


@pytest.mark.parametrize(("words", "state"), [({}, "uncertain"), ({"uncertain": "hold"}, "held")])
def test_an_uncertain_outcome_is_queued_as_such(caller: Keeper, words: dict[str, str], state: str) -> None:
    with ScriptedServer(_lost, {}) as server:
        caller.submit("-odi", BOB, words={"port": str(server.port), **words})
    assert caller.waiting() == [(BOB, state)]
    [(first, again)] = [(server.messages[0], text) for text in caller.texts().values()]
    assert _identity(first) == _identity(again)
    caller.flush(words=words)
    assert len(caller.server.deliveries) == (1 if state == "uncertain" else 0)
    assert caller.waiting() == ([] if state == "uncertain" else [(BOB, "held")])


def _identity(text: bytes) -> list[bytes]:
    found = [line for line in text.split(b"\r\n") if line.lower().startswith(b"message-id:")]
    assert len(found) == 1
    return found


def test_a_refused_login_bounces_nothing(caller: Keeper) -> None:
    caller.server.mechanisms, caller.server.answers = "PLAIN", {"AUTH": "535 5.7.8 wrong password"}
    login = {"user": "u", "password": "secret", "auth_without_tls": "on"}
    caller.submit("-odi", BOB, words=login)
    assert caller.waiting() == [(BOB, "deferred")]
    assert "wrong password" in caller.mailq()
    done = caller.flush(words=login)
    assert b"wrong password" in done.stderr and caller.waiting() == [(BOB, "deferred")]
    caller.server.answers.clear()
    caller.flush(words=login)
    assert caller.waiting() == [] and len(caller.server.deliveries) == 1


def test_verbose_implies_delivery_now(caller: Keeper) -> None:
    done = caller.run("-v", "-odq", BOB)
    assert done.returncode == 0 and b"RCPT TO" in done.stderr
    assert len(caller.server.deliveries) == 1 and caller.waiting() == []


@pytest.mark.parametrize("mode", ["-odi", "-odb", "-odq"])
def test_without_a_queue_every_mode_delivers_now(caller: Keeper, dead: dict[str, str], mode: str) -> None:
    caller.deliver(mode, BOB, words={"queue": ""})
    caller.refuse(75, mode, BOB, words={"queue": "", **dead})
    assert not caller.queue.parent.exists()


def test_a_bad_address_queues_nothing(caller: Keeper) -> None:
    caller.refuse(65, "-odq", "bob@", BOB)
    assert caller.waiting() == []


def test_an_empty_input_queues_nothing(caller: Keeper) -> None:
    caller.refuse(65, "-odq", BOB, message=b"")
    assert caller.waiting() == []


def test_a_large_message_comes_out_of_the_queue_as_it_went_in(caller: Keeper) -> None:
    body = b"".join(b"%09d of a long text with a dot below it\n.\n" % number for number in range(80_000))
    caller.submit("-i", "-odq", BOB, message=MESSAGE + body)
    caller.flush()
    [delivery] = caller.server.deliveries
    assert delivery.body == (b"text\n" + body).replace(b"\n", b"\r\n")


def test_dsn_wishes_survive_in_the_queue(caller: Keeper) -> None:
    caller.submit("-odq", "-N", "success,delay", "-R", "hdrs", "-V", "env+1", BOB)
    caller.flush()
    [delivery] = caller.server.deliveries
    assert "RET=HDRS" in delivery.sender_words and "ENVID=env+2B1" in delivery.sender_words
    assert any(word.startswith("NOTIFY=SUCCESS,DELAY") for word in delivery.recipient_words[0])


@pytest.mark.parametrize("option", ["-oem", "-oew", "-oee"])
def test_who_asks_for_mail_has_a_refusal_queued_as_a_report(caller: Keeper, option: str) -> None:
    caller.server.answers["RCPT"] = "550 5.1.1 no such mailbox"
    caller.submit("-odi", option, BOB)
    assert caller.waiting() == [(SENDER, "queued")]
    [item] = caller.items()
    assert item.message.bounce and b"no such mailbox" in caller.texts()[item.message.qid]


@pytest.mark.parametrize("more", [["-f", "<>"], ["-N", "never"]])
def test_who_cannot_be_told_by_mail_is_told_by_the_exit_code(caller: Keeper, more: list[str]) -> None:
    caller.server.answers["RCPT"] = "550 5.1.1 no such mailbox"
    assert "no such mailbox" in caller.refuse(67, "-odi", "-oem", *more, BOB)
    assert caller.waiting() == []
