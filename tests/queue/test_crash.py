"""Whatever happens at any system call: what was told to be queued is queued, and nothing is ever half there.

Each case runs a process that uses a queue under strace, and hits one of its system calls: the process is killed there,
or the call fails. A sample of the cases is run; PYSENDMAIL_CRASH=all runs all of them.
"""

import collections
import os
import pathlib
import shutil
import subprocess

import pytest

from pysendmail.queue.sqlite import SqliteStore
from tests.conftest import ROOT, base_python, skip
from tests.queue.place import as_user
from tests.queue.stores import HEADER, contents, entry, text

pytestmark = pytest.mark.once

WORKER = pathlib.Path(__file__).with_name("worker.py")
# The calls that change or lock something, or may fail on a broken or full disk.
CALLS = (
    "openat mkdir chmod fchmod fchown pwrite64 write fsync fdatasync rename unlink ftruncate fallocate fcntl flock"
    " pread64 newfstatat fstat mmap munmap"
).split()
WRITING = set("pwrite64 pread64 fsync fdatasync ftruncate fallocate openat mkdir rename mmap".split())
INTERRUPTED = set("pwrite64 pread64 openat ftruncate fcntl flock".split())  # giving a lock back is never interrupted
KILLS, ERRORS, MANY = 12, 4, 400  # cases of each kind in a sample, and at most
Case = tuple[str, int]


def run(path: str, action: str, *tracing: str) -> subprocess.CompletedProcess[str]:
    """Run the worker, under strace if there are arguments for it."""
    command = [base_python(), "-I", "-S", "-B", str(WORKER), str(ROOT), path, action, "FRESH"]
    if tracing:
        command = ["strace", "-qq", "-e", "signal=none", *(() if "-o" in tracing else ("-o", "/dev/null")), *tracing, *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={}, cwd="/")


def prepare(folder: pathlib.Path, action: str) -> str:
    """Make the queue that a case begins with: none at all, or one with two messages, with its log or without."""
    model = folder / action / "model"
    spool = folder / action / "spool"
    path = str(spool / "queue.db")
    if not model.exists():
        model.mkdir(mode=0o700, parents=True)
        if action != "add to none":
            assert as_user(-1, lambda: fill(str(model / "queue.db"), closing=action == "add and close")) is None
    if spool.exists():
        shutil.rmtree(spool)
    if action != "add to none":
        shutil.copytree(model, spool)
    return path


def fill(path: str, closing: bool) -> None:
    """Put two messages into a queue, and leave it with or without closing it."""
    store = SqliteStore(path)
    store.add_many([entry(qid="KEPT", created=1.0), entry(qid="ALSO", created=2.0)])
    if closing:
        store.close()
    else:
        os._exit(0)


def points(path: str, action: str, trace: pathlib.Path) -> list[Case]:
    """Give each system call of an undisturbed run, by its name and how many of that name came before it.

    One that gives a lock back has " unlock" behind its name.
    """
    done = run(path, action, "-o", str(trace), "-e", f"trace={','.join(CALLS)}")
    assert done.returncode == 0, done.stderr
    counted: collections.Counter[str] = collections.Counter()
    found: list[Case] = []
    reached = False
    for line in trace.read_text(errors="replace").splitlines():
        name = line.partition("(")[0]
        counted[name] += 1
        reached = reached or path in line or "/spool" in line
        if reached and name in CALLS:
            found.append((name + " unlock" * ("F_UNLCK" in line or "LOCK_UN" in line), counted[name]))
    return found


