"""Start the daemon: in the foreground, or in the background once it serves, so that its exit code tells the truth."""

import gc
import os

from pysendmail import entry, errors
from pysendmail.command.console import complain
from pysendmail.daemon import listening, privileges
from pysendmail.daemon.ground import Ground, Wish
from pysendmail.daemon.notify import Notifier
from pysendmail.daemon.supervisor import Supervisor, block_signals, restore_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.daemon.supervisor import Runs

_DESCRIPTORS = 16384  # what is enough for any number of callers at once
_UP = b"."


def launch(wish: Wish, runs: "Runs") -> int:
    """Run the daemon to its end, or in the background until it serves; return the exit code. Raises Failure."""
    gc.enable()  # the command has put that off, for it rarely lives long
    block_signals()
    passed = listening.take_over(os.environ)
    notifier = Notifier(os.environ)
    wish.credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    privileges.clean_environment(os.environ, agent=wish.agent)
    privileges.close_to_others()
    _allow_descriptors()
    if wish.foreground:
        return _serve(wish, runs, notifier, passed, -1)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = errors.SoftwareError.exit_code
        try:
            os.setsid()
            code = _serve(wish, runs, notifier, passed, writer)
        except errors.Failure as failure:
            complain(wish.program, str(failure))
            code = failure.exit_code
        except BaseException as error:
            code, text = entry.judge(error)
            complain(wish.program, text)
        finally:
            os._exit(code)
    os.close(writer)
    restore_signals()
    if os.read(reader, 1) == _UP:
        return 0
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        raise errors.TempFail(f"the daemon was ended by signal {-code} before it served")
    return code


def _serve(wish: Wish, runs: "Runs", notifier: Notifier, passed: "list[listening.Listener]", tell: int) -> int:
    """Be the daemon; `tell` is the pipe to whoever waits until it serves."""
    os.chdir("/")

    def up() -> None:
        if tell >= 0:
            _leave_terminal()
            os.write(tell, _UP)
            os.close(tell)

    ground = Ground(wish, notifier, passed)
    try:
        return Supervisor(ground, runs, up).run()
    finally:
        ground.close()


def _leave_terminal() -> None:
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _allow_descriptors() -> None:
    """Use as many descriptors as the administrator allows, within reason."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            pass  # where even that is forbidden, the limit that there is has to do
