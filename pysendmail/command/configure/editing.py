"""A configuration file with the words of one account replaced: everything else in it stays as it was written."""

from pysendmail import errors
from pysendmail.config import reader
from pysendmail.config.foreign.translation import quoted
from pysendmail.config.words import SECRETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Words = list[tuple[str, bytes]]

DEFAULT = "default"
OURS = frozenset((
    "host", "srv_domains", "port", "tls", "tls_starttls", "tls_nostarttls", "tls_certcheck", "tls_nocertcheck",
    "tls_trust_file", "tls_crl_file", "tls_fingerprint", "tls_host_override", "auth", "auth_without_tls", "user", "password",
    "passwordeval", "from",
))  # fmt: skip
"""The words that say to which server an account sends, and how."""

_STRUCTURE = ("account", "defaults", "caller")
_CONTROLS = frozenset([*range(9), *range(10, 32), 127])
_LONGEST = 4096


class Lines:
    """The lines of a file, without their ends, and what parts them."""

    __slots__ = ("end", "rows")

    def __init__(self, text: bytes) -> None:
        self.end = b"\r\n" if b"\r\n" in text else b"\n"
        self.rows = text.replace(b"\r\n", b"\n").split(b"\n") if text else []
        if self.rows and not self.rows[-1]:
            self.rows.pop()

    def word(self, index: int) -> str:
        """Return the word that a line begins with, empty for a comment."""
        row = self.rows[index].removeprefix(b"\xef\xbb\xbf") if not index else self.rows[index]
        words = row.split(maxsplit=1)
        return words[0].decode("latin-1") if words and words[0][:1] != b"#" else ""

    def section(self, name: str) -> tuple[int, int] | None:
        """Return where the words of an account begin and end; the default one may have no line of its own."""
        heads = [at for at in range(len(self.rows)) if self.word(at) in _STRUCTURE]
        for at in heads:
            if self.word(at) == "account" and self.value(at).partition(":")[0].strip() == name:
                return at + 1, min([head for head in heads if head > at], default=len(self.rows))
        top = heads[0] if heads else len(self.rows)
        return (0, top) if name == DEFAULT and any([self.word(at) in OURS for at in range(top)]) else None

    def value(self, index: int) -> str:
        """Return what stands behind the word of a line."""
        words = self.rows[index].strip(b" \t").split(maxsplit=1)
        return words[1].decode("latin-1").strip('" \t') if len(words) > 1 else ""

    def parent(self, name: str) -> str:
        """Return the only account that an account without words of its own takes over, empty if it is not so."""
        found = self.section(name)
        if found is None or not found[0] or any([self.word(at) for at in range(*found)]):
            return ""
        parents = self.value(found[0] - 1).partition(":")[2].split(",")
        return parents[0].strip() if len(parents) == 1 else ""

    @property
    def text(self) -> bytes:
        return b"".join([row + self.end for row in self.rows])


def line(word: str, value: bytes) -> bytes:
    """Write a word with its value so that it is read as it is. Raises UsageError for what no file can hold."""
    if not _CONTROLS.isdisjoint(value):
        raise errors.UsageError(f"{word}: a control character in it, which no configuration can hold")
    if len(value) > _LONGEST:
        raise errors.UsageError(f"{word}: it is longer than {_LONGEST} octets")
    return f"{word} {quoted(value.decode('latin-1'))}".encode("latin-1")


def target(text: bytes, file: "reader.File | None", wanted: str) -> str:
    """Return the name of the account whose words are replaced: `wanted`, else the one that is the default."""
    if wanted:
        return wanted
    known = list(file.accounts) if file is not None else []
    if len(known) > 1 and DEFAULT not in known:
        raise errors.UsageError("it has several accounts, and none is the default; --account says which is meant")
    name = known[0] if len(known) == 1 else DEFAULT
    return Lines(text).parent(name) or name


def replace(text: bytes, known: "Iterable[str]", name: str, words: "Words", more: "Words", comment: str) -> bytes:
    """Return the text with these words for the account of this name; `known` are the accounts that it has.

    One that is not there yet gets `more` as well, and stands below `comment`.
    """
    lines = Lines(text)
    fresh = [line(word, value) for word, value in words]
    place = lines.section(name)
    if place is None:
        lines.rows += _new_section(lines, list(known), name, fresh + [line(*pair) for pair in more], comment)
        return lines.text
    start, end = place
    ours = [at for at in range(start, end) if lines.word(at) in OURS]
    at = ours[0] if ours else start
    kept = [lines.rows[index] for index in range(at, end) if index not in ours]
    lines.rows[at:end] = fresh + kept
    return lines.text


def _new_section(lines: Lines, known: list[str], name: str, fresh: list[bytes], comment: str) -> list[bytes]:
    rows = [b""] if lines.rows and lines.rows[-1].strip() else []
    rows.append(f"# {comment}".encode("ascii", "replace"))
    headed = any([lines.word(at) in _STRUCTURE for at in range(len(lines.rows))])
    if name != DEFAULT or headed:
        rows.append(f"account {name}".encode("latin-1"))
    rows += fresh
    # The only account is the default one until there is another.
    if len(known) == 1 and known[0] != DEFAULT and name != DEFAULT:
        rows += [b"", f"account default : {known[0]}".encode("latin-1")]
    return rows


def masked(text: bytes) -> list[str]:
    """Return the lines fit to be shown, without secrets."""
    from pysendmail.log import printable

    lines = Lines(text)
    hidden = [f"{lines.word(at)} (not shown)" if lines.word(at) in SECRETS else "" for at in range(len(lines.rows))]
    return [hidden[at] or printable(row, 500) for at, row in enumerate(lines.rows)]


def difference(old: bytes, new: bytes, path: str) -> list[str]:
    """Return what changes as a unified diff, without secrets; one that changes is told to."""
    from difflib import unified_diff

    before, after = masked(old), masked(new)
    secrets = [row for row in _secret_rows(new) if row not in _secret_rows(old)]
    after = [f"{shown} (new)" if row in secrets else shown for shown, row in zip(after, Lines(new).rows, strict=True)]
    return [one.rstrip("\n") for one in unified_diff(before, after, f"{path} (now)", path, lineterm="", n=2)]


def _secret_rows(text: bytes) -> list[bytes]:
    lines = Lines(text)
    return [row for at, row in enumerate(lines.rows) if lines.word(at) in SECRETS]
