"""Logging in, and what the transcript says of it."""

import pytest

from pysendmail import errors
from pysendmail.log import Masker
from pysendmail.smtp.client import Client, Patience
from tests.smtp.driving import ALL, flight, mail, ready


class Scripted:
    """A mechanism that says what the test wants."""

    name = b"TEST"

    def __init__(self, first: bytes | None, answers: list[bytes]) -> None:
        self.first, self.answers, self.done = first, answers, False
        self.said = first or b""

    def initial(self) -> bytes | None:
        return self.first

    def respond(self, challenge: bytes) -> bytes:
        self.said = self.answers.pop(0)
        return self.said

    def secrets(self) -> list[bytes]:
        return [self.said]

    def finish(self) -> None:
        self.done = True


def test_a_login_sends_its_initial_response_and_answers_challenges() -> None:
    client = ready()
    mechanism = Scripted(b"one", [b"two", b""])
    client.authenticate(mechanism)  # type: ignore[arg-type]
    assert flight(client) == b"AUTH TEST b25l\r\n"
    client.feed(b"334 eA==\r\n")
    assert flight(client) == b"dHdv\r\n"
    client.feed(b"334 \r\n")
    assert flight(client) == b"\r\n"
    client.feed(b"235 ok\r\n")
    assert client.authenticated
    assert mechanism.done


def test_an_empty_initial_response_is_an_equals_sign_and_none_is_nothing() -> None:
    for first, line in ((b"", b"AUTH TEST =\r\n"), (None, b"AUTH TEST\r\n")):
        client = ready()
        client.authenticate(Scripted(first, []))  # type: ignore[arg-type]
        assert flight(client) == line


def test_a_long_initial_response_waits_for_the_servers_word() -> None:
    client = ready()
    client.authenticate(Scripted(b"t" * 3000, []))  # type: ignore[arg-type]
    assert flight(client) == b"AUTH TEST\r\n"
    client.feed(b"334 \r\n")
    assert flight(client) == b"dHR0" * 1000 + b"\r\n"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"535 5.7.8 no\r\n", errors.NoPermission),
        (b"504 unknown\r\n", errors.NoPermission),
        (b"454 later\r\n", errors.TempFail),
        (b"334 ###\r\n", errors.ProtocolError),
    ],
)
def test_a_refused_login_is_no_fault_of_the_message(answer: bytes, error: type[errors.Failure]) -> None:
    client = ready()
    client.authenticate(Scripted(b"one", [b"two"]))  # type: ignore[arg-type]
    flight(client)
    with pytest.raises(error) as caught:
        client.feed(answer)
    assert type(caught.value) is error


def test_what_the_mechanism_made_of_the_password_is_masked_too() -> None:
    said: list[bytes] = []
    client = Client(b"me", Patience(), Masker(), lambda direction, line: said.append(line))
    client.feed(b"220 hi\r\n")
    client.hello()
    flight(client)
    client.feed(ALL)
    client.authenticate(Scripted(None, [b"a-digest-of-it"]))  # type: ignore[arg-type]
    flight(client)
    client.feed(b"334 eA==\r\n")
    flight(client)
    with pytest.raises(errors.NoPermission) as caught:
        client.feed(b"535 not a-digest-of-it\r\n")
    assert b"a-digest-of-it" not in b"".join(said)
    assert "a-digest-of-it" not in str(caught.value)


def test_a_login_without_end_is_given_up() -> None:
    client = ready()
    client.authenticate(Scripted(b"one", [b"x"] * 100))  # type: ignore[arg-type]
    flight(client)
    with pytest.raises(errors.ProtocolError):
        for _ in range(50):
            client.feed(b"334 eA==\r\n")
            flight(client)


def test_the_transcript_shows_neither_secret_nor_message() -> None:
    said: list[bytes] = []
    secret = b"tr0ub4dor"
    client = Client(b"me", Patience(), Masker([secret]), lambda direction, line: said.append(line))
    client.feed(b"220 hi\r\n")
    client.hello()
    flight(client)
    client.feed(ALL)
    client.authenticate(Scripted(secret, [b"again " + secret]))  # type: ignore[arg-type]
    flight(client)
    client.feed(b"334 dHIwdWI0ZG9y\r\n")
    flight(client)
    client.feed(b"235 welcome tr0ub4dor eHRyMHViNGRvcg== eHh0cjB1YjRkb3I=\r\n")
    client.send(mail(), [b"r@y"])
    flight(client)
    text = b"\n".join(said)
    for hidden in (secret, b"dHIwdWI0ZG9y", b"RyMHViNGRvc", b"cjB1YjRkb3", b"text"):
        assert hidden not in text
    assert b"AUTH TEST ****" in text
    assert b"[message of 14 octets]" in text
