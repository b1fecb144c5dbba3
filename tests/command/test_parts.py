"""A message whose recipients go different ways: by the account for their domain, and by the owner of their list."""

import json
import pathlib
import re
import subprocess
import threading
from collections.abc import Iterator

import pytest

from pysendmail.command.compose import Composed, compose_all
from pysendmail.command.envelope import Envelope
from pysendmail.config import aliases, reader
from pysendmail.errors import ConfigError
from pysendmail.options import parse
from tests.command.caller import LIMIT, until
from tests.command.submissions import NOW, QID, header, message, user
from tests.conftest import Installed
from tests.contents import Contents
from tests.obedient import Obedient

BOSS, BOB = "boss@corp.example", "bob@example.net"
TEXT = b"From: Ann <ann@example.org>\nTo: boss@corp.example, bob@example.net\nBcc: boss@x.corp.example\nSubject: hello\n\ntext\n"


class Two(Contents):
    """A user with two smarthosts: `inner` for corp.example and what is below it, `outer` for all others."""

    def __init__(self, installed: Installed, inner: Obedient, outer: Obedient, folder: pathlib.Path) -> None:
        self.command = installed.sendmail
        self.admin = str(installed.prefix / "bin" / "pysendmail")
        self.inner, self.outer = inner, outer
        self.conf = folder / "conf"
        self.log = folder / "log"
        self.queue = folder / "q" / "queue.db"
        self.environ = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "TZ": "UTC"}
        self.configure()

    def configure(self, more: str = "", inner: str = "", outer: str = "") -> None:
        self.conf.write_text(
            f"defaults\nhost 127.0.0.1\ntls off\nmaildomain example.org\nlogfile {self.log}\nsyslog off\ntimeout 30\n{more}\n"
            f"account inner\nport {self.inner.port}\nrecipient_domains corp.example .corp.example\n{inner}\n"
            f"account default\nport {self.outer.port}\n{outer}\n"
        )
        self.conf.chmod(0o600)

    def run(self, *arguments: str, text: bytes = TEXT) -> tuple[int, str, str]:
        command = [self.command, "-C", str(self.conf), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, env=self.environ, timeout=LIMIT, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def arrived(self) -> dict[str, list[list[str]]]:
        """Return the recipients of each delivery by the server."""
        return {
            name: [[_bare(one) for one in delivery.recipients] for delivery in server.deliveries]
            for name, server in (("inner", self.inner), ("outer", self.outer))
        }


def _bare(path: str) -> str:
    return path.partition("<")[2].partition(">")[0] or path


@pytest.fixture
def two(installed: Installed, tmp_path: pathlib.Path) -> Iterator[Two]:
    with Obedient() as inner, Obedient() as outer:
        yield Two(installed, inner, outer, tmp_path)


def test_each_recipient_is_served_by_the_account_for_his_domain(two: Two) -> None:
    assert two.run("-t") == (0, "", "")
    assert two.arrived() == {"inner": [[BOSS, "boss@x.corp.example"]], "outer": [[BOB]]}
    first, second = two.inner.deliveries[0], two.outer.deliveries[0]
    assert first.field("Message-ID") == second.field("Message-ID") != []
    assert first.data == second.data and b"Bcc" not in first.data
    log = two.log.read_text()
    assert "account: account inner, for its recipient_domains, part 1 of 2" in log
    assert "account: the default account, part 2 of 2" in log
    assert log.count("status=sent") == 3 and log.count(": removed") == 2
    assert len(set(re.findall(r"([0-9A-Z]+): removed", log))) == 2


@pytest.mark.parametrize(("to", "name"), [(BOSS, "inner"), (BOB, "outer")])
def test_who_all_go_one_way_get_one_message(two: Two, to: str, name: str) -> None:
    assert two.run(to) == (0, "", "")
    assert two.arrived() == {"inner": [], "outer": [], name: [[to]]}


def test_the_queue_is_that_of_the_default_account_however_many_parts_there_are(two: Two) -> None:
    two.configure(inner=f"queue {two.queue}\ndelivery queue")
    for recipients in ([BOSS], [BOSS, BOB]):
        assert two.run(*recipients) == (0, "", "")
    assert two.arrived() == {"inner": [[BOSS], [BOSS]], "outer": [[BOB]]} and not two.queue.exists()
    two.configure(outer=f"queue {two.queue}\ndelivery queue")
    for recipients in ([BOSS], [BOSS, BOB]):
        assert two.run(*recipients) == (0, "", "")
    assert sorted(two.waiting()) == [(BOB, "queued"), (BOSS, "queued"), (BOSS, "queued")]
    assert two.run("-q") == (0, "", "")
    assert two.arrived() == {"inner": [[BOSS]] * 4, "outer": [[BOB]] * 2}


@pytest.mark.parametrize(
    ("arguments", "more"),
    [(("-adefault",), ""), (("-fann@example.org",), "from *@example.org"), ((), "from ann@example.org")],
)
def test_an_account_that_is_named_or_fits_the_sender_is_for_all_recipients(
    two: Two, arguments: tuple[str, ...], more: str
) -> None:
    two.configure(outer=more)
    assert two.run(*arguments, BOSS, BOB) == (0, "", "")
    assert two.arrived() == {"inner": [], "outer": [[BOSS, BOB]]}


def test_the_words_of_each_account_hold_for_its_part(two: Two) -> None:
    two.configure(inner="set_from_header on\nfrom host@corp.example\nallow_from_override off\nfrom_full_name Host")
    assert two.run("-fann@example.org", BOSS, BOB) == (0, "", "")
    (first,), (second,) = two.inner.deliveries, two.outer.deliveries
    assert (_bare(first.sender), _bare(second.sender)) == ("host@corp.example", "ann@example.org")
    assert first.field("From") == ["Ann <host@corp.example>"] and second.field("From") == ["Ann <ann@example.org>"]


def test_aliases_lead_to_different_accounts_and_nobody_gets_two_copies(two: Two, tmp_path: pathlib.Path) -> None:
    (tmp_path / "aliases").write_text(f"all: {BOSS}, {BOB}, {BOSS}\n")
    two.configure(outer=f"aliases {tmp_path}/aliases")
    assert two.run("all", BOB, BOSS) == (0, "", "")
    assert two.arrived() == {"inner": [[BOSS]], "outer": [[BOB]]}


def test_one_part_that_is_refused_gives_the_exit_code_and_the_other_is_named(two: Two) -> None:
    two.outer.answers["RCPT"] = "550 5.1.1 no such user"
    code, out, err = two.run(BOSS, BOB)
    assert (code, out) == (67, "")
    lines = err.splitlines()
    assert lines[0].startswith(f"sendmail: {BOB}: refused: 127.0.0.1[127.0.0.1]:{two.outer.port}: 550 5.1.1 no such user")
    assert lines[1:] == [f"sendmail: the message was accepted for {BOSS}"]


def test_a_part_that_can_be_sent_later_only_is_75_where_nothing_is_queued(two: Two) -> None:
    two.inner.answers["MAIL"] = "451 4.3.0 later"
    two.outer.answers["RCPT"] = "550 5.1.1 no such user"
    code, _, err = two.run(BOSS, BOB)
    assert code == 75 and f"{BOSS}: not sent, may work later: " in err and f"{BOB}: refused: " in err


def test_what_one_part_leaves_is_queued_and_who_was_refused_in_the_other_is_told_by_mail(two: Two) -> None:
    two.configure(f"queue {two.queue}\n")
    two.inner.answers["MAIL"] = "451 4.3.0 later"
    two.outer.answers["RCPT"] = "550 5.1.1 no such user"
    assert two.run("-fann@example.org", BOSS, BOB) == (0, "", "")
    found = {(item.message.account, item.message.sender, one.address.decode()) for item in two.items() for one in item.recipients}
    assert found == {("inner", b"ann@example.org", BOSS), ("default", b"", "ann@example.org")}


@pytest.mark.parametrize("mode", ["-odq", "-odb"])
def test_the_parts_get_into_the_queue_together_and_each_leaves_by_its_own_server(two: Two, mode: str) -> None:
    two.configure(f"queue {two.queue}\n")
    assert two.run(mode, "-fann@example.org", "-t") == (0, "", "")
    if mode == "-odq":
        assert sorted(two.waiting()) == [(BOB, "queued"), (BOSS, "queued"), ("boss@x.corp.example", "queued")]
        assert len({item.message.qid for item in two.items()}) == 2
        assert two.run("-q") == (0, "", "")
    until(lambda: two.arrived() == {"inner": [[BOSS, "boss@x.corp.example"]], "outer": [[BOB]]})
    until(lambda: two.items() == [])


def test_nothing_is_sent_where_the_password_of_one_part_is_nowhere_to_be_found(two: Two) -> None:
    two.configure(outer="user ann\nauth_without_tls on\npasswordeval false")
    code, _, err = two.run(BOSS, BOB)
    assert (code, err.count("\n")) == (75, 1) and "passwordeval" in err
    assert two.arrived() == {"inner": [], "outer": []}


def test_a_password_command_is_run_once_for_two_parts_of_one_account(two: Two, tmp_path: pathlib.Path) -> None:
    (tmp_path / "aliases").write_text(f"list: {BOB}\nowner-list: boss@example.net\n")
    two.outer.mechanisms = "PLAIN"
    two.configure(
        outer=f"user ann\nauth_without_tls on\naliases {tmp_path}/aliases\npasswordeval echo x >>{tmp_path}/ran; echo pw"
    )
    assert two.run("list", "ann@example.com") == (0, "", "")
    assert (tmp_path / "ran").read_text() == "x\n" and len(two.outer.deliveries) == 2


def test_smtp_on_standard_input_tells_of_both_parts(two: Two) -> None:
    def session(text: bytes = TEXT) -> str:
        said = f"EHLO me\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<{BOSS}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode()
        return two.run("-bs", text=said + text.replace(b"\n", b"\r\n") + b".\r\nQUIT\r\n")[1]

    inner, outer = (f"127.0.0.1[127.0.0.1]:{server.port}" for server in (two.inner, two.outer))
    assert f" was accepted by {inner} and {outer}" in session()
    two.outer.answers["RCPT"] = "550 5.1.1 no such user"
    said = session()
    assert f"550-5.1.1 {BOB}: refused: {outer}" in said and f"550 5.1.1 the message was accepted for {BOSS}" in said


def test_verify_and_explain_tell_the_account_of_each(two: Two) -> None:
    code, out, _ = two.run("-bv", BOSS, BOB)
    assert code == 0 and out.splitlines() == [
        f"{BOSS}... to {BOSS} by 127.0.0.1 port {two.inner.port} (account inner, for its recipient_domains)",
        f"{BOB}... to {BOB} by 127.0.0.1 port {two.outer.port} (the default account)",
    ]
    done = subprocess.run(
        [two.admin, "explain", "--json", "--", "-C", str(two.conf), "-t"],
        input=TEXT, capture_output=True, env=two.environ, timeout=LIMIT, check=True,
    )  # fmt: skip
    facts = json.loads(done.stdout)
    assert (facts["account"], facts["reason"]) == ("inner", "account inner, for its recipient_domains, part 1 of 2")
    assert [one["address"] for one in facts["recipients"]] == [BOSS, "boss@x.corp.example"]
    (other,) = facts["others"]
    assert (other["account"], other["reason"]) == ("default", "the default account, part 2 of 2")
    assert other["recipients"] == [{"address": BOB, "from": "To"}]
    done = subprocess.run(
        [two.admin, "explain", "--", "-C", str(two.conf), "-t"],
        input=TEXT, capture_output=True, env=two.environ, timeout=LIMIT, check=True,
    )  # fmt: skip
    assert re.findall(rb"^account: +(.*)", done.stdout, re.M) == [facts["reason"].encode(), other["reason"].encode()]


# Owners of lists

LISTS = b"""
staff: ann@example.net, bob@example.net, inner, dave@example.net
inner: carl@example.net
owner-staff: boss@example.com
open: eve@example.net, carl@example.net
plain: \\root
owner-plain: |program
many: frank@example.net
owner-many: a@example.com, b@example.com
team: inner-team, gus@example.net
inner-team: hal@example.net
owner-team: team-owner
owner-inner-team: Inner@example.com
team-owner: person@example.com
round: ida@example.net
owner-round: owner-round
"""
PLAIN = "host smtp.example\nmaildomain example.org\n"


def parts(*arguments: str, config: str = PLAIN, envelope: Envelope | None = None) -> list[Composed]:
    options = parse([argument.encode() for argument in arguments], b"sendmail")
    known = aliases.parse(LISTS, "aliases")
    return compose_all(
        options, user(), reader.parse(config.encode(), "conf"), message(b"Subject: x\n\nhi\n"),
        now=NOW, qid=QID, envelope=envelope, received=True, aliases=lambda account: known,
    )  # fmt: skip


def ways(*arguments: str, **more: object) -> list[tuple[bytes, list[bytes]]]:
    """Return the reverse-path and the recipients of each part."""
    return [(one.parcel.reverse_path, one.parcel.recipients) for one in parts(*arguments, **more)]  # type: ignore[arg-type]


CAROL = b"carol@example.org"


def test_the_owner_of_a_list_is_the_sender_of_what_goes_through_it() -> None:
    through = [b"ann@example.net", b"bob@example.net", b"carl@example.net", b"dave@example.net"]
    assert ways("staff") == [(b"boss@example.com", through)]
    assert ways("x@example.com", "STAFF") == [(CAROL, [b"x@example.com"]), (b"boss@example.com", through)]


def test_a_list_without_an_owner_keeps_the_sender() -> None:
    assert ways("open") == [(CAROL, [b"eve@example.net", b"carl@example.net"])]


def test_who_is_named_first_counts_and_gets_one_copy() -> None:
    assert ways("open", "staff") == [
        (CAROL, [b"eve@example.net", b"carl@example.net"]),
        (b"boss@example.com", [b"ann@example.net", b"bob@example.net", b"dave@example.net"]),
    ]
    assert ways("staff", "carl@example.net")[0][1][2] == b"carl@example.net"


def test_a_list_within_a_list_has_its_own_owner() -> None:
    assert ways("team") == [(b"Inner@example.com", [b"hal@example.net"]), (b"person@example.com", [b"gus@example.net"])]


def test_an_owner_who_is_not_one_address_is_named_himself() -> None:
    assert ways("many") == [(b"owner-many@example.org", [b"frank@example.net"])]
    assert ways("plain") == [(b"owner-plain@example.org", [b"root@example.org"])]


def test_a_local_owner_makes_way_for_local_sender() -> None:
    config = "host smtp.example\nmaildomain box.internal\nlocal_sender me@example.org\n"
    assert ways("many", config=config) == [(b"me@example.org", [b"frank@example.net"])]


def test_an_owner_who_leads_back_to_himself_is_an_error_that_names_the_way() -> None:
    with pytest.raises(ConfigError, match="leads back to itself: owner-round -> owner-round"):
        parts("round")


def test_the_null_sender_stays_and_so_does_one_that_may_not_be_overridden() -> None:
    assert ways("-f<>", "staff")[0][0] == b""
    assert ways("-f<>", "staff", config=PLAIN + "null_sender null@example.org\n")[0][0] == b"null@example.org"
    assert ways("staff", config=PLAIN + "from me@example.org\nallow_from_override off\n")[0][0] == b"me@example.org"


def test_the_header_stays_but_for_the_id_in_received_and_all_parts_have_one_message_id() -> None:
    first, second = parts("x@example.com", "staff")
    assert first.qid == QID and second.qid != QID
    assert f"id {QID};".encode() in header(first).split(b"\r\nSubject")[0].replace(b"\r\n", b"")
    assert second.qid.encode() in header(second)

    def rest(part: Composed) -> list[bytes]:
        fields = part.parcel.fields
        assert isinstance(fields, list)
        return sorted([field.raw for field in fields if field.name != b"received"])

    assert rest(first) == rest(second)
    assert header(second).count(b"Message-ID:") == 1 and b"From: Carol Jones <carol@example.org>\r\n" in header(second)


def test_what_the_sender_asked_for_ends_at_a_list_with_an_owner() -> None:
    given = Envelope(
        CAROL, [(b"x@example.com", b"NEVER", b"rfc822;x@example.com"), (b"staff", b"SUCCESS", b"rfc822;staff")], b"FULL", b"id"
    )
    first, second = parts(envelope=given)
    assert first.parcel.each == {b"x@example.com": (b"NEVER", b"rfc822;x@example.com")}
    assert (first.parcel.ret, first.parcel.envid) == (b"FULL", b"id")
    asked = second.parcel.each, second.parcel.notify, second.parcel.ret, second.parcel.envid
    assert asked == (None, None, None, None)
    first, second = parts("-NNEVER", "-Vid", "-Rfull", "x@example.com", "staff")
    assert (first.parcel.notify, first.parcel.envid) == (b"NEVER", b"id")
    assert (second.parcel.notify, second.parcel.ret, second.parcel.envid) == (None, None, None)


def test_owner_and_account_part_a_message_together() -> None:
    config = f"defaults\n{PLAIN}account a\nrecipient_domains example.net\naccount default\n"
    found = parts("team", "ann@example.net", "x@y.example", config=config)
    assert [(one.account.name, one.parcel.reverse_path, one.parcel.recipients) for one in found] == [
        ("a", b"Inner@example.com", [b"hal@example.net"]),
        ("a", b"person@example.com", [b"gus@example.net"]),
        ("a", CAROL, [b"ann@example.net"]),
        ("default", CAROL, [b"x@y.example"]),
    ]


# Trouble


def test_a_signal_during_the_second_part_tells_who_has_the_message(two: Two) -> None:
    gate = two.outer.gates["RCPT"] = threading.Event()
    command = [two.command, "-C", str(two.conf), BOSS, BOB]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=two.environ) as process:
        assert process.stdin is not None
        process.stdin.write(TEXT)
        process.stdin.close()
        process.stdin = None
        until(lambda: any(line.startswith("RCPT") for line in two.outer.commands))
        process.terminate()
        _, err = process.communicate(timeout=LIMIT)
        gate.set()
    assert process.returncode == 75 and len(two.inner.deliveries) == 1
    assert err.decode().splitlines()[-1] == f"sendmail: the message was accepted for {BOSS}"


