"""The endless round: what comes is sent at once, what waits in its time, and no lane waits for another one."""

import os
import threading
import time

import pytest

from pysendmail.delivery import pool
from pysendmail.queue import awaited, housekeeping, lane, service
from pysendmail.queue.crew import Crew
from pysendmail.queue.lane import Lane
from pysendmail.queue.schedule import Schedule
from pysendmail.queue.values import QueuedRecipient
from pysendmail.smtp.sasl import Credentials
from tests.crowd import Crowd
from tests.obedient import SILENCE
from tests.queue.running import DAY
from tests.queue.serving import Shop, closed, end, names, open_shop, start, until, verbs


@pytest.fixture(autouse=True)
def _only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service look only where something asks for it, so that a test cannot pass by luck."""
    monkeypatch.setattr(service, "TICK", 1000.0)


# What comes


def test_what_was_there_and_what_comes_is_sent_over_one_connection() -> None:
    with Crowd() as server:
        shop = Shop(server.port)
        shop.add(b"first@y.test", wake=False)
        start(shop)
        until(lambda: len(server.deliveries) == 1)
        for number in range(5):
            shop.gone(shop.add(b"n%d@y.test" % number))
        assert names(server) == ["first@y.test", *[f"n{number}@y.test" for number in range(5)]]
        assert (server.connections, verbs(server).count("EHLO")) == (1, 1)
        end(shop)


def test_a_message_on_a_warm_connection_is_one_write() -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        shop.gone(shop.add())
        until(lambda: shop.service.pool.count == 1)
        server.clear.clear()
        shop.gone(shop.add(data=b"x" * 70 + b"\n" * 2 + b"y" * 300 + b"\n"))
        (flight,) = server.clear
        assert flight.startswith(b"MAIL FROM:<") and b"\r\nBDAT " in flight and flight.endswith(b"yyy\r\n")


def test_messages_that_come_while_a_courier_is_at_work_are_his_too() -> None:
    with Crowd() as server, open_shop(server.port, connections=1) as shop:
        gate = server.gates["."] = threading.Event()
        shop.add(b"a@y.test")
        until(lambda: "BDAT" in verbs(server))
        rest = [shop.add(b"r%d@y.test" % number) for number in range(20)]
        gate.set()
        for qid in rest:
            shop.gone(qid)
        assert server.connections == 1 and len(names(server)) == 21


def test_a_message_that_comes_after_a_change_of_the_configuration_is_not_his_who_began_before() -> None:
    with Crowd() as old, Crowd() as new, open_shop(old.port, connections=1) as shop:
        gate = old.gates["."] = threading.Event()
        shop.add(b"a@y.test")
        until(lambda: "BDAT" in verbs(old))
        shop.ports[""], shop.edition = new.port, 1
        rest = [shop.add(b"r%d@y.test" % number) for number in range(3)]
        gate.set()
        for qid in rest:
            shop.gone(qid)
        assert (names(old), names(new)) == (["a@y.test"], ["r0@y.test", "r1@y.test", "r2@y.test"])


def test_behind_a_slow_message_another_connection_is_made() -> None:
    with Crowd() as server, open_shop(server.port, connections=2) as shop:
        gate = server.gates["RCPT TO:<slow@"] = threading.Event()
        slow = shop.add(b"slow@y.test")
        until(lambda: len(server.commands) >= 3)
        shop.gone(shop.add(b"quick@y.test"))
        assert names(server) == ["quick@y.test"] and server.connections == 2
        gate.set()
        shop.gone(slow)


def test_never_more_connections_are_made_than_the_configuration_allows() -> None:
    with Crowd() as server, open_shop(server.port, connections=3) as shop:
        gate = server.gates["RCPT"] = threading.Event()
        qids = [shop.add() for _ in range(40)]
        until(lambda: server.connections == 3)
        time.sleep(0.7)
        assert server.connections == 3
        gate.set()
        for qid in qids:
            shop.gone(qid)
        assert len(server.deliveries) == 40


def test_a_stalled_smarthost_delays_no_other_lane() -> None:
    with Crowd(answers={"greeting": SILENCE}) as stalled, Crowd() as good, open_shop(good.port) as shop:
        shop.ports["stalled"] = stalled.port
        for _ in range(3):
            shop.add(account="stalled")
        until(lambda: stalled.connections)
        for _ in range(5):
            shop.gone(shop.add())
        shop.words["timeout"] = 1
        for peer in stalled.peers:
            peer.raw.shutdown(2)


def test_a_slow_password_command_delays_no_other_lane_and_no_end() -> None:
    with Crowd() as server:
        shop = Shop(server.port)
        shop.ports["slow"] = server.port
        waiting = threading.Event()
        shop.before_route = lambda account: waiting.wait(60) if account == "slow" else None
        start(shop)
        slow = shop.add(account="slow")
        until(lambda: "slow" in shop.asked)
        shop.gone(shop.add())
        end(shop)
        assert shop.state(slow) == "queued", "it went back as it was"
        waiting.set()


# What has to wait


def test_what_is_due_later_is_sent_in_its_time() -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        qid = shop.add(QueuedRecipient(b"a@y.test", due=time.time() + 0.8))
        time.sleep(0.4)
        assert server.connections == 0
        shop.gone(qid)


def test_what_was_put_off_is_tried_again_in_its_time() -> None:
    with Crowd(answers={"RCPT": "450 4.2.1 busy"}) as server, open_shop(server.port) as shop:
        qid = shop.add()
        until(lambda: shop.state(qid) == "deferred")
        server.answers.clear()
        shop.gone(qid)
        assert server.connections == 1


def test_a_lane_that_was_closed_is_tried_again_when_it_opens() -> None:
    with Crowd(answers={"greeting": "421 4.3.2 not now"}) as server, open_shop(server.port) as shop:
        qid = shop.add()
        until(lambda: closed(shop))
        assert shop.state(qid) == "queued" and len(shop.service.report.troubles) == 1
        server.answers.clear()
        shop.gone(qid)
        until(lambda: shop.service.report.troubles == [])
        assert shop.store.lanes() == []


def test_a_lane_without_an_account_waits_and_is_told_once_in_each_pause() -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        qid = shop.add(account="nobody")
        until(lambda: closed(shop))
        for _ in range(20):
            shop.wake()
            time.sleep(0.005)
        assert shop.state(qid) == "queued"
        assert len([line for line in shop.log.of("qmgr") if "there is no account nobody" in line]) == 1


@pytest.mark.parametrize("jump", [365 * DAY, -365 * DAY])
def test_a_clock_that_jumps_stops_nothing(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "TICK", 0.1)
    with Crowd() as server, open_shop(server.port) as shop:
        shop.gone(shop.add())
        old = shop.add(QueuedRecipient(b"old@y.test", due=shop.clock() + 1000), created=shop.clock())
        shop.ahead = jump
        shop.gone(shop.add())
        shop.gone(old)


# Ways and passwords


def test_the_password_is_asked_for_once_and_again_when_it_was_refused() -> None:
    with Crowd(mechanisms="PLAIN") as server:
        shop = Shop(server.port, keep=0.0, schedule=Schedule(first=0.05, longest=0.05))
        shop.words["auth_without_tls"] = "on"
        shop.words["user"] = "u"
        shop.credentials = Credentials(b"u", b"p")
        start(shop)
        for _ in range(3):
            shop.gone(shop.add())
        assert (server.connections, shop.asked) == (3, [""])
        server.answers["AUTH"] = "535 5.7.8 no"
        qid = shop.add()
        until(lambda: len(shop.asked) >= 3)
        server.answers.clear()
        shop.gone(qid)
        end(shop)


def test_a_login_that_is_asked_for_within_a_message_has_the_password_asked_for_anew() -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        shop.gone(shop.add())
        server.answers["MAIL"] = "530 5.7.0 Authentication required"
        qid = shop.add()
        until(lambda: shop.state(qid) == "deferred")
        server.answers.clear()
        shop.gone(qid)
        assert shop.asked == ["", ""]


# Parked connections


@pytest.mark.parametrize("word", [b"", b"421 4.4.2 idle for too long\r\n"])
def test_a_server_that_leaves_is_noticed_at_once(word: bytes) -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        shop.gone(shop.add())
        until(lambda: shop.service.pool.count == 1)
        if word:
            server.peers[0].send(word)
        else:
            server.peers[0].raw.shutdown(2)
        until(lambda: shop.service.pool.count == 0)
        shop.gone(shop.add())
        assert server.connections == 2 and len(server.deliveries) == 2


def test_messages_that_come_one_by_one_are_carried_by_the_same_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysendmail.queue.team._LINGER", 30.0)
    begun: list[object] = []
    start_courier = Crew.grow

    def grow(crew: Crew, lane: Lane) -> bool:
        begun.append(lane)
        return start_courier(crew, lane)

    monkeypatch.setattr(Crew, "grow", grow)
    with Crowd() as server, open_shop(server.port) as shop:
        for _ in range(5):
            shop.gone(shop.add())
        assert (server.connections, len(begun), shop.service.pool.count) == (1, 1, 0)
        since = time.monotonic()
    assert time.monotonic() < since + 20, "the end is not lingered for"


def test_who_lingers_sees_what_is_due_without_being_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysendmail.queue.team._LINGER", 300.0)
    with Crowd() as server, open_shop(server.port, schedule=Schedule(first=0.2, longest=0.2)) as shop:
        server.answers["RCPT"] = "450 4.2.1 later"
        qid = shop.add()
        until(lambda: shop.state(qid) == "deferred")
        server.answers.clear()
        shop.gone(qid)
        assert server.connections == 1


def test_an_idle_connection_is_ended_by_quit_in_its_time() -> None:
    with Crowd() as server, open_shop(server.port, keep=0.3) as shop:
        shop.gone(shop.add())
        until(lambda: server.standing == 0)
        assert server.commands[-1] == "QUIT"


def test_without_keeping_each_courier_says_quit() -> None:
    with Crowd() as server, open_shop(server.port, keep=0.0) as shop:
        for _ in range(2):
            shop.gone(shop.add())
            until(lambda: server.standing == 0)
        assert server.connections == 2 and verbs(server).count("QUIT") == 2


def test_an_old_connection_is_not_used_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    from pysendmail.queue import courier

    monkeypatch.setattr(pool, "AGE", 0.2)
    monkeypatch.setattr(courier, "AGE", 0.2)
    with Crowd() as server, open_shop(server.port) as shop:
        shop.gone(shop.add())
        until(lambda: server.standing == 0)
        shop.gone(shop.add())
        assert (server.connections, verbs(server)[:4][-1], verbs(server).count("QUIT") >= 1) == (2, "BDAT", True)


def test_a_connection_carries_only_so_many_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    from pysendmail.queue import courier

    monkeypatch.setattr(courier, "MESSAGES", 2)
    with Crowd() as server, open_shop(server.port) as shop:
        for _ in range(4):
            shop.gone(shop.add())
        until(lambda: server.connections == 2 and server.standing == 0)
        assert verbs(server).count("QUIT") == 2


def test_a_warm_connection_that_says_goodbye_to_a_message_has_it_sent_again_at_once() -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        shop.gone(shop.add())
        goodbyes = ["421 4.4.2 idle for too long"]
        usual = server._answer

        def answer(line: str, good: str) -> str:
            return goodbyes.pop() if line.startswith("MAIL") and goodbyes else usual(line, good)

        server._answer = answer  # type: ignore[method-assign]
        qid = shop.add()
        shop.gone(qid)
        assert not goodbyes and server.connections == 2
        assert [leg.state for leg in shop.store.journey(qid=qid)] == ["sent"], "there was one attempt"
        assert len(server.deliveries) == 2


def test_a_connection_lost_after_the_end_of_a_message_leaves_a_doubt_and_sends_no_second_copy() -> None:
    with Crowd() as server, open_shop(server.port, schedule=Schedule(first=3600.0)) as shop:
        shop.gone(shop.add())
        until(lambda: shop.service.pool.count == 1)
        server.answers["MAIL"] = SILENCE
        qid = shop.add()
        until(lambda: verbs(server).count("MAIL") == 2)
        server.peers[0].raw.shutdown(2)
        until(lambda: shop.state(qid) == "uncertain")
        time.sleep(0.2)
        assert len(server.deliveries) == 1 and server.connections == 1


# The end


def test_the_message_in_hand_is_finished_and_idle_connections_are_told() -> None:
    with Crowd() as server:
        shop = Shop(server.port, connections=1)
        start(shop)
        gate = server.gates["."] = threading.Event()
        first = shop.add(b"a@y.test")
        until(lambda: "BDAT" in verbs(server))
        second = shop.add(b"b@y.test")
        shop.service.stop()
        time.sleep(0.1)
        gate.set()
        end(shop)
        assert (shop.state(first), shop.state(second)) == ("gone", "queued")
        until(lambda: server.standing == 0)
        assert server.commands[-1] == "QUIT"
        owner = shop.store.enroll()
        assert len(shop.store.claim(owner, shop.clock(), 60, 10)) == 1, "nobody holds it any more"


def test_parked_connections_get_quit_at_the_end() -> None:
    with Crowd() as server:
        with open_shop(server.port) as shop:
            shop.gone(shop.add())
            until(lambda: shop.service.pool.count == 1)
        until(lambda: server.standing == 0)
        assert server.commands[-1] == "QUIT" and shop.store.gauges() == []


def test_the_end_of_those_who_commit_is_the_end_of_the_service() -> None:
    with Crowd() as server:
        shop = start(Shop(server.port))
        shop.gone(shop.add())
        os.close(shop.writer)
        shop.thread.join(60)
        assert not shop.thread.is_alive()
        os.close(shop.reader)


# Those who wait for answers


def test_of_a_slow_smarthosts_backlog_little_is_claimed_ahead_of_whom_somebody_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "_LONG", 0.05)
    with Crowd() as server:
        shop = Shop(server.port, connections=1)
        usual = server._answer

        def answer(line: str, good: str) -> str:
            time.sleep(0.02 if line == "." else 0.0)
            return usual(line, good)

        server._answer = answer  # type: ignore[method-assign]
        for number in range(60):
            shop.add(b"n%d@y.test" % number, wake=False)
        start(shop)
        until(lambda: len(server.deliveries) >= 12)
        shop.gone(shop.add(b"urgent@y.test", awaited=True))
        arrived = names(server)
        assert len(arrived) < 45 and arrived[-1] != "n59@y.test"
        end(shop)


def test_there_is_news_of_each_result_that_somebody_waits_for() -> None:
    with Crowd(answers={"RCPT TO:<no@": "550 5.1.1 no such user"}) as server, open_shop(server.port) as shop:
        qid = shop.add(b"no@y.test", awaited=True)
        until(lambda: shop.news)
        found = awaited.look(shop.store, qid, shop.clock())
        assert isinstance(found, awaited.Answer) and found.code == 67
        before = shop.news
        shop.gone(shop.add(b"unwatched@y.test"))
        assert shop.news == before


def test_there_is_news_when_a_lane_closes_and_when_one_is_closed() -> None:
    with Crowd(answers={"greeting": "421 no"}) as server, open_shop(server.port, schedule=Schedule(first=60.0)) as shop:
        shop.add(awaited=True)
        until(lambda: shop.news)
        until(lambda: closed(shop))
        before = shop.news
        shop.add(awaited=True)
        until(lambda: shop.news > before)
        assert server.connections == 1


def test_an_answer_that_nobody_took_becomes_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_LOOK", 0.05)
    monkeypatch.setattr(service, "TICK", 0.05)
    with Crowd(answers={"RCPT TO:<no@": "550 5.1.1 no", "MAIL FROM:<>": "450 4.0.0 later"}) as server:
        with open_shop(server.port, schedule=Schedule(first=600.0)) as shop:
            new = shop.add(b"no@y.test", awaited=True)
            old = shop.add(b"no@y.test", awaited=True, created=shop.clock() - housekeeping.WAIT - 1)
            until(lambda: any([item.message.bounce for item in shop.store.listing()]))
            until(lambda: shop.store.awaited() == [new])
            assert shop.state(old) == "failed"


def test_a_bug_in_keeping_house_is_a_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(awaited, "recover", broken)
    with Crowd() as server, open_shop(server.port) as shop:
        until(lambda: any(["internal error (KeyError at " in line for line in shop.log.of("qmgr")]))
        shop.gone(shop.add())
        assert not any(["secret" in line for line in shop.log.of("qmgr")])
    assert capfd.readouterr().err == ""


# Figures, and what stays bounded


def test_figures_are_shown_and_those_of_lanes_in_trouble() -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        shop.gone(shop.add())
        shop.add(account="nobody")
        until(lambda: shop.gauge("trouble\tnobody\t"))
        until(lambda: shop.gauge("sent") == "1" and shop.gauge("idle") == "1")
        until(lambda: shop.gauge("lanes") == "0")
        assert (shop.gauge("connections"), shop.gauge("messages")) == ("1", "1")
        assert shop.gauge("octets") == "50"
        assert shop.gauge("trouble\tnobody\t").endswith(" there is no account nobody")


def test_figures_of_a_process_that_has_taken_our_place_stay() -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        shop.gone(shop.add())
        until(lambda: shop.gauge("pid") == str(os.getpid()))
        shop.store.publish("deliver", {"pid": "1", "sent": "7"}, shop.clock())
    assert shop.gauge("sent") == "7"


def test_nothing_grows_with_the_number_of_messages_and_of_troubles() -> None:
    with Crowd() as server, open_shop(server.port, schedule=Schedule(first=0.01, longest=0.01)) as shop:
        server.answers["RCPT TO:<bad@"] = "450 4.2.1 busy"
        bad = shop.add(b"bad@y.test")
        broken = shop.add(account="nobody")
        for _ in range(50):
            shop.gone(shop.add())
        until(lambda: len(shop.store.journey(qid=bad)) > 20)
        inside = shop.service
        assert len(inside.report.troubles) <= 1 and shop.state(broken) == "queued"
        (shift,) = inside._shifts
        assert len(shift.lanes) <= 2 and len(shift._quiet) <= 2 and inside.pool.count <= 2
        assert len(inside._directory._known) == 1
