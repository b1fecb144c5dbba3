"""Smarthosts of every bad kind behind the whole daemon: nothing is lost, others are served, and nothing spins."""

import time

import pytest

from tests.command.caller import until
from tests.daemon.siege import WATCHED, Siege, Sink, show
from tests.obedient import SILENCE
from tests.scripted import Peer

pytestmark = pytest.mark.once


class Tired(Sink):
    """Say 421 to the fourth message of each connection, and take no other one over it."""

    def _talk(self, peer: Peer) -> None:
        peer.taken = 0  # type: ignore[attr-defined]
        super()._talk(peer)

    def _take(self, peer: Peer, sender: str, recipients: list[str], line: str) -> str:
        peer.taken += 1  # type: ignore[attr-defined]
        if peer.taken > 3:  # type: ignore[attr-defined]
            while peer.hear() != b".":
                pass
            peer.say("421 4.7.0 enough for now")
            peer.hang_up()
        return super()._take(peer, sender, recipients, line)


class Cut(Sink):
    """Take the first message of the first connections, and drop the connection instead of the answer."""

    left = 3

    def _take(self, peer: Peer, sender: str, recipients: list[str], line: str) -> str:
        reply = super()._take(peer, sender, recipients, line)
        if self.left > 0:
            self.left -= 1
            peer.reset()
        return reply


class Dripping(Sink):
    """Say everything octet by octet to whoever comes first."""

    def _talk(self, peer: Peer) -> None:
        if peer.number == 1:
            peer.drip(b"220-" + b"x" * 10_000, 0.2)
        super()._talk(peer)


class HalfTls(Sink):
    """Break the handshake of the first connections half-way, after a few octets of what looks like one."""

    left = 3

    def __init__(self) -> None:
        super().__init__(tls="starttls")

    def _talk(self, peer: Peer) -> None:
        if self.left > 0:
            self.left -= 1
            peer.say("220 mx.test ESMTP")
            peer.hear("EHLO")
            peer.say("250-mx.test", "250 STARTTLS")
            peer.hear("STARTTLS")
            peer.say("220 go ahead")
            peer.receive()
            peer.send(b"\x16\x03\x03\x02\x00\x02\x00\x01\xfc\x03\x03")
            peer.reset()
        self.tls = "off"
        super()._talk(peer)


@pytest.mark.parametrize("kind", [Tired, Cut, Dripping, HalfTls])
def test_nothing_is_lost_and_twice_is_only_what_was_never_answered(siege: Siege, kind: type[Sink]) -> None:
    with kind() as server:
        siege.server = server
        tls = {"tls": "opportunistic", "tls_certcheck": "off"} if kind is HalfTls else {}
        siege.start(port=str(server.port), retry="1s 2s", timeout="2", **tls)
        for number in range(6):
            assert siege.hand_in(number) == 0
        until(lambda: len(server.arrived) == 6)
        siege.until_empty()
        twice = [number for number, count in server.arrived.items() if count > 1]
        show(kind.__name__, connections=server.connections, twice=len(twice))
        assert not server.half
        assert len(twice) <= (3 if kind is Cut else 0)
        assert server.connections < 40


@pytest.mark.parametrize("kind", ["refused", "silent", "421", "no login"])
def test_a_dead_smarthost_costs_no_time_and_holds_no_other_account_up(siege: Siege, kind: str) -> None:
    dead = Sink()
    with dead:
        if kind == "silent":
            dead.answers["greeting"] = SILENCE
        elif kind == "421":
            dead.answers["greeting"] = "421 4.3.2 not today"
        elif kind == "no login":
            dead.answers["AUTH"] = "535 5.7.8 wrong"
            dead.mechanisms = "PLAIN"
        port = 9 if kind == "refused" else dead.port
        login = "auth plain\nauth_without_tls on\nuser ann\npassword wrong\n" if kind == "no login" else ""
        extra = f"\naccount dead\nhost 127.0.0.1\nport {port}\ntls off\nfrom dead@example.org\nlogfile {siege.log}\nsyslog off\nretry 1s 2s\ntimeout 5\n{login}"
        config = siege.configure()
        config.write_text(config.read_text() + extra)
        siege.run(config)
        for number in range(20):
            assert siege.hand_in(f"dead{number}", b"-a", b"dead") == 0
        assert siege.hand_in("alive") == 0
        until(lambda: siege.server.arrived["alive"] == 1)
        time.sleep(0.3)
        seconds = WATCHED
        used = siege.cpu_over(seconds)
        show(f"dead smarthost ({kind})", seconds=seconds, used=used, connections=dead.connections)
        assert used < seconds / 4
        assert siege.hand_in("alive-too", b"-odi") == 0
        assert siege.server.arrived["alive-too"] == 1
        if kind == "no login":
            dead.answers.clear()
            assert siege.send("-q").returncode == 0
            until(lambda: len(dead.arrived) == 20)
            assert max(dead.arrived.values()) == 1
        else:
            assert len(siege.items()) == 20


def test_an_idle_daemon_uses_next_to_nothing(siege: Siege) -> None:
    siege.start()
    assert siege.hand_in("one") == 0
    siege.until_empty()
    time.sleep(0.3)
    seconds = WATCHED
    used = siege.cpu_over(seconds)
    show("idle", seconds=seconds, used=used, pss_kb=siege.pss())
    assert used < 0.2 * seconds
    assert siege.pss() < 45 << 10
