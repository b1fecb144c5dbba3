"""What a server offers in its answer to EHLO (RFC 5321 section 4.1.1.1)."""

_LARGEST_SIZE = 1 << 62  # beyond this a SIZE is a slip, not a limit


class Extensions:
    """The keywords of one EHLO reply, upper-case, each with its parameters as they were written."""

    __slots__ = ("_keywords",)

    def __init__(self, lines: "list[bytes] | None" = None) -> None:
        self._keywords: dict[bytes, list[bytes]] = {}
        for line in (lines or [])[1:]:
            words = line.replace(b"\t", b" ").split()
            if not words:
                continue
            keyword = words[0].upper()
            if keyword.startswith(b"AUTH="):  # the form of old Microsoft servers
                words, keyword = [b"AUTH", keyword[5:], *words[1:]], b"AUTH"
            self._keywords.setdefault(keyword, []).extend(words[1:])

    def __contains__(self, keyword: bytes) -> bool:
        return keyword in self._keywords

    @property
    def size(self) -> int | None:
        """The largest message in octets that the server takes (RFC 1870), None where it sets no limit that makes sense."""
        for word in self._keywords.get(b"SIZE", []):
            if word.isdigit() and len(word) < 20 and 0 < int(word) < _LARGEST_SIZE:
                return int(word)
        return None

    @property
    def mechanisms(self) -> list[bytes]:
        """The SASL mechanisms offered, upper-case, in the server's order, each once."""
        return list(dict.fromkeys(word.upper() for word in self._keywords.get(b"AUTH", [])))

    @property
    def keywords(self) -> list[bytes]:
        """Every keyword offered."""
        return list(self._keywords)
