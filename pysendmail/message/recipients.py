"""Who gets the message: the recipients of the envelope, from the header, the arguments and the aliases."""

from pysendmail import errors
from pysendmail.message import address
from pysendmail.message.header import Field
from pysendmail.message.sender import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.message.address import AddressList, Mailbox

    Expand = Callable[[Mailbox], list[Mailbox] | None]

_PLAIN = frozenset((b"to", b"cc", b"bcc"))
_RESENT = frozenset((b"resent-to", b"resent-cc", b"resent-bcc"))


class Recipients:
    """Envelope recipients in the order they came, each once, after alias expansion.

    `bad` collects what is no address as (text, reason) if `skip_bad`; otherwise the first one raises errors.DataError.
    An alias that leads to nobody raises errors.NoUser, or is bad likewise. `owners` are those of the lists through which
    addresses were found, by address.
    """

    __slots__ = ("_expand", "_found", "_maildomain", "_skip_bad", "bad", "owners")

    def __init__(self, maildomain: bytes, skip_bad: bool, expand: "Expand | None") -> None:
        self._found: dict[tuple[bytes, bytes], bytes] = {}
        self._maildomain = maildomain
        self._skip_bad = skip_bad
        self._expand = expand
        self.bad: list[tuple[bytes, str]] = []
        self.owners: dict[bytes, bytes] = {}

    def take(self, text: bytes, found: "AddressList") -> None:
        """Take all mailboxes of a list that was parsed from the text, and refuse or collect its bad pieces."""
        for start, end, reason in found.errors:
            self._refuse(text[start:end].strip(), reason)
        expand = self._expand
        for mailbox in found.mailboxes:
            try:
                targets = expand(mailbox) if expand else None
            except errors.NoUser as failure:
                if not self._skip_bad:
                    raise
                self.bad.append((mailbox.address, str(failure)))
                continue
            if targets is None:
                self._add(mailbox)
            else:
                for target in targets:
                    before = len(self._found)
                    self._add(target)
                    if target.owner and len(self._found) > before:
                        self.owners[next(reversed(self._found.values()))] = target.owner

    def remove(self, others: "Recipients") -> None:
        """Remove the recipients that the others have too."""
        for key in others._found:
            self._found.pop(key, None)

    def addresses(self) -> list[bytes]:
        """Return the canonical addresses."""
        return list(self._found.values())

    def _add(self, mailbox: "Mailbox") -> None:
        domain = mailbox.domain
        if domain and domain.isascii():
            self._found.setdefault((mailbox.local, domain.lower()), mailbox.address)
            return
        try:
            full = canonical(mailbox, self._maildomain)
        except errors.DataError as error:
            self._refuse(mailbox.address, error.text)
            return
        domain = full[full.rfind(b"@") + 1 :].lower() if mailbox.domain or self._maildomain else b""
        self._found.setdefault((mailbox.local, domain), full)

    def _refuse(self, text: bytes, reason: str) -> None:
        if not self._skip_bad:
            raise bad_address(text, reason)
        self.bad.append((text, reason))


def bad_address(text: bytes, reason: str) -> errors.DataError:
    """Make the error that names a recipient which is no address."""
    error = errors.DataError(f'bad recipient address "{_show(text)}": {reason}')
    error.status = "5.1.3"
    return error


def from_header(
    fields: list[Field], lists: "dict[int, AddressList]", block: tuple[int, int], given: Recipients, notes: list[str]
) -> None:
    """Take the recipients that the header names: those of the first resent block if it names any, else To, Cc and Bcc.

    `lists` are the parsed lists by the index of their field. A field of which nothing can be parsed gives no recipient
    but a note.
    """
    resent = [index for index in range(*block) if fields[index].name in _RESENT]
    for index in resent or [index for index, field in enumerate(fields) if field.name in _PLAIN]:
        field, found = fields[index], lists[index]
        if found.errors and not found.mailboxes:
            notes.append(f"{_show(field.name)} gives no recipient: {found.errors[0][2]}")
        else:
            given.take(list_text(field), found)


def from_arguments(arguments: list[bytes], given: Recipients, notes: list[str]) -> None:
    """Take the recipients of the command line; each argument is an address list."""
    for argument in arguments:
        found = address.parse(argument)
        notes += found.warnings
        given.take(argument, found)


def list_text(field: Field) -> bytes:
    """Return the text of a field's address list as it stands after the colon, folds included."""
    return field.raw[field.raw.index(b":") + 1 : -2]


def _show(text: bytes) -> str:
    """Return a piece of an address list for a message of one line."""
    line = b" ".join(text.split())
    return (line if len(line) <= 200 else line[:200] + b"...").decode("utf-8", "backslashreplace")
