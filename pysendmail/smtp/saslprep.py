"""SASLprep (RFC 4013): one form for user names and passwords that look the same."""

from pysendmail import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def prepare(text: bytes, what: str, *, stored: bool) -> bytes:
    """Return `text` in its prepared form, in UTF-8. Raises ConfigError, naming `what` but never showing the text.

    `stored` forbids code points that Unicode 3.2 does not know (RFC 3454 section 7), as SCRAM asks for passwords;
    user names are queries, where they pass.
    """
    try:
        characters = text.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.ConfigError(
            f"{what} is not UTF-8, which this login mechanism needs (auth plain does not)"
        ) from None
    if characters.isascii():
        if not characters.isprintable():
            raise _refused(what, "a control character")
        return text
    return _prepare(characters, what, stored).encode("utf-8")


def _prepare(text: str, what: str, stored: bool) -> str:
    """Map, normalise and check (RFC 4013 sections 2.1 to 2.5)."""
    import stringprep
    from unicodedata import ucd_3_2_0

    # U+200B is in both tables; that it is a blank is what other implementations decided.
    spaced = "".join(" " if stringprep.in_table_c12(character) else character for character in text)
    mapped = "".join(character for character in spaced if not stringprep.in_table_b1(character))
    text = ucd_3_2_0.normalize("NFKC", mapped)
    prohibited: tuple[Callable[[str], bool], ...] = (
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    )
    for character in text:
        if any(table(character) for table in prohibited):
            raise _refused(what, "a character that must not be in it")
        if stored and stringprep.in_table_a1(character):
            raise _refused(what, "a character younger than Unicode 3.2")
    _check_direction(text, what)
    return text


def _check_direction(text: str, what: str) -> None:
    """Refuse text that mixes directions in a way that makes it ambiguous (RFC 3454 section 6)."""
    import stringprep

    right_to_left = [stringprep.in_table_d1(character) for character in text]
    if not any(right_to_left):
        return
    if any(stringprep.in_table_d2(character) for character in text):
        raise _refused(what, "characters of both directions")
    if not (right_to_left[0] and right_to_left[-1]):
        raise _refused(what, "right-to-left characters, but not at both ends")


def _refused(what: str, why: str) -> errors.ConfigError:
    return errors.ConfigError(f"{what} holds {why} (SASLprep); auth plain sends it as it is")
