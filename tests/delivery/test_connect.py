"""Finding a host's addresses and connecting to the first that answers."""

import _socket
import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pysendmail import errors
from pysendmail.delivery import connect
from pysendmail.delivery.connect import Connector, addresses
from pysendmail.delivery.link import Link, TimedOut
from tests.conftest import skip

V4, V6 = socket.AF_INET, socket.AF_INET6
Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]


def found(*hosts: str) -> list[tuple[int, int, int, str, object]]:
    """Give the resolver's answer with these hosts."""
    return [(V6 if ":" in h else V4, 1, 6, "", (h, 25, 0, 0) if ":" in h else (h, 25)) for h in hosts]


def resolve(monkeypatch: pytest.MonkeyPatch, answer: object) -> list[str]:
    """Let the resolver answer so, or raise it; gives the names it is asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, flags: int) -> object:
        if flags:
            raise OSError("no literal")
        asked.append(host)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(connect, "_getaddrinfo", getaddrinfo)
    return asked


def soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


# Names


@pytest.mark.parametrize(
    ("hosts", "order"),
    [
        (("::1", "::2", "1.1.1.1", "2.2.2.2"), ("::1", "1.1.1.1", "::2", "2.2.2.2")),
        (("1.1.1.1", "2.2.2.2", "3.3.3.3", "::1"), ("1.1.1.1", "::1", "2.2.2.2", "3.3.3.3")),
        (("1.1.1.1", "1.1.1.1", "2.2.2.2"), ("1.1.1.1", "2.2.2.2")),
        (("::1",), ("::1",)),
    ],
)
def test_the_families_take_turns_beginning_with_the_preferred(
    monkeypatch: pytest.MonkeyPatch, hosts: tuple[str, ...], order: tuple[str, ...]
) -> None:
    asked = resolve(monkeypatch, found(*hosts))
    assert tuple(where[0] for _, where in addresses("mx.test", 25, soon())) == order
    assert asked == ["mx.test"]


@pytest.mark.parametrize(("host", "family", "zone"), [("127.0.0.1", V4, []), ("::1", V6, [0]), ("fe80::1%lo", V6, [1])])
def test_a_literal_address_asks_no_resolver(
    monkeypatch: pytest.MonkeyPatch, host: str, family: int, zone: list[int]
) -> None:
    real = connect._getaddrinfo

    def getaddrinfo(host: str, port: int, flags: int) -> object:
        assert flags & _socket.AI_NUMERICHOST
        return real(host, port, flags)

    monkeypatch.setattr(connect, "_getaddrinfo", getaddrinfo)
    ((which, where),) = addresses(host, 25, time.monotonic() - 1)  # so it needs no time either
    assert (which, where[0], where[1]) == (family, host.partition("%")[0], 25)
    assert list(where[3:]) == zone


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "Temporary failure"),
        (UnicodeError("label too long"), "no host name"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        ([], "has no address"),
    ],
)
def test_a_name_that_is_not_found_may_be_found_later(
    monkeypatch: pytest.MonkeyPatch, answer: object, text: str
) -> None:
    resolve(monkeypatch, answer)
    with pytest.raises(errors.TempFail, match=text) as caught:
        addresses("mx.test", 25, soon())
    assert "mx.test" in str(caught.value)
    assert caught.value.exit_code == 75


def test_a_resolver_that_never_answers_is_waited_for_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def getaddrinfo(host: str, port: int, flags: int) -> object:
        if not flags:
            release.wait(20)
        raise OSError("nothing")

    monkeypatch.setattr(connect, "_getaddrinfo", getaddrinfo)
    started = time.monotonic()
    with pytest.raises(TimedOut, match="mx.test was not found in time"):
        addresses("mx.test", 25, soon(0.1))
    assert time.monotonic() - started < 10
    release.set()


def test_a_caller_without_processes_to_spare_still_finds_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    import _thread

    def no_more(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    resolve(monkeypatch, found("1.1.1.1"))
    monkeypatch.setattr(_thread, "start_new_thread", no_more)
    assert addresses("mx.test", 25, soon()) == [(V4, ("1.1.1.1", 25))]


# Connections


@contextlib.contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    if ":" in host and not os.path.exists("/proc/net/if_inet6"):
        skip("this machine has no IPv6")
    with socket.create_server((host, 0), family=V6 if ":" in host else V4) as server:
        server.settimeout(10)
        yield server


def at(server: socket.socket) -> Address:
    return server.family, server.getsockname()


@pytest.fixture
def refused() -> Address:
    """Give an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return V4, server.getsockname()


@pytest.fixture
def black_hole() -> Iterator[Address]:
    """Give an address that takes no connection and refuses none: its backlog is full."""
    with socket.create_server(("127.0.0.3", 0), backlog=0) as server, contextlib.ExitStack() as stack:
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        time.sleep(0.05)
        yield V4, server.getsockname()


