"""The command is killed, or one of its system calls fails, at each moment: nothing is lost, and nothing is half there.

By default a sample of the moments is tried; PYSENDMAIL_EVERY_FAULT=1 in the environment tries all of them.
"""

import collections
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Installed, skip
from tests.obedient import Obedient
from tests.queue_command import faults
from tests.queue_command.faults import Fault
from tests.queue_command.keeper import Keeper, numbered, numbers

pytestmark = pytest.mark.once

EARLIER, NEW = 1, 2
CASES = 24
STAMPS = b"Date: Mon, 02 Nov 2026 10:00:00 +0100\nMessage-ID: <one@example.org>\n"
TEXT = b"".join(b"line %d of the text\n" % number for number in range(5000))
CROWD = ["bob@example.net", "carol@example.net"]


@pytest.fixture(autouse=True, scope="module")
def strace() -> None:
    reason = faults.missing()
    if reason:
        skip(reason)


def _message(number: int) -> bytes:
    return STAMPS + numbered(number, TEXT)


def _stored(number: int) -> bytes:
    return _message(number).replace(b"\n", b"\r\n")


def _try_all(cases: list[Fault], one: Callable[[Fault], list[str]]) -> None:
    """Try cases, two at a time; tell all that went wrong, and how often a thing worth counting happened."""

    def bounded(fault: Fault) -> list[str]:
        try:
            return one(fault)
        except subprocess.TimeoutExpired:
            return ["it takes too long"]

    with ThreadPoolExecutor(2) as crew:
        told = list(zip(cases, crew.map(bounded, cases), strict=True))
    counted = collections.Counter(text[1:] for _, texts in told for text in texts if text[:1] == "~")
    sys.stderr.write(f"{len(cases)} cases; {dict(counted)}\n")
    wrong = [f"{case}: {text}" for case, texts in told for text in texts if text[:1] != "~"]
    assert not wrong, "\n".join(wrong)


# Handing over


