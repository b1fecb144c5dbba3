"""Every kind of answer at every stage of the dialogue."""

from tests.scenarios.scenario import (
    SCENARIOS,
    Scenario,
    at_auth,
    at_bdat,
    at_data,
    at_dot,
    at_ehlo,
    at_greeting,
    at_mail,
    at_rcpt,
    at_second_ehlo,
    at_starttls,
)
from tests.scripted import (
    Peer,
    Script,
)


def answer(text: str) -> Script:
    def act(peer: Peer) -> None:
        peer.say(text)
        peer.stall()

    return act


def two_refusals(peer: Peer) -> None:
    peer.say("550 5.5.1 no")
    peer.hear("HELO")
    peer.say("550 5.5.1 no")
    peer.stall()


# stage: the codes for 421 and hang-up, 4xx, 5xx, a wrong class, rubbish, reset, silence
STAGES: dict[str, tuple[Script, tuple[int, ...], str]] = {
    "the greeting": (at_greeting, (75, 75, 75, 76, 76, 75, 75), "354"),
    "EHLO": (at_ehlo, (75, 75, 75, 76, 76, 75, 75), "354"),
    "STARTTLS": (at_starttls, (75, 75, 75, 76, 76, 75, 75), "354"),
    "EHLO under TLS": (at_second_ehlo, (75, 75, 75, 76, 76, 75, 75), "354"),
    "AUTH": (at_auth, (75, 75, 77, 76, 76, 75, 75), "334 #"),
    "MAIL": (at_mail, (75, 75, 69, 76, 76, 75, 75), "354"),
    "RCPT": (at_rcpt, (75, 75, 67, 76, 76, 75, 75), "354"),
    "DATA": (at_data, (75, 75, 65, 76, 76, 75, 75), "250"),
    "the final dot": (at_dot, (75, 75, 65, 75, 75, 75, 75), "354"),
    "BDAT": (at_bdat, (75, 75, 65, 75, 75, 75, 75), "354"),
}
for stage, (begin, codes, wrong) in STAGES.items():
    acts: list[tuple[str, Script, int]] = [
        ("is answered 421", answer("421 4.3.2 shutting down"), codes[0]),
        ("is answered by hanging up", Peer.hang_up, codes[0]),
        ("is answered 4xx", answer("450 4.2.0 not now"), codes[1]),
        ("is answered 5xx", two_refusals if "EHLO" in stage else answer("550 5.1.1 never"), codes[2]),
        ("is answered by another class", answer(f"{wrong} what"), codes[3]),
        ("is answered by rubbish", answer("\x7fELF rubbish"), codes[4]),
        ("is answered by a reset", Peer.reset, codes[5]),
        ("is never answered", Peer.stall, codes[6]),
    ]
    for what, act, code in acts:

        def run(peer: Peer, begin: Script = begin, act: Script = act) -> None:
            begin(peer)
            act(peer)

        taken = 1 if stage in ("the final dot", "BDAT") else 0
        doubt = "not known whether" if taken and code == 75 and "4" not in what else ""
        SCENARIOS.append(Scenario(f"{stage} {what}", run, code, doubt, delivered=taken))
