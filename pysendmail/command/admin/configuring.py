"""pysendmail configure: from a mail address to a configuration that was tried."""

import os
from time import localtime, strftime

from pysendmail import errors
from pysendmail.command.console import show, write
from pysendmail.command.identity import Caller, forbid_core_dumps
from pysendmail.config.reader import shown
from pysendmail.log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from pysendmail.command.configure.dialogue import Dialogue
    from pysendmail.command.configure.plan import Plan
    from pysendmail.command.configure.settings import Settings
    from pysendmail.command.configure.trial import Trial
    from pysendmail.delivery.session import Trace

_SOCKET = "/run/pysendmail/submit.sock"
_MECHANISMS = (
    "on", "off", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-1-plus", "scram-sha-256", "scram-sha-256-plus",
    "xoauth2", "oauthbearer",
)  # fmt: skip
_CHOICES = ("p", "u", "s", "w", "q")


def add_parser(commands: "Any") -> None:
    """Add the subcommand to the parser of the command line."""
    parser: ArgumentParser = commands.add_parser(
        "configure",
        help="make a configuration from a mail address, and try it",
        description="Find the server for a mail address, ask for what cannot be found out, try the configuration as check "
        "does, and write it.",
    )
    parser.add_argument("address", nargs="?", metavar="ADDRESS", help="the mail address to send as")
    parser.add_argument("-y", "--yes", action="store_true", help="ask nothing: go by the options, and say yes")
    parser.add_argument("--account", metavar="NAME", help="write this account, not the default")
    parser.add_argument("--auth", choices=_MECHANISMS, help="whether to log in, or the mechanism")
    parser.add_argument("--file", metavar="FILE", help="write this file, not the usual one")
    parser.add_argument("--force", action="store_true", help="write it also if the checks fail")
    parser.add_argument("--from", dest="sender", metavar="SENDER", help="send as this address, not ADDRESS")
    parser.add_argument("--host", metavar="HOST", help="use this server, and look for none")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--password-file", metavar="FILE", help="the password is the first line of it; - is standard input")
    parser.add_argument("--port", metavar="NUMBER", help="use this port")
    parser.add_argument("--provider", metavar="NAME", help="use the server of this provider")
    parser.add_argument(
        "--secret", metavar="WHERE", default="file",
        help="keep the password in file, secret-tool or credential; passwordeval=COMMAND prints it",
    )  # fmt: skip
    parser.add_argument("--system", action="store_true", help="write the system's configuration")
    parser.add_argument("--test-to", metavar="RECIPIENT", help="send a test message to this address at the end")
    parser.add_argument("--tls", choices=("implicit", "starttls", "off"), help="how the server speaks TLS")
    parser.add_argument("--tls-fingerprint", metavar="DIGEST", help="trust the certificate with this SHA-256 fingerprint")
    parser.add_argument("--tls-trust-file", metavar="FILE", help="trust these authorities, not the system's")
    parser.add_argument("--user", metavar="NAME", help="log in as this user")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the dialogue, secrets masked")


def run(asked: "Namespace") -> int:
    """Configure; return 0, the exit code of the checks, or that of the test message. Raises Failure."""
    from pysendmail.command.configure import answers, place, secret
    from pysendmail.command.configure.dialogue import Dialogue
    from pysendmail.delivery import interruption

    forbid_core_dumps()
    interruption.install()  # so that what is half done is taken back
    caller = Caller()
    answers.check_options(asked)
    recipient = None if asked.test_to is None else answers.parse_address(asked.test_to, "--test-to")
    talk = Dialogue(yes=asked.yes, silent=asked.json)
    if not talk.terminal and not asked.yes:
        text = "there is no terminal to ask on; with --yes nothing is asked, and options say what cannot be found out"
        raise errors.UsageError(text)
    where = place.find(asked.file, asked.system, caller)
    secret.require(secret.kind_of(asked.secret)[0], where.system)
    settings = answers.gather(asked, talk)
    job = _Job(asked, caller, talk, recipient)
    return job.run(where, settings)