def test_a_queue_that_cannot_be_used_takes_neither_part(two: Two, tmp_path: pathlib.Path) -> None:
    (tmp_path / "q").write_text("no folder")
    two.configure(f"queue {two.queue}\n")
    code, _, err = two.run("-odq", BOSS, BOB)
    assert code in (75, 78) and err.count("\n") == 1
    assert two.arrived() == {"inner": [], "outer": []}


def test_a_recipient_that_is_none_is_told_beside_both_parts_where_it_is_skipped(two: Two) -> None:
    two.configure("bad_recipients skip")
    code, _, err = two.run(BOSS, "no address@", BOB)
    assert code == 65 and "no mail address" in err and f"the message was accepted for {BOSS}, {BOB}" in err
    assert two.arrived() == {"inner": [[BOSS]], "outer": [[BOB]]}


def test_thousands_of_recipients_in_two_parts_each_arrive_once(two: Two) -> None:
    two.configure("max_recipients 700")
    everybody = [f"u{number}@{('corp.example', 'x.corp.example', 'example.net')[number % 3]}" for number in range(3000)]
    assert two.run(*everybody, everybody[5], everybody[6].upper().replace("U", "u")) == (0, "", "")
    found = two.arrived()
    assert sorted(one for copy in found["inner"] for one in copy) == sorted(one for one in everybody if "corp" in one)
    assert sorted(one for copy in found["outer"] for one in copy) == sorted(one for one in everybody if "corp" not in one)


def test_a_large_message_reaches_both_servers_whole(two: Two) -> None:
    text = TEXT + b"".join([b"line %d of a large text\n" % number for number in range(200_000)])
    assert two.run(BOSS, BOB, text=text) == (0, "", "")
    first, second = two.inner.deliveries[0], two.outer.deliveries[0]
    assert first.data == second.data and first.body.endswith(b"line 199999 of a large text\r\n")


def test_a_domain_in_other_letters_finds_its_account(two: Two) -> None:
    two.configure(inner="recipient_domains bücher.example")
    assert two.run("a@BÜCHER.example", "b@xn--bcher-kva.example", BOB) == (0, "", "")
    assert two.arrived() == {"inner": [["a@xn--bcher-kva.example", "b@xn--bcher-kva.example"]], "outer": [[BOB]]}


def test_without_a_default_account_the_mend_is_told(two: Two) -> None:
    two.conf.write_text(two.conf.read_text().replace("account default", "account other"))
    code, _, err = two.run(BOSS)
    assert code == 78 and 'it has no default account; write "account default : NAME"' in err
    assert two.arrived() == {"inner": [], "outer": []}
