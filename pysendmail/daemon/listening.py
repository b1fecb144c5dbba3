"""The listening sockets: bound by us, or handed over by the service manager (sd_listen_fds(3)).

A socket of a daemon that died is in the way of the next one and is removed, one that answers never is. Looking and
binding are one step under a lock, so that of two daemons that start at once only one gets the name. The lock is a file
of its own: a folder can be locked by whoever can read it.
"""

import _socket
import errno
import os
import stat

from pysendmail import errors, folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

    Address = str | tuple[str, int]

FRAMES, SMTP = "frames", "smtp"
_BACKLOG = 1024  # the system's limit (somaxconn) may be lower
_FIRST_PASSED = 3
_LOCKED = 5.0  # seconds that another daemon may take to start


class Listener:
    """One listening socket: what is spoken there, its address, and whether the name in the file system is ours."""

    __slots__ = ("_aside", "_name", "address", "fd", "kind")

    def __init__(self, kind: str, address: "Address | None", fd: int) -> None:
        self.kind = kind
        self.address = address
        self.fd = fd
        self._aside = ""
        status = os.stat(address) if isinstance(address, str) else None
        self._name = (status.st_dev, status.st_ino) if status is not None else None

    def close(self) -> None:
        """Stop listening. The name goes too if it is still that of this socket."""
        os.close(self.fd)
        for name in (self.address, self._aside):
            if isinstance(name, str) and self._is_name(name):
                os.unlink(name)

    def hide(self) -> None:
        """Put the name aside, so that nobody comes any more; who has come already is still there."""
        if isinstance(self.address, str) and self._is_name(self.address):
            self._aside = f"{self.address}.closing"
            os.rename(self.address, self._aside)

    def show(self) -> None:
        """Take the name back, unless another daemon has it by now."""
        if self._aside:
            try:
                os.link(self._aside, str(self.address))
            except FileExistsError:
                return
            os.unlink(self._aside)
            self._aside = ""

    def _is_name(self, path: str) -> bool:
        """Tell whether the name exists and means this socket."""
        if self._name is None or not path:
            return False
        try:
            status = os.lstat(path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._name

    def waiting(self) -> bool:
        """Tell whether somebody has connected whom nobody has accepted yet."""
        import select

        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0))


def take_over(environ: "MutableMapping[str, str]") -> list[Listener]:
    """Return the sockets that the service manager has passed on: for SMTP if they are TCP or named `smtp`, else for frames.

    Raises ConfigError for what is no listening stream socket.
    """
    pid, count, names = [environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")]
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    named = names.split(":")
    found = []
    for index in range(int(count)):
        found.append(_passed(_FIRST_PASSED + index, named[index] if index < len(named) else ""))
    return found


def _passed(fd: int, name: str) -> Listener:
    """Look at a socket that was passed on. Its name in the file system is not ours."""
    try:
        os.set_inheritable(fd, False)
        sock = _socket.socket(fileno=fd)
        family, kind, address = sock.family, sock.type, sock.getsockname()
        listens = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)
        sock.detach()
    except OSError as error:
        raise errors.ConfigError(f"descriptor {fd} of the service manager is no socket: {error.strerror}") from None
    if kind != _socket.SOCK_STREAM or not listens:
        raise errors.ConfigError(f"the socket {fd} of the service manager does not listen for streams (Accept=no?)")
    os.set_blocking(fd, False)
    tcp = family != _socket.AF_UNIX
    return Listener(SMTP if tcp or name == SMTP else FRAMES, address[:2] if tcp else None, fd)


def bind_name(path: str, mode: int) -> Listener:
    """Listen for frames on a UNIX socket. Raises TempFail if a daemon serves there, else what is wrong with the place."""
    folder = os.path.dirname(path)
    try:
        folders.make(folder, 0o755 if mode & 0o007 else 0o700, 0o755)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            if not folders.lock(lock, _LOCKED):
                raise errors.TempFail("another daemon has been starting here for too long", path)
            _remove_stale(path)
            return Listener(FRAMES, path, _bound(_socket.AF_UNIX, path, ~mode & 0o777))
        finally:
            os.close(lock)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG or error.errno is None:
            raise errors.ConfigError("the name of the socket is too long (107 octets)", path) from None
        raise errors.SystemFailure(f"cannot listen there: {error.strerror}", path) from None


def bind_port(address: str, port: int, optional: bool) -> list[Listener]:
    """Listen for SMTP on a TCP port; return nothing where the machine lacks an address that is `optional`.

    Raises TempFail if the port is in use, SystemFailure for what else the system refuses.
    """
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    try:
        return [Listener(SMTP, (address, port), _bound(family, (address, port), 0))]
    except OSError as error:
        if optional and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return []
        if error.errno == errno.EADDRINUSE:
            raise errors.TempFail("another program listens there", place) from None
        raise errors.SystemFailure(f"cannot listen there: {error.strerror}", place) from None


def _bound(family: int, address: "Address", umask: int) -> int:
    """Return the descriptor of a new listening socket, which does not block."""
    sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        if family == _socket.AF_UNIX:
            before = os.umask(umask)  # else there would be a moment with other rights
            try:
                sock.bind(address)
            finally:
                os.umask(before)
        else:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            if family == _socket.AF_INET6:
                sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
            sock.bind(address)
        sock.listen(_BACKLOG)
        return sock.detach()
    except BaseException:
        sock.close()
        raise


def _remove_stale(path: str) -> None:
    """Remove the socket of a daemon that has died. Raises TempFail if it lives, ConfigError if it is something else."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise errors.ConfigError("there is something else than a socket in the socket's place; it was not removed", path)
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
        return
    except BlockingIOError:
        pass  # it lives, and has more callers than it can take
    finally:
        probe.close()
    raise errors.TempFail("another daemon serves this socket", path)
