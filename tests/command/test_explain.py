"""pysendmail explain: what would happen to a message, told in full, and nothing sent."""

import json
import os
import pathlib
import re
import subprocess

import pytest

from tests.command.caller import Caller, Done
from tests.conftest import Installed
from tests.obedient import Obedient
from tests.test_manual import section

ANN = b"From: Ann <ann@example.org>\nTo: bob@example.net\nSubject: hello\n\ntext\n"
USUAL = "host smtp.example\nfrom ann@example.org\nmaildomain example.org\nsyslog off\npassword geheim-und-lang\nuser ann\n"


@pytest.fixture
def explain(installed: Installed, tmp_path: pathlib.Path) -> "Explain":
    return Explain(installed, tmp_path)


class Explain:
    """Run the installed command with a configuration of its own."""

    def __init__(self, installed: Installed, home: pathlib.Path) -> None:
        self.command = str(installed.prefix / "bin" / "pysendmail")
        self.home = home
        self.conf = home / "conf"

    def run(self, text: bytes, *arguments: str, config: str = USUAL, own: tuple[str, ...] = ()) -> "Done[bytes]":
        self.conf.write_text(config)
        self.conf.chmod(0o600)
        words = [self.command, "explain", *own, "--", "-C", str(self.conf), *arguments]
        environ = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "TZ": "UTC"}
        done = subprocess.run(words, input=text, capture_output=True, env=environ, timeout=60, check=False)
        assert b"Traceback" not in done.stderr and b"geheim" not in done.stdout + done.stderr
        return done

    def text(self, text: bytes, *arguments: str, code: int = 0, **more: object) -> str:
        """Return the lines with what changes from run to run replaced."""
        done = self.run(text, *arguments, **more)  # type: ignore[arg-type]
        assert (done.returncode, done.stderr) == (code, b"")
        said = done.stdout.decode().replace(str(self.home), "HOME")
        said = re.sub(r"(Date: ).*", r"\1TIME", said)
        said = re.sub(r"<[0-9A-Z]+\.[0-9a-f]+@", "<ID@", said)
        return re.sub(r"caller: +\S+, uid \d+", "caller:        USER, uid N", said)

    def facts(self, text: bytes, *arguments: str, code: int = 0, **more: object) -> "dict[str, object]":
        done = self.run(text, *arguments, own=("--json", *more.pop("own", ())), **more)  # type: ignore
        assert (done.returncode, done.stderr) == (code, b"")
        assert done.stdout.count(b"\n") == 1
        found = json.loads(done.stdout)
        assert found["exit_code"] == code
        return dict(found)


GOLDEN = """\
configuration: HOME/conf
caller:        USER, uid N; no section for callers binds him
account:       account default, the only one
server:        smtp.example port 587, TLS required
sender:        <ann@example.org> (from of the account)
recipients:    <bob@example.net> (To)
               <carol@example.net> (Cc)
               <dave@example.org> (Bcc)
               <eve@example.net> (the arguments)
size:          204 octets
transport:     7bit, any server takes it
delivery:      direct: while the caller waits; nothing is queued
header:
--- as it came
+++ as it leaves
@@ -2,5 +2,6 @@
 To: bob@example.net
 Cc: Carol <carol@example.net>,
  bob@example.net
-Bcc: dave
 Subject: hello
+Date: TIME
+Message-ID: <ID@example.org>
exit code:     0 as far as this can be told without asking the server
"""


def test_a_message_is_explained_from_the_account_to_the_exit_code(explain: Explain) -> None:
    text = (
        b"From: Ann <ann@example.org>\nTo: bob@example.net\nCc: Carol <carol@example.net>,\n bob@example.net\n"
        b"Bcc: dave\nSubject: hello\n\ntext\n"
    )
    said = explain.text(text, "-t", "eve@example.net", "dave")
    assert re.sub(r"size: +\d+", "size:          204", said) == GOLDEN


def test_what_leaves_has_the_size_and_the_header_that_are_told(explain: Explain, caller: Caller, server: Obedient) -> None:
    text = "From: Ann <ann@example.org>\nTo: bob@example.net\nBcc: carol@example.net\nSubject: héllo\n\ntext é\n".encode()
    delivery = caller.deliver("-t", message=text)
    found = explain.facts(text, "-t", config=USUAL.replace("ann@example.org", "sender@example.org"))
    assert found["octets"] == len(delivery.header) + 2 + len("text é\r\n".encode())
    added = [line[1:] for line in found["header"] if line[:1] == "+" and line[:3] != "+++"]  # type: ignore
    lines = delivery.header.decode().split("\r\n")
    assert [line for line in added if not line.startswith(("Date:", "Message-ID:"))] == ["Subject: =?utf-8?q?h=C3=A9llo?="]
    assert "Subject: =?utf-8?q?h=C3=A9llo?=" in lines
    sender, recipients = found["sender"], found["recipients"]
    assert isinstance(sender, dict) and isinstance(recipients, list)
    assert sender["address"] == "sender@example.org"
    assert [one["address"] for one in recipients] == ["bob@example.net", "carol@example.net"]


