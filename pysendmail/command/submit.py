"""Deliver the message on standard input now, and tell the truth by the exit code."""

import os
from time import localtime, monotonic, time

from pysendmail import errors
from pysendmail.command.identity import Caller, mail_domain
from pysendmail.command.intake import read_message
from pysendmail.config import accounts, credentials, reader
from pysendmail.log import Log, printable, queue_id
from pysendmail.message import address, prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.intake import Message
    from pysendmail.config.accounts import Account
    from pysendmail.delivery.deliver import Parcel
    from pysendmail.message.prepare import Prepared
    from pysendmail.options import Options


class Submission:
    """One run of the command: its options, its caller, the account, and where its log goes."""

    __slots__ = ("account", "caller", "log", "now", "options", "qid", "started")

    def __init__(self, options: "Options", caller: Caller) -> None:
        self.options = options
        self.caller = caller
        self.started = monotonic()
        self.now = time()
        self.qid = queue_id(self.now, os.getpid())
        self.log = Log()
        self.account: Account

    def note(self, part: str, text: str, warning: bool = False) -> None:
        """Write a line of the log about this message."""
        self.log.write(part, f"{self.qid}: {text}", self.now, warning)
