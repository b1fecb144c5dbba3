"""Connections that are kept for the next message: taken warm, given up in time, heard when the server speaks."""

import select
import socket
import time
from collections.abc import Iterator

import pytest

from pysendmail.delivery import session
from pysendmail.delivery.deliver import deliver, make_mail
from pysendmail.delivery.pool import AGE, Pool
from pysendmail.delivery.session import Route, Session
from pysendmail.smtp.sasl import Credentials
from tests.crowd import Crowd
from tests.delivery import memory
from tests.delivery.conftest import MakeRoute
from tests.delivery.memory import Smarthost, parcel
from tests.scripted import Peer

KEY = ("", "")
WAIT = 30.0


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with Crowd() as server:
        yield server


def opened(server: Crowd) -> Session:
    """Give a session that stands."""
    made = Session(memory.route({"host": "127.0.0.1", "port": server.port, "timeout": 20}), time.monotonic() + WAIT)
    made.open()
    return made


def parked(server: Crowd, pool: Pool, **more: float) -> Session:
    """Park a session that stands."""
    made = opened(server)
    now = time.monotonic()
    pool.park(KEY, made, 1, more.get("since", now), now, more.get("idle", 60.0))
    return made


def ended(server: Crowd) -> bool:
    end = time.monotonic() + WAIT
    while server.standing and time.monotonic() < end:
        time.sleep(0.01)
    return not server.standing


def test_a_parked_session_is_taken_once_the_one_used_last_first(crowd: Crowd) -> None:
    pool = Pool()
    one, two = parked(crowd, pool), parked(crowd, pool)
    taken = [pool.take(KEY, time.monotonic()) for _ in range(3)]
    assert [each and each.session for each in taken] == [two, one, None]
    one.close()
    two.close()


def test_a_session_leads_only_where_its_key_says(crowd: Crowd) -> None:
    pool = Pool()
    parked(crowd, pool)
    assert pool.take(("other", ""), time.monotonic()) is None and not pool.has(("other", "")) and pool.has(KEY)
    pool.drop(("other", ""))
    assert pool.count == 1
    pool.drop(KEY)
    assert pool.count == 0 and ended(crowd)


def test_what_was_idle_or_old_for_too_long_is_not_taken_but_ended(crowd: Crowd) -> None:
    pool = Pool()
    parked(crowd, pool, idle=10.0)
    assert pool.take(KEY, time.monotonic() + 10.5) is None
    parked(crowd, pool, since=time.monotonic() - AGE + 5.0)
    assert pool.take(KEY, time.monotonic() + 6.0) is None
    parked(crowd, pool, since=time.monotonic() - AGE)
    assert pool.count == 0 and ended(crowd)
    assert crowd.commands.count("QUIT") == 3


def test_the_time_of_the_next_closing_is_that_of_the_session_that_is_due_first(crowd: Crowd) -> None:
    pool = Pool()
    assert pool.watch() == ([], None)
    now = time.monotonic()
    parked(crowd, pool, idle=50.0)
    parked(crowd, pool, idle=20.0)
    fds, when = pool.watch()
    assert len(fds) == 2 and when is not None and abs(when - now - 20.0) < 10.0
    pool.heed([], now + 40.0)
    assert pool.count == 1
    pool.close()
    assert ended(crowd)


@pytest.mark.parametrize("how", ["goodbye", "end", "rubbish", "reset"])
def test_a_server_that_ends_it_is_heard_through_the_descriptor(crowd: Crowd, how: str) -> None:
    pool = Pool()
    parked(crowd, pool)
    peer = crowd.peers[0]
    if how == "reset":
        peer.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.raw.shutdown(socket.SHUT_RD)
        peer.raw.close()
    elif how == "end":
        peer.raw.shutdown(socket.SHUT_WR)
    else:
        peer.send(b"421 4.4.2 bye\r\n" if how == "goodbye" else b"\0\1\2 what\r\n")
    fds, _ = pool.watch()
    poll = select.poll()
    poll.register(fds[0], select.POLLIN)
    assert poll.poll(WAIT * 1000), "the server can be heard"
    pool.heed(fds, time.monotonic())
    assert pool.count == 0


def test_what_the_server_said_is_heard_when_the_session_is_taken_too(crowd: Crowd) -> None:
    pool = Pool()
    parked(crowd, pool)
    crowd.peers[0].raw.shutdown(socket.SHUT_WR)
    select.select([pool.watch()[0][0]], [], [], WAIT)
    assert pool.take(KEY, time.monotonic()) is None


