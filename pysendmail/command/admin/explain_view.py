"""An explanation of what would happen to a message, in lines or as JSON."""

from pysendmail import errors
from pysendmail.command.admin.explanation import certain_code
from pysendmail.command.console import say
from pysendmail.command.identity import NO_UID
from pysendmail.log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pysendmail.command.admin.explanation import Explanation
    from pysendmail.command.identity import Caller
    from pysendmail.command.intake import Message
    from pysendmail.config.reader import File
    from pysendmail.options import Options

_MODES = {"i": "interactive", "b": "background", "q": "queue"}
_LONGEST = 2000  # characters of a line that is shown


class View:
    """An explanation as it is told."""

    __slots__ = ("_caller", "_daemon", "_file", "_found", "_message", "_options", "code")

    def __init__(
        self, options: "Options", caller: "Caller", file: "File", message: "Message", found: "Explanation", daemon: bool
    ) -> None:
        self._options = options
        self._caller = caller
        self._file = file
        self._message = message
        self._found = found
        self._daemon = daemon
        self.code = certain_code(found, queued=self._mode() != "direct")

    def facts(self) -> "dict[str, Any]":
        """Return all that is known, for JSON."""
        found, account, rule = self._found, self._found.account, self._found.rule
        return {
            "configuration": self._file.place,
            "caller": {
                "uid": None if self._caller.uid == NO_UID else self._caller.uid,
                "login": _text(self._caller.login),
                "section": None if rule is None else rule.place,
            },
            **self._part(found),
            "others": [self._part(other) for other in found.others],
            "daemon": self._daemon,
            "delivery": self._mode() if account is not None else None,
            "refusal": None if found.failure is None else str(found.failure),
            "exit_code": self.code,
        }

    def _part(self, found: "Explanation") -> "dict[str, Any]":
        """Return what is known of the message for some of its recipients, or for all."""
        account, composed = found.account, found.composed
        return {
            "account": None if account is None else account.name,
            "reason": found.reason or None,
            "server": None if account is None else {"host": account.host, "port": account.port, "tls": account.tls},
            "sender": composed and {"address": _text(composed.parcel.reverse_path), "from": found.sender_origin},
            "recipients": composed
            and [{"address": _text(one), "from": found.origins[one]} for one in composed.parcel.recipients],
            "skipped": composed and [{"text": _text(text), "reason": why} for text, why in composed.bad],
            "notes": composed and composed.notes,
            "header": self._diff(found) if found.sent is not None else None,
            "octets": found.sent and found.sent.size,
            "transport": _transport(found),
        }

    def show(self) -> None:
        """Tell it in lines."""
        found = self._found
        _line("configuration", self._file.place)
        _line("caller", f"{_who(self._caller)}; {self._binding()}")
        for one in [found, *found.others]:
            self._show_part(one)
        if found.failure is not None:
            _line("refused", str(found.failure))
        _line("exit code", f"{self.code}" if self.code else "0 as far as this can be told without asking the server")

    def _show_part(self, found: "Explanation") -> None:
        composed = found.composed
        if found.account is not None:
            _line("account", found.reason)
            _line("server", f"{found.account.server_names()}, {_tls(found.account.tls)}")
        if composed is not None:
            _line("sender", f"<{_text(composed.parcel.reverse_path)}> ({found.sender_origin})")
            for number, one in enumerate(composed.parcel.recipients):
                _line("" if number else "recipients", f"<{_text(one)}> ({found.origins[one]})")
            for text, why in composed.bad:
                _line("skipped", f"{_text(text)}: {why}")
            for note in composed.notes:
                _line("note", note)
        if found.sent is not None:
            _line("size", f"{found.sent.size} octets")
            for transport in _transport(found):
                _line("transport", transport)
            _line("delivery", self._delivery())
            self._show_header(found)

    def _show_header(self, found: "Explanation") -> None:
        lines = self._diff(found)
        _line("header", "leaves as it came" if not lines else "")
        for line in lines:
            say(_shown(line))

    def _binding(self) -> str:
        if self._found.rule is not None:
            return f"bound by caller {printable(self._found.rule.shown.encode('latin-1'), 64)} at {self._found.rule.place}"
        return "no section for callers binds him"

    def _mode(self) -> str:
        """Return the delivery mode: direct where no queue holds what cannot be delivered at once."""
        account, composed = self._found.account, self._found.composed
        if account is None:
            return "direct"
        if composed is not None:
            account = composed.base
        if self._daemon:
            written = account.written("delivery")
            return _MODES[self._options.delivery or (account.delivery if written else "b")]
        if account.queue is None or (composed is not None and composed.bad):
            return "direct"
        return _MODES[self._options.delivery or account.delivery]

    def _delivery(self) -> str:
        mode = self._mode()
        what = {
            "direct": "while the caller waits; nothing is queued",
            "interactive": "one attempt while the caller waits; who cannot be served for now stays in the queue",
            "background": "queued, and tried at once while the caller goes on",
            "queue": "queued until somebody runs the queue",
        }[mode]
        return f"{mode}: {what}" + (" (by the daemon)" if self._daemon else "")

    def _diff(self, found: "Explanation") -> list[str]:
        """Return how the header changes, as a unified diff of its lines."""
        from difflib import unified_diff

        sent = found.sent
        assert sent is not None
        after = next(sent.chunks()).split(b"\r\n")[:-2]
        before = b"".join([field.raw for field in self._message.fields]).split(b"\r\n")[:-1]
        return list(
            unified_diff(
                [_text(line) for line in before], [_text(line) for line in after], "as it came", "as it leaves", lineterm=""
            )
        )


def _transport(found: "Explanation") -> list[str]:
    """Say what the octets of the message need from a server."""
    sent, plain = found.sent, found.plain
    if sent is None:
        return []
    if not sent.eight_bit and not sent.utf8:
        return ["7bit, any server takes it"]
    needs = " and ".join([word for word, wanted in (("8BITMIME", sent.eight_bit), ("SMTPUTF8", sent.utf8)) if wanted])
    if isinstance(plain, errors.Failure):
        return [f"8bit, {needs} needed; from a server without: exit code {plain.exit_code}: {plain}"]
    octets = plain.size if plain is not None else 0
    return [f"8bit, by {needs}; for a server without, it is encoded as 7bit without loss ({octets} octets)"]


def _who(caller: "Caller") -> str:
    if caller.uid == NO_UID:
        return "a peer of the listener"
    return f"{_text(caller.login)}, uid {caller.uid}"


def _tls(mode: str) -> str:
    return {"on": "TLS required", "off": "no TLS", "opportunistic": "TLS if it is offered"}[mode]


def _line(name: str, text: str) -> None:
    say(f"{name + ':' if name else '':<15}{_shown(text)}".rstrip())


def _shown(text: str) -> str:
    """Return a text of a message as one line that does nothing to a terminal."""
    return printable(text, _LONGEST)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")
