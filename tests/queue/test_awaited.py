"""Whoever waits for the answers to a message gets the true one of each recipient, and nobody fails without a word."""

import pytest

from pysendmail import errors
from pysendmail.queue import awaited
from pysendmail.queue.awaited import Answer, Pending
from pysendmail.queue.settings import Settings
from pysendmail.queue.store import Store
from pysendmail.queue.values import Notice, Result, Select
from tests.delivery.memory import Smarthost
from tests.queue.running import Desk, replying
from tests.queue.stores import NOW, claim, contents, entry, results

A, B, C = b"a@y.test", b"b@y.test", b"c@y.test"
RULES = ((b"RCPT TO:<a@", b"550 5.1.1 no such user"), (b"RCPT TO:<b@", b"450 4.2.1 busy"), (b"MAIL FROM:<>", b"450 later"))


def settings(account: str = "", config: str = "") -> Settings:
    return Settings(host="me.test", domain=b"me.test")


def answer(made: Desk, qid: str) -> Answer:
    found = awaited.look(made.store, qid, made.clock.now)
    assert isinstance(found, Answer)
    return found


def told(found: Answer) -> dict[bytes, tuple[str, int, str]]:
    return {one.address: (one.state, one.code, one.dsn) for one in found.recipients}


@pytest.fixture
def made() -> Desk:
    """Give a desk whose smarthost refuses a@, puts b@ off and takes c@."""
    return Desk(Smarthost(replying(*RULES)))


def test_before_the_first_attempt_there_is_no_answer(made: Desk) -> None:
    qid = made.add(A, awaited=True)
    assert isinstance(awaited.look(made.store, qid, made.clock.now), Pending)
    owner = made.store.enroll()
    claim(made.store, owner)
    assert isinstance(awaited.look(made.store, qid, made.clock.now), Pending)


def test_each_recipient_has_an_answer_of_his_own(made: Desk) -> None:
    qid = made.add(A, B, C, awaited=True)
    made.round()
    found = answer(made, qid)
    assert told(found) == {A: ("failed", 67, "5.1.1"), B: ("deferred", 0, "4.2.1"), C: ("sent", 0, "2.0.0")}
    assert [one.reply for one in found.failed] == ["550 5.1.1 no such user"]
    assert found.failed[0].relay.startswith("mx.test[")
    assert found.code == 0, "what stays in the queue will be told by mail"


def test_no_report_is_made_while_somebody_waits(made: Desk) -> None:
    made.add(A, awaited=True)
    made.round()
    assert made.reports() == []
    assert not any("notification" in line for line in made.log.of("bounce"))


def test_a_message_that_was_sent_to_all_is_gone_and_the_answer_still_there(made: Desk) -> None:
    qid = made.add(C, b"d@y.test", awaited=True)
    made.round()
    assert made.store.get(qid) is None
    found = answer(made, qid)
    assert told(found) == {C: ("sent", 0, "2.0.0"), b"d@y.test": ("sent", 0, "2.0.0")}
    assert found.code == 0 and found.sent[0].relay.startswith("mx.test[")


def test_a_message_that_somebody_removed_by_hand_was_not_sent(made: Desk) -> None:
    qid = made.add(B, awaited=True)
    made.round()
    made.store.remove(Select(qids=[qid]), made.clock.now)
    found = answer(made, qid)
    assert (found.sent, found.code) == ([], 75)


def test_whoever_got_the_answer_by_his_exit_code_gets_no_report(made: Desk) -> None:
    qid = made.add(A, C, awaited=True)
    made.round()
    assert answer(made, qid).code == 67
    assert awaited.settle(made.store, qid, settings, made.clock.now, told=True)
    assert made.store.get(qid) is None and made.reports() == []


def test_a_caller_who_is_gone_gets_the_report(made: Desk) -> None:
    qid = made.add(A, C, awaited=True)
    made.round()
    assert awaited.settle(made.store, qid, settings, made.clock.now)
    (report,) = made.reports()
    assert b"550 5.1.1 no such user" in made.text(report) and report.recipients[0].address == b"alice@example.org"
    assert made.states(qid) == {A: "failed", C: "sent"}
    found = answer(made, qid)
    assert (found.awaited, found.code) == (False, 0), "he was told by mail, so nothing is left to be told"


