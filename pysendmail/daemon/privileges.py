"""Whose rights the daemon's processes have, and what they can do with them.

Started by root, the parent keeps root's rights, with which it binds sockets and reads the configuration; its children
have those of the user `run_as`. No process of the daemon can gain rights by a program that it starts, leaves a core file,
or can be traced by others of its user.
"""

import os
import pwd

from pysendmail import errors, folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from pysendmail.config.reader import File

_SET_PDEATHSIG, _SET_DUMPABLE, _SET_NO_NEW_PRIVS = 1, 4, 38  # of prctl(2)
# What the rest of the daemon may see of the environment; of a user's own daemon, what a password command may need too.
_KEPT = ("CREDENTIALS_DIRECTORY", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LC_TIME", "PATH", "TZ")
_KEPT_OF_USER = (
    "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "GNUPGHOME", "GPG_TTY", "HOME", "KRB5CCNAME", "LOGNAME", "PASSWORD_STORE_DIR",
    "PASSWORD_STORE_GPG_OPTS", "SSH_AUTH_SOCK", "USER", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
)  # fmt: skip
_USER = "pysendmail"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Identity:
    """A user whose rights a process takes on; `login` is empty where the uid has none, `name` is what he is called."""

    __slots__ = ("gid", "home", "login", "uid")

    def __init__(self, uid: int, gid: int, login: str = "", home: str = "") -> None:
        self.uid = uid
        self.gid = gid
        self.login = login
        self.home = home

    @property
    def name(self) -> str:
        return self.login or f"uid {self.uid}"


def identity(file: "File", *, agent: bool) -> Identity:
    """Return who the children are to be: the user `run_as` if we are root and no user's own agent, else who we are.

    Raises ConfigError if there is no such user or group, or if only root could become him.
    """
    me = os.geteuid()
    if agent or (me and file.daemon.run_as is None):
        return _user(str(me), None) or Identity(me, os.getegid())
    place = file.at(file.daemon.line_of("run_as"))
    login, group = file.daemon.run_as or (_USER, None)
    try:
        gid = None if group is None else _group(group)
    except KeyError:
        raise errors.ConfigError(f'run_as: there is no group "{group}"', place) from None
    user = _user(login, gid)
    if user is None:
        hint = "make one (useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin NAME), or name another"
        raise errors.ConfigError(f'run_as: there is no user "{login}"; {hint}', place)
    if me not in (0, user.uid):
        raise errors.ConfigError(f"run_as: only root can become {login}; this is uid {me}", place)
    return user


def _user(login: str, gid: int | None) -> Identity | None:
    """Find a user by name or number, None if there is none; a number without a name will do together with a group."""
    try:
        entry = pwd.getpwuid(int(login)) if login.isdecimal() else pwd.getpwnam(login)
    except (KeyError, OverflowError):
        return Identity(int(login), gid) if login.isdecimal() and len(login) < 10 and gid is not None else None
    return Identity(entry.pw_uid, entry.pw_gid if gid is None else gid, entry.pw_name, entry.pw_dir)


def _group(name: str) -> int:
    import grp

    return int(name) if name.isdecimal() and len(name) < 10 else grp.getgrnam(name).gr_gid


def become(user: Identity) -> None:
    """Take on a user's rights for good. Raises SystemFailure where the system refuses."""
    if os.geteuid() == 0 and user.uid:
        try:
            if user.login:
                os.initgroups(user.login, user.gid)
            else:
                os.setgroups([user.gid])
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
        except OSError as error:
            raise errors.SystemFailure(f"cannot become {user.name}: {error.strerror}") from None
    if os.getresuid() != (user.uid,) * 3:
        raise errors.SystemFailure(f"cannot become {user.name}")
    close_to_others()


def close_to_others() -> None:
    """See to it that no process of our user can trace this one or read its memory, and that it leaves no core file.

    Asks only the system, so that it holds after each change of the user, which takes it back.
    """
    import resource

    _prctl(_SET_DUMPABLE, 0)
    _prctl(_SET_NO_NEW_PRIVS, 1)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        pass  # a limit that may not even be lowered; without the right to dump there is no core file either


def end_with_parent(parent: int) -> None:
    """Have the system send us SIGTERM when our parent, of this process id, has died. A change of the user ends that."""
    import _signal

    _prctl(_SET_PDEATHSIG, int(_signal.SIGTERM))
    if os.getppid() != parent:
        os.kill(os.getpid(), _signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    import ctypes

    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except AttributeError:
        pass  # another system than Linux


def clean_environment(environ: "MutableMapping[str, str]", *, agent: bool) -> None:
    """Leave in the environment only what is known to be harmless and of use."""
    kept = (*_KEPT, *_KEPT_OF_USER) if agent else _KEPT
    for name in list(environ):
        if name not in kept:
            del environ[name]
    environ.setdefault("PATH", _PATH)


def prepare_queue(path: str, user: Identity) -> None:
    """Make the folder of the queue, for its user alone, where it is missing. Raises ConfigError, SystemFailure."""
    folder = os.path.dirname(path)
    try:
        if not os.path.lexists(folder):
            folders.make(folder, 0o700, 0o700 if os.geteuid() == user.uid else 0o755)
        owner = os.stat(folder + "/").st_uid
        if os.geteuid() == 0 and owner == 0 != user.uid:
            if not os.listdir(folder):  # it is new; or a package has made it, which does not know the user's number
                os.chown(folder, user.uid, user.gid)
            owner = os.stat(folder + "/").st_uid  # another daemon that starts may have been here meanwhile
    except OSError as error:
        raise errors.SystemFailure(f"the queue's folder cannot be made: {error.strerror}", folder) from None
    if owner != user.uid:
        text = f"the queue's folder belongs to uid {owner}, and the daemon runs as {user.name} (uid {user.uid}): run chown"
        raise errors.ConfigError(text, folder)