def test_nothing_is_sent_and_nothing_is_queued(explain: Explain, server: Obedient) -> None:
    queue = explain.home / "spool" / "queue"
    config = f"host 127.0.0.1\nport {server.port}\ntls off\nfrom ann@example.org\nsyslog off\nqueue {queue}\nlogfile HOME\n"
    config = config.replace("HOME", str(explain.home / "log"))
    found = explain.facts(ANN, "-t", "-odq", config=config)
    assert found["delivery"] == "queue"
    assert server.deliveries == [] and not queue.parent.exists() and not (explain.home / "log").exists()


@pytest.mark.parametrize(
    ("words", "arguments", "mode"),
    [
        ("", (), "direct"),
        ("", ("-odq",), "direct"),
        ("queue {}/q\n", (), "interactive"),
        ("queue {}/q\n", ("-odb",), "background"),
        ("queue {}/q\n", ("-odd",), "queue"),
        ("queue {}/q\ndelivery background\n", (), "background"),
        ("queue {}/q\ndelivery background\n", ("-v",), "interactive"),
        ("queue {}/q\ndelivery queue\nbad_recipients skip\n", ("a@b@c",), "direct"),
    ],
)
def test_the_delivery_mode_is_told(explain: Explain, words: str, arguments: tuple[str, ...], mode: str) -> None:
    config = USUAL + words.format(explain.home)
    assert explain.facts(ANN, "-t", *arguments, config=config, code=65 if "a@b@c" in arguments else 0)["delivery"] == mode


@pytest.mark.parametrize(
    ("words", "arguments", "address", "origin"),
    [
        ("", (), "ann@example.org", "from of the account"),
        ("", ("-f", "x@y.example"), "x@y.example", "-f"),
        ("", ("-f", "<>"), "", "-f"),
        ("null_sender n@example.org\n", ("-f", "<>"), "n@example.org", "null_sender of the account; -f gave <>"),
        ("", ("--read-envelope-from",), "ann@example.org", "the From field"),
        ("sender_from_header on\n", (), "ann@example.org", "the From field"),
        (
            "allow_from_override off\n",
            ("-f", "x@y.example"),
            "ann@example.org",
            "from of the account, which -f may not override",
        ),
    ],
)
def test_the_sender_is_told_with_where_it_comes_from(
    explain: Explain, words: str, arguments: tuple[str, ...], address: str, origin: str
) -> None:
    assert explain.facts(ANN, "-t", *arguments, config=USUAL + words)["sender"] == {"address": address, "from": origin}


def test_a_sender_without_any_word_is_the_login(explain: Explain) -> None:
    found = explain.facts(ANN, "-t", config="host h\nmaildomain example.org\n", own=("--as", "0"))
    assert found["sender"] == {"address": "root@example.org", "from": "the login of the caller"}


def test_the_account_and_the_reason_for_it_are_told(explain: Explain) -> None:
    config = (
        "account home\nhost home.example\nfrom ann@example.org\naccount work\nhost work.example\nport 465\n"
        "from *@corp.example\naccount default : home\n"
    )
    for arguments, name, reason in (
        ((), "home", "account home, whose from fits the From field"),
        (("-f", "me@corp.example"), "work", "account work, whose from fits the envelope sender"),
        (("-a", "work"), "work", "account work, named by -a"),
    ):
        found = explain.facts(ANN, "-t", *arguments, config=config)
        assert (found["account"], found["reason"]) == (name, reason)
    assert found["server"] == {"host": "work.example", "port": 465, "tls": "on"}


def test_recipients_behind_aliases_are_told_with_their_alias(explain: Explain) -> None:
    aliases = explain.home / "aliases"
    aliases.write_text("team: x@example.net, inner\ninner: y@example.net\nroot: admin@example.net\n")
    text = b"From: ann@example.org\nTo: Team, z@example.net\nResent-To: ignored@example.net\n\nhi\n"
    text = text.replace(b"Resent-To: ignored@example.net\n", b"")
    found = explain.facts(text, "-t", "root", "x@EXAMPLE.net", config=f"{USUAL}aliases {aliases}\n")
    assert found["recipients"] == [
        {"address": "x@example.net", "from": "alias Team in To"},
        {"address": "y@example.net", "from": "alias Team in To"},
        {"address": "z@example.net", "from": "To"},
        {"address": "admin@example.net", "from": "alias root in the arguments"},
    ]


