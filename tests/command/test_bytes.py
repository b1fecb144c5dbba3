"""The octets of a message on their way through the installed command: nothing is lost, and nothing is smuggled."""

import base64
import quopri

import pytest

from tests.command.caller import Caller
from tests.obedient import Delivery
from tests.scripted import CAPABILITIES

HEAD = b"From: a@x\nTo: b@x\nSubject: y\nDate: Thu, 1 Jan 1970 00:00:00 +0000\nMessage-ID: <1@x>\n"
WIRE = HEAD.replace(b"\n", b"\r\n")
SEVEN_BIT = tuple(word for word in CAPABILITIES if word != "8BITMIME")
DATA_ONLY = tuple(word for word in CAPABILITIES if word != "CHUNKING")


def decoded(delivery: Delivery) -> bytes:
    """Return the body with its transfer encoding taken off."""
    encoding = "".join(delivery.field("Content-Transfer-Encoding")).lower()
    if encoding == "base64":
        return base64.b64decode(delivery.body)
    return quopri.decodestring(delivery.body) if encoding == "quoted-printable" else delivery.body


# What comes, header included, and what leaves behind the header.
LINES: dict[str, tuple[bytes, bytes]] = {
    "LF": (b"\na\nb\n", b"a\r\nb\r\n"),
    "CRLF": (b"\r\na\r\nb\r\n", b"a\r\nb\r\n"),
    "mixed": (b"\na\r\nb\nc\r\n", b"a\r\nb\r\nc\r\n"),
    "a bare CR": (b"\na\rb\n", b"a\r\nb\r\n"),
    "CR CR LF": (b"\r\r\na\r\r\nb\r\r\n", b"a\r\nb\r\n"),
    "a CR at the end": (b"\na\r", b"a\r\n"),
    "no last line end": (b"\na\nb", b"a\r\nb\r\n"),
    "trailing empty lines": (b"\na\n\n\n", b"a\r\n\r\n\r\n"),
    "an empty body": (b"\n", b""),
    "no body": (b"", b""),
    "text where a field was due": (b"this is text\nmore: text\n", b"this is text\r\nmore: text\r\n"),
    "blanks in front of text": (b"\n\n text\n", b"\r\n text\r\n"),
    "smuggling by LF": (b"\na\n.\nMAIL FROM:<x@y>\n", b"a\r\n.\r\nMAIL FROM:<x@y>\r\n"),
    "smuggling by CR": (b"\na\r.\rMAIL FROM:<x@y>\n", b"a\r\n.\r\nMAIL FROM:<x@y>\r\n"),
    "smuggling by mixed ends": (b"\na\n.\r\nMAIL\r\n.\rb\r.\nc\n", b"a\r\n.\r\nMAIL\r\n.\r\nb\r\n.\r\nc\r\n"),
    "leading dots": (b"\n.a\n..b\n...\n. \n", b".a\r\n..b\r\n...\r\n. \r\n"),
    "other control characters": (b"\n\x01\x1b\x7f\x0c\n", b"\x01\x1b\x7f\x0c\r\n"),
    "a line that looks like mbox": (b"\nFrom here\n>From there\n", b"From here\r\n>From there\r\n"),
}


@pytest.mark.parametrize("case", LINES)
@pytest.mark.parametrize("capabilities", [CAPABILITIES, DATA_ONLY], ids=["BDAT", "DATA"])
def test_every_line_leaves_with_one_crlf(caller: Caller, case: str, capabilities: tuple[str, ...]) -> None:
    given, body = LINES[case]
    caller.server.capabilities = capabilities
    delivery = caller.deliver("-i", "r@x", message=HEAD + given)
    assert delivery.verb == ("DATA" if capabilities is DATA_ONLY else "BDAT")
    assert delivery.data == WIRE + b"\r\n" + body
    clear = caller.server.said[0]
    assert clear.count(b"\n") == clear.count(b"\r") == clear.count(b"\r\n")


def test_all_crlf_and_all_lf_are_the_same_message(caller: Caller) -> None:
    message = HEAD + b"X-Folded: a\n b\n\ntext\n.\nmore\n"
    plain = caller.deliver("r@x", message=message)
    assert caller.deliver("r@x", message=message.replace(b"\n", b"\r\n")).data == plain.data


