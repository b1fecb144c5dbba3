"""The modes that send nothing: the queue's list, a queue run, the alias file's check, and where an address would go."""

from pysendmail import errors
from pysendmail.command.console import complain, say, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.command.identity import Caller
    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.reader import File
    from pysendmail.options import Options

    FindAliases = Callable[[Account], Aliases | None]

_PROBLEMS = 100
_SHOWN = 20  # addresses of one alias


def run(options: "Options", program: str) -> int:
    """Run the mode of `options` and return the exit code."""
    return {
        "list": _list,
        "queue": _run_queue,
        "aliases": _check_aliases,
        "verify": _verify,
        "help": _help,
        "version": _version,
    }[options.mode](options, program)


def _list(options: "Options", program: str) -> int:
    """List the caller's messages in the queue, all of them for root and the queue's owner."""
    account = _queue_account(options)
    if account is None:
        say("Mail queue is empty")
        return 0
    import os

    from pysendmail.command.mailq import mailq, whose
    from pysendmail.command.queueing import open_queue
    from pysendmail.queue.location import Missing

    try:
        store = open_queue(account, create=False)
    except Missing:
        return mailq(None)
    try:
        return mailq(store, whose(os.getuid(), os.stat(str(account.queue)).st_uid))
    finally:
        store.close()


def _run_queue(options: "Options", program: str) -> int:
    """Run the queue, once or at an interval. Without one there is nothing to do."""
    account = _queue_account(options)
    if account is None:
        return 0
    from pysendmail.command.identity import Caller
    from pysendmail.command.submit import configuration

    file = configuration(options, Caller())
    if options.interval is not None:
        from pysendmail.command.queue_interval import run_at_interval

        return run_at_interval(options, file, account)
    from pysendmail.command.queue_run import run_queue

    return run_queue(options, program, file, account)


def _queue_account(options: "Options") -> "Account | None":
    """Return the account if it has a queue, None if it has none or if nothing is configured."""
    from pysendmail.command.compose import choose_account
    from pysendmail.command.identity import Caller
    from pysendmail.command.submit import configuration

    caller = Caller()
    try:
        account = choose_account(configuration(options, caller), options, caller, None)[0]
    except errors.NoConfig:
        return None
    return account if account.queue is not None else None


def _check_aliases(options: "Options", program: str) -> int:
    """Read the alias file of the account and let its errors speak. No file to read is no error."""
    from pysendmail.command.compose import aliases_of
    from pysendmail.command.identity import Caller
    from pysendmail.command.submit import configuration

    caller = Caller()
    try:
        file = configuration(options, caller)
    except errors.NoConfig:
        return 0
    return check_aliases(options, caller, file, lambda account: aliases_of(account, file), program)


def check_aliases(
    options: "Options", caller: "Caller", file: "File", find: "FindAliases", program: str, listing: bool = True
) -> int:
    """Say what is wrong with the alias file that holds for a caller, and with -v what it gives if `listing` is allowed.

    Return 78 if there is an error in it, 0 if there are only values that are refused. Raises ConfigError.
    """
    from pysendmail.command.compose import choose_account

    known = find(choose_account(file, options, caller, None)[0])
    if known is None:
        return 0
    code = count = 0
    for text, fatal in known.problems():
        code = errors.ConfigError.exit_code if fatal else code
        count += 1
        if count <= _PROBLEMS:
            complain(program, text)
    if count > _PROBLEMS:
        complain(program, f"{known.place}: {count - _PROBLEMS} more of the kind")
    if options.verbose and listing:
        _list_aliases(known)
    return code


def _list_aliases(known: "Aliases") -> None:
    """Print each alias with what it stands for, so far as it fits into a line."""
    from pysendmail.message.address import Mailbox

    for name in known.names():
        mailbox = Mailbox(name, b"", 0, 0)
        try:
            found = known.expand(mailbox) or []
        except errors.Failure:
            continue  # it was complained of
        text = ", ".join([_text(one.address) for one in found[:_SHOWN]])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        say(f"{_text(mailbox.address)}: {text}{more}")


def _verify(options: "Options", program: str) -> int:
    """Print for each address where it would go and through which account."""
    from pysendmail.command.compose import aliases_of
    from pysendmail.command.identity import Caller
    from pysendmail.command.submit import configuration

    caller = Caller()
    file = configuration(options, caller)
    return verify(options, caller, file, lambda account: aliases_of(account, file), program)


def verify(options: "Options", caller: "Caller", file: "File", find: "FindAliases", program: str) -> int:
    """Print for each address where it would go for this caller, and through which account. Raises Failure."""
    from pysendmail.command.compose import choose_account, destinations_written, expander
    from pysendmail.command.identity import mail_domain
    from pysendmail.config import accounts
    from pysendmail.message.recipients import Recipients, from_arguments

    account, reason = choose_account(file, options, caller, None)
    if not options.recipients:
        raise errors.UsageError("-bv needs an address to verify")
    known = find(account)
    destinations = None
    if reason is accounts.BY_DEFAULT and destinations_written(file):
        from pysendmail.config.destinations import Destinations

        destinations = Destinations(file, caller.uid)
    for argument in options.recipients:
        expansion = known.expansion() if known is not None else None
        expand = expander(account, expansion.expand if expansion is not None else None)
        recipients = Recipients(mail_domain(account), False, expand)
        from_arguments([argument], recipients, [])
        for note in expansion.notes if expansion is not None else ():
            complain(program, note)
        for address in recipients.addresses():
            by, why = (destinations.find(address) if destinations is not None else None) or (account, reason)
            say(f"{_text(argument)}... to {_text(address)} by {by.server_names()} ({why})")
    return 0


def _text(address: bytes) -> str:
    return address.decode("utf-8", "backslashreplace")


def _help(options: "Options", program: str) -> int:
    from pysendmail.options import usage

    write(1, usage())
    return 0


def _version(options: "Options", program: str) -> int:
    from pysendmail import __version__

    say(f"pysendmail {__version__}")
    return 0
