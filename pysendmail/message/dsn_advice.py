"""What the reader of a report can do about it: the kind of trouble behind an answer, and advice in plain words."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.dsn import Recipient

ADDRESS, DOMAIN, FULL, SIZE, SENDER, CONTENT, POLICY, LOGIN, CONFIG, SECURITY, NETWORK, DISK, LOOP, OTHER = (
    "address", "domain", "full", "size", "sender", "content", "policy", "login", "config", "security", "network",
    "disk", "loop", "other",
)  # fmt: skip
"""The kinds of trouble."""

_UNCERTAIN = (
    "The connection broke after the whole message had been sent, so it may have arrived all the same. "
    "Ask the recipient before you send it again."
)
_EXPIRED = (
    "The mail server put the message off each time, until its time was up. "
    "Send it again later, or reach the recipient in another way."
)
_LATER = "Nothing. Servers often put a message off for a short time."

_KEEPER = 'Whoever looks after mail on this computer must correct it; the command "pysendmail check" tries it.'
_AGAIN = "Then send the message again."
_BY_ITSELF = "After that the message leaves by itself."
_OURS = {
    LOGIN: "The mail server refuses the user name or the password that this computer has in its configuration. "
    + _KEEPER,
    CONFIG: f"The configuration of pysendmail on this computer is not right. {_KEEPER}",
    SECURITY: "This computer could not make sure that it talks to the right mail server over a connection that nobody "
    'can read. Whoever looks after mail on it can see more with the command "pysendmail check".',
    DISK: "The disk of this computer is full. Whoever looks after it must make room.",
}
_FAILED = {
    ADDRESS: "There is no such address. Check its spelling, and send the message again to the right one.",
    DOMAIN: "What stands after the @ is not known as a place for mail. Check its spelling, and send the message again "
    "to the right address.",
    FULL: "The mailbox is full. Try again in a few days, or reach the recipient in another way.",
    SIZE: "The message is too large. Make it smaller, for instance by a link in place of an attachment, and send it "
    "again.",
    SENDER: "The mail server does not accept {sender} as a sender. Send the message again from an address that it "
    'knows as yours; the word "from" in the configuration of pysendmail sets one.',
    CONTENT: "The message cannot be taken as it is written. Change what is complained about, and send it again.",
    POLICY: "The mail server's own rules forbid this message. If its words do not tell you what to change, show this "
    "report to those who run the server.",
    NETWORK: "The mail server could not be used until the time was up. When it works again, send the message again.",
    LOOP: "The message goes round in a circle. Show this report to those who run the recipient's mail.",
    OTHER: "Check the address. If it is right and the words above do not tell you what to change, show this report to "
    "those who run your mail.",
}
_DELAYED = {
    NETWORK: "Nothing. The message leaves as soon as the mail server can be used; see that this computer is connected "
    "to the network.",
    FULL: "You can tell the recipient that the mailbox is full.",
}

_LOGIN_CODES = ("530", "534", "535", "538")
_LOCAL = {"7.0": LOGIN, "7.5": SECURITY, "3.5": CONFIG, "3.1": DISK, "5.0": CONFIG}
# Subject and detail of the enhanced status codes (RFC 3463 and the registry of RFC 5248), then the subject alone.
_DETAILS = {
    "1.1": ADDRESS, "1.2": DOMAIN, "1.3": ADDRESS, "1.6": ADDRESS, "1.7": SENDER, "1.8": SENDER, "1.9": SENDER,
    "1.10": DOMAIN, "2.1": ADDRESS, "2.2": FULL, "2.3": SIZE, "3.4": SIZE, "4.4": DOMAIN, "4.6": LOOP,
    "7.8": LOGIN, "7.9": LOGIN, "7.27": SENDER,
}  # fmt: skip
_SUBJECTS = {"1": ADDRESS, "6": CONTENT, "7": POLICY}
_CODES = {"551": ADDRESS, "553": ADDRESS, "554": POLICY}


def is_answer(reply: str) -> bool:
    """Say whether the text is an answer of a server, code first."""
    code = reply[:3]
    return len(code) == 3 and code.isascii() and code.isdigit() and code[0] in "2345" and reply[3:4] in ("", " ", "-")


def trouble(recipient: "Recipient") -> str:
    """Name the kind of trouble that a recipient's status and reply tell of."""
    code = recipient.reply[:3] if is_answer(recipient.reply) else ""
    kind, _, detail = recipient.status.partition(".")
    if code in _LOGIN_CODES:
        return LOGIN
    if not code and detail in _LOCAL:
        return _LOCAL[detail]
    if detail in _DETAILS:
        return _DETAILS[detail]
    subject = detail.partition(".")[0]
    if subject == "4" and (kind == "4" or not code):
        return NETWORK
    return _SUBJECTS.get(subject) or _CODES.get(code, OTHER)


def advice(kind: str, recipient: "Recipient", sender: str) -> str:
    """Return what the reader of a report of this kind can do for a recipient, "" if nothing has to be done.

    `sender` is the message's, fit to be shown.
    """
    if kind not in ("failed", "delayed"):
        return ""
    what = trouble(recipient)
    if what in _OURS:
        return f"{_OURS[what]} {_AGAIN if kind == 'failed' else _BY_ITSELF}"
    if kind == "delayed":
        return _DELAYED.get(what, _LATER)
    if recipient.uncertain:
        return _UNCERTAIN
    if what not in (NETWORK, FULL) and (recipient.status.startswith("4") or not recipient.reply):
        return _EXPIRED
    return _FAILED[what].replace("{sender}", sender or "this one")
