"""Install pysendmail below a prefix, or remove it from there: what `make install` and `make uninstall` run.

Needs nothing but the Python that runs it. The prefix, the staging folder and the interpreter that the scripts name come
in the environment (PYSENDMAIL_PREFIX, PYSENDMAIL_DESTDIR, PYSENDMAIL_PYTHON), so that no shell and no make has to quote
them. Every file is put in place by renaming: a command that starts meanwhile finds the old file or the new one, whole.
"""

import errno
import importlib.util
import os
import py_compile
import shutil
import sys

if sys.version_info < (3, 11):  # noqa: UP036 # it may be run by any
    sys.exit(f"install: Python 3.11 or later is needed, {sys.executable} is {sys.version.split()[0]}")

SOURCE = os.path.dirname(os.path.abspath(__file__))

# program below the prefix -> module whose main() it runs
PROGRAMS = {
    "sbin/sendmail": "pysendmail.entry",
    "sbin/pysendmaild": "pysendmail.command.daemon",
    "bin/pysendmail": "pysendmail.command.admin.main",
}
# link below the prefix -> what it points to, from where it is
LINKS = {"lib/sendmail": "../sbin/sendmail", "bin/mailq": "../sbin/sendmail", "bin/newaliases": "../sbin/sendmail"}
MODULES = "lib/pysendmail"
# folder among the sources -> folder below the prefix where the service manager looks for what is in it
UNITS = {
    "systemd/system": "lib/systemd/system",
    "systemd/user": "lib/systemd/user",
    "systemd/sysusers.d": "lib/sysusers.d",
    "systemd/tmpfiles.d": "lib/tmpfiles.d",
}

LAUNCHER = """\
#!{python} -ISXutf8
import sys; sys.path.insert(0, {modules})
from {module} import main
main()
"""


class Refused(Exception):
    """Something that the caller asked for cannot be done; the text says what."""


class Place:
    """Where things go: `prefix` as the installed programs will see it, `root` as it is reached now."""

    def __init__(self, prefix: str, destdir: str) -> None:
        if not prefix.startswith("/"):
            raise Refused(f"PREFIX must be an absolute path, not {prefix!r}")
        self.prefix = os.path.normpath("/" + prefix.lstrip("/"))
        self.root = os.path.abspath(destdir) + self.prefix if destdir else self.prefix

    def now(self, path: str) -> str:
        """Name a path below the prefix as it is reached now."""
        return os.path.join(self.root, path)

    def later(self, path: str) -> str:
        """Name a path below the prefix as it will be known to the installed programs."""
        return os.path.join(self.prefix, path)


def interpreter(wanted: str) -> str:
    """Return the path for the scripts' first line: `wanted` if it is one, else that of the running interpreter."""
    path = wanted if wanted.startswith("/") else sys.executable
    if any(character.isspace() for character in path) or len(os.fsencode(path)) > 100:
        raise Refused(f"the kernel cannot start scripts by an interpreter of this name: {path!r}")
    return path


def modules() -> list[str]:
    """List the package's source files, from the folder that holds the package."""
    found = []
    for folder, folders, names in os.walk(os.path.join(SOURCE, "pysendmail")):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        found += [os.path.join(folder, name) for name in sorted(names) if name.endswith(".py") or name == "py.typed"]
    return [os.path.relpath(path, SOURCE) for path in found]


def manuals() -> list[str]:
    """List the manual pages."""
    folder = os.path.join(SOURCE, "man")
    return sorted(name for name in os.listdir(folder) if name[-2:-1] == "." and name[-1] in "12345678")


def manual_path(name: str) -> str:
    """Name a manual page below the prefix."""
    return f"share/man/man{name[-1]}/{name}"


def units() -> dict[str, str]:
    """List what is for the service manager: the path among the sources of each file, and that below the prefix."""
    found = {}
    for folder, target in UNITS.items():
        for name in sorted(os.listdir(os.path.join(SOURCE, folder))):
            found[f"{folder}/{name}"] = f"{target}/{name}"
    return found


def completions() -> dict[str, str]:
    """Give what the shells know of the commands: the path below the prefix of each file, and its text."""
    if SOURCE not in sys.path:
        sys.path.insert(0, SOURCE)
    from completions.shells import files

    return files()


def make_folder(path: str) -> None:
    """Make a folder and those above it; the ones that were there keep their modes."""
    if not os.path.isdir(path):
        make_folder(os.path.dirname(path))
        os.mkdir(path)
        os.chmod(path, 0o755)