class _Job:
    """One run, from the answers to the end."""

    def __init__(self, asked: "Namespace", caller: Caller, talk: "Dialogue", recipient: bytes | None) -> None:
        self.asked = asked
        self.caller = caller
        self.talk = talk
        self.recipient = recipient
        self.facts: dict[str, object] = {"written": False, "backup": None, "message": None}
        self._used = ""  # the file that was used until now
        self.dialogue: Trace | None = show if asked.verbose else None

    def run(self, where: "Any", settings: "Settings") -> int:
        plan, trial, agreed = self._try(where, settings)
        code = trial.code
        if not agreed:
            self.talk.tell(f"nothing was written{'; --force writes it all the same' if self.talk.yes else ''}")
            return self._finish(plan, trial, code)
        if not self._write(plan):
            return self._finish(plan, trial, errors.TempFail.exit_code)
        if not code:
            code = self._send(plan, trial)
        return self._finish(plan, trial, code)

    def _try(self, where: "Any", settings: "Settings") -> "tuple[Plan, Trial, bool]":
        """Try the settings until they work, or nobody changes them any more; return whether they are to be written."""
        from pysendmail.command.configure import trial
        from pysendmail.command.configure.plan import Plan

        while True:
            plan = Plan(where, self.asked.account or "", settings, self.caller)
            found = trial.look(plan, self.caller, self.recipient, silent=self.asked.json, dialogue=self.dialogue)
            if not self.asked.json:
                found.findings.finish(*trial.names_of(plan))
            if found.untrusted and self._pins(settings):
                continue
            if not found.code or self.asked.force:
                return plan, found, True
            if not self.talk.terminal:
                return plan, found, False
            choice = self._ask_change(found)
            if choice in "wq":
                return plan, found, choice == "w"
            self._change(settings, choice)

    def _pins(self, settings: "Settings") -> bool:
        """Have a server on this machine trusted by the certificate that it shows, if whoever is asked says so."""
        from pysendmail.command.configure import pin

        shown_there = pin.shown_by(settings)
        if shown_there is None:
            return False
        digest, name = shown_there
        self.talk.tell(f"{settings.offer.host} port {settings.offer.port} shows a certificate {name}, of its own making")
        if not self.talk.terminal:
            self.talk.tell(f"if it is the right one, --tls-fingerprint {digest} trusts it")
            return False
        if not self.talk.confirm(f"Its SHA-256 fingerprint is {digest}. Is it the right one?", "", default=False):
            return False
        settings.fingerprint = digest
        return True

    def _ask_change(self, found: "Trial") -> str:
        default = "p" if found.login_failed else "s"
        question = "Change (p)assword, (u)ser or (s)erver, (w)rite it all the same, or (q)uit"
        return self.talk.ask(question, "the checks failed", default, lambda text: "" if text in _CHOICES else "one letter")

    def _change(self, settings: "Settings", choice: str) -> None:
        from pysendmail.command.configure import answers, secret

        if choice == "s":
            settings.offer = answers.ask_server(self.talk)
        if choice == "u":
            settings.user = answers.ask_user(self.talk, settings)
        if choice in "pu" and settings.secret != secret.COMMAND:
            settings.password = answers.ask_password(self.talk, settings)

    def _write(self, plan: "Plan") -> bool:
        """Put the file in its place if whoever is asked agrees; return whether it stands there."""
        from pysendmail.command.configure import place

        path = shown(plan.place.path)
        if not plan.changes:
            self.talk.tell(f"{path} says so already")
            return True
        self.talk.tell(f"{path}, which is there, changes:" if plan.place.status is not None else f"{path}, which is new:")
        for line in plan.lines():
            self.talk.tell(f"    {line}")
        if not self.talk.confirm("Write it?", "--yes writes it"):
            self.talk.tell("nothing was written")
            return False
        self._used = place.used_by(self.caller)
        _commit(plan, self.facts)
        self.facts["written"] = True
        backup = self.facts["backup"]
        self.talk.tell(f"{path} is written{f'; what it was is in {shown(str(backup))}' if backup else ''}")
        self._tell_rest(plan)
        return True

    def _tell_rest(self, plan: "Plan") -> None:
        from pysendmail.command.configure import place, secret

        used = place.used_by(self.caller)
        if used != plan.place.path:
            other = f"for this user {shown(used)} holds, unless -C names it" if used else "it is read where -C names it only"
            self.talk.warn(f"note: {other}")
        elif self._used not in ("", used):
            self.talk.warn(f"note: until now {shown(self._used)} was used")
        if not plan.place.system:
            return
        if plan.settings.secret == secret.CREDENTIAL and plan.settings.login:
            self.talk.tell("next: systemctl daemon-reload && systemctl restart pysendmail.service")
        elif os.path.exists(_SOCKET):
            self.talk.tell("next: systemctl reload pysendmail.service (or send the daemon a SIGHUP)")
        else:
            self.talk.tell("next: systemctl enable --now pysendmail.socket pysendmail.service starts the daemon")

    def _send(self, plan: "Plan", trial: "Trial") -> int:
        from pysendmail.command import result
        from pysendmail.command.configure import letter

        recipient = self.recipient
        if recipient is None:
            to = plan.settings.address
            if not self.talk.terminal or not self.talk.confirm(f"Send a test message to {printable(to, 320)}?", ""):
                return 0
            recipient = to
        report = letter.send(plan, self.caller, trial.credentials, recipient, self.dialogue)
        code = result.exit_code(report.outcomes)
        for line in result.problems([(report.outcomes, report.relay)]):
            self.talk.warn(f"test message: {line}")
        said = printable(report.outcomes[0].text, 300)
        if not code:
            self.talk.tell(f"test message: accepted for {printable(recipient, 320)} by {report.relay}: {said}")
        self.facts["message"] = {"recipient": recipient.decode("ascii"), "relay": report.relay, "code": code, "reply": said}
        return code

    def _finish(self, plan: "Plan", trial: "Trial", code: int) -> int:
        if self.asked.json:
            write(1, _object(plan, trial, self.facts, code))
        return code


