"""What the caller's process hands down: descriptors, environment, limits, folders. None of it may change the mail."""

import itertools
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

from tests.command.caller import LIMIT, MESSAGE, Caller, until, until_read
from tests.conftest import ROOT, Installed, skip
from tests.obedient import Obedient

BIG = MESSAGE + b"a line of text\n" * 100_000


# --- descriptors


@pytest.mark.parametrize("closed", [c for n in range(4) for c in itertools.combinations("012", n)], ids="".join)
@pytest.mark.parametrize("verbose", [(), ("-v",)], ids=["quiet", "verbose"])
def test_closed_descriptors_change_nothing_but_that_there_is_no_message(
    caller: Caller, closed: tuple[str, ...], verbose: tuple[str, ...]
) -> None:
    shell = 'exec "$0" "$@" ' + " ".join(f"{number}>&-" for number in closed)
    done = caller.run("-c", shell, caller.sendmail, *verbose, "r@x", command="/bin/sh", message=BIG)
    if "0" in closed:
        assert (done.returncode, caller.server.connections) == (66, 0)
        assert "2" in closed or b"standard input" in done.stderr
        return
    assert (done.returncode, done.stdout) == (0, b"")
    assert [d.body for d in caller.server.deliveries] == [BIG.partition(b"\n\n")[2].replace(b"\n", b"\r\n")]
    assert bool(done.stderr) == (bool(verbose) and "2" not in closed)


def test_standard_input_may_only_be_written_to(caller: Caller) -> None:
    with open(os.devnull, "wb") as file:
        caller.refuse(66, "r@x", message=None, stdin=file)


def test_a_folder_as_standard_input_sends_nothing(caller: Caller) -> None:
    folder = os.open(caller.home, os.O_RDONLY)
    try:
        # The interpreter itself refuses to start with it, before a line of ours has run.
        assert caller.run("r@x", message=None, stdin=folder).returncode in (1, 66)
    finally:
        os.close(folder)
    assert caller.server.connections == 0


def test_standard_input_may_be_a_file_at_an_offset_that_has_no_name_any_more(caller: Caller) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"From: other@x\nTo: other@x\n\nnot this\n" + MESSAGE)
        file.seek(-len(MESSAGE), os.SEEK_END)
        assert caller.deliver("-t", message=None, stdin=file).recipients == ["bob@example.net"]


def test_descriptors_may_all_be_sockets(caller: Caller) -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    theirs = [pair[1] for pair in pairs]
    process = caller.start("-v", "r@x", stdin=theirs[0], stdout=theirs[1], stderr=theirs[2])
    for end in theirs:
        end.close()
    pairs[0][0].sendall(BIG)
    pairs[0][0].shutdown(socket.SHUT_WR)
    with process, pairs[2][0].makefile("rb") as dialogue:
        assert b"<-- 250 2.0.0 kept" in dialogue.read()
        assert pairs[1][0].recv(1) == b""
        assert process.wait(LIMIT) == 0
    assert len(caller.server.deliveries) == 1
    for pair in pairs:
        pair[0].close()


