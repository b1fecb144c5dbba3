"""Those elements of an address list that need a tokeniser: comments, groups, routes, mistakes (RFC 5322 3.4, 4.4).

Each element is the significant tokens up to the next `,` `;` or `:` that is a delimiter there. A comma inside a source
route is none, and neither is anything inside quotation marks, comments and literals.
"""

from pysendmail.errors import DataError
from pysendmail.message.address import HIGH, AddressList, Mailbox, domain_fault
from pysendmail.message.tokens import (
    ATOM,
    BAD,
    COMMENT,
    LITERAL,
    QUOTED,
    SPACE,
    SPECIAL,
    token,
    unfold,
    unquote,
    why_bad,
)

_DOT, _COLON, _SEMICOLON, _LESS, _GREATER, _AT = b".:;<>@"
_OUTSIDE, _OPENED, _INSIDE, _ROUTE = range(4)
_DELIMITERS = (b",;:", b",;", b",;", b";")  # by the states above
_WORDS = (ATOM, QUOTED)
_LOCAL_TEXT = bytes(range(32, 127)) + HIGH

_MISSING_COMMA = "addresses separated by blanks only"
_SEMICOLONS = "addresses separated by a semicolon"
_OPEN_GROUP = "group without its semicolon"
_AT_IN_NAME = "@ in the name before an address in angle brackets"

_PARTS = 50_000  # tokens of an element; what has more is none, and would take hundreds of times its size of memory
_ERRORS = 50_000  # bad pieces of a list; what comes after them is one more

Part = tuple[int, int, int, bool]  # kind, start, end, whether a blank stands before it


class _Malformed(Exception):
    """The element is not an address; the text says why."""


class Reader:
    """Reads elements into an address list and knows whether a group is open."""

    __slots__ = ("found", "in_group", "text")

    def __init__(self, text: bytes, found: AddressList) -> None:
        self.text = text
        self.found = found
        self.in_group = False

    def read_past(self, at: int, stop: int) -> int:
        """Read whole elements from `at` until one ends beyond `stop`; return the place after it."""
        while at <= stop and at < len(self.text):
            at = self._read_element(at)
        return at

    def finish(self) -> None:
        """Note a group that the end of the text closed."""
        if self.in_group:
            self._warn(_OPEN_GROUP)

    def _read_element(self, at: int) -> int:
        parts, delimiter, after = _collect(self.text, at)
        try:
            if delimiter == _COLON:
                self._open_group(parts)
            elif parts:
                self.found.mailboxes += self._mailboxes(parts)
        except _Malformed as reason:
            start, end = (parts[0][1], parts[-1][2]) if parts else (after - 1, after)
            self.found.errors.append((start, end, str(reason)))
            if len(self.found.errors) == _ERRORS and after < len(self.text):
                self.found.errors.append((after, len(self.text), "it comes after too many mistakes"))
                return len(self.text)
        if delimiter == _SEMICOLON:
            self._close_group()
        return after

    def _open_group(self, parts: "list[Part]") -> None:
        nested, self.in_group = self.in_group, True
        if nested:
            raise _Malformed("group inside a group")
        if not parts:
            raise _Malformed("colon without the name of a group before it")
        _check_tokens(self.text, parts)
        for part in parts:
            if part[0] not in _WORDS and self.text[part[1]] != _DOT:
                raise _Malformed("colon after what is not the name of a group")

    def _close_group(self) -> None:
        if not self.in_group:
            self._warn(_SEMICOLONS)
        self.in_group = False

    def _mailboxes(self, parts: "list[Part]") -> list[Mailbox]:
        _check_tokens(self.text, parts)
        for part in parts:
            if part[0] == SPECIAL and self.text[part[1]] in b"<>":
                return self._in_brackets(parts)
        return self._bare(parts)

    def _in_brackets(self, parts: "list[Part]") -> list[Mailbox]:
        """Read `words <spec>`. A second <...> may be meant for an address or for a part of the name: a mistake."""
        opening, closing = _brackets(self.text, parts)
        if closing + 1 < len(parts):
            raise _Malformed("text after the >")
        self._check_name(parts[:opening])
        return [_mailbox(self.text, _without_route(self.text, parts[opening + 1:closing]))]

    def _check_name(self, parts: "list[Part]") -> None:
        for kind, start, _, _ in parts:
            if kind == SPECIAL and self.text[start] == _AT:
                self._warn(_AT_IN_NAME)
            elif kind == SPECIAL and self.text[start] != _DOT:
                raise _Malformed(f"{chr(self.text[start])} in the name before the address")

    def _bare(self, parts: "list[Part]") -> list[Mailbox]:
        """Read `spec`, or several qualified ones with blanks between them: a lone word among them may be a name."""
        runs, begin = [], 0
        for i in range(1, len(parts)):
            if parts[i][3] and parts[i][0] != SPECIAL and parts[i - 1][0] != SPECIAL:
                runs.append(parts[begin:i])
                begin = i
        runs.append(parts[begin:])
        mailboxes = [_mailbox(self.text, run) for run in runs]
        if len(runs) > 1:
            for mailbox in mailboxes:
                if not mailbox.domain:
                    raise _Malformed("a name without an address")
            self._warn(_MISSING_COMMA)
        return mailboxes

    def _warn(self, text: str) -> None:
        if text not in self.found.warnings:
            self.found.warnings.append(text)