def test_settling_twice_makes_one_report(made: Desk) -> None:
    qid = made.add(A, awaited=True)
    made.round()
    assert awaited.settle(made.store, qid, settings, made.clock.now)
    assert awaited.settle(made.store, qid, settings, made.clock.now)
    assert len(made.reports()) == 1


def test_nobody_is_taken_out_as_told_while_another_one_waits(made: Desk) -> None:
    qid = made.add(A, B, awaited=True)
    made.round()
    assert not awaited.settle(made.store, qid, settings, made.clock.now, told=True)
    assert made.item(qid).message.awaited and made.states(qid) == {A: "failed", B: "deferred"}


def test_who_asked_for_no_report_gets_none_when_the_waiting_ends(made: Desk) -> None:
    from pysendmail.queue.values import QueuedRecipient

    qid = made.add(QueuedRecipient(A, None, b"NEVER"), awaited=True)
    made.round()
    assert awaited.settle(made.store, qid, settings, made.clock.now)
    assert made.reports() == [] and not made.item(qid).message.awaited


def test_after_the_waiting_a_refusal_is_reported_as_ever(made: Desk) -> None:
    qid = made.add(B, awaited=True)
    made.round()
    assert awaited.settle(made.store, qid, settings, made.clock.now)
    made.smarthost.answer = replying((b"RCPT", b"550 5.1.1 gone"), (b"MAIL FROM:<>", b"450 later"))
    made.later(3600)
    assert len(made.reports()) == 1


def test_a_report_is_made_if_the_waiting_ended_during_the_attempt(made: Desk) -> None:
    """The runner claimed the message when somebody waited; when its answer comes, nobody does."""
    qid = made.add(A, awaited=True)

    def refuse(connection: object, line: bytes) -> bytes | None:
        if line.startswith(b"RCPT TO:<a@"):
            assert awaited.settle(made.store, qid, settings, made.clock.now)
            return b"550 5.1.1 no such user"
        return b"450 later" if line.startswith(b"MAIL FROM:<>") else None

    made.smarthost.answer = refuse
    made.round()
    assert len(made.reports()) == 1


def test_an_answer_is_there_when_the_smarthost_cannot_be_used(made: Desk) -> None:
    made.unroutable[""] = errors.ConfigError("there is no password")
    qid = made.add(C, awaited=True)
    made.round()
    found = answer(made, qid)
    assert [(one.state, one.reply) for one in found.waiting] == [("queued", "there is no password")]
    assert found.code == 0


def test_the_reason_of_a_lane_that_is_open_again_is_no_answer(made: Desk) -> None:
    qid = made.add(C, awaited=True)
    made.store.close_lane("", "", made.clock.now - 1, reply="out of order")
    assert isinstance(awaited.look(made.store, qid, made.clock.now), Pending)


@pytest.mark.parametrize(
    ("codes", "whole"),
    [((67,), 67), ((69, 65), 65), ((65, 67), 67), ((68, 69), 68), ((0,), 69), ((69, 75), 75)],
)
def test_of_several_codes_the_most_telling_one_counts(codes: tuple[int, ...], whole: int) -> None:
    recipients = [awaited.Told(b"%d@x" % n, "failed", code, "no", "mx", "5.0.0") for n, code in enumerate(codes)]
    assert Answer(recipients, awaited=True).code == whole


def test_news_are_told_after_each_result_and_when_the_lane_closes(made: Desk) -> None:
    from pysendmail.queue.round import Round

    heard: list[dict[bytes, str]] = []
    qid = made.add(A, C, awaited=True)
    original = Round.__init__

    def listening(self: Round, *rest: object, **more: object) -> None:
        original(self, *rest, **more, tell=lambda: heard.append(made.states(qid)))  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Round, "__init__", listening)
        made.round()
        assert heard == [{A: "failed", C: "sent"}]
        made.unroutable[""] = errors.ConfigError("there is no password")
        made.add(C)
        made.round()
        assert len(heard) == 2


# After a crash