def test_text_without_any_header_is_kept_to_the_last_byte(caller: Caller) -> None:
    text = "just text: with a colon\n\nand żółw\n".encode()
    delivery = caller.deliver("r@x", message=text)
    assert delivery.body == text.replace(b"\n", b"\r\n")
    assert delivery.field("To") == ["undisclosed-recipients:;"]
    headless = caller.deliver("r@x", message=b"hello\n")
    assert headless.body == b"hello\r\n"
    assert caller.deliver("r@x", message=b"\nhello\n").body == b"hello\r\n"


DOTS: list[tuple[bytes, list[str], bytes]] = [
    (b"a\n.\n", [], b"a\r\n"),
    (b"a\r\n.\r\n", [], b"a\r\n"),
    (b"a\n.", [], b"a\r\n"),
    (b"a\n.\n", ["-i"], b"a\r\n.\r\n"),
    (b"a\n.\n", ["-oi"], b"a\r\n.\r\n"),
    (b"a\n.\n", ["-oitrue"], b"a\r\n.\r\n"),
    (b"a\n.\n", ["-OIgnoreDots=true"], b"a\r\n.\r\n"),
    (b"a\n.\nb\n", [], b"a\r\n.\r\nb\r\n"),
    (b"a\n.\nb\n.\n", [], b"a\r\n.\r\nb\r\n"),
    (b"a\n.\n\n", [], b"a\r\n.\r\n\r\n"),
    (b"a\n..\n", [], b"a\r\n..\r\n"),
    (b".\n", [], b""),
    (b"a\n. \n", [], b"a\r\n. \r\n"),
]


@pytest.mark.parametrize(("text", "options", "body"), DOTS)
@pytest.mark.parametrize("source", ["pipe", "file"])
def test_a_lone_dot_ends_nothing_but_the_input(
    caller: Caller, text: bytes, options: list[str], body: bytes, source: str
) -> None:
    if source == "pipe":
        assert caller.deliver(*options, "r@x", message=HEAD + b"\n" + text).body == body
        return
    path = caller.home / "message"
    path.write_bytes(HEAD + b"\n" + text)
    with path.open("rb") as file:
        assert caller.deliver(*options, "r@x", message=None, stdin=file).body == body


EIGHT = "grüße\nžluťoučký\n".encode()


def test_an_8_bit_body_is_announced_where_that_is_offered(caller: Caller) -> None:
    delivery = caller.deliver("r@x", message=HEAD + b"\n" + EIGHT)
    assert "BODY=8BITMIME" in delivery.sender_words
    assert delivery.data == WIRE + b"\r\n" + EIGHT.replace(b"\n", b"\r\n")


def test_a_7_bit_body_is_not_announced_whatever_the_caller_says(caller: Caller) -> None:
    for option in ("-B8BITMIME", "-B7BIT"):
        assert "BODY=8BITMIME" not in caller.deliver(option, "r@x", message=HEAD + b"\ntext\n").sender_words


@pytest.mark.parametrize("text", [EIGHT, bytes(range(128, 256)) * 3 + b"\n"], ids=["text", "octets"])
def test_an_8_bit_body_is_encoded_without_loss_where_it_cannot_be_announced(caller: Caller, text: bytes) -> None:
    caller.server.capabilities = SEVEN_BIT
    delivery = caller.deliver("r@x", message=HEAD + b"\n" + text)
    assert delivery.data.isascii() and not any("BODY" in word for word in delivery.sender_words)
    assert decoded(delivery) == text.replace(b"\n", b"\r\n")
    assert delivery.field("MIME-Version") == ["1.0"] and delivery.field("Content-Type")


MULTIPART = (
    b"From: a@x\nTo: b@x\nMIME-Version: 1.0\nContent-Type: multipart/%b; boundary=B\n\n"
    b"--B\nContent-Type: text/plain; charset=utf-8\n\ngr\xc3\xbc\xc3\x9fe\n"
    b"--B\nContent-Type: text/plain\n\nplain\n--B--\n"
)


