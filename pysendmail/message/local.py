"""Which domains mean this machine or its network only, so that nobody outside can answer to an address there."""

# RFC 6761, 6762 and 8375, what ICANN keeps for private use, and what routers hand out.
_SUFFIXES = (b".localhost", b".localdomain", b".local", b".internal", b".lan", b".home", b".home.arpa")


def is_local(domain: bytes, hosts: "frozenset[bytes]") -> bool:
    """Tell whether the domain of an address is local: none, one without a dot, of private use, or one of `hosts`.

    `hosts` are in lower case.
    """
    lower = domain.lower().rstrip(b".")
    if lower[:1] == b"[":
        return lower.startswith(b"[127.") or lower == b"[ipv6:::1]"
    return b"." not in lower or lower in hosts or lower.endswith(_SUFFIXES)