def test_after_a_sleep_of_the_machine_no_connection_is_trusted(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    from pysendmail.delivery import pool as module

    pool = Pool()
    parked(crowd, pool)
    slept = module.asleep() + 3600
    monkeypatch.setattr(module, "asleep", lambda: slept)
    assert pool.take(KEY, time.monotonic()) is None and ended(crowd)
    made = parked(crowd, pool)
    assert pool.take(KEY, time.monotonic()) is not None
    made.close()


def test_a_descriptor_that_is_not_parked_any_more_is_none_of_its_business(crowd: Crowd) -> None:
    pool = Pool()
    made = parked(crowd, pool)
    fds, _ = pool.watch()
    assert pool.take(KEY, time.monotonic()) is not None
    pool.heed(fds, time.monotonic())
    assert made.usable
    made.close()


def test_too_many_sessions_are_not_kept(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    from pysendmail.delivery import pool as module

    monkeypatch.setattr(module, "_MOST", 3)
    pool = Pool()
    sessions = [parked(crowd, pool) for _ in range(5)]
    assert pool.count == 3 and [each.client is None for each in sessions] == [True, True, False, False, False]
    pool.close()


def test_the_peer_of_a_parked_connection_is_probed_by_the_kernel(crowd: Crowd) -> None:
    pool = Pool()
    made = parked(crowd, pool)
    link = made._ready_link()
    assert link._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle, interval, count = [
        link._socket.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    ]
    assert idle + interval * count <= 60, "a peer that has vanished is found out within a minute"
    pool.close()


# What it is for


@pytest.mark.parametrize("size", [100, 30_000, 60_000])
def test_a_message_of_up_to_64_kb_is_one_flight_and_one_wait(size: int) -> None:
    smarthost = Smarthost(together=True)
    writes: list[int] = []
    with memory.connected(smarthost) as (_, links):
        made = Session(memory.route(), 1e9)
        client = made.open()
        link = links[0]
        write, waits = link.write, link.waits

        def counting(data: bytes, patience: float, deadline: float) -> None:
            writes.append(len(data))
            write(data, patience, deadline)

        link.write = counting  # type: ignore[method-assign]
        message = parcel(body=b"x" * 70 + b"\n" + b"line of text\n" * (size // 14))
        made.send(make_mail(message, client), message.recipients)
        assert (len(writes), link.waits - waits) == (1, 1)


@pytest.fixture
def secure(identities: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    """Give a smarthost that speaks TLS, under the name that its certificate has; its context is one for all connections."""
    with Crowd(identities, tls="starttls", mechanisms="PLAIN") as server:
        context = server.context("good")
        server.context = lambda identity, **options: context  # type: ignore[method-assign]
        found = [(socket.AF_INET, server.listener.getsockname())]
        monkeypatch.setattr(session, "addresses", lambda host, port, deadline: list(found))
        yield server


def test_a_connection_under_tls_stays_warm_and_tickets_do_not_end_it(secure: Crowd, route: MakeRoute) -> None:
    pool = Pool()
    made = Session(route(Credentials(b"user", b"open sesame"), timeout=20), time.monotonic() + WAIT)
    client = made.open()
    message = parcel()
    for _ in range(3):
        secure.secure.clear()
        transaction = made.send(make_mail(message, client), message.recipients)
        assert [outcome.state for outcome in transaction.outcomes.values()] == ["sent"]
        assert len(secure.secure) <= 2, "the server gets it in one piece, or in the records that TLS makes of it"
        pool.park(KEY, made, 1, time.monotonic(), time.monotonic(), 60.0)
        pool.heed(pool.watch()[0], time.monotonic())
        taken = pool.take(KEY, time.monotonic())
        assert taken is not None and taken.session is made
    assert secure.connections == 1
    made.close()


def test_the_next_connection_of_a_route_resumes_the_tls_session(secure: Crowd, route: MakeRoute) -> None:
    way: Route = route(Credentials(b"user", b"open sesame"), timeout=20)
    resumed: list[object] = []
    usual = secure._log_in

    def log_in(peer: Peer, line: str) -> str:
        resumed.append(getattr(peer.socket, "session_reused", None))
        return usual(peer, line)

    secure._log_in = log_in  # type: ignore[method-assign]
    for _ in range(2):
        report = deliver(parcel(), way)
        assert [outcome.state for outcome in report.outcomes] == ["sent"]
    assert resumed == [False, True]