def test_a_reset_of_the_socket_that_gives_the_message_sends_nothing(caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    process = caller.start("r@x", stdin=theirs)
    theirs.close()
    ours.sendall(MESSAGE)
    until(lambda: pathlib.Path(f"/proc/{process.pid}/wchan").exists())
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    ours.close()
    with process:
        _, err = process.communicate(timeout=LIMIT)
    assert process.returncode in (66, 74) and b"nothing was sent" in err
    assert caller.server.connections == 0


def test_descriptors_may_be_in_non_blocking_mode(caller: Caller) -> None:
    read, write = os.pipe()
    err_read, err_write = os.pipe()
    for descriptor in (read, err_write):
        os.set_blocking(descriptor, False)
    process = caller.start("-v", "r@x", stdin=read, stderr=err_write)
    os.close(read)
    os.close(err_write)
    half = len(MESSAGE) // 2
    os.write(write, MESSAGE[:half])
    until_read(write)
    os.write(write, MESSAGE[half:])
    os.close(write)
    with process, open(err_read, "rb") as dialogue:
        assert b"kept" in dialogue.read()
        process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert [d.body for d in caller.server.deliveries] == [b"text\r\n"]


def test_a_reader_who_has_gone_stops_no_delivery(caller: Caller) -> None:
    process = caller.start("-v", "r@x")
    assert process.stderr is not None and process.stdout is not None
    process.stderr.close()
    process.stdout.close()
    process.stderr = process.stdout = None
    with process:
        process.communicate(MESSAGE, timeout=LIMIT)
    assert (process.returncode, len(caller.server.deliveries)) == (0, 1)


def test_other_descriptors_are_left_alone_and_not_passed_on(caller: Caller) -> None:
    read, write = os.pipe()
    list_of_them = caller.home / "descriptors"
    command = f"ls -l /proc/self/fd > {list_of_them}; echo password"
    words = {"passwordeval": command, "user": "u", "auth_without_tls": "on"}
    caller.server.mechanisms = "PLAIN"
    caller.deliver("r@x", words=words, pass_fds=(read, write))
    numbers = {line.split()[-3] for line in list_of_them.read_text().splitlines() if "->" in line}
    assert numbers == {"0", "1", "2", "3"}  # 3 is the listing's own
    os.close(write)
    with open(read, "rb") as pipe:
        assert pipe.read() == b""


def test_a_command_for_the_password_finds_its_descriptors_open_where_ours_were_closed(caller: Caller) -> None:
    list_of_them = caller.home / "descriptors"
    command = f"ls -l /proc/self/fd > {list_of_them}; echo noise >&2; echo password"
    words = {"passwordeval": command, "user": "u", "auth_without_tls": "on"}
    caller.server.mechanisms = "PLAIN"
    shell = 'exec "$0" "$@" 1>&- 2>&-'
    assert caller.run("-c", shell, caller.sendmail, "r@x", command="/bin/sh", words=words).returncode == 0
    assert {line.split()[-3] for line in list_of_them.read_text().splitlines() if "->" in line} == {"0", "1", "2", "3"}


# --- environment

HOSTILE = {
    "PYTHONPATH": "{0}",
    "PYTHONHOME": "/nonexistent",
    "PYTHONSTARTUP": "{0}/types.py",
    "PYTHONINSPECT": "1",
    "PYTHONVERBOSE": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONDEVMODE": "1",
    "PYTHONIOENCODING": "utf-16",
    "PYTHONMALLOC": "debug",
    "PYTHONUSERBASE": "{0}",
    "PYTHONPLATLIBDIR": "nowhere",
    "PYTHONBREAKPOINT": "types.run",
    "PYTHONCASEOK": "1",
    "PYTHONHASHSEED": "no number",
    "PYTHONUTF8": "neither",
    "PYTHONEXECUTABLE": "/bin/false",
}


def test_a_python_prepared_by_the_caller_is_not_used(caller: Caller) -> None:
    folder = caller.home / "hostile"
    folder.mkdir()
    for name in ("types", "os", "socket", "pysendmail", "sitecustomize", "usercustomize", "encodings", "time", "errno"):
        (folder / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\n")
    environ = {name: value.format(folder) for name, value in HOSTILE.items()}
    caller.deliver("r@x", environ=environ, cwd=folder)
    for name, value in environ.items():
        caller.environ.pop(name, None)
        caller.deliver("r@x", environ={name: value}, cwd=folder) if name in ("PYTHONPATH", "PYTHONHOME") else None
    assert not (folder / "ran").exists()


def test_the_environment_may_be_empty(caller: Caller) -> None:
    caller.configure()
    words = ["-C", str(caller.path)]
    assert caller.deliver(*words, "alice", env={}).recipients == ["alice@example.org"]


@pytest.mark.parametrize(
    "environ",
    [
        {"LC_ALL": "tr_TR.UTF-8"}, {"LANG": "xx_XX.nonsense"}, {"LC_ALL": "C"}, {"LANG": "de_DE@euro"}, {"TZ": ""},
        {"TZ": "Mars/Olympus"}, {"TZ": ":/etc/passwd"}, {"USER": "root", "LOGNAME": "root"}, {"EMAIL": "x@evil"},
        {"SMTPSERVER": "evil.example"}, {"TMPDIR": "/nonexistent"}, {"PATH": ""}, {"POSIXLY_CORRECT": "1"},
        {"MAIL": "x" * 100_000}, {"COLUMNS": "x", "TERM": "\x1b[2J"}, {"RES_OPTIONS": "attempts:0"},
        {"MALLOC_PERTURB_": "165"},
    ],
)  # fmt: skip
def test_odd_variables_change_nothing(caller: Caller, environ: dict[str, str]) -> None:
    delivery = caller.deliver("-t", message=b"From: IDIOM <i@x>\nTo: II@x\n\nTITLE\n", environ=environ)
    assert (delivery.sender, delivery.recipients) == ("sender@example.org", ["II@x"])
    assert delivery.field("Date")[0].endswith("+0000")


def test_the_time_zone_is_the_callers(caller: Caller) -> None:
    assert caller.deliver("r@x", environ={"TZ": "XXX+03:30"}).field("Date")[0].endswith(" -0330")


def test_home_may_be_missing_wrong_or_empty(caller: Caller) -> None:
    caller.configure()
    for home in ("/nonexistent", "relative", "", "/dev/null", str(caller.path)):
        delivery = caller.deliver("-C", str(caller.path), "r@x", environ={"HOME": home})
        assert delivery.sender == "sender@example.org"


def test_xdg_config_home_finds_the_configuration(caller: Caller) -> None:
    folder = caller.home / "elsewhere"
    (folder / "pysendmail").mkdir(parents=True)
    caller.configure(**{"from": "xdg@example.org"})
    shutil.copy(caller.path, folder / "pysendmail" / "pysendmail.conf")
    assert caller.deliver("r@x", environ={"XDG_CONFIG_HOME": str(folder)}).sender == "xdg@example.org"
    assert caller.deliver("r@x", environ={"XDG_CONFIG_HOME": "relative"}).sender == "sender@example.org"


def test_the_current_folder_may_be_gone(caller: Caller) -> None:
    folder = caller.home / "gone"
    folder.mkdir()
    shell = 'rmdir "$1" && shift && exec "$@"'
    done = caller.run("-c", shell, "sh", str(folder), caller.sendmail, "r@x", command="/bin/sh", cwd=folder, message=BIG)
    assert (done.returncode, done.stderr, len(caller.server.deliveries)) == (0, b"", 1)


def test_the_keys_of_the_tls_session_are_not_written_where_the_caller_wishes(
    installed: Installed, identities: dict[str, str], tmp_path: pathlib.Path
) -> None:
    with Obedient(identities, tls="starttls") as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        caller.words |= {"tls": "on", "tls_trust_file": identities["ca"]}
        delivery = caller.deliver("r@x", environ={"SSLKEYLOGFILE": str(tmp_path / "keys")})
    assert delivery.encrypted
    assert not (tmp_path / "keys").exists()


# --- umask and limits


@pytest.mark.parametrize("umask", [0o177, 0o777, 0, 0o077])
def test_the_umask_decides_neither_over_the_log_nor_over_the_mail(caller: Caller, umask: int) -> None:
    caller.deliver("r@x", umask=umask, message=BIG)
    assert (caller.home / "log").stat().st_mode & 0o7777 == 0o600


def limited(*limits: tuple[int, int]) -> "object":
    def apply() -> None:
        for kind, value in limits:
            resource.setrlimit(kind, (value, value))

    return apply


def test_a_limit_of_file_sizes_fails_a_message_that_needs_a_file_and_no_other(caller: Caller) -> None:
    none = limited((resource.RLIMIT_FSIZE, 0))
    caller.deliver("r@x", preexec_fn=none)
    assert "cannot store the message" in caller.refuse(75, "r@x", message=BIG, preexec_fn=none)
    assert caller.server.connections == 1


@pytest.mark.parametrize("number", [4, 5, 6, 7, 12])
@pytest.mark.parametrize("tls", ["off", "starttls"])
def test_few_descriptors_are_enough_or_the_message_is_kept_back(
    installed: Installed, identities: dict[str, str], tmp_path: pathlib.Path, number: int, tls: str
) -> None:
    with Obedient(identities, tls=tls, mechanisms="PLAIN") as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        caller.words |= {"user": "u", "passwordeval": "echo password", "auth_without_tls": "on"}
        caller.words |= {"tls": "on", "tls_trust_file": identities["ca"]} if tls == "starttls" else {}
        done = caller.run("r@x", preexec_fn=limited((resource.RLIMIT_NOFILE, number)))
    assert done.returncode == 0 or number < 10
    assert len(server.deliveries) == (done.returncode == 0)
    if done.returncode != 127:  # with which the loader ends where not even the interpreter can be opened
        assert done.returncode in (0, 75) and done.stderr.count(b"\n") == bool(done.returncode), done.stderr.decode()


def test_secrets_do_not_end_up_in_a_core_file(caller: Caller) -> None:
    limits = caller.home / "limits"
    command = f"cat /proc/$PPID/limits > {limits}; echo password"
    words = {"passwordeval": command, "user": "u", "auth_without_tls": "on"}
    caller.server.mechanisms = "PLAIN"
    caller.deliver("r@x", words=words)
    assert limits.read_text().partition("Max core file size")[2].split()[:2] == ["0", "0"]


def test_no_mode_reads_the_configuration_with_core_files_allowed(caller: Caller) -> None:
    program = (
        "import resource, sys; sys.path.insert(0, sys.argv.pop(1));"
        " import pysendmail.config.reader as reader; load = reader.load;"
        " reader.load = lambda *a, **k: print(resource.getrlimit(resource.RLIMIT_CORE)) or load(*a, **k);"
        " from pysendmail.entry import main; main()"
    )
    for arguments in (["r@x"], ["-bv", "r@x"], ["-bi"]):
        done = caller.run("-ISuc", program, str(ROOT), *arguments, command=sys.executable)
        assert done.returncode == 0 and done.stdout.startswith(b"(0, 0)\n")


def test_a_process_that_is_aborted_leaves_no_core_file(caller: Caller) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    process = caller.start("r@x", cwd=caller.home, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    assert process.stdin is not None
    process.stdin.write(MESSAGE)
    process.stdin.flush()
    until_read(process.stdin.fileno())
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    process.returncode = -signal.SIGABRT
    process.communicate()


# --- signals that were set by the caller


@pytest.mark.parametrize("number", [signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGALRM])
def test_signals_that_the_caller_ignores_change_nothing(caller: Caller, number: signal.Signals) -> None:
    words = {"passwordeval": "sleep 0; (exit 0); echo password", "user": "u", "auth_without_tls": "on"}
    caller.server.mechanisms = "PLAIN"
    caller.deliver("r@x", words=words, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN), restore_signals=False)


def test_a_command_for_the_password_that_fails_is_told_as_such_where_child_signals_were_ignored(caller: Caller) -> None:
    words = {"passwordeval": "exit 3", "user": "u", "auth_without_tls": "on"}
    line = caller.refuse(75, "r@x", words=words, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert "exit status 3" in line


def test_blocked_signals_change_nothing(caller: Caller) -> None:
    words = {"passwordeval": "echo password", "user": "u", "auth_without_tls": "on"}
    caller.server.mechanisms = "PLAIN"
    everything = signal.valid_signals()
    caller.deliver("r@x", words=words, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, everything))


# --- the disk


@pytest.mark.usefixtures("superuser")
def test_a_full_disk_keeps_the_message_back(caller: Caller) -> None:
    shell = (
        "mount -t tmpfs -o size=64k tmpfs /var/tmp && mount -t tmpfs -o size=64k tmpfs /tmp/.full 2>/dev/null;"
        ' exec "$@"'
    )
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", caller.sendmail]
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        skip("no mount namespace can be made here")
    line = caller.refuse(75, *command[1:], "r@x", command=command[0], message=BIG)
    assert "cannot store the message" in line and "No space left" in line
    assert caller.server.connections == 0
    caller.deliver(*command[1:], "r@x", command=command[0])


@pytest.mark.usefixtures("superuser")
def test_where_no_file_can_be_made_a_large_message_is_kept_back(caller: Caller) -> None:
    shell = 'mount -t tmpfs -o ro tmpfs /var/tmp && mount -o bind,ro /tmp /tmp && exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", caller.sendmail]
    words = {"logfile": ""}
    assert "temporary file" in caller.refuse(75, *command[1:], "r@x", command=command[0], message=BIG, words=words)
    caller.deliver(*command[1:], "r@x", command=command[0], words=words)


def test_the_message_is_never_written_where_the_caller_says(caller: Caller) -> None:
    folder = caller.home / "temporary"
    folder.mkdir()
    before = folder.stat().st_mtime_ns
    names = ("TMPDIR", "TMP", "TEMP", "TEMPDIR")
    caller.deliver("r@x", message=BIG, environ=dict.fromkeys(names, str(folder)), cwd=folder)
    assert folder.stat().st_mtime_ns == before