def host_of(link: Link) -> str:
    return link.address[1][0]


def test_the_first_address_that_answers_is_taken(refused: Address) -> None:
    with listening() as good, listening("127.0.0.2") as other:
        connector = Connector([refused, at(good), at(other)], None, 5)
        link = connector.next(soon())
        assert link.address == at(good)
        assert not connector.exhausted
        assert len(connector.errors) == 1
        assert connector.errors[0].startswith(f"127.0.0.1 port {refused[1][1]}: ")
        again = connector.next(soon())
        assert again.address == at(other)
        assert connector.exhausted
        link.close()
        again.close()


def test_ipv6_and_ipv4_are_both_tried(refused: Address) -> None:
    with listening("::1") as six, listening() as four:
        connector = Connector([at(six), at(four)], None, 5)
        links = [connector.next(soon()), connector.next(soon())]
        assert [host_of(link) for link in links] == ["::1", "127.0.0.1"]
        assert [link.local_address() for link in links] == ["::1", "127.0.0.1"]
        for link in links:
            link.close()


def test_an_address_that_never_answers_holds_the_next_one_up_but_a_moment(black_hole: Address) -> None:
    with listening() as good:
        started = time.monotonic()
        connector = Connector([black_hole, at(good)], None, 20)
        link = connector.next(soon(20))
        assert link.address == at(good)
        assert connect._STAGGER <= time.monotonic() - started < 10
        assert not connector.exhausted  # who was only slower may be tried again
        link.close()


def test_many_that_never_answer_are_tried_side_by_side(black_hole: Address) -> None:
    with listening() as good:
        connector = Connector([black_hole] * 3 + [at(good)], None, 20)
        link = connector.next(soon(20))
        assert link.address == at(good)
        link.close()


def test_one_that_is_refused_does_not_wait_for_one_that_hangs(black_hole: Address, refused: Address) -> None:
    connector = Connector([black_hole, refused, refused], None, 1.0)
    with pytest.raises(errors.TempFail) as caught:
        connector.next(soon())
    assert str(caught.value).count("refused") == 2
    assert "127.0.0.3" in str(caught.value) and "no answer in time" in str(caught.value)
    assert connector.exhausted


def test_when_all_refuse_each_of_them_is_named(refused: Address) -> None:
    connector = Connector([refused, (V6, ("::1", 1, 0, 0))], None, 5)
    with pytest.raises(errors.TempFail) as caught:
        connector.next(soon())
    assert "127.0.0.1 port" in str(caught.value) and "::1 port 1: " in str(caught.value)
    assert caught.value.exit_code == 75
    with pytest.raises(errors.TempFail, match="refused"):
        connector.next(soon())


def test_each_address_has_its_own_time_and_all_of_them_a_deadline(black_hole: Address) -> None:
    with pytest.raises(errors.TempFail, match="127.0.0.3 port .*: no answer in time"):
        Connector([black_hole], None, 0.2).next(soon())
    with pytest.raises(TimedOut, match="no connection in time"):
        Connector([black_hole] * 2, None, 20).next(soon(0.2))


def test_connections_come_from_the_source_address() -> None:
    with listening() as good:
        link = Connector([at(good)], "127.0.0.9", 5).next(soon())
        assert good.accept()[1][0] == "127.0.0.9"
        assert link.local_address() == "127.0.0.9"
        link.close()


@pytest.mark.parametrize("source", ["127.0.0.9", "::1"])
def test_a_source_address_takes_the_addresses_of_its_family(source: str) -> None:
    with listening("::1") as six, listening() as four:
        connector = Connector([at(six), at(four)], source, 5)
        link = connector.next(soon())
        assert (":" in host_of(link)) == (":" in source)
        link.close()


def test_a_source_address_that_is_not_ours_is_told() -> None:
    with listening() as good, pytest.raises(errors.TempFail, match="assign requested address"):
        Connector([at(good)], "192.0.2.1", 5).next(soon())


def test_when_there_are_no_descriptors_left_it_may_work_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(_socket, "socket", none_left)
    with pytest.raises(errors.TempFail, match="Too many open files"):
        Connector([(V4, ("127.0.0.1", 25))], None, 5).next(soon())


def test_nothing_is_left_open_by_those_that_lost_the_race(black_hole: Address, refused: Address) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with listening() as good:
        Connector([refused, black_hole, black_hole, at(good)], None, 20).next(soon(20)).close()
    with contextlib.suppress(errors.TempFail):
        Connector([black_hole, refused], None, 20).next(soon(0.3))
    assert len(os.listdir("/proc/self/fd")) <= before