def _commit(plan: "Plan", facts: "dict[str, object]") -> None:
    """Write all files, the configuration last. Raises Failure, and then all is as it was."""
    from contextlib import ExitStack

    from pysendmail.command.configure import draft, secret
    from pysendmail.delivery import interruption

    settings, place = plan.settings, plan.place
    with ExitStack() as stack:
        new = stack.enter_context(draft.Draft(place.path, plan.text, plan.mode, place.status))
        others = []
        if settings.login and settings.password:
            others = secret.keep(settings.secret, settings.password, settings.offer.host, settings.user, plan.name)
        for other in others:
            stack.enter_context(other)
        if place.changed():
            raise errors.TempFail("somebody else has changed it meanwhile; nothing was written", shown(place.path))
        interruption.hold()  # from here on it is all or nothing
        stack.callback(interruption.let_go)
        kept = None
        try:
            if place.status is not None:
                kept = draft.back_up(place.path, place.text, place.status, strftime("%Y%m%d-%H%M%S", localtime()))
            for each in (*others, new):
                each.commit()
        except BaseException:
            if kept is not None:
                os.unlink(kept)
            raise
        facts["backup"] = kept


def _object(plan: "Plan", trial: "Trial", facts: "dict[str, object]", code: int) -> str:
    from pysendmail.command.admin import queue_object
    from pysendmail.command.configure.trial import names_of

    settings, offer = plan.settings, plan.settings.offer
    text = queue_object.text
    return queue_object.line({
        "address": text(settings.address),
        "from": text(settings.sender),
        "host": offer.host,
        "port": offer.port,
        "tls": offer.tls,
        "auth": settings.auth,
        "user": text(settings.user) if settings.login else None,
        "secret": settings.secret if settings.login else None,
        "source": text(offer.source),
        "hint": offer.hint,
        **facts,
        "check": trial.findings.facts(*names_of(plan)),
        "code": code,
    })  # fmt: skip
