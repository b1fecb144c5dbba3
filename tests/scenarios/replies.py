"""Replies that are odd, split, dripping or endless."""

from tests.scenarios.scenario import (
    at_bdat,
    at_second_ehlo,
    scenario,
)
from tests.scripted import (
    Peer,
    ehlo,
    envelope,
    farewell,
    good,
    until_login,
)


@scenario("a good server", 0, delivered=1)
def _good(peer: Peer) -> None:
    good(peer)


@scenario("replies in single octets", 0, delivered=1)
def _octets(peer: Peer) -> None:
    peer.drip(b"220 mx.test\r\n", 0.001)
    ehlo(peer, "STARTTLS")
    peer.hear("STARTTLS")
    peer.drip(b"220-go\r\n", 0.001)
    peer.drip(b"220 ahead\r\n", 0)
    peer.tls()
    ehlo(peer, "AUTH PLAIN")
    peer.hear("AUTH")
    peer.drip(b"235 2.7.0 ok\r\n", 0.001)
    envelope(peer)
    peer.message()
    peer.drip(b"250-2.0.0 ok\r\n250 2.0.0 done\r\n", 0.001)


@scenario("replies with bare line feeds", 0, delivered=1)
def _bare_lf(peer: Peer) -> None:
    peer.send(b"220 mx\n")
    peer.hear("EHLO")
    peer.send(b"250-mx\n250 STARTTLS\n")
    peer.hear("STARTTLS")
    peer.send(b"220 go\n")
    peer.tls()
    peer.hear("EHLO")
    peer.send(b"250-mx\n250 AUTH PLAIN\n")
    peer.hear("AUTH")
    peer.send(b"235 ok\n")
    envelope(peer)
    peer.message()
    peer.send(b"250 ok\n")


@scenario("replies with NUL and 8-bit octets in their text", 0, delivered=1)
def _eight_bit(peer: Peer) -> None:
    peer.say(b"220 \x00\xff\xfe mx")
    ehlo(peer, "STARTTLS")
    peer.hear("STARTTLS")
    peer.say(b"220 \x80\x00")
    peer.tls()
    ehlo(peer, "AUTH PLAIN")
    peer.hear("AUTH")
    peer.say(b"235 \xc3\xa4\x00")
    envelope(peer)
    peer.message()
    peer.say(b"250 2.0.0 \xf0\x9f\x93\xac\x00")


@scenario("a long greeting of many lines", 0, delivered=1)
def _long_greeting(peer: Peer) -> None:
    peer.say(*[f"220-line {number} " + "x" * 500 for number in range(50)])
    good(peer)


@scenario("an overlong line in a reply", 0, delivered=1)
def _long_line(peer: Peer) -> None:
    peer.say("220-" + "x" * 20000)
    good(peer)


@scenario("an endless line as greeting", 76, "longer than any SMTP reply")
def _endless_line(peer: Peer) -> None:
    peer.send(b"220 ")
    peer.flood(b"x")


@scenario("a greeting of endless lines", 76)
def _endless_lines(peer: Peer) -> None:
    peer.flood(b"220-welcome to this server\r\n")


@scenario("an endless answer to the final dot", 75, "not known whether", delivered=1)
def _endless_final(peer: Peer) -> None:
    at_bdat(peer)
    peer.flood(b"250-ok\r\n")


@scenario("endless replies that nobody asked for", 76)
def _endless_replies(peer: Peer) -> None:
    peer.flood(b"220 hello\r\n")


@scenario("a dripping greeting", 75, "in time")
def _dripping_greeting(peer: Peer) -> None:
    peer.drip(b"220 " + b"x" * 200, 0.1)


@scenario("a dripping answer to EHLO under TLS", 75, "in time")
def _dripping_ehlo(peer: Peer) -> None:
    at_second_ehlo(peer)
    peer.drip(b"250-" + b"x" * 200, 0.1)


@scenario("a dripping answer to the final dot", 75, "not known whether", delivered=1)
def _dripping_final(peer: Peer) -> None:
    at_bdat(peer)
    peer.drip(b"250 " + b"x" * 200, 0.1)


@scenario("a reply of which one half comes", 75, "not known whether", delivered=1)
def _half_final(peer: Peer) -> None:
    at_bdat(peer)
    peer.send(b"250 2.0")
    peer.hang_up()


@scenario("a code that changes within the final reply", 75, "not known whether", delivered=1)
def _changing_final(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250-ok", "550 no")
    peer.stall()


@scenario("an enhanced code of another class in the final reply", 0, delivered=1)
def _other_class(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 5.7.1 but welcome")
    farewell(peer)


@scenario("a success of any 2xx code", 0, delivered=1)
def _any_success(peer: Peer) -> None:
    until_login(peer)
    peer.hear("MAIL")
    peer.say("251 ok")
    peer.hear("RCPT")
    peer.say("252 cannot verify")
    peer.message()
    peer.say("299 fine")


@scenario("a server that hangs up right after its last answer", 0, delivered=1)
def _hang_up_after(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 ok")
    peer.reset()


@scenario("a server that never answers QUIT", 0, delivered=1, bound=0.9)
def _no_quit(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 ok")
    peer.hear("QUIT")
    peer.stall()


@scenario("rubbish behind the last answer", 0, delivered=1)
def _rubbish_after(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 ok", "rubbish")
    peer.stall()


@scenario("a refusal behind the success", 75, "one reply too many", delivered=1)
def _second_answer(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 injected", "554 5.7.1 the true one")
    peer.stall()


@scenario("a reply before its command", 76)
def _early_reply(peer: Peer) -> None:
    peer.say("220 mx.test", "250 mx.test")
    peer.stall()


@scenario("a web server", 76, "does not speak SMTP")
def _http(peer: Peer) -> None:
    peer.say("HTTP/1.1 400 Bad Request", "Content-Length: 0", "")
    peer.stall()


@scenario("an SSH server", 76, "does not speak SMTP")
def _ssh(peer: Peer) -> None:
    peer.say("SSH-2.0-OpenSSH_9.2")
    peer.stall()
