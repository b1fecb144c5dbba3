"""Composing asks nobody who calls: the caller, the time and the id are given, and so is the envelope of a session."""

import os
import pathlib
import pwd

import pytest

from pysendmail import entry, errors
from pysendmail.command.envelope import Envelope
from pysendmail.command.identity import NO_UID, Caller
from pysendmail.command.queueing import Submitted
from pysendmail.config import accounts
from tests.command.submissions import NOW, PLAIN, QID, composed, header, user
from tests.imports import ROOT


def envelope(sender: bytes, *recipients: bytes) -> Envelope:
    return Envelope(sender, [(recipient, None, None) for recipient in recipients])


def test_the_caller_is_who_he_is_said_to_be() -> None:
    config = "host smtp.example\nmaildomain example.org\n"
    found = composed(b"To: bob@example.net\n\nhi\n", "-t", config=config)
    assert found.sender == b"carol@example.org"
    assert b"From: Carol Jones <carol@example.org>\r\n" in header(found)


def test_a_percent_u_in_from_is_the_login_of_the_caller_whoever_runs_the_process() -> None:
    config = "host smtp.example\nfrom %U@example.org\n"
    entry = next(one for one in pwd.getpwall() if one.pw_uid not in (os.getuid(), 0))
    found = composed(b"\nhi\n", "bob@example.net", config=config, caller=Caller.of(entry.pw_uid))
    assert found.sender == entry.pw_name.encode() + b"@example.org"


def test_a_percent_u_chooses_the_account_of_the_caller() -> None:
    entry = next(one for one in pwd.getpwall() if one.pw_uid not in (os.getuid(), 0))
    config = "account a\nhost a.example\nfrom %U@example.org\naccount b\nhost b.example\naccount default : b\n"
    sender = f"-f{entry.pw_name}@example.org"
    found = composed(b"\nhi\n", sender, "bob@example.net", config=config, caller=Caller.of(entry.pw_uid))
    assert found.account.name == "a"


def test_a_percent_u_for_a_uid_without_a_name_is_an_error_of_the_configuration() -> None:
    with pytest.raises(errors.ConfigError, match="%U needs a name for uid 3999999999"):
        composed(b"\nhi\n", "b@example.net", config="host h\nfrom %U@example.org\n", caller=Caller.of(3_999_999_999))


def test_a_percent_u_for_a_peer_without_a_uid_is_nobody() -> None:
    given = envelope(b"", b"b@example.net")
    found = composed(b"\nhi\n", config="host h\nfrom %U@example.org\n", caller=Caller.of_nobody(), envelope=given)
    assert b"From: nobody@example.org\r\n" in header(found)


def test_a_caller_of_another_uid_has_nothing_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    root = Caller.of(0)
    assert (root.uid, root.login, root.home) == (0, pwd.getpwuid(0).pw_name.encode(), pwd.getpwuid(0).pw_dir)
    assert Caller().home == "/somewhere"
    unknown = Caller.of(3_999_999_999)
    assert (unknown.login, unknown.gecos, unknown.home) == (b"3999999999", b"", "")
    assert (Caller.of_nobody().uid, Caller.of_nobody().home) == (NO_UID, "")
    assert Caller.of(NO_UID).login == b"nobody"


def test_the_envelope_of_a_session_alone_gives_sender_and_recipients() -> None:
    text = b"From: x@example.org\nTo: header@example.net\nBcc: secret@example.net\n\nhi\n"
    given = envelope(b"envelope@example.org", b"one@example.net", b"two@example.net")
    found = composed(text, "-t", "-fargument@example.org", "argument@example.net", envelope=given)
    assert found.parcel.reverse_path == b"envelope@example.org"
    assert found.parcel.recipients == [b"one@example.net", b"two@example.net"]
    assert b"bcc" not in header(found).lower() and found.parcel.each is None


def test_the_null_sender_of_a_session_stays_null() -> None:
    found = composed(b"Subject: x\n\nhi\n", envelope=envelope(b"", b"one@example.net"))
    assert (found.sender, found.parcel.reverse_path) == (b"", b"")
    assert b"From: Carol Jones <alice@example.org>\r\n" in header(found)


def test_a_sender_that_may_not_be_chosen_is_not_chosen_by_a_session_either() -> None:
    config = PLAIN + "allow_from_override off\n"
    found = composed(b"\nhi\n", config=config, envelope=envelope(b"mallory@example.net", b"one@example.net"))
    assert found.parcel.reverse_path == b"alice@example.org"


def test_the_sender_of_a_session_chooses_the_account() -> None:
    config = "account a\nhost a.example\nfrom a@example.org\naccount b\nhost b.example\naccount default : b\n"
    assert composed(b"\nhi\n", config=config, envelope=envelope(b"a@example.org", b"x@y")).account.name == "a"


@pytest.mark.parametrize("text", [b"a@x.example, b@x.example", b"a@x.example b@x.example", b"", b"g: a@x.example, b@x;"])
def test_a_recipient_of_a_session_is_one_address_and_no_list(text: bytes) -> None:
    with pytest.raises(errors.DataError) as caught:
        composed(b"\nhi\n", envelope=envelope(b"a@example.org", text))
    assert caught.value.status == "5.1.3"


def test_a_session_without_recipients_sends_nothing() -> None:
    with pytest.raises(errors.UsageError):
        composed(b"To: a@example.net\n\nhi\n", "-t", envelope=envelope(b"a@example.org"))


