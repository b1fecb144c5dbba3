"""The command and a daemon that does anything a daemon may do: it answers, falls silent, hangs up, or is none."""

import os
import pathlib
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from pysendmail import entry, wire
from tests.command.caller import LIMIT, until_read
from tests.conftest import Installed

TEXT = b"Subject: hello\n\ntext\n"
Doing = Callable[["Line"], None]


class Line:
    """The daemon's end of one connection."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self._decoder = wire.Decoder()
        self.frames: list[tuple[bytes, bytes]] = []

    def hear(self, kind: bytes = wire.END) -> list[tuple[bytes, bytes]]:
        """Read until a frame of this kind has come."""
        while kind not in [found for found, _ in self.frames]:
            data = self.line.recv(1 << 16)
            assert data, "it has hung up"
            self.frames += [(bytes([found]), content) for found, content in self._decoder.feed(data)]
        return self.frames

    def text(self) -> bytes:
        return b"".join([content for kind, content in self.hear() if kind == wire.DATA])

    def say(self, *frames: tuple[bytes, bytes]) -> None:
        self.line.sendall(b"".join([wire.frame(kind, content) for kind, content in frames]))


class Daemon:
    """Do something with each connection in turn; what went wrong in it is raised at the end."""

    def __init__(self, folder: pathlib.Path, *doing: Doing, backlog: int = 5) -> None:
        self.path = folder / "pysendmail" / "submit.sock"
        self.path.parent.mkdir()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(backlog)
        self.lines: list[Line] = []
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, args=(doing,), daemon=True)
        self._thread.start()

    def _work(self, doing: tuple[Doing, ...]) -> None:
        try:
            for each in doing:
                line, _ = self.listener.accept()
                line.settimeout(LIMIT)
                self.lines.append(Line(line))
                each(self.lines[-1])
                line.close()
        except BaseException as error:
            self.failure = error

    def end(self) -> None:
        self._thread.join(LIMIT)
        self.listener.close()
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def make(tmp_path: pathlib.Path) -> Iterator[Callable[..., Daemon]]:
    """Make a daemon for callers whose XDG_RUNTIME_DIR is the test's folder."""
    made: list[Daemon] = []

    def maker(*doing: Doing, **more: int) -> Daemon:
        made.append(Daemon(tmp_path, *doing, **more))
        return made[-1]

    yield maker
    for daemon in made:
        daemon.end()


def start(installed: Installed, folder: pathlib.Path, *arguments: str, **more: object) -> "subprocess.Popen[bytes]":
    environ = {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    settings: dict[str, object] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environ}
    return subprocess.Popen([installed.sendmail, *arguments], **{**settings, **more})  # type: ignore[call-overload, no-any-return]


def send(
    installed: Installed, folder: pathlib.Path, *arguments: str, text: bytes = TEXT, **more: object
) -> tuple[int, bytes, bytes]:
    with start(installed, folder, *arguments, **more) as process:
        out, err = process.communicate(text, LIMIT)
    return process.returncode, out, err


def exits(code: int, *before: tuple[bytes, bytes]) -> Doing:
    """Take a message and answer it."""

    def doing(line: Line) -> None:
        line.hear()
        line.say(*before, (wire.EXIT, bytes([code])))

    return doing


def test_words_and_text_arrive_and_the_answer_comes_back(
    installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon]
) -> None:
    daemon = make(exits(67, (wire.ERR, b"sendmail: no such user\n"), (wire.ALIVE, b""), (wire.OUT, b"shown\n")))
    assert send(installed, tmp_path, "-i", "-f", "a@x", "b@x") == (67, b"shown\n", b"sendmail: no such user\n")
    assert daemon.lines[0].frames[0][1] == b"1\0sendmail\0-i\0-f\0a@x\0b@x"
    assert daemon.lines[0].text() == TEXT


def test_octets_that_are_no_text_arrive_as_they_are(installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon]) -> None:
    daemon = make(exits(0))
    every = bytes(range(256)) * 1000
    with start(installed, tmp_path, "-i", os.fsdecode(b"-F\xe4\xf6\xfc"), "b@x") as process:
        process.communicate(every, LIMIT)
    assert process.returncode == 0
    assert daemon.lines[0].frames[0][1].split(b"\0")[3] == b"-F\xe4\xf6\xfc"
    assert daemon.lines[0].text() == every


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 10_000_000])
def test_a_message_of_any_size_arrives_whole(installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon], size: int) -> None:
    daemon = make(exits(0))
    text = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    assert send(installed, tmp_path, "-i", "b@x", text=text) == (0, b"", b"")
    assert daemon.lines[0].text() == text
    assert daemon.lines[0].frames[-1] == (wire.END, size.to_bytes(8, "big"))


def test_a_daemon_that_hangs_up_before_it_answers_may_have_taken_it(installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon]) -> None:
    make(lambda line: line.hear() and None)
    code, out, err = send(installed, tmp_path, "b@x")
    assert (code, out) == (75, b"") and err.startswith(b"sendmail: the daemon ended") and err.count(b"\n") == 1


def test_a_daemon_that_answers_early_and_hangs_up_is_understood(installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon]) -> None:
    def doing(line: Line) -> None:
        line.hear(wire.REQUEST)
        line.say((wire.ERR, b"sendmail: too large\n"), (wire.EXIT, b"\x41"))

    make(doing)
    text = b"x" * 20_000_000
    assert send(installed, tmp_path, "b@x", text=text) == (65, b"", b"sendmail: too large\n")


