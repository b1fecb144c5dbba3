"""The first thing that runs when somebody calls sendmail: make the process sane, hand the message over, leave fast.

What most callers ever run is here: a daemon takes the message. So nothing else is loaded, not even wire.py, whose kinds
of frames are spelled out once more; a test compares them. Where there is no daemon, or the command line asks for more than
a delivery, main.py goes on.

A short message is read to its end before the daemon is called: a caller who is slow holds nobody up, and where there is
no daemon what was read can be sent from here. From the frame that ends the message on the daemon decides, and signals
have to wait for what it says.
"""

import _signal
import _socket
import gc
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SYSTEM_SOCKET = b"/run/pysendmail/submit.sock"
AGENT_SOCKET = b"/pysendmail/submit.sock"  # below $XDG_RUNTIME_DIR
OWN_FILE = b"/pysendmail/pysendmail.conf"  # below $XDG_CONFIG_HOME

# As in wire.py
VERSION = b"1"
REQUEST, DATA, END, OUT, ERR, EXIT = b"R", b"D", b"E", b"O", b"S", b"X"
HEAD = 5
PIECE = 1 << 16

PATIENCE = 75.0  # seconds without any sign of a daemon that has a message; it needs 60 at most to find the queue locked
_FIRST = 1 << 20  # octets that are read before the daemon is called
_CROWDED = 10.0  # seconds that a daemon may be too busy to be called
_TOLD = 2  # seconds for a reader of standard error to make room
_AT_ONCE = 4096  # octets that a pipe with room takes without blocking (PIPE_BUF)
_ENDING = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
_FLAGS = b"timGUscnx"  # options that take no argument and concern this message alone
_VALUED = b"fFroBNRVOhLXpAMDTea"  # those that do; what follows in the same word is not looked at
_heard = True  # whether standard error was read when something was last said


class Refused(Exception):
    """Nothing was sent; `code` is the exit code, and the text is what standard error is to say."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def main() -> None:
    """Run the command for this process's arguments and end the process with its exit code."""
    stdin_open = _open_missing_descriptors()
    gc.disable()  # the process ends before looking for cycles of objects could pay
    code, line = 70, b"sendmail: internal error\n"
    try:
        code, line = _run(stdin_open), b""
    except Refused as refusal:
        code, line = refusal.code, f"sendmail: {refusal}\n".encode("utf-8", "replace")
    except MemoryError:
        code, line = 75, b"sendmail: there is not enough memory; try later\n"
    except KeyboardInterrupt:  # before the command's own handlers were in place
        code, line = 75, b"sendmail: ended by signal 2\n"
    except BaseException as error:
        code, text = judge(error)
        line = f"sendmail: {text}\n".encode("utf-8", "replace")
    # What the failure held is free again by now, which may be needed to tell of it.
    if line:
        write(2, line)
    posix._exit(code)


def _run(stdin_open: bool) -> int:
    encoding = sys.getfilesystemencoding()
    words = [argument.encode(encoding, "surrogateescape") for argument in sys.argv or ["sendmail"]]
    name, arguments = words[0].rsplit(b"/", 1)[-1], words[1:]
    taken = None
    if stdin_open and is_plain(name, arguments):
        code, data, ended = deliver(name, arguments)
        if code is not None:
            return code
        if data or ended:
            taken = data, ended
    from pysendmail.command.main import run

    return run(name, arguments, stdin_open, taken)


def _open_missing_descriptors() -> bool:
    """Open /dev/null on descriptors 0 to 2 where they are closed; tell whether 0 was open.

    Without this the first file or socket opened would become standard output or error, and a message on standard error
    would end up in an SMTP dialogue. Commands that we start get them as well.
    """
    stdin_open = True
    for descriptor in range(3):
        try:
            posix.fstat(descriptor)
        except OSError:
            posix.open("/dev/null", posix.O_RDWR)  # takes the lowest free number, which is this one
            posix.set_inheritable(descriptor, True)
            if descriptor == 0:
                stdin_open = False
    return stdin_open