@pytest.mark.parametrize("before", ["no queue", "an earlier message"])
def test_a_message_is_handed_over_wholly_or_not_at_all(installed: Installed, tmp_path: pathlib.Path, before: str) -> None:
    with Obedient() as server:
        template = _keeper(installed, tmp_path, server, "template")
        if before != "no queue":
            template.submit("-odq", CROWD[0], message=_message(EARLIER))
            assert template.problems() == []
        copy = _copy(template, installed, tmp_path, server, "traced")
        found = _trace(copy, tmp_path, ["-i", "-odq", *CROWD], _message(NEW))

        def one(fault: Fault) -> list[str]:
            name = f"{fault.call}-{fault.number}-{fault.effect[-4:]}"
            keeper = _copy(template, installed, tmp_path, server, name)
            try:
                return _hand_over(keeper, fault, [] if before == "no queue" else [EARLIER])
            finally:
                shutil.rmtree(keeper.home)

        _try_all(faults.sample(faults.faults(found), CASES // 2), one)


def _hand_over(keeper: Keeper, fault: Fault, earlier: list[int]) -> list[str]:
    done = faults.traced(
        [keeper.sendmail, "-i", "-odq", *CROWD], env=keeper.environ, stdin=_message(NEW), options=fault.options()
    )
    killed = done.returncode < 0
    there, problems = _inspect(keeper)
    new = [number for number in there if number not in earlier]
    if there[: len(earlier)] != earlier:
        problems.append(f"of the earlier messages there are {there}")
    if new not in ([], [NEW]) or (done.returncode == 0 and new != [NEW]):
        problems.append(f"exit {done.returncode} and {new} in the queue: {done.stderr!r}")
    if not killed and done.returncode not in (0, 75) and fault.effect != "error=EINTR":
        problems.append(f"~exit {done.returncode}")
    if not killed and done.returncode and new:
        problems.append(f"exit {done.returncode}, and it is in the queue all the same: {done.stderr!r}")
    if not killed and done.returncode and done.stderr.count(b"\n") != 1:
        problems.append(f"not one line: {done.stderr!r}")
    if b"Traceback" in done.stderr or b"internal error" in done.stderr:
        problems.append(f"a bug: {done.stderr!r}")
    problems.append("~killed" if killed else "~exit 0" if not done.returncode else "~refused")
    again = keeper.run("-i", "-odq", *CROWD, message=_message(NEW + 1))
    if again.returncode or _inspect(keeper)[0] != [*there, NEW + 1]:
        problems.append(f"the next message: exit {again.returncode}, {again.stderr!r}")
    return problems


def _inspect(keeper: Keeper) -> tuple[list[int], list[str]]:
    """Give the numbers of the messages in the queue, and what is wrong with it."""
    if not keeper.queue.exists():
        return [], []
    problems, items = keeper.problems(), keeper.items()
    texts = list(keeper.texts().values())
    there = numbers(texts)
    problems += [f"{number} is not whole" for number, text in zip(there, texts, strict=True) if text != _stored(number)]
    problems += [f"a recipient is missing: {len(item.recipients)}" for item in items if not item.recipients]
    return there, problems


# Delivering


def test_a_run_of_the_queue_loses_nothing_and_repeats_nothing(installed: Installed, tmp_path: pathlib.Path) -> None:
    with Obedient() as server:
        template = _keeper(installed, tmp_path, server, "template")
        template.submit("-odq", CROWD[0], message=_message(1))
        template.submit("-odq", *CROWD, message=_message(2))
        template.submit("-odq", CROWD[1], message=_message(3))
        assert template.problems() == []
        copy = _copy(template, installed, tmp_path, server, "traced")
        found = _trace(copy, tmp_path, ["-q"], b"", *faults.ONE_THREAD)
        assert len(server.deliveries) == 3 and copy.items() == []

    def one(fault: Fault) -> list[str]:
        with Obedient() as server:
            keeper = _copy(template, installed, tmp_path, server, f"{fault.call}-{fault.number}-{fault.effect[-4:]}")
            try:
                return _deliver(keeper, fault)
            finally:
                shutil.rmtree(keeper.home)

    _try_all(faults.sample(faults.faults(found), CASES), one)


WANTED = collections.Counter([(1, CROWD[0]), (2, CROWD[0]), (2, CROWD[1]), (3, CROWD[1])])


def _deliver(keeper: Keeper, fault: Fault) -> list[str]:
    options = [*faults.ONE_THREAD, *fault.options()]
    options = options[2:] if fault.call in ("clone", "clone3") else options
    done = faults.traced([keeper.sendmail, "-q"], env=keeper.environ, stdin=b"", options=options)
    problems = [f"a bug: {done.stderr!r}"] if b"Traceback" in done.stderr or b"internal error" in done.stderr else []
    uncertain = [one for item in keeper.items() for one in item.recipients if one.state == "uncertain"]
    again = keeper.run("-q", message=b"")
    left, faulty = _inspect(keeper)
    if again.returncode or left:
        problems.append(f"the next run: exit {again.returncode}, {again.stderr!r}, left: {keeper.waiting()}")
    arrived = _arrived(keeper.server)
    if set(arrived) != set(WANTED):
        problems.append(f"arrived: {arrived}")
    repeated = {number for (number, _), count in (arrived - WANTED).items() if count}
    most = 1 if done.returncode < 0 or uncertain else 0
    if len(repeated) > most:
        problems.append(f"repeated: {repeated}, exit {done.returncode}, {done.stderr!r}")
    if any(one.data.replace(b"\n", b"").count(b"line ") != 5000 for one in keeper.server.deliveries):
        problems.append("a message was cut")
    counted = ["~repeated"] if repeated else []
    counted.append("~killed" if done.returncode < 0 else f"~exit {done.returncode}")
    # A lock file whose owner died between two calls is cleared away when it has some age.
    return problems + [text for text in faulty if "left over from a runner" not in text] + counted


def _arrived(server: Obedient) -> "collections.Counter[tuple[int, str]]":
    return collections.Counter(
        (numbers([one.data])[0], recipient) for one in server.deliveries for recipient in one.recipients
    )


# Both


def _keeper(installed: Installed, folder: pathlib.Path, server: Obedient, name: str) -> Keeper:
    keeper = Keeper(installed.sendmail, folder / name, server)
    keeper.words["connections"] = "1"
    keeper.configure()
    return keeper


def _copy(template: Keeper, installed: Installed, folder: pathlib.Path, server: Obedient, name: str) -> Keeper:
    keeper = _keeper(installed, folder, server, name)
    if template.queue.exists():
        shutil.copytree(template.queue.parent, keeper.queue.parent)
    return keeper


def _trace(
    keeper: Keeper, folder: pathlib.Path, arguments: list[str], message: bytes, *options: str
) -> list[tuple[str, int, bool]]:
    """Run the command and list its calls from the first one on that concerns the queue."""
    path = folder / "trace"
    command = [keeper.sendmail, *arguments]
    done = faults.traced(command, env=keeper.environ, stdin=message, options=options, output=path)
    assert done.returncode == 0, done.stderr
    found = faults.calls(path.read_text(errors="replace"), str(keeper.queue.parent))
    assert len(found) > 50
    return found
