"""Recipients who fare differently: each has his own outcome, and the exit code says what they have in common."""

import pytest

from pysendmail.command.result import exit_code
from pysendmail.smtp.outcome import DEFERRED, FAILED, SENT, UNCERTAIN, Outcome
from tests.command.caller import Caller
from tests.scripted import CAPABILITIES

PLAIN = ("8BITMIME",)
REPLIES = {
    "never": "550 5.1.1 nobody",
    "later": "450 4.2.1 later",
    "login": "530 5.7.0 log in",
    "full": "452 4.5.3 too many",
}

# Recipients by what becomes of them, the exit code, and who is served.
MIXED: list[tuple[str, int, str]] = [
    ("good never", 67, "good"),
    ("never good", 67, "good"),
    ("good later", 75, "good"),
    ("good never later", 75, "good"),
    ("never later", 75, ""),
    ("good login", 77, "good"),
    ("never login", 75, ""),
    ("good never login", 75, "good"),
    ("never", 67, ""),
    ("later", 75, ""),
]


@pytest.mark.parametrize(("names", "code", "served"), MIXED)
@pytest.mark.parametrize("capabilities", [CAPABILITIES, PLAIN], ids=["everything", "nothing"])
def test_each_recipient_has_his_own_outcome(
    caller: Caller, names: str, code: int, served: str, capabilities: tuple[str, ...]
) -> None:
    caller.server.capabilities = capabilities
    caller.server.answers = {f"RCPT TO:<{name}@": reply for name, reply in REPLIES.items()}
    done = caller.run(*[f"{name}@x" for name in names.split()])
    assert done.returncode == code, done.stderr.decode()
    assert [d.recipients for d in caller.server.deliveries] == ([[f"{served}@x"]] if served else [])
    lines = done.stderr.decode().splitlines()
    for name in names.split():
        if name != "good":
            assert any(REPLIES[name][10:] in line for line in lines)
            assert len(names.split()) == 1 or any(f"{name}@x" in line for line in lines)
    if served:
        assert lines[-1] == f"sendmail: the message was accepted for {served}@x"
    statuses = {line.partition("to=<")[2].partition("@")[0]: line for line in caller.log if "status=" in line}
    words = {"good": "sent", "never": "bounced", "later": "deferred", "login": "deferred"}
    assert {name: words[name] in line for name, line in statuses.items()} == dict.fromkeys(names.split(), True)


def test_permanent_failures_of_different_kinds_give_the_most_specific_code(caller: Caller) -> None:
    """67 before 65 before 69: one recipient is refused, the message for the other, or the sender in a later transaction."""
    caller.server.answers = {"RCPT TO:<never@": "550 5.1.1 nobody", ".": "554 5.7.1 spam"}
    assert caller.run("never@x", "good@x").returncode == 67
    assert caller.run("good@x", "bad@@x", words={"bad_recipients": "skip"}).returncode == 65
    caller.server.answers = {"MAIL": "550 5.7.1 not you"}
    assert caller.run("good@x", "bad@@x", words={"bad_recipients": "skip"}).returncode == 65
    caller.server.answers = {"RCPT": "550 5.1.1 nobody"}
    assert caller.run("good@x", "bad@@x", words={"bad_recipients": "skip"}).returncode == 67
    assert caller.server.deliveries == []


# States and exit codes of the recipients, and the exit code of all.
CODES: list[tuple[list[tuple[str, int]], int]] = [
    ([(SENT, 0), (SENT, 0)], 0),
    ([(SENT, 0), (FAILED, 67)], 67),
    ([(FAILED, 67), (FAILED, 67)], 67),
    ([(FAILED, 69), (FAILED, 65), (FAILED, 68), (FAILED, 67)], 67),
    ([(FAILED, 69), (FAILED, 65), (FAILED, 68)], 68),
    ([(FAILED, 69), (FAILED, 65)], 65),
    ([(FAILED, 69), (SENT, 0)], 69),
    ([(FAILED, 67), (DEFERRED, 75)], 75),
    ([(FAILED, 67), (DEFERRED, 77)], 75),
    ([(FAILED, 67), (DEFERRED, 76)], 75),
    ([(DEFERRED, 75), (DEFERRED, 77)], 75),
    ([(DEFERRED, 77), (SENT, 0)], 77),
    ([(DEFERRED, 78), (DEFERRED, 78)], 78),
    ([(UNCERTAIN, 75), (FAILED, 67)], 75),
]


@pytest.mark.parametrize(("outcomes", "code"), CODES)
def test_the_exit_code_says_what_the_outcomes_have_in_common(outcomes: list[tuple[str, int]], code: int) -> None:
    for order in (outcomes, outcomes[::-1]):
        assert exit_code([Outcome(b"r@x", state, each, "", b"", "RCPT") for state, each in order]) == code


def test_the_same_answer_for_many_is_one_line(caller: Caller) -> None:
    caller.server.answers = {"RCPT TO:<never": "550 5.1.1 nobody"}
    done = caller.run("never1@x", "good@x", "never2@x", "never3@x")
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 2 and all(f"never{number}@x" in lines[0] for number in (1, 2, 3))


def test_more_recipients_than_the_setting_allows_go_in_further_transactions(caller: Caller) -> None:
    names = [f"r{number}@x" for number in range(7)]
    done = caller.run(*names, words={"max_recipients": "3"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert [d.recipients for d in caller.server.deliveries] == [names[:3], names[3:6], names[6:]]
    assert len({d.data for d in caller.server.deliveries}) == 1
    assert caller.server.connections == 1


@pytest.mark.parametrize("code", ["452 4.5.3", "552 5.5.3", "452", "552"])
@pytest.mark.parametrize("capabilities", [CAPABILITIES, PLAIN], ids=["everything", "nothing"])
def test_the_servers_own_limit_of_recipients_splits_the_message(
    caller: Caller, code: str, capabilities: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    answer = caller.server._answer

    def limited(line: str, good: str) -> str:
        if line.startswith("MAIL"):
            taken.clear()
        if line.startswith("RCPT"):
            if len(taken) == 2:
                return f"{code} too many recipients"
            taken.append(line)
        return answer(line, good)

    monkeypatch.setattr(caller.server, "_answer", limited)
    caller.server.capabilities = capabilities
    names = [f"r{number}@x" for number in range(5)]
    done = caller.run(*names)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [d.recipients for d in caller.server.deliveries] == [names[:2], names[2:4], names[4:]]


def test_a_server_that_is_full_before_it_takes_anybody_is_asked_again_later(caller: Caller) -> None:
    caller.server.answers = {"RCPT": "452 4.5.3 too many"}
    assert "too many" in caller.refuse(75, "a@x", "b@x")


def test_what_failed_after_others_were_served_is_told_with_who_was(caller: Caller) -> None:
    """The second transaction is lost: nobody of the first is told anything but that he was served."""
    caller.server.answers = {"RCPT TO:<b@": "421 4.4.2 closing"}
    done = caller.run("a@x", "b@x", "c@x", words={"max_recipients": "1"})
    assert done.returncode == 75
    assert [d.recipients for d in caller.server.deliveries][:1] == [["a@x"]]
    assert "accepted for a@x" in done.stderr.decode()