def test_recovering_reports_what_failed_untold_and_leaves_no_flag(made: Desk) -> None:
    failed, waiting, other = made.add(A, awaited=True), made.add(B, awaited=True), made.add(A)
    made.round()
    assert len(made.reports()) == 1, "of the message for which nobody waited"
    assert awaited.recover(made.store, settings, made.clock.now) == []
    assert len(made.reports()) == 2 and made.store.awaited() == []
    assert made.states(failed) == {A: "failed"} and made.states(waiting) == {B: "deferred"} and made.states(other)


def test_recovering_leaves_alone_whom_somebody_may_still_wait_for(made: Desk) -> None:
    old = made.add(A, awaited=True, created=made.clock.now - 1000)
    new = made.add(A, awaited=True)
    ahead = made.add(A, awaited=True, created=made.clock.now + 1e7)
    assert awaited.recover(made.store, settings, made.clock.now, older=900) == []
    assert made.store.awaited() == [new] and old != new
    assert not made.item(ahead).message.awaited, "its time comes from a clock that was wrong"


def test_one_that_cannot_be_recovered_now_keeps_its_flag_and_stops_no_other(made: Desk) -> None:
    broken, good = made.add(A, awaited=True, account="broken"), made.add(A, awaited=True)
    made.round()

    def some(account: str, config: str) -> Settings:
        if account:
            raise errors.ConfigError("no such account")
        return settings()

    ((qid, failure),) = awaited.recover(made.store, some, made.clock.now)
    assert (qid, str(failure)) == (broken, "no such account")
    assert made.store.awaited() == [broken] and len(made.reports()) == 1 and good


# Every store


def failed(store: Store, *addresses: bytes, account: str = "") -> Result:
    """Put a message for these in, awaited, and let its first recipient fail; give that result."""
    store.add(entry(*addresses, qid="ONE", account=account, awaited=True))
    owner = store.enroll()
    items = claim(store, owner)
    result = results(items, "failed", code=67)[0]
    store.finish(owner, [result], [Notice(entry(qid="BOUNCE", bounce=True), [(result.message, 0)], failure=True)])
    return result


def test_a_store_drops_the_report_of_a_failure_while_somebody_waits(store: Store) -> None:
    failed(store, A, C)
    assert "BOUNCE" not in contents(store)
    item = store.get("ONE")
    assert item is not None and item.message.awaited and item.recipients[0].code == 67


def test_a_store_takes_other_reports_all_the_same(store: Store) -> None:
    store.add(entry(A, qid="ONE", awaited=True))
    owner = store.enroll()
    (result,) = results(claim(store, owner), "deferred", due=NOW + 5)
    notice = Notice(entry(qid="DELAYED", bounce=True), [(result.message, 0)])
    store.finish(owner, [result], [notice])
    assert notice.entered and "DELAYED" in contents(store)


def test_a_store_settles_only_what_the_caller_knows(store: Store) -> None:
    failed(store, A, C)
    notice = Notice(entry(qid="BOUNCE", bounce=True), [])
    assert not store.settle("ONE", [], [notice])
    assert not store.settle("ONE", [0, 1], [notice])
    assert not store.settle("ONE", [0], drop=True), "the other one may still be sent to"
    assert store.awaited() == ["ONE"] and "BOUNCE" not in contents(store)
    assert store.settle("ONE", [0], [notice])
    assert store.awaited() == [] and "BOUNCE" in contents(store) and notice.entered
    assert store.settle("ONE", [], []), "nobody waits any more"
    assert store.settle("NOSUCH", [1], [])


def test_a_store_takes_out_those_who_were_told(store: Store) -> None:
    failed(store, A)
    assert store.settle("ONE", [0], drop=True)
    assert store.get("ONE") is None and list(store.check()) == []


def test_the_flag_does_not_break_the_seal_of_a_message(store: Store) -> None:
    failed(store, A, C)
    assert list(store.check()) == []
    assert store.settle("ONE", [0])
    assert list(store.check()) == []


def test_one_for_whom_somebody_waits_is_claimed_first(store: Store) -> None:
    store.add(entry(qid="FIRST"))
    store.add(entry(qid="URGENT", awaited=True))
    owner = store.enroll()
    assert [item.message.qid for item in claim(store, owner, limit=1)] == ["URGENT"]