def put(path: str, content: bytes, mode: int, mtime: float | None = None) -> None:
    """Put a file in place with this content and mode, whatever the umask and whatever was there."""
    make_folder(os.path.dirname(path))
    temporary = f"{path}.new{os.getpid()}"
    with open(temporary, "xb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    if mtime is not None:
        os.utime(temporary, (mtime, mtime))
    os.rename(temporary, path)


def put_link(path: str, target: str) -> None:
    """Put a symbolic link in place."""
    make_folder(os.path.dirname(path))
    temporary = f"{path}.new{os.getpid()}"
    os.symlink(target, temporary)
    os.rename(temporary, path)


def put_module(place: Place, module: str) -> list[str]:
    """Install one source file and its byte code; return both paths below the prefix.

    The byte code is tied to the source's time stamp, which is kept (and never later than SOURCE_DATE_EPOCH, for those
    who build packages), and names the file as it will be known, without the staging folder.
    """
    source = os.path.join(SOURCE, module)
    target = f"{MODULES}/{module}"
    mtime = min(os.stat(source).st_mtime, float(os.environ.get("SOURCE_DATE_EPOCH", "inf")))
    with open(source, "rb") as file:
        put(place.now(target), file.read(), 0o644, float(int(mtime)))
    if not module.endswith(".py"):
        return [target]
    code = importlib.util.cache_from_source(target)
    make_folder(os.path.dirname(place.now(code)))
    stamp = py_compile.PycInvalidationMode.TIMESTAMP
    py_compile.compile(place.now(target), place.now(code), place.later(target), doraise=True, invalidation_mode=stamp)
    os.chmod(place.now(code), 0o644)
    return [target, code]


def drop_stale(place: Place, wanted: list[str]) -> None:
    """Remove what an earlier version left among the modules."""
    keep = {place.now(path) for path in wanted}
    for folder, _, names in os.walk(place.now(MODULES), topdown=False):
        for name in names:
            if os.path.join(folder, name) not in keep:
                os.unlink(os.path.join(folder, name))
        if not os.listdir(folder):
            os.rmdir(folder)


def install(place: Place, python: str) -> None:
    """Install modules, then manual pages, then the programs that need them."""
    drop_stale(place, [path for module in modules() for path in put_module(place, module)])
    for name in manuals():
        with open(os.path.join(SOURCE, "man", name), "rb") as file:
            put(place.now(manual_path(name)), file.read(), 0o644)
    for source, target in units().items():
        with open(os.path.join(SOURCE, source), "rb") as file:
            put(place.now(target), file.read().replace(b"@prefix@", unit_text(place.prefix)), 0o644)
    for path, text in completions().items():
        put(place.now(path), text.encode(), 0o644)
    for path, module in PROGRAMS.items():
        text = LAUNCHER.format(python=python, modules=ascii(place.later(MODULES)), module=module)
        put(place.now(path), os.fsencode(text), 0o755)
    for path, target in LINKS.items():
        put_link(place.now(path), target)


def unit_text(path: str) -> bytes:
    """Write a path as units do: % is a specifier, blanks and quotes part words."""
    text = path.replace("%", "%%")
    return b"".join([c if c.isalnum() or c in b"/._-%+=@:," else b"\\x%02x" % c[0] for c in split(os.fsencode(text))])


def split(text: bytes) -> list[bytes]:
    """Return the octets one by one."""
    return [text[index : index + 1] for index in range(len(text))]


def is_ours(path: str) -> bool:
    """Tell whether a program was put there by us and not by another mail program."""
    try:
        with open(path, "rb") as file:
            return b"from pysendmail." in file.read(500)
    except OSError:
        return False


def uninstall(place: Place) -> None:
    """Remove what `install` puts in place, the command last; folders that others may use stay."""
    if is_ours(place.now("sbin/sendmail")):
        links = [path for path, target in LINKS.items() if points_to(place.now(path), target)]
        for path in [*links, *[manual_path(name) for name in manuals()], *units().values(), *completions()]:
            remove(place.now(path))
    if os.path.isdir(place.now(MODULES)):
        shutil.rmtree(place.now(MODULES))
    for path in PROGRAMS:
        if is_ours(place.now(path)):
            remove(place.now(path))


def points_to(path: str, target: str) -> bool:
    """Tell whether `path` is a symbolic link with this target."""
    return os.path.islink(path) and os.readlink(path) == target


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def main(verb: str) -> None:
    """Do what the make target `verb` asks for, with the settings of the environment."""
    place = Place(os.environ["PYSENDMAIL_PREFIX"], os.environ.get("PYSENDMAIL_DESTDIR", ""))
    if verb == "install":
        install(place, interpreter(os.environ.get("PYSENDMAIL_PYTHON", "")))
        print(f"installed {place.later('sbin/sendmail')}")
    else:
        uninstall(place)


if __name__ == "__main__":
    os.umask(0o022)
    try:
        main(sys.argv[1])
    except Refused as refusal:
        sys.exit(f"install: {refusal}")
    except OSError as error:
        hint = " (are you root?)" if error.errno in (errno.EACCES, errno.EPERM) else ""
        sys.exit(f"install: {error.filename}: {error.strerror}{hint}")
