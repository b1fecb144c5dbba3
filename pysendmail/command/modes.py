"""The modes that send nothing: the queue's list, a queue run, the alias file's check, and where an address would go."""

from pysendmail import errors
from pysendmail.command.console import say, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.options import Options


def run(options: "Options") -> int:
    """Run the mode of `options` and return the exit code."""
    return {
        "list": _list,
        "queue": _run_queue,
        "aliases": _check_aliases,
        "verify": _verify,
        "help": _help,
        "version": _version,
    }[options.mode](options)


def _list(options: "Options") -> int:
    """Say that there is nothing in a queue that does not exist, in Postfix's words, which monitoring looks for."""
    say("Mail queue is empty")
    return 0


def _run_queue(options: "Options") -> int:
    """Run no queue: every message was delivered, or its caller told, when it came."""
    return 0


def _check_aliases(options: "Options") -> int:
    """Read the alias file of the account and let its errors speak. No file to read is no error."""
    from pysendmail.command.identity import Caller
    from pysendmail.command.submit import aliases_of, choose_account, configuration

    try:
        file = configuration(options, Caller())
    except errors.NoConfig:
        return 0
    known = aliases_of(choose_account(file, options, None)[0])
    if known is not None:
        known.check()
    return 0


def _verify(options: "Options") -> int:
    """Print for each address where it would go and through which account."""
    from pysendmail.command.identity import Caller, mail_domain
    from pysendmail.command.submit import aliases_of, choose_account, configuration

    caller = Caller()
    account, reason = choose_account(configuration(options, caller), options, None)
    if not options.recipients:
        raise errors.UsageError("-bv needs an address to verify")
    from pysendmail.message.recipients import Recipients, from_arguments

    known = aliases_of(account)
    for argument in options.recipients:
        recipients = Recipients(mail_domain(account), False, known.expand if known is not None else None)
        from_arguments([argument], recipients, [])
        for address in recipients.addresses():
            say(f"{_text(argument)}... to {_text(address)} by {account.host} port {account.port} ({reason})")
    return 0


def _text(address: bytes) -> str:
    return address.decode("utf-8", "backslashreplace")


def _help(options: "Options") -> int:
    from pysendmail.options import usage

    write(1, usage())
    return 0


def _version(options: "Options") -> int:
    from pysendmail import __version__

    say(f"pysendmail {__version__}")
    return 0