def test_of_a_resent_message_the_recipients_of_the_block_are_told(explain: Explain) -> None:
    text = b"Resent-From: ann@example.org\nResent-To: r@example.net\nFrom: a@b.example\nTo: old@example.net\n\nhi\n"
    assert explain.facts(text, "-t")["recipients"] == [{"address": "r@example.net", "from": "Resent-To"}]


@pytest.mark.parametrize(
    ("text", "arguments", "code", "why"),
    [
        (ANN, ("-t", "a@b@c"), 65, 'bad recipient address "a@b@c": more than one @'),
        (b"Subject: x\n\nhi\n", ("-t",), 64, "no recipients in To, Cc, Bcc or the arguments"),
        (b"", ("bob@example.net",), 65, "the input is empty; nothing was sent (allow_empty on would send it)"),
        (ANN, ("-t", "-a", "nix"), 78, "there is no account of the name given with -a (it has default)"),
        (ANN, ("-t", "-f", "a@b@c"), 65, None),
        (b"Received: x\n" * 101 + ANN, ("-t",), 65, "mail loop: the message has made 101 hops"),
        (
            b"Content-Type: multipart/signed; boundary=b\n" + ANN + b"\n--b\n\n" + b"x" * 999 + b"\n\n--b--\n",
            ("-t",),
            65,
            None,
        ),
    ],
)
def test_a_message_that_would_be_refused_is_explained_with_its_exit_code(
    explain: Explain, text: bytes, arguments: tuple[str, ...], code: int, why: str | None
) -> None:
    found = explain.facts(text, *arguments, code=code)
    assert why is None or why in str(found["refusal"])
    assert found["refusal"]
    said = explain.text(text, *arguments, code=code)
    assert f"exit code:     {code}\n" in said and "\nrefused:       " in said


def test_a_skipped_recipient_is_told_and_makes_the_exit_code(explain: Explain) -> None:
    config = USUAL + "bad_recipients skip\n"
    found = explain.facts(ANN, "-t", "a@b@c", config=config, code=65)
    assert found["skipped"] == [{"text": "a@b@c", "reason": "more than one @"}]
    assert "skipped:       a@b@c: more than one @" in explain.text(ANN, "-t", "a@b@c", config=config, code=65)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ANN, r"7bit, any server takes it"),
        (
            ANN + "é\n".encode(),
            r"8bit, by 8BITMIME; for a server without, it is encoded as 7bit without loss \(\d+ octets\)",
        ),
        (ANN + b"\0\n", r"7bit, any server takes it"),
        (ANN.replace(b"bob", "bób".encode()), r"8bit, SMTPUTF8 needed; from a server without: exit code 65: .*"),
        (
            b"Content-Type: multipart/signed; boundary=b\n" + ANN + "\n--b\n\né\n\n--b--\n".encode(),
            r"8bit, 8BITMIME needed; from a server without: exit code 65: .*",
        ),
    ],
)
def test_what_a_server_must_be_able_to_take_is_told(explain: Explain, text: bytes, said: str) -> None:
    told = explain.facts(text, "-t")["transport"]
    assert isinstance(told, list) and len(told) == 1
    assert re.fullmatch(said, told[0]), told


def test_a_header_that_stays_leaves_as_it_came(explain: Explain) -> None:
    text = b"From: ann@example.org\nTo: b@example.net\nDate: now\nMessage-ID: <x@y>\n\nhi\n"
    assert "header:        leaves as it came\n" in explain.text(text, "-t")
    assert explain.facts(text, "-t")["header"] == []


def test_what_a_message_says_does_nothing_to_a_terminal(explain: Explain) -> None:
    text = "From: ann@example.org\nTo: b@example.net\nBcc: c@example.net\nX: \x1b]0;evil\x07 \u202e \x9b31m\n\n".encode()
    for words in (("-t",), ("-t", "-a", "nix")):
        done = explain.run(text, *words)
        assert all(line.isprintable() for line in done.stdout.decode().split("\n"))
    assert explain.run(text, "-t", own=("--json",)).stdout.isascii()


RULES = USUAL.replace("ann@example.org", "%U@example.org") + (
    "received_user on\ncaller daemon\nsenders *@example.org\ncaller bin\nsenders bin@example.org\nalign on\nsize 1K\n"
    "caller listener\nsenders app@example.org\ncaller nobody\ndeny on\ncaller *\nuse_account other\n"
    "account other\nhost other.example\n"
)