def read_sender(text: bytes) -> tuple[Mailbox | None, bytes]:
    """Read one address with the name before it, as address.parse_sender gives them; raises DataError."""
    shown = text.decode("utf-8", "backslashreplace")
    if b"\r" in text or b"\n" in text:
        raise DataError(f'bad sender address "{shown}": control character')
    parts, delimiter, _ = _collect(text, 0)
    try:
        if delimiter or not parts:
            raise _Malformed("a sender is one address")
        if [text[part[1]] for part in parts[-2:]] == [_LESS, _GREATER]:
            _check_tokens(text, parts)
            return None, _name(text, parts[:-2])
        mailboxes = Reader(text, AddressList())._mailboxes(parts)
        if len(mailboxes) != 1:
            raise _Malformed("a sender is one address")
    except _Malformed as reason:
        raise DataError(f'bad sender address "{shown}": {reason}') from None
    return mailboxes[0], _name(text, [part for part in parts if part[2] < mailboxes[0].start])


def _name(text: bytes, parts: "list[Part]") -> bytes:
    """Join the words of a name as they are meant to be shown."""
    name = bytearray()
    for kind, start, end, spaced in parts:
        if kind == SPECIAL and text[start] == _LESS:
            break
        name += b" " * (spaced and name != b"") + (unquote(text[start:end]) if kind == QUOTED else text[start:end])
    return bytes(name)


def _collect(text: bytes, at: int) -> "tuple[list[Part], int, int]":
    """Gather the significant tokens of one element; return them, the delimiter (0 at the end), the place after it."""
    parts: list[Part] = []
    spaced, state, size = False, _OUTSIDE, len(text)
    while at < size:
        kind, end = token(text, at)
        if kind == SPACE or kind == COMMENT:
            spaced = True
        else:
            if kind == SPECIAL:
                if text[at] in _DELIMITERS[state]:
                    return parts, text[at], end
                state = _next_state(state, text[at])
            elif state == _OPENED:
                state = _INSIDE
            if len(parts) < _PARTS:
                parts.append((kind, at, end, spaced))
            spaced = False
        at = end
    return parts, 0, size


def _next_state(state: int, special: int) -> int:
    if special == _LESS:
        return _OPENED
    if special == _GREATER:
        return _OUTSIDE
    if special == _AT and state == _OPENED:
        return _ROUTE
    if state == _OPENED or special == _COLON:
        return _INSIDE
    return state


def _check_tokens(text: bytes, parts: "list[Part]") -> None:
    if len(parts) >= _PARTS:
        raise _Malformed("longer than any address")
    for kind, start, end, _ in parts:
        if kind == BAD:
            raise _Malformed(why_bad(text, start, end))