def test_recipients_of_a_session_are_qualified_and_have_aliases(tmp_path: pathlib.Path) -> None:
    (tmp_path / "aliases").write_text("team: ann@example.net, Bob@example.net\n")
    config = f"{PLAIN}aliases {tmp_path}/aliases\n"
    given = Envelope(
        b"a@example.org",
        [
            (b"team", b"NEVER", b"rfc822;team@example.org"),
            (b"ann@EXAMPLE.net", b"SUCCESS", None),
            (b"root", None, None),
        ],
    )
    found = composed(b"\nhi\n", config=config, envelope=given)
    assert found.parcel.recipients == [b"ann@example.net", b"Bob@example.net", b"root@example.org"]
    assert found.parcel.each == {
        b"ann@example.net": (b"NEVER", b"rfc822;team@example.org"),
        b"Bob@example.net": (b"NEVER", b"rfc822;team@example.org"),
        b"root@example.org": (None, None),
    }
    entry = Submitted(found.parcel, qid=QID, uid=12, account="default", config="", now=NOW, tag="t").entry()
    assert [(one.address, one.notify, one.orcpt) for one in entry.recipients] == [
        (b"ann@example.net", b"NEVER", b"rfc822;team@example.org"),
        (b"Bob@example.net", b"NEVER", b"rfc822;team@example.org"),
        (b"root@example.org", None, None),
    ]
    assert (entry.uid, entry.tag, entry.account) == (12, "t", "default")


def test_a_bad_recipient_of_a_session_is_skipped_where_the_account_says_so() -> None:
    config = PLAIN + "bad_recipients skip\n"
    found = composed(b"\nhi\n", config=config, envelope=envelope(b"a@example.org", b"a@b@c", b"ok@example.net"))
    assert found.parcel.recipients == [b"ok@example.net"]
    assert [text for text, _ in found.bad] == [b"a@b@c"]


def test_who_accepts_a_message_puts_a_received_field_on_top() -> None:
    found = composed(b"Received: older\nTo: b@example.net\n\nhi\n", "-t", received=True)
    first, second = header(found).split(b"\r\nReceived:", 1)
    assert first.startswith(b"Received: by " + os.uname().nodename.encode() + b" (pysendmail) id 3ZTESTQID;")
    assert second.startswith(b" older\r\n")
    assert b" for " not in first and b"carol" not in first and b"4711" not in first


def test_nobody_else_adds_a_received_field() -> None:
    assert b"eceived:" not in header(composed(b"To: b@example.net\n\nhi\n", "-t"))


@pytest.mark.parametrize(
    ("words", "host"),
    [
        ("privacy on\n", "localhost"),
        ("privacy on\ndomain mail.example.org\n", "mail.example.org"),
        ("privacy on\ndomain %H\n", "localhost"),
        ("domain [192.0.2.1]\n", "[192.0.2.1]"),
    ],
)
def test_privacy_keeps_the_name_of_the_machine_out_of_received(words: str, host: str) -> None:
    found = composed(b"To: b@example.net\n\nhi\n", "-t", config=PLAIN + words, received=True)
    assert header(found).startswith(f"Received: by {host} (pysendmail) id".encode())


def test_the_field_of_whoever_accepts_does_not_make_a_loop() -> None:
    hundred = b"Received: x\n" * 100
    assert header(composed(hundred + b"To: b@example.net\n\n", "-t", received=True)).count(b"Received:") == 101
    with pytest.raises(errors.DataError, match="mail loop"):
        composed(hundred + b"Received: x\nTo: b@example.net\n\n", envelope=envelope(b"a@example.org", b"b@example.net"))


def test_an_empty_message_is_refused_for_a_session_too() -> None:
    with pytest.raises(errors.DataError, match="empty"):
        composed(b"", envelope=envelope(b"a@example.org", b"b@example.net"))


def test_the_user_named_with_the_message_is_the_one_in_the_queue() -> None:
    found = composed(b"To: b@example.net\n\nhi\n", "-t", caller=user(99, b"dave"))
    assert Submitted(found.parcel, qid=QID, uid=99, account="", config="", now=NOW).entry().uid == 99


@pytest.mark.parametrize("away", [True, False])
def test_the_aliases_of_the_systems_daemon_hold_while_it_is_away(
    away: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aliases").write_text("root: ann@example.net\n")
    monkeypatch.setattr(accounts, "SYSTEM_FILE", "conf")
    monkeypatch.setattr(accounts, "SYSTEM_ALIASES", str(tmp_path / "aliases"))
    monkeypatch.setattr(entry, "SYSTEM_SOCKET", os.fsencode(tmp_path / ("" if away else "missing") / "submit.sock"))
    found = composed(b"\nhi\n", "root").parcel.recipients
    assert found == [b"ann@example.net" if away else b"root@example.org"]


@pytest.mark.parametrize("name", ["compose", "envelope", "received"])
def test_composing_never_asks_the_process_who_calls(name: str) -> None:
    source = (ROOT / "pysendmail" / "command" / f"{name}.py").read_text()
    for asked in ("getuid", "geteuid", "environ", "getpid", "getenv", "Caller()", "time()", "os.read", "os.open"):
        assert asked not in source


def test_what_a_session_asks_of_reports_comes_before_what_the_options_ask() -> None:
    given = Envelope(b"a@example.org", [(b"r@example.net", None, None)], b"HDRS", b"from the session")
    parcel = composed(b"\nhi\n", "-Rfull", "-Vfrom-the-option", envelope=given).parcel
    assert (parcel.ret, parcel.envid) == (b"HDRS", b"from the session")
    parcel = composed(b"\nhi\n", "-Rfull", "-Vfrom-the-option", envelope=envelope(b"a@example.org", b"r@x")).parcel
    assert (parcel.ret, parcel.envid) == (b"FULL", b"from-the-option")
