"""Several servers of one account: when the next one is tried, when it must not be, and for how long."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from pysendmail import errors
from pysendmail.delivery import failover
from pysendmail.delivery.deliver import Report, deliver
from pysendmail.delivery.session import Route, Session
from pysendmail.smtp.outcome import DEFERRED, FAILED, SENT, UNCERTAIN
from pysendmail.smtp.sasl import Credentials
from tests.black_hole import black_hole
from tests.delivery import memory
from tests.obedient import Obedient
from tests.scripted import Peer, ScriptedServer, ehlo, envelope

LOCK_STEP = ("8BITMIME",)


@contextlib.contextmanager
def pair(first: dict[str, str] | None = None, second: dict[str, str] | None = None, **more: object) -> Iterator[list[Obedient]]:
    """Run two servers with these answers."""
    with Obedient(answers=first, **more) as one, Obedient(answers=second, host="127.0.0.2", **more) as two:  # type: ignore
        yield [one, two]


def route(*servers: str, credentials: Credentials | None = None, **words: object) -> Route:
    return memory.route({"host": " ".join(servers), "timeout": 20, **words}, credentials)


def places(servers: list[Obedient]) -> list[str]:
    return [f"{server.listener.getsockname()[0]}:{server.port}" for server in servers]


def send(servers: list[Obedient], *recipients: bytes, **words: object) -> Report:
    return deliver(memory.parcel(*recipients), route(*places(servers), **words))  # type: ignore[arg-type]


def counts(servers: list[Obedient]) -> list[int]:
    return [len(server.deliveries) for server in servers]


def test_the_first_server_gets_the_message_and_the_second_hears_nothing() -> None:
    with pair() as servers:
        report = send(servers)
        assert [outcome.state for outcome in report.outcomes] == [SENT]
        assert counts(servers) == [1, 0] and servers[1].connections == 0


@pytest.mark.parametrize(
    "answers",
    [
        {"greeting": "421 4.3.2 going down"},
        {"greeting": "554 5.3.2 no service"},
        {"EHLO": "421 4.3.2 busy"},
        {"MAIL": "451 4.3.0 later"},
        {"MAIL": "421 4.3.0 good-bye"},
        {"RCPT": "450 4.2.0 greylisted"},
        {"RCPT": "451 4.3.0 later"},
    ],
    ids=lambda answers: " ".join([*answers, *answers.values()])[:12],
)
@pytest.mark.parametrize("capabilities", [memory.CAPABILITIES, memory.DATA_ONLY, LOCK_STEP], ids=["bdat", "data", "lock-step"])
def test_the_next_server_is_tried_where_nothing_was_taken(answers: dict[str, str], capabilities: tuple[str, ...]) -> None:
    with pair(answers, capabilities=capabilities) as servers:
        report = send(servers, b"a@x.test", b"b@x.test")
        assert [outcome.state for outcome in report.outcomes] == [SENT, SENT]
        assert report.relay.startswith("127.0.0.2[127.0.0.2]:")
        assert counts(servers) == [0, 1]


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({"MAIL": "550 5.7.1 not you"}, FAILED),
        ({"RCPT": "550 5.1.1 nobody"}, FAILED),
        ({"DATA": "554 5.6.0 no"}, FAILED),
        ({".": "554 5.7.1 spam"}, FAILED),
        ({".": "451 4.3.0 later"}, DEFERRED),
        ({"DATA": "451 4.3.0 later"}, DEFERRED),
        ({"MAIL": "530 5.7.0 log in"}, DEFERRED),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("capabilities", [memory.DATA_ONLY, LOCK_STEP], ids=["pipelined", "lock-step"])
def test_no_other_server_is_asked_after_a_refusal_or_once_something_was_accepted(
    answers: dict[str, str], state: str, capabilities: tuple[str, ...]
) -> None:
    with pair(answers, capabilities=capabilities) as servers:
        report = send(servers)
        assert [outcome.state for outcome in report.outcomes] == [state]
        assert servers[1].connections == 0


def test_one_recipient_who_was_accepted_keeps_the_others_from_another_server() -> None:
    with pair({"RCPT TO:<b": "450 4.2.0 later"}) as servers:
        report = send(servers, b"a@x.test", b"b@x.test")
        assert [outcome.state for outcome in report.outcomes] == [SENT, DEFERRED]
        assert counts(servers) == [1, 0] and servers[1].connections == 0


def test_one_recipient_who_was_refused_keeps_the_others_from_another_server() -> None:
    with pair({"RCPT TO:<a": "550 5.1.1 nobody", "RCPT TO:<b": "450 4.2.0 later"}) as servers:
        report = send(servers, b"a@x.test", b"b@x.test")
        assert [outcome.state for outcome in report.outcomes] == [FAILED, DEFERRED]
        assert servers[1].connections == 0


def test_a_connection_that_breaks_after_the_end_of_the_message_is_never_made_good_elsewhere() -> None:
    def vanish(peer: Peer) -> None:
        peer.say("220 mx.test ESMTP")
        ehlo(peer)
        envelope(peer)
        peer.message()
        peer.hang_up()

    with ScriptedServer(vanish, {}) as one, Obedient(host="127.0.0.2") as two:
        report = deliver(memory.parcel(), route(f"127.0.0.1:{one.port}", f"127.0.0.2:{two.port}"))
        assert [outcome.state for outcome in report.outcomes] == [UNCERTAIN]
        assert two.connections == 0


def test_a_connection_that_breaks_before_anybody_was_accepted_is_made_elsewhere() -> None:
    def vanish(peer: Peer) -> None:
        peer.say("220 mx.test ESMTP")
        ehlo(peer, capabilities=LOCK_STEP)
        peer.hear("MAIL")
        peer.hang_up()

    with ScriptedServer(vanish, {}) as one, Obedient(host="127.0.0.2") as two:
        report = deliver(memory.parcel(), route(f"127.0.0.1:{one.port}", f"127.0.0.2:{two.port}"))
        assert [outcome.state for outcome in report.outcomes] == [SENT]


def test_a_refused_login_ends_the_search() -> None:
    with pair({"AUTH": "535 5.7.8 wrong"}, mechanisms="PLAIN") as servers:
        login = Credentials(b"user", b"secret")
        report = deliver(memory.parcel(), route(*places(servers), credentials=login, user="user", auth_without_tls="on"))
        assert [outcome.exit_code for outcome in report.outcomes] == [errors.NoPermission.exit_code]
        assert servers[1].connections == 0


def test_a_login_that_the_server_cannot_check_now_is_tried_elsewhere() -> None:
    with pair({"AUTH": "454 4.7.0 later"}, mechanisms="PLAIN") as servers:
        login = Credentials(b"user", b"secret")
        report = deliver(memory.parcel(), route(*places(servers), credentials=login, user="user", auth_without_tls="on"))
        assert [outcome.state for outcome in report.outcomes] == [SENT]


def test_where_no_server_can_be_used_each_says_why() -> None:
    with pair({"greeting": "421 4.3.2 one"}, {"greeting": "421 4.3.2 two"}) as servers:
        report = send(servers)
        text = report.outcomes[0].text
        assert b"4.3.2 one" in text and b"4.3.2 two" in text
        assert report.outcomes[0].exit_code == 75


def test_where_the_other_server_is_away_the_answer_of_this_one_is_the_outcome() -> None:
    with pair({"RCPT": "450 4.2.0 greylisted"}, {"greeting": "421 4.3.2 down"}) as servers:
        report = send(servers)
        assert b"greylisted" in report.outcomes[0].text
        assert report.relay.startswith("127.0.0.1[")
        assert servers[1].connections == 1


def test_all_servers_put_it_off_and_each_is_asked_once() -> None:
    with pair({"RCPT": "450 4.2.0 one"}, {"RCPT": "450 4.2.0 two"}) as servers:
        report = send(servers)
        assert [outcome.state for outcome in report.outcomes] == [DEFERRED]
        assert [server.connections for server in servers] == [1, 1]


def test_a_server_that_takes_less_is_no_reason_to_refuse_a_message_that_was_put_off() -> None:
    with Obedient(answers={"MAIL": "451 4.3.0 later"}) as one, Obedient(capabilities=(), host="127.0.0.2") as two:
        parcel = memory.parcel("ü@x.test".encode())
        report = deliver(parcel, route(*places([one, two])))
        assert [outcome.state for outcome in report.outcomes] == [DEFERRED]


def test_a_black_hole_takes_its_share_of_the_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "CONNECT", 1.0)
    with black_hole() as port, Obedient() as server:
        way = route(f"127.0.0.9:{port}", f"127.0.0.1:{server.port}", timeout=300)
        begun = time.monotonic()
        report = deliver(memory.parcel(), way)
        assert [outcome.state for outcome in report.outcomes] == [SENT]
        assert time.monotonic() - begun < 60
        begun = time.monotonic()
        monkeypatch.setattr(failover, "CONNECT", 200.0)  # it is known, and not even called
        assert [outcome.state for outcome in deliver(memory.parcel(), way).outcomes] == [SENT]
        assert time.monotonic() - begun < 60


def test_a_server_that_greets_and_then_says_nothing_takes_its_share_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "READY", 1.0)

    def stall(peer: Peer) -> None:
        peer.say("220 mx.test ESMTP")
        peer.stall()

    with ScriptedServer(stall, {}) as one, Obedient(host="127.0.0.2") as two:
        begun = time.monotonic()
        report = deliver(memory.parcel(), route(f"127.0.0.1:{one.port}", f"127.0.0.2:{two.port}", timeout=300))
        assert [outcome.state for outcome in report.outcomes] == [SENT]
        assert time.monotonic() - begun < 60


def test_a_server_that_failed_lately_comes_after_the_others_and_is_used_when_they_fail() -> None:
    account = route("a.test", "b.test", "c.test").account
    state = failover.Failover(account)
    a, b, c = account.servers
    state.failed(a)
    assert list(state.order(1e9, set())) == [(b, False), (c, False), (a, True)]
    assert list(state.order(1e9, {b.key}, only_good=True)) == [(c, False)]
    state.worked(a)
    assert [server for server, _ in state.order(1e9, set())] == [a, b, c]
    assert list(state.order(1e9, {a.key, b.key, c.key})) == []


def test_a_session_is_opened_anew_at_the_servers_that_are_left() -> None:
    with pair() as servers:
        session = Session(route(*places(servers)), time.monotonic() + 60)
        session.open()
        assert session.open_next()
        assert session.relay.startswith("127.0.0.2")
        assert not session.open_next()
        assert session.client is not None and session.usable
        session.close()
        session.open()
        assert session.relay.startswith("127.0.0.2")
        session.close()


def test_one_server_alone_is_never_left() -> None:
    with Obedient() as server:
        session = Session(route(f"127.0.0.1:{server.port}"), time.monotonic() + 60)
        session.open()
        assert not session.open_next()
        session.close()
        assert server.connections == 1
