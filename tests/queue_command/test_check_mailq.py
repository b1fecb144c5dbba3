"""The plugin check_mailq of the monitoring plugins reads our list as Postfix's."""

import pathlib
import re
import subprocess
from collections.abc import Callable

import pytest

from tests.command.caller import LIMIT
from tests.conftest import skip
from tests.queue_command.keeper import Keeper, numbered

PLUGINS = pathlib.Path("/usr/lib/nagios/plugins")


@pytest.fixture
def check(caller: Keeper, tmp_path: pathlib.Path) -> Callable[[], tuple[int, str]]:
    """Give what runs the plugin, from 2 messages on with a warning and from 4 on with an alarm: its code and its line.

    The plugin knows the path of mailq from a file that lies beside it; so both are copied, and that path is changed.
    """
    if not (PLUGINS / "check_mailq").exists():
        skip("there is no check_mailq (Debian has it in monitoring-plugins-standard)")
    folder = tmp_path / "plugins"
    folder.mkdir()
    mailq = pathlib.Path(caller.sendmail).parent.parent / "bin" / "mailq"
    paths, changed = re.subn(
        r'(\$PATH_TO_MAILQ\s*=\s*)"[^"]*"', rf'\1"{mailq}"', (PLUGINS / "utils.pm").read_text("latin-1")
    )
    assert changed == 1
    (folder / "utils.pm").write_text(paths, "latin-1")
    (folder / "check_mailq").write_bytes((PLUGINS / "check_mailq").read_bytes())
    caller.configure()

    def run() -> tuple[int, str]:
        done = subprocess.run(
            ["perl", folder / "check_mailq", "-M", "postfix", "-w", "2", "-c", "4"],
            env=caller.environ, capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    return run


def test_a_queue_that_is_not_there_or_empty_is_in_order(caller: Keeper, check: Callable[[], tuple[int, str]]) -> None:
    assert check() == (0, "OK: postfix mailq reports queue is empty|unsent=0;2;4;0\n")
    caller.submit("-odq", "bob@example.net")
    caller.flush()
    assert check() == (0, "OK: postfix mailq reports queue is empty|unsent=0;2;4;0\n")


def test_the_messages_are_counted(
    caller: Keeper, dead: dict[str, str], check: Callable[[], tuple[int, str]]
) -> None:
    codes = []
    for number in range(4):
        caller.submit("-odq" if number % 2 else "-odi", "bob@example.net", "carol@example.net", words=dead)
        code, line = check()
        assert f"unsent={number + 1};" in line
        codes.append(code)
    assert codes == [0, 1, 1, 2]


def test_a_queue_that_cannot_be_listed_is_an_alarm(caller: Keeper, check: Callable[[], tuple[int, str]]) -> None:
    caller.submit("-odq", "bob@example.net", message=numbered(1))
    caller.queue.write_bytes(b"this is no database")
    code, line = check()
    assert code == 2 and line.startswith("CRITICAL: Error code 75")