def chosen(cases: list[Case], sample: int) -> list[Case]:
    """Give a sample, evenly spread, with some of the calls that make something final; or all."""
    if os.environ.get("PYSENDMAIL_CRASH") == "all":
        sample = MANY
    if len(cases) <= sample:
        return cases
    final = [case for case in cases if case[0] in ("fdatasync", "fsync", "rename", "ftruncate")][: sample // 3]
    step = -(-len(cases) // sample)
    return [case for number, case in enumerate(cases) if case in final or number % step == 0]


def verify(path: str, action: str, done: subprocess.CompletedProcess[str], killed: bool) -> str:
    """Look at what a case has left; give what became of the new message, or of the delivered ones."""
    told = done.stdout.split("\n")[:-1]
    store = SqliteStore(path)
    try:
        there = contents(store)
        problems = [problem.text for problem in store.check()]
        assert [told for told in problems if "left over from a runner" not in told] == []
        if action == "run":
            marked = {line.split()[1] for line in told if line.startswith("marked ")}
            said = {line.split()[1] for line in told if line.startswith("250 ")}
            assert marked.isdisjoint(there) and {"KEPT", "ALSO"} - said <= set(there)
            assert len(said - marked) <= 1
            outcome = "sent twice" if said & set(there) else "fine"
        else:
            kept = {} if action == "add to none" else {"KEPT", "ALSO"}
            assert set(there) - {"FRESH"} == set(kept)
            if done.returncode == 0 or "added" in told:
                assert "FRESH" in there
            outcome = "there" if "FRESH" in there else "not there"
            if "FRESH" in there and done.returncode and not killed:
                assert "added" in told, "told to have failed, and yet it is there"
        for item in store.listing():
            assert text(store, item).startswith(b"Subject: q\r\n\r\n" if item.message.qid == "FRESH" else HEADER)
            assert len(text(store, item)) == item.message.size
        owner = store.enroll()
        items = store.claim(owner, 2e9, 60.0, 10)
        assert {item.message.qid for item in items} == set(there)
        store.add(entry(qid="AFTER"))
        return outcome
    finally:
        store.close()


ACTIONS = {"add": "add", "add to none": "add", "add a large one": "large", "add and close": "close", "run": "run"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Give the folder of all cases: how many calls there are depends on its path."""
    if shutil.which("strace") is None:
        skip("strace is missing")
    return tmp_path_factory.mktemp("crash")


@pytest.fixture(scope="module")
def cases(folder: pathlib.Path) -> dict[str, list[Case]]:
    """Give the system calls of each action."""
    return {action: points(prepare(folder, action), verb, folder / "trace") for action, verb in ACTIONS.items()}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_process_killed_at_any_system_call_leaves_all_or_nothing(folder, cases, action: str) -> None:
    outcomes: collections.Counter[str] = collections.Counter()
    for name, number in chosen(cases[action], KILLS):
        path = prepare(folder, action)
        done = run(path, ACTIONS[action], "-e", f"inject={name.split()[0]}:signal=KILL:when={number}")
        assert done.returncode == -9, (name, number, done)
        outcomes[verify(path, action, done, killed=True)] += 1
    report(f"killed, {action}", outcomes)


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EIO+", "ENOSPC+", "EINTR"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_call_that_fails_is_told_or_mended_and_leaves_nothing_half(folder, cases, action: str, error: str) -> None:
    outcomes: collections.Counter[str] = collections.Counter()
    affected = INTERRUPTED if error == "EINTR" else WRITING
    lasting = "+" if error.endswith("+") else ""  # it fails once, or from then on
    for name, number in chosen([case for case in cases[action] if case[0] in affected], ERRORS):
        path = prepare(folder, action)
        done = run(path, ACTIONS[action], "-e", f"inject={name}:error={error.strip('+')}:when={number}{lasting}")
        assert done.returncode in (0, 75), (name, number, done)
        assert "\n" not in done.stderr and (done.stderr or not done.returncode), (name, number, done)
        outcomes[f"exit {done.returncode}, {verify(path, action, done, killed=False)}"] += 1
    report(f"{error}, {action}", outcomes)


def report(title: str, outcomes: "collections.Counter[str]") -> None:
    """Tell how many cases there were; pytest shows it with -s."""
    assert outcomes
    print(f"{title}: {dict(outcomes)}")