def judge(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the text of the line for what should not have happened.

    What is in variables stays out of the line, since it may be secret.
    """
    import errno

    # What the system may have more of at another time.
    scarce = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT)
    trace = error.__traceback__
    where = "start"
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    kind = type(error).__name__
    if isinstance(error, ImportError):  # its files are just being replaced, or cannot be opened
        return 75, f"a part of the program cannot be loaded ({kind} at {where}); try later"
    if isinstance(error, OSError):
        reason = posix.strerror(error.errno) if error.errno else kind
        return 75 if error.errno in scarce else 71, f"the operating system refused something: {reason} ({where})"
    return 70, f"internal error ({kind} at {where}); nothing more was done, please report it"


def is_plain(name: bytes, arguments: "list[bytes]") -> bool:
    """Tell whether this is a delivery that a daemon can do, as far as a look at each word can tell."""
    if name != b"sendmail" and name != b"send-mail":
        return False
    for argument in arguments:
        if argument == b"--":
            break
        if argument[:1] == b"-":
            letters = argument[1:].lstrip(_FLAGS)
            if letters and letters[0] not in _VALUED:
                return False
    return True


def socket_path(uid: int) -> "tuple[bytes, int | None] | None":
    """Return the path of the daemon's socket that this caller hands over to, and the uid that must be behind it.

    None if the command is to do the work itself: no daemon has ever been there, or the caller has a configuration of his
    own. His own agent comes first; None as the uid stands for anybody, since the folder is root's.
    """
    environ = posix.environ
    runtime = environ.get(b"XDG_RUNTIME_DIR", b"")
    if runtime[:1] == b"/" and _exists(runtime + AGENT_SOCKET):
        return runtime + AGENT_SOCKET, uid
    if not _exists(SYSTEM_SOCKET) or _has_configuration(environ, uid):
        return None
    return SYSTEM_SOCKET, None


def is_expected(uid: int) -> bool:
    """Tell whether the system's daemon should be there for this caller: where its socket lies, there is a folder."""
    return _exists(SYSTEM_SOCKET.rpartition(b"/")[0]) and not _has_configuration(posix.environ, uid)


def _has_configuration(environ: "Mapping[bytes, bytes]", uid: int) -> bool:
    """Tell whether the caller has a configuration of his own, where config.accounts looks for it."""
    folder = environ.get(b"XDG_CONFIG_HOME", b"")
    if folder[:1] != b"/":
        home = environ.get(b"HOME", b"")
        if home[:1] != b"/":
            import pwd

            try:
                home = pwd.getpwuid(uid).pw_dir.encode(sys.getfilesystemencoding(), "surrogateescape")
            except KeyError:
                return False
        folder = home + b"/.config"
    return folder[:1] == b"/" and _exists(folder + OWN_FILE)


def _exists(path: bytes) -> bool:
    try:
        posix.stat(path)
    except (OSError, ValueError):
        return False
    return True


def connect(path: bytes, uid: "int | None") -> "_socket.socket | None":
    """Call the daemon at `path`; None if there is none, or not one of `uid`. Raises Refused if it is too busy."""
    line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    line.settimeout(PATIENCE)
    end = 0.0
    while True:
        try:
            line.connect(path)
            break
        except BlockingIOError:  # as many callers as the kernel keeps are waiting already
            from time import monotonic, sleep

            end = end or monotonic() + _CROWDED
            if monotonic() > end:
                line.close()
                raise Refused(75, "the daemon is too busy; try later") from None
            sleep(0.02)
        except OSError:
            line.close()
            return None
    if uid is not None:
        peer = line.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        if int.from_bytes(peer[4:8], sys.byteorder) != uid:
            line.close()
            return None
    return line


def deliver(name: bytes, arguments: "list[bytes]") -> "tuple[int | None, bytes, bool]":
    """Hand over the message on standard input and return the exit code.

    Where there is no daemon for it the code is None; then what was read already follows, and whether that is all.
    Raises Refused.
    """
    found = socket_path(posix.getuid())
    if found is None or posix.isatty(0):
        return None, b"", False
    for number in _ENDING:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, _ended)
    return send(found, name, arguments, read_input())


