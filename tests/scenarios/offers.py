"""What the server offers, or does not, and recipients that fare differently."""

import time

from tests.scenarios.scenario import (
    DATA_ONLY,
    MESSAGE,
    at_dot,
    scenario,
)
from tests.scripted import (
    Peer,
    ehlo,
    envelope,
    farewell,
    until_login,
    until_tls,
)


@scenario("a server without STARTTLS", 75, "does not offer STARTTLS")
def _stripped(peer: Peer) -> None:
    peer.say("220 mx.test")
    ehlo(peer, "AUTH PLAIN LOGIN")
    peer.stall()


@scenario("a server without AUTH", 75, "does not offer AUTH")
def _no_auth(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer)
    peer.stall()


@scenario("a server with AUTH only before TLS", 75, "does not offer AUTH")
def _auth_in_clear_only(peer: Peer) -> None:
    peer.say("220 mx.test")
    ehlo(peer, "AUTH PLAIN", "STARTTLS")
    peer.hear("STARTTLS")
    peer.say("220 go")
    peer.tls()
    ehlo(peer)
    peer.stall()


@scenario("a server that knows only HELO", 75, "does not offer STARTTLS")
def _helo_only(peer: Peer) -> None:
    peer.say("220 old")
    peer.hear("EHLO")
    peer.say("500 what")
    peer.hear("HELO")
    peer.say("250 hello")
    peer.stall()


@scenario("no mechanism that we know", 75, "NTLM")
def _no_mechanism(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH NTLM GSSAPI")
    peer.stall()


@scenario("a server without PIPELINING and CHUNKING", 0, delivered=1)
def _lock_step(peer: Peer) -> None:
    at_dot(peer)
    peer.say("250 ok")
    farewell(peer)


@scenario("a server with PIPELINING but without CHUNKING", 0, delivered=1)
def _data_only(peer: Peer) -> None:
    until_login(peer, capabilities=DATA_ONLY)
    envelope(peer)
    peer.message()
    peer.say("250 ok")
    farewell(peer)


@scenario("capabilities in lower case with blanks at the end", 0, delivered=1)
def _lower_case(peer: Peer) -> None:
    peer.say("220 mx.test")
    peer.hear("EHLO")
    peer.say("250-mx.test ", "250-starttls ", "250 auth=LOGIN ")
    peer.hear("STARTTLS")
    peer.say("220 go")
    peer.tls()
    peer.hear("EHLO")
    peer.say("250-mx.test", "250-pipelining  ", "250 auth  plain ")
    peer.hear("AUTH PLAIN")
    peer.say("235 ok")
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("a SIZE that is too small", 65, "octets")
def _size(peer: Peer) -> None:
    until_login(peer, capabilities=("SIZE 50",))
    peer.stall()


@scenario("a SIZE of zero", 0, delivered=1)
def _size_zero(peer: Peer) -> None:
    until_login(peer, capabilities=("SIZE 0", "PIPELINING"))
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("a SIZE that is no number", 0, delivered=1)
def _size_rubbish(peer: Peer) -> None:
    until_login(peer, capabilities=("SIZE lots", "PIPELINING"))
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("an unknown user at one of two recipients", 67, "accepted for r@example.net", delivered=1,
          recipients=("r@example.net", "nobody@example.net"))  # fmt: skip
def _mixed(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("RCPT")
    peer.say("550 5.1.1 no such user")
    peer.message()
    peer.say("250 ok")
    farewell(peer)


@scenario("one recipient never, one later", 75, delivered=1, recipients=("r@a", "never@a", "later@a"))
def _mixed_three(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("RCPT")
    peer.say("550 5.1.1 no")
    peer.hear("RCPT")
    peer.say("450 4.2.1 later")
    peer.message()
    peer.say("250 ok")
    farewell(peer)


@scenario("two recipients a transaction", 0, delivered=3, recipients=("a@a", "b@a", "c@a", "d@a", "e@a"))
def _two_at_a_time(peer: Peer) -> None:
    until_login(peer, capabilities=("PIPELINING",))
    for asked in (5, 2, 1):  # once the first answers are in, the client knows how many fit
        peer.hear("MAIL")
        peer.say("250 ok")
        for number in range(asked):
            peer.hear("RCPT")
            peer.say("250 ok" if number < 2 else "452 4.5.3 too many recipients")
        peer.message()
        peer.say("250 ok")
    farewell(peer)


@scenario("a server that ends each connection after one transaction", 0, delivered=2, connections=2,
          words={"max_recipients": "1"}, recipients=("a@a", "b@a"))  # fmt: skip
def _one_each(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.message()
    peer.say("250 ok", "421 enough")
    peer.stall()


@scenario("MAIL that asks for a login first", 77)
def _login_first(peer: Peer) -> None:
    until_login(peer)
    peer.hear("MAIL")
    peer.say("530 5.7.0 authentication required")
    peer.stall()


@scenario("RCPT refused because of the login", 77)
def _rcpt_login(peer: Peer) -> None:
    until_login(peer)
    peer.hear("MAIL")
    peer.say("250 ok")
    peer.hear("RCPT")
    peer.say("550 5.7.8 bad credentials")
    peer.stall()


@scenario("a refusal while the message is still on its way", 65, "too much", message=MESSAGE + b"x" * 70 * 20000)
def _early_refusal(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("BDAT")
    peer.say("552 5.3.4 too much")
    peer.octets(100_000)
    peer.hang_up()


@scenario("a server that stops reading the message", 75, "does not take", message=MESSAGE + b"y" * 8_000_000)
def _stops_reading(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("BDAT")
    time.sleep(4)


@scenario("a hang-up in the middle of the message", 75, message=MESSAGE + b"z" * 70 * 100000)
def _hang_up_inside(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("BDAT")
    peer.octets(1000)
    peer.reset()
