"""What can be looked at on this machine: rights, aliases, the queue and the clock."""

import os
import stat
from time import time

from pysendmail import errors
from pysendmail.command.admin import wording
from pysendmail.command.admin.findings import FAILED, NOTE, WARNING, Findings
from pysendmail.command.identity import Caller, mail_domain
from pysendmail.config.accounts import is_system
from pysendmail.config.reader import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.reader import File

_PROBLEMS = 20
_LARGE = 64 << 20  # octets of a queue that is not looked through here
_AHEAD = 300.0  # seconds


def look(findings: Findings, file: "File", account: "Account", caller: Caller, config: str | None) -> None:
    """Look at everything but the server."""
    _rights(findings, file, account)
    _aliases(findings, account)
    _queue(findings, account, caller, config)
    _clock(findings, file)


def look_ahead(findings: Findings, file: "File", account: "Account") -> None:
    """Look at what does not depend on the file's being there."""
    _aliases(findings, account)
    _clock(findings, file)


def _rights(findings: Findings, file: "File", account: "Account") -> None:
    """Look who could change the configuration, and whether the log can be written."""
    odd = False
    try:
        status, folder = os.stat(file.place), os.stat(os.path.dirname(file.place) or ".")
    except OSError:
        return  # its name is not what is shown; it was read a moment ago
    for path, found in ((file.place, status), (os.path.dirname(file.place) or ".", folder)):
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_mode & stat.S_IWOTH and not sticky:
            findings.add("permissions", f"{shown(path)} can be written by anybody", WARNING, f"chmod o-w {shown(path)}")
            odd = True
    log = account.logfile
    if log is not None:
        place = log if os.path.exists(log) else os.path.dirname(log) or "."
        if not os.access(place, os.W_OK):
            text = f"the log {shown(log)} cannot be written by this user; mail is sent all the same"
            findings.add("permissions", text, WARNING, "change its owner, or the word logfile")
            odd = True
    if not odd:
        text = f"{shown(file.place)} is of {wording.login(status.st_uid)}, mode {status.st_mode & 0o7777:04o}"
        findings.add("permissions", f"{text}{', with a secret in it' if file.secrets else ''}")


def _aliases(findings: Findings, account: "Account") -> None:
    """Look through the alias file, and find out where root's mail goes."""
    from pysendmail.config import aliases
    from pysendmail.config.accounts import alias_file

    name = alias_file(account, is_system(account.place))
    known: Aliases | None = None
    if name is not None:
        try:
            known = aliases.load(name)
            told = [text for text, _ in known.problems()]
        except errors.Failure as failure:
            findings.fail("aliases", failure)
            return
        findings.add("aliases", f"{known.place}: {sum([1 for _ in known.names()])} names")
        for text in told[:_PROBLEMS]:
            findings.add("note", text, NOTE)
        if len(told) > _PROBLEMS:
            findings.add("note", "newaliases tells more about the aliases", NOTE)
    _root(findings, account, known)


def _root(findings: Findings, account: "Account", known: "Aliases | None") -> None:
    from pysendmail.command.compose import expander
    from pysendmail.message.address import Mailbox

    expand = expander(account, known.expand if known is not None else None)
    try:
        domain = mail_domain(account)
        targets = expand(Mailbox(b"root", b"", 0, 0)) if expand is not None else None
    except errors.Failure as failure:
        findings.fail("root", failure, WARNING)
        return
    full = [one.address if one.domain else one.address + b"@" + domain for one in targets or [Mailbox(b"root", b"", 0, 0)]]
    text = ", ".join([wording.address(one) for one in full[:5]]) + (f" and {len(full) - 5} more" if len(full) > 5 else "")
    lost = [one for one in full if b"." not in one.rpartition(b"@")[2] and b"[" not in one]
    if lost:
        mend = "write an alias root: YOU@YOUR.DOMAIN and name its file by the word aliases, or set maildomain"
        findings.add("root", f"mail to root goes to {text}, which no server outside knows", WARNING, mend)
    else:
        findings.add("root", f"mail to root goes to {text}")


def _queue(findings: Findings, account: "Account", caller: Caller, config: str | None) -> None:
    from pysendmail.command.admin.configured import open_configured

    try:
        store, uid = open_configured(config, account.name if account.written("queue") else None)
    except errors.ConfigError as failure:
        if account.queue is None:
            findings.add("queue", "none: a message that cannot be delivered at once is refused with its exit code")
        else:
            findings.fail("queue", failure)
        return
    except errors.Failure as failure:
        if caller.uid and is_system(account.place):
            findings.add("queue", f"this user may not look at it ({failure})", NOTE)
        else:
            findings.fail("queue", failure)
        return
    if store is None:
        findings.add("queue", "not there yet: it is made with the first message")
        return
    try:
        counts, now = store.counts(uid), time()
        if not counts.messages:
            findings.add("queue", "empty")
        else:
            old = now - counts.oldest
            text = f"{wording.number(counts.messages, 'message')}, the oldest of {wording.ago(counts.oldest, now)}"
            late = account.warn is not None and old > account.warn
            mend = "pysendmail queue why tells the reason" if late else ""
            findings.add("queue", text, WARNING if late else "ok", mend)
        if uid is None:
            for lane in store.lanes():
                if lane.until > now:
                    text = f"account {wording.shown(lane.account)} rests until {wording.moment(lane.until)}"
                    findings.add("queue", f"{text}: {wording.shown(lane.reply, 200)}", WARNING, "see the steps below")
            if counts.octets > _LARGE:
                findings.add("note", "the queue is large, so it is not looked through: pysendmail queue check does it", NOTE)
            else:
                for problem in store.check():
                    findings.add("queue", f"{problem.place}: {problem.text}", FAILED, problem.advice, code=75)
    except errors.Failure as failure:
        findings.fail("queue", failure)
    finally:
        store.close()


def _clock(findings: Findings, file: "File") -> None:
    """Compare the clock with the times of files: nothing was written in the future."""
    now = time()
    compared = []
    for path in (file.place, __file__, "/etc/resolv.conf", "/etc/passwd"):
        try:
            compared.append((os.stat(path).st_mtime, path))
        except OSError:
            continue
    newest, path = max(compared, default=(0.0, ""))
    if newest > now + _AHEAD:
        text = f"it is {wording.moment(now)}, and {shown(path)} was written {wording.duration(newest - now)} later"
        findings.add("clock", text, WARNING, "set the clock; certificates and dates depend on it")
    else:
        findings.add("clock", f"{wording.moment(now)}, later than all files that it was compared with")