def test_a_stale_socket_is_no_daemon(installed: Installed, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "pysendmail" / "submit.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    code, _, err = send(installed, tmp_path, "b@x")
    assert code == 78 and b"there is no configuration" in err


def test_without_a_daemon_what_was_read_is_sent_from_here(installed: Installed, tmp_path: pathlib.Path) -> None:
    """The socket is there and nobody behind it, and the message was read to find that out."""
    path = tmp_path / "pysendmail" / "submit.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    config = tmp_path / ".config" / "pysendmail" / "pysendmail.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f"host localhost\ntls off\nfrom a@x\nsyslog off\nqueue {tmp_path}/spool/queue\ndelivery queue\n")
    for size in (10, 3_000_000):
        text = b"Subject: x\n\n" + (b"0123456789abcde\n" * (size // 16 + 1))[:size]
        assert send(installed, tmp_path, "-i", "b@x", text=text) == (0, b"", b"")
    from pysendmail.queue.sqlite import SqliteStore

    store = SqliteStore(str(tmp_path / "spool" / "queue"))
    try:
        sizes = [item.message.body_size for item in store.listing()]
        assert sizes[1] > 3_000_000
        assert list(store.check()) == []
    finally:
        store.close()


def test_a_socket_of_somebody_else_is_not_trusted(make: Callable[..., Daemon]) -> None:
    daemon = make(lambda line: None, lambda line: None)
    mine = entry.connect(os.fsencode(daemon.path), os.getuid())
    assert mine is not None
    mine.close()
    assert entry.connect(os.fsencode(daemon.path), os.getuid() + 1) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_before_the_end_of_input_ends_it_and_nothing_was_sent(installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon], number: int) -> None:
    make()
    with start(installed, tmp_path, "b@x") as process:
        assert process.stdin is not None
        process.stdin.write(TEXT)
        process.stdin.flush()
        until_read(process.stdin.fileno())
        process.send_signal(number)
        assert process.wait(LIMIT) == 75
        assert process.stderr is not None and process.stderr.read() == b"sendmail: ended by signal %d; nothing was sent\n" % number


def test_an_ignored_signal_stays_ignored(installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon]) -> None:
    daemon = make(exits(0))
    with start(installed, tmp_path, "b@x", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        assert process.stdin is not None
        process.stdin.write(TEXT)
        process.stdin.flush()
        until_read(process.stdin.fileno())
        process.send_signal(signal.SIGHUP)
        process.communicate(b"more\n", LIMIT)
    assert process.returncode == 0 and daemon.lines[0].text() == TEXT + b"more\n"


def test_from_the_end_of_the_message_on_signals_wait_for_the_answer(installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon]) -> None:
    heard, go_on = threading.Event(), threading.Event()

    def doing(line: Line) -> None:
        line.hear()
        heard.set()
        assert go_on.wait(LIMIT)
        line.say((wire.EXIT, b"\0"))

    make(doing)
    with start(installed, tmp_path, "b@x") as process:
        assert process.stdin is not None
        process.stdin.write(TEXT)
        process.stdin.close()
        process.stdin = None
        assert heard.wait(LIMIT)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process.send_signal(number)
        go_on.set()
        assert process.wait(LIMIT) == 0


@pytest.mark.parametrize("large", [False, True])
def test_a_killed_command_ends_no_message(installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon], large: bool) -> None:
    ends: list[bytes] = []

    def doing(line: Line) -> None:
        while data := line.line.recv(1 << 16):
            ends.append(data)

    daemon = make(doing) if large else make()
    with start(installed, tmp_path, "b@x") as process:
        assert process.stdin is not None
        process.stdin.write(b"x" * (2_000_000 if large else 1000))
        process.stdin.flush()
        until_read(process.stdin.fileno())
        process.kill()
        process.wait(LIMIT)
    daemon.end()
    assert bool(ends) == large
    found = wire.Decoder().feed(b"".join(ends))
    assert wire.END[0] not in [kind for kind, _ in found]


def test_a_read_error_sends_nothing(installed: Installed, tmp_path: pathlib.Path, make: Callable[..., Daemon]) -> None:
    make()
    closed = os.open("/dev/null", os.O_WRONLY)
    try:
        code, _, err = send(installed, tmp_path, "b@x", stdin=closed, text=b"")
    finally:
        os.close(closed)
    assert code == 66 and b"cannot be read: Bad file descriptor" in err


def test_silence_does_not_hold_the_command_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0.05)
    with ours, theirs:
        with pytest.raises(entry.Refused, match="may have taken") as refused:
            entry.answer(ours)
        assert refused.value.code == 75
        with pytest.raises(entry.Refused, match="does not take") as refused:
            entry.exchange(ours, b"x" * 10_000_000, 0, iter([b"y"]))
        assert refused.value.code == 75


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("-t -i", True), ("-ti", True), ("-tif a@x b@x", True), ("-oi -oem -odb bob", True), ("-fbob@x -FCronDaemon", True),
        ("-B8BITMIME -i", True), ("-N never -R hdrs -V id", True), ("-X /tmp/x -OQueueDirectory=/tmp", True), ("-a work bob", True),
        ("bob -i", True), ("-om -os", True), ("", True), ("-", True),
        ("-bs", False), ("-bp", False), ("-tbs", False), ("-C file", False), ("-iCfile", False), ("--help", False), ("-i -- bob -bs", True), ("-bs -- bob", False),
        ("-q", False), ("-qf", False), ("-tq", False), ("-I", False), ("-v", False), ("-iv", False), ("--account=x", False), ("-Z", False),
    ],
)  # fmt: skip
def test_only_what_is_surely_a_delivery_takes_the_short_way(words: str, plain: bool) -> None:
    assert entry.is_plain(b"sendmail", words.encode().split()) is plain
    assert entry.is_plain(b"send-mail", words.encode().split()) is plain
    assert not entry.is_plain(b"mailq", words.encode().split())