def send(
    found: "tuple[bytes, int | None]", name: bytes, arguments: "list[bytes]", pieces: "Iterator[bytes]"
) -> "tuple[int | None, bytes, bool]":
    """Do what `deliver` does for the socket that was found, with a message that comes in pieces."""
    taken, ended = [], True
    size = 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size >= _FIRST:
            ended = False
            break
    line = connect(*found)
    if line is None:
        return None, b"".join(taken), ended
    parts = [_frame(REQUEST, b"\0".join([VERSION, name, *arguments])), *[_frame(DATA, piece) for piece in taken]]
    return exchange(line, b"".join(parts), size, None if ended else pieces), b"", True


def read_input() -> "Iterator[bytes]":
    """Yield what standard input gives. Raises Refused."""
    first = True
    while True:
        try:
            data = posix.read(0, PIECE)
        except BlockingIOError:
            from select import select

            select([0], [], [])
            continue
        except OSError as error:
            if first:
                raise Refused(66, f"standard input cannot be read: {error.strerror}; nothing was sent") from None
            raise Refused(74, f"reading the message failed: {error.strerror}; nothing was sent") from None
        if not data:
            return
        first = False
        yield data


def exchange(line: "_socket.socket", begun: bytes, size: int, rest: "Iterator[bytes] | None") -> int:
    """Send a message of which `begun` holds the frames of the first `size` octets, then tell what the daemon answers.

    `rest` yields what comes after them. Returns the exit code. Raises Refused.
    """
    try:
        if rest is not None:
            line.sendall(begun)
            begun = b""
            for piece in rest:
                size += len(piece)
                line.sendall(_frame(DATA, piece))
        # From here on nobody could tell whether the message was taken.
        _signal.pthread_sigmask(_signal.SIG_BLOCK, _ENDING)
        line.sendall(begun + _frame(END, size.to_bytes(8, "big")))
    except TimeoutError:
        raise Refused(75, "the daemon does not take the message; nothing was sent") from None
    except OSError:
        pass  # it has hung up; perhaps it has said why
    return answer(line)


def _frame(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "big") + content


def answer(line: "_socket.socket", keep: "Callable[[bytes], object] | None" = None) -> int:
    """Show what the daemon answers and return the exit code. Raises Refused where it gives none.

    What is meant for standard output goes to `keep` instead, if that is given.
    """
    held = b""
    while True:
        try:
            data = line.recv(PIECE)
        except TimeoutError:
            raise Refused(75, "the daemon does not answer; it may have taken the message or not") from None
        except OSError:
            data = b""
        if not data:
            raise Refused(75, "the daemon ended before it answered; it may have taken the message or not")
        held += data
        while len(held) >= HEAD:
            size = int.from_bytes(held[1:HEAD], "big")
            if len(held) < HEAD + size:
                break
            kind, content, held = held[:1], held[HEAD : HEAD + size], held[HEAD + size :]
            if kind == EXIT:
                return content[0] if content else 70
            if kind == OUT and keep is not None:
                keep(content)
            elif kind == OUT or kind == ERR:
                write(1 if kind == OUT else 2, content)


def write(descriptor: int, data: bytes) -> None:
    """Write all of `data`, if anybody reads it: the exit code tells all that counts.

    Nobody is waited for who has standard error and does not read it.
    """
    try:
        while data:
            if descriptor == 2 and not _is_read():
                return
            data = data[posix.write(descriptor, data if descriptor != 2 else data[:_AT_ONCE]) :]
    except OSError:
        pass


def _is_read() -> bool:
    """Tell whether standard error takes something within reasonable time; once it did not, it is not waited for again."""
    global _heard
    import select

    poll = select.poll()
    poll.register(2, select.POLLOUT)
    _heard = bool(poll.poll(_TOLD * 1000 if _heard else 0))
    return _heard


def _ended(number: int, frame: object) -> None:
    write(2, b"sendmail: ended by signal %d; nothing was sent\n" % number)
    posix._exit(75)