def test_the_section_that_binds_the_caller_is_told(explain: Explain) -> None:
    found = explain.facts(ANN, "-t", config=RULES, own=("--as", "daemon"))
    assert found["caller"] == {"uid": 1, "login": "daemon", "section": f"{explain.conf}:8"}
    assert found["account"] == "default"
    said = explain.text(ANN, "-t", config=RULES, own=("--as", "1"))
    assert "caller:        USER, uid N; bound by caller daemon at HOME/conf:8\n" in said
    other = explain.facts(ANN, "-t", config=RULES, own=("--as", "sys"))
    assert (other["account"], other["reason"]) == ("other", "account other, the only one for this caller")
    assert explain.facts(ANN, "-t", "-a", "default", config=RULES, own=("--as", "root"))["account"] == "default"


@pytest.mark.parametrize(
    ("who", "arguments", "code", "why"),
    [
        (
            "daemon",
            ("-f", "x@corp.example"),
            77,
            "user daemon may not send as x@corp.example (the envelope sender); caller daemon",
        ),
        ("nobody", (), 77, "user nobody may not send (caller nobody at "),
        (
            "listener",
            ("-f", "app@example.org"),
            77,
            "who connects to the listener may not send as ann@example.org (the From",
        ),
        ("sys", ("-a", "default"), 77, "this caller may not choose the account"),
    ],
)
def test_what_a_section_refuses_is_told(explain: Explain, who: str, arguments: tuple[str, ...], code: int, why: str) -> None:
    found = explain.facts(ANN, "-t", *arguments, config=RULES, own=("--as", who), code=code)
    assert str(found["refusal"]).startswith(why)


def test_what_a_section_brings_into_line_is_in_the_difference(explain: Explain) -> None:
    found = explain.facts(ANN, "-t", "-f", "x@corp.example", config=RULES, own=("--as", "bin"))
    assert found["sender"] == {"address": "bin@example.org", "from": "align; -f gave <x@corp.example>"}
    lines = found["header"]
    assert isinstance(lines, list)
    assert {"-From: Ann <ann@example.org>", "+From: Ann <bin@example.org>", "+Reply-To: Ann <ann@example.org>"} < set(lines)
    header = explain.facts(ANN, "-t", "-f", "bin@example.org", config=RULES, own=("--as", "bin"))
    assert header["sender"] == {"address": "bin@example.org", "from": "-f"}
    large = explain.facts(ANN + b"x" * 1024, "-t", config=RULES, own=("--as", "bin"), code=65)
    assert "larger than 1024 octets" in str(large["refusal"])


@pytest.mark.parametrize(
    ("own", "arguments", "code", "line"),
    [
        (("--as", "no such user"), ("-t",), 64, "pysendmail: --as: there is no such user\n"),
        ((), ("-bp",), 64, "pysendmail: explain is for arguments that deliver a message\n"),
        ((), (), 64, "pysendmail: no recipients in the arguments (-t takes them from the header)\n"),
        ((), ("-t", "-Z"), 64, None),
        (("--nonsense",), ("-t",), 64, None),
    ],
)
def test_a_wrong_command_line_is_told(
    explain: Explain, own: tuple[str, ...], arguments: tuple[str, ...], code: int, line: str | None
) -> None:
    done = explain.run(ANN, *arguments, own=own)
    assert (done.returncode, done.stdout) == (code, b"")
    assert line is None or done.stderr.decode() == line


def test_a_wrong_configuration_is_told_as_sendmail_would(explain: Explain) -> None:
    done = explain.run(ANN, "-t", config="host h\nprot 1\n")
    assert (done.returncode, done.stdout) == (78, b"")
    assert done.stderr.decode() == f'pysendmail: {explain.conf}:2: unknown word "prot"\n'


def test_a_reader_who_goes_away_does_no_harm(explain: Explain) -> None:
    explain.conf.write_text(USUAL)
    explain.conf.chmod(0o600)
    reading, writing = os.pipe()
    os.close(reading)
    words = [explain.command, "explain", "--", "-C", str(explain.conf), "-t"]
    done = subprocess.run(words, input=ANN, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_manual_has_the_keys_of_the_object(explain: Explain) -> None:
    text = "\n".join(section("pysendmail.1", "DESCRIPTION")).partition("Print one JSON object.")[2].partition("what was")[0]
    told = re.sub(r"^\.Cm|^and|^It has|[,;]", " ", text, flags=re.M).split()
    assert told == [*explain.facts(ANN, "-t")]


def test_check_names_a_section_that_is_for_nobody_here(explain: Explain) -> None:
    explain.conf.write_text("caller daemon\ncaller no-such-user\ndefaults\naccount default\nhost 127.0.0.1\nport 1\nfrom a@box\n")
    words = [explain.command, "check", "-C", str(explain.conf)]
    done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    note = f"note:          {explain.conf}:2: caller: there is no such user here, and the section is for nobody\n"
    assert (done.returncode, note in done.stdout.decode(), done.stdout.count(b"\nnote:")) == (75, True, 1)