def _brackets(text: bytes, parts: "list[Part]") -> tuple[int, int]:
    """Find the first < and the first > after it; there is one of them at least."""
    places = [i for i, part in enumerate(parts) if part[0] == SPECIAL and text[part[1]] in b"<>"]
    if text[parts[places[0]][1]] == _GREATER:
        raise _Malformed("> without its <")
    if len(places) < 2:
        raise _Malformed("< without its >")
    if text[parts[places[1]][1]] == _LESS:
        raise _Malformed("< inside angle brackets")
    return places[0], places[1]


def _without_route(text: bytes, parts: "list[Part]") -> "list[Part]":
    """Take the route of an obs-angle-addr off, but keep the place where it began (RFC 5322 4.4)."""
    if not parts:
        raise _Malformed("nothing between < and >")
    if text[parts[0][1]] != _AT:
        return parts
    for i, (kind, start, _, _) in enumerate(parts):
        if kind == SPECIAL and text[start] == _COLON:
            if i + 1 == len(parts):
                raise _Malformed("source route without an address")
            return [(SPACE, parts[0][1], parts[0][1], False), *parts[i + 1:]]
        if kind == QUOTED or (kind == SPECIAL and text[start] not in b"@.,"):
            break
    raise _Malformed("bad source route")


def _mailbox(text: bytes, parts: "list[Part]") -> Mailbox:
    """Read an addr-spec, or a name without a domain (RFC 5322 3.4.1); a SPACE part at its head only marks its start."""
    start, end = parts[0][1], parts[-1][2]
    if parts[0][0] == SPACE:
        parts = parts[1:]
    ats = [i for i, part in enumerate(parts) if part[0] == SPECIAL and text[part[1]] == _AT]
    if not ats:
        return Mailbox(_unqualified(text, parts), b"", start, end)
    if len(ats) > 1:
        raise _Malformed("more than one @")
    return Mailbox(_local(text, parts[:ats[0]]), _domain(text, parts[ats[0] + 1:]), start, end)


def _local(text: bytes, parts: "list[Part]") -> bytes:
    """Join the words and dots of a local part; dots may stand anywhere, as they do in mailboxes of some providers."""
    local, after_word, words = bytearray(), False, False
    for kind, start, end, _ in parts:
        if kind in _WORDS:
            if after_word:
                raise _Malformed("two words without a dot between them")
            local += unquote(text[start:end]) if kind == QUOTED else text[start:end]
            words = after_word = True
        elif text[start] == _DOT:
            local += b"."
            after_word = False
        else:
            raise _Malformed(f"{chr(text[start])} where none can stand")
    if not local or not words:
        raise _Malformed("nothing before the @")
    _check_text(local)
    if local.translate(None, _LOCAL_TEXT):
        raise _Malformed("control character")
    return bytes(local)


def _unqualified(text: bytes, parts: "list[Part]") -> bytes:
    """Read a lone local part, which must not be a part of somebody's name that lost its address."""
    local = _local(text, parts)
    if b" " in local or local[:2] == b"=?":
        raise _Malformed("a name without an address")
    return local


def _domain(text: bytes, parts: "list[Part]") -> bytes:
    """Join the labels of a domain, or give the domain literal without its blanks."""
    if len(parts) == 1 and parts[0][0] == LITERAL:
        domain = unfold(text[parts[0][1]:parts[0][2]]).translate(None, b" \t")
    else:
        after_label = False
        for kind, start, _, _ in parts:
            if kind != ATOM and text[start] != _DOT:
                raise _Malformed("character in the domain that no domain has")
            if kind == ATOM and after_label:
                raise _Malformed("blank in the domain")
            after_label = kind == ATOM
        domain = b"".join([text[start:end] for _, start, end, _ in parts])
    fault = domain_fault(domain)
    if fault:
        raise _Malformed(fault)
    _check_text(domain)
    return domain


def _check_text(octets: bytes | bytearray) -> None:
    """Refuse text that is not UTF-8 (RFC 6532 3.1) or holds C1 control characters."""
    if octets.isascii():
        return
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise _Malformed("octets that are not UTF-8") from None
    for character in text:
        if "\x80" <= character <= "\x9f":
            raise _Malformed("control character")
