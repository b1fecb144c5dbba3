"""What the tests of a queue's file share: other users, other processes, and a look at all that lies in a folder."""

import os
import pathlib
import pickle
import signal
import time
from collections.abc import Callable
from typing import Any

from tests.conftest import skip

NOBODY = 65534


def need_root() -> None:
    if os.geteuid():
        skip("this test needs root")


def snapshot(path: str) -> dict[str, tuple[Any, ...]]:
    """Give all that can be seen in the folder of a queue: type, mode, owner, time and content of each file."""
    found = {}
    for each in sorted(pathlib.Path(path).parent.iterdir()):
        status = each.lstat()
        content = each.read_bytes() if each.is_file() else None
        found[each.name] = (status.st_mode, status.st_uid, status.st_ino, status.st_mtime_ns, content)
    return found


def start(work: Callable[[], object], uid: int = -1) -> tuple[int, int]:
    """Run `work` in a process of its own, as this user; give its id and a descriptor for what it returns."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        os.close(reading)
        if uid >= 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        try:
            result: object = work()
        except BaseException as error:
            result = f"{type(error).__name__}: {error}"
        with os.fdopen(writing, "wb") as file:
            pickle.dump(result, file)
    finally:
        os._exit(0)


def result(process: tuple[int, int], patience: float = 60.0) -> Any:
    """Wait for a process; give what it returned, or the text of what it raised, or None if it was killed."""
    pid, reading = process
    end = time.monotonic() + patience
    os.set_blocking(reading, False)
    data = b""
    while True:
        try:
            more = os.read(reading, 1 << 20)
            if not more:
                break
            data += more
        except BlockingIOError:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                raise AssertionError("the process takes too long") from None
            time.sleep(0.001)
    os.close(reading)
    os.waitpid(pid, 0)
    return pickle.loads(data) if data else None


def as_user(uid: int, work: Callable[[], object]) -> Any:
    """Run `work` in a process of its own, as this user (-1: the same); give what `result` does."""
    return result(start(work, uid))