def test_of_a_multipart_only_the_parts_that_need_it_are_encoded(caller: Caller) -> None:
    caller.server.capabilities = SEVEN_BIT
    delivery = caller.deliver("r@x", message=MULTIPART % b"mixed")
    assert delivery.body.isascii() and delivery.body.count(b"Content-Transfer-Encoding: ") == 1
    assert b"gr=C3=BC=C3=9Fe" in delivery.body
    assert b"--B\r\nContent-Type: text/plain\r\n\r\nplain\r\n--B--\r\n" in delivery.body
    assert caller.deliver("r@x", message=HEAD + b"\nplain\n").field("Content-Transfer-Encoding") == []


def test_a_signed_message_fails_rather_than_be_changed(caller: Caller) -> None:
    message = MULTIPART % b"signed; micalg=x; protocol=y"
    assert caller.deliver("r@x", message=message).body.count(b"gr\xc3\xbc") == 1
    caller.server.capabilities = SEVEN_BIT
    assert "signed" in caller.refuse(65, "r@x", message=message)


def test_nul_in_the_body_is_encoded(caller: Caller) -> None:
    delivery = caller.deliver("r@x", message=HEAD + b"\na\0b\nc\n")
    assert b"\0" not in delivery.data and decoded(delivery) == b"a\0b\r\nc\r\n"
    assert delivery.field("Content-Transfer-Encoding") == ["base64"]


def test_overlong_lines_of_the_body_are_encoded(caller: Caller) -> None:
    text = b"x" * 998 + b"\n"
    assert caller.deliver("r@x", message=HEAD + b"\n" + text).field("Content-Transfer-Encoding") == []
    text += b"words and " * 200 + b"\n"
    delivery = caller.deliver("r@x", message=HEAD + b"\n" + text)
    assert max(map(len, delivery.data.split(b"\r\n"))) <= 998
    assert decoded(delivery) == text.replace(b"\n", b"\r\n")


def test_a_line_of_four_megabytes_passes_through(caller: Caller) -> None:
    delivery = caller.deliver("r@x", message=HEAD + b"\n" + b"0123456789" * 400_000)
    assert decoded(delivery) == b"0123456789" * 400_000 + b"\r\n"


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, (1 << 20) + 1, 3 << 20])
@pytest.mark.parametrize("capabilities", [CAPABILITIES, DATA_ONLY], ids=["BDAT", "DATA"])
def test_large_messages_arrive_octet_by_octet(caller: Caller, size: int, capabilities: tuple[str, ...]) -> None:
    caller.server.capabilities = capabilities
    text = b"".join(b".%07d a line with a dot\n" % number for number in range(size // 26))
    delivery = caller.deliver("-i", "r@x", message=HEAD + b"\n" + text)
    assert delivery.data == WIRE + b"\r\n" + text.replace(b"\n", b"\r\n")


def test_the_size_that_is_announced_is_that_of_the_message(caller: Caller) -> None:
    delivery = caller.deliver("r@x", message=HEAD + b"\n.dots\n.are\n.not\n.counted twice\n")
    assert f"SIZE={len(delivery.data)}" in delivery.sender_words


@pytest.mark.parametrize("options", [["r@x"], ["-t"], ["-i", "r@x"]])
def test_empty_input_sends_nothing(caller: Caller, options: list[str]) -> None:
    assert "empty" in caller.refuse(65, *options, message=b"")


def test_who_asks_for_it_may_send_empty_input(caller: Caller) -> None:
    assert caller.deliver("r@x", message=b"", words={"allow_empty": "on"}).body == b""


def test_a_body_of_up_to_64_kb_leaves_in_one_flight_with_its_envelope(caller: Caller) -> None:
    caller.server.answers["MAIL"] = "550 5.7.1 no"
    assert caller.run("r@x", message=HEAD + b"\n" + b"x\n" * 1000).returncode == 69
    assert any(line.startswith("BDAT") for line in caller.server.commands)
    caller.server.commands.clear()
    assert caller.run("r@x", message=HEAD + b"\n" + b"x\n" * 40_000).returncode == 69
    assert not any(line.startswith("BDAT") for line in caller.server.commands)
