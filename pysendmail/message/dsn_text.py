"""The text of a report that people read: one screen that says what happened, to whom, who said so, and what to do."""

from pysendmail.log import printable
from pysendmail.message.dsn_advice import advice, is_answer
from pysendmail.message.dsn_status import remote_host, safe_host
from pysendmail.message.fixups import date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.dsn import Facts, Recipient
    from pysendmail.message.dsn_original import Original

WHOLE, HEADER, TOO_LARGE, ABRIDGED = "whole", "header", "too large", "abridged"
"""How much of the message is enclosed, and why not all of it."""

_COLUMNS = 76
_WORD = 240  # characters of a word on one line; 960 octets at most
_NAMED = 100  # recipients that the text names; the record has them all
_SPAN = 320  # characters of an address
_ENCLOSED = {
    WHOLE: "Your message is attached.",
    HEADER: "The header of your message is attached.",
    TOO_LARGE: "Your message ({size}) is too large to be attached; its header is.",
    ABRIDGED: "Your message could not be attached unchanged; its header is.",
}
_NAMELESS = "A message without a return address, most likely a report like this one,"


def describe(kind: str, facts: "Facts", recipients: "list[Recipient]", original: "Original", enclosed: str) -> bytes:
    """Return the text in UTF-8 with CRLF line ends."""
    lines = [*_wrap(_news(kind, facts, recipients)), ""]
    if kind == "delayed":
        until = "" if facts.retry_until is None else f" until {_date(facts.retry_until, facts)}"
        lines += [*_wrap(f"You need not send it again: it is still being tried{until}."), ""]
    lines += _wrap(f"Subject: {original.subject}", "  ", "           ") if original.subject else []
    lines += [f"  Sent:    {_date(facts.arrived, facts)}", ""]
    lines += _fates(kind, facts, recipients)
    lines += _wrap(_ending(kind, facts, original, enclosed))
    lines += ["", *_wrap(f"The mail system of {safe_host(facts.host)} (message {safe_host(facts.qid)})"), ""]
    return "\r\n".join(lines).encode("utf-8", "backslashreplace")


def _news(kind: str, facts: "Facts", recipients: "list[Recipient]") -> str:
    """Say in one sentence what happened."""
    whom = _shown(recipients[0].address) if len(recipients) == 1 else f"the {len(recipients)} recipients named below"
    what = "Your message"
    if facts.to != facts.sender:
        what = f"A message from {_shown(facts.sender)}" if facts.sender else _NAMELESS
    if kind == "delayed":
        return f"{what} has not been delivered to {whom} yet."
    if kind == "relayed":
        return f"{what} to {whom} was handed on to the next mail server."
    if kind == "delivered":
        return f"{what} to {whom} was delivered."
    if all([recipient.uncertain for recipient in recipients]):
        return f"It is not known whether {what[0].lower() + what[1:]} reached {whom}."
    return f"{what} could not be delivered to {whom}."


def _fates(kind: str, facts: "Facts", recipients: "list[Recipient]") -> list[str]:
    """List the recipients with the server's words; those who share words or advice stand together."""
    groups: dict[str, dict[str, list[str]]] = {}
    for recipient in recipients[:_NAMED]:
        words = groups.setdefault(advice(kind, recipient, _shown(facts.sender)), {})
        words.setdefault(_words(recipient), []).append(_shown(recipient.address))
    lines: list[str] = []
    for advised, words in groups.items():
        for said, names in words.items():
            for name in names:
                lines += [name] if len(name) <= _WORD else _wrap(name, "", "  ")
            title, _, text = said.partition("\n")
            lines += [*_wrap(title, "  "), *_wrap(text, "    ")] if text else []
        lines += [*_wrap(f"What to do: {advised}", "  "), ""] if advised else [""]
    if len(recipients) > _NAMED:
        lines += [*_wrap(f"{len(recipients) - _NAMED} more recipients are listed in the attached record."), ""]
    return lines


def _words(recipient: "Recipient") -> str:
    """Return who said what about a recipient: a title and the text in two lines, "" if nothing was said."""
    text = printable(recipient.reply.encode("utf-8", "backslashreplace")).strip()
    if not text:
        return ""
    host = remote_host(recipient.relay) or "The mail server"
    return f"{host} answered:\n{text}" if is_answer(text) else f"What happened:\n{text}"


def _ending(kind: str, facts: "Facts", original: "Original", enclosed: str) -> str:
    text = _ENCLOSED[enclosed].replace("{size}", _size(original.size))
    if facts.to != facts.sender:
        text = text.replace("Your message", "The message").replace("your message", "the message")
    if kind == "failed":
        return "It will not be tried again. " + text
    if kind == "relayed":
        return "That server does not report when it delivers, so this is the last report unless delivery fails. " + text
    return text


def _size(octets: int) -> str:
    return f"{octets / 1e6:.1f} MB" if octets >= 1e6 else f"{max(1, round(octets / 1000))} KB"


def _shown(address: bytes) -> str:
    return printable(address, _SPAN)


def _date(when: float, facts: "Facts") -> str:
    return date(when, facts.utc_offset).decode("ascii")


def _wrap(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """Break a text at blanks into lines, the first with one indentation, the others with another or the same."""
    rest = first if rest is None else rest
    lines: list[str] = []
    line, bare = first, True
    for word in text.split():
        for at in range(0, len(word), _WORD):
            piece = word[at : at + _WORD]
            if not bare and len(line) + 1 + len(piece) > _COLUMNS:
                lines.append(line)
                line, bare = rest, True
            line += piece if bare else " " + piece
            bare = False
    return lines if bare else [*lines, line]
