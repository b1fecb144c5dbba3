"""Who gets a report on a message: its sender, through the aliases and by the account that any other recipient has."""

import os
import pathlib
import pwd

import pytest

from pysendmail.command import identity, queueing
from pysendmail.config import accounts, aliases, reader
from pysendmail.queue.settings import Settings
from tests.command.caller import Caller, until
from tests.contents import Contents
from tests.obedient import Obedient

ALIASES = """
root: admin@example.net
alice: alice@example.com
staff: a@example.net, b@example.net
ring: ring
nobody-there: /dev/null
default: other@example.net
"""
NAME = os.uname().nodename
USER = next(one.pw_name for one in pwd.getpwall() if 0 < one.pw_uid < 1000)
PLAIN = "host h\nmaildomain example.org\n"


def settings(config: str = PLAIN, known: str = ALIASES, account: str | None = None) -> Settings:
    file = reader.parse(config.encode(), "conf")
    chosen, _ = accounts.choose(file, account=account.encode() if account else None)
    found = aliases.parse(known.encode(), "aliases") if known else None
    return queueing.settings_of(chosen, identity.mail_domain(chosen), file, lambda one: found)


def readers(to: str, **more: str) -> tuple[list[str], str]:
    find = settings(**more).readers
    assert find is not None
    found, account = find(to.encode())
    return [one.decode() for one in found], account


@pytest.mark.parametrize(
    ("sender", "addresses"),
    [
        ("root@example.org", ["admin@example.net"]),
        ("ROOT@Example.Org", ["admin@example.net"]),
        ("root@localhost", ["admin@example.net"]),
        (f"root@{NAME}", ["admin@example.net"]),
        ("root@box.internal", ["admin@example.net"]),
        ("alice@example.org", ["alice@example.com"]),
        ("staff@example.org", ["a@example.net", "b@example.net"]),
        (f"{USER}@example.org", ["other@example.net"]),
        ("stranger@box.internal", ["other@example.net"]),
        # In the domain of people's mailboxes the catch-all is for no person,
        ("stranger@example.org", ["stranger@example.org"]),
        # and what is elsewhere is what it is.
        ("root@example.net", ["root@example.net"]),
        ("root@x.example.org", ["root@x.example.org"]),
        # An alias that is wrong or leads to nobody keeps nobody from being told.
        ("ring@example.org", ["ring@example.org"]),
        ("nobody-there@example.org", ["nobody-there@example.org"]),
        ('"a b"@example.org', ['"a b"@example.org']),
        ("no address@", ["no address@"]),
    ],
)
def test_a_sender_of_this_machine_is_looked_up_as_the_name_that_he_was(sender: str, addresses: list[str]) -> None:
    assert readers(sender) == (addresses, "default")


def test_without_an_alias_file_the_sender_is_told_himself() -> None:
    assert readers("root@example.org", known="") == (["root@example.org"], "default")


def test_the_words_for_local_mail_hold_for_reports_too() -> None:
    config = PLAIN + "system_mail sys@example.net\nlocal_mail local@example.net\n"
    assert readers("root@example.org", known="", config=config) == (["sys@example.net"], "default")
    assert readers("alice@box.internal", known="", config=config) == (["local@example.net"], "default")
    assert readers("alice@example.org", known="", config=config) == (["alice@example.org"], "default")


def test_a_report_leaves_by_the_account_for_who_gets_it() -> None:
    config = f"defaults\n{PLAIN}account in\nrecipient_domains corp.example\naccount own\nfrom x@y.example\naccount default\n"
    known = "root: boss@corp.example\nmixed: boss@corp.example, x@example.net\n"
    for account in ("in", "default"):
        more = {"config": config, "known": known, "account": account}
        assert readers("root@example.org", **more) == (["boss@corp.example"], "in")
        assert readers("mixed@example.org", **more) == (["boss@corp.example", "x@example.net"], "default")
        assert readers("x@example.net", **more) == (["x@example.net"], "default")
    assert readers("root@example.org", config=config, known=known, account="own") == (["boss@corp.example"], "own")


class Queueing(Contents):
    """A caller whose aliases lead root to admin@example.net, and whose smarthost refuses nobody@example.com."""

    def __init__(self, caller: Caller, folder: pathlib.Path) -> None:
        (folder / "aliases").write_text(ALIASES)
        caller.words |= {"aliases": str(folder / "aliases"), "queue": str(folder / "q" / "queue.db"), "from": "root@example.org"}
        self.caller = caller
        self.queue = folder / "q" / "queue.db"
        caller.server.answers["RCPT TO:<nobody@"] = "550 5.1.1 no such user"

    @property
    def arrived(self) -> list[tuple[str, list[str]]]:
        return [(one.sender, one.recipients) for one in self.caller.server.deliveries]


@pytest.fixture
def queueing_caller(caller: Caller, tmp_path: pathlib.Path) -> Queueing:
    return Queueing(caller, tmp_path)


def test_roots_bounce_goes_to_roots_alias_with_the_null_sender(queueing_caller: Queueing) -> None:
    caller = queueing_caller.caller
    assert caller.run("-odq", "nobody@example.com").returncode == 0
    assert caller.run("-q", message=b"").returncode == 0
    until(lambda: caller.run("-q", message=b"").returncode == 0 and queueing_caller.arrived != [])
    assert queueing_caller.arrived == [("", ["admin@example.net"])]
    (delivery,) = caller.server.deliveries
    assert delivery.field("To") == ["root@example.org"] and delivery.field("Auto-Submitted") == ["auto-replied"]


def test_a_bounce_for_root_that_is_refused_itself_makes_no_other_one(queueing_caller: Queueing) -> None:
    caller = queueing_caller.caller
    caller.words["postmaster"] = "root@example.org"
    caller.server.answers["RCPT TO:<admin@"] = "550 5.1.1 no such user"
    assert caller.run("-odq", "nobody@example.com").returncode == 0
    for _ in range(4):
        assert caller.run("-q", message=b"").returncode == 0
    assert queueing_caller.arrived == []
    assert sorted(queueing_caller.waiting()) == [("admin@example.net", "failed"), ("nobody@example.com", "failed")]
    assert sum(line.startswith("MAIL FROM:<>") for line in caller.server.commands) == 1


def test_who_cannot_be_told_is_reported_to_the_postmaster_through_the_aliases(queueing_caller: Queueing) -> None:
    caller = queueing_caller.caller
    caller.words["postmaster"] = "staff@example.org"
    caller.server.answers["RCPT TO:<admin@"] = "550 5.1.1 no such user"
    assert caller.run("-odq", "nobody@example.com").returncode == 0
    for _ in range(4):
        assert caller.run("-q", message=b"").returncode == 0
    assert queueing_caller.arrived == [("", ["a@example.net", "b@example.net"])]


def test_what_a_first_attempt_refuses_is_told_to_roots_alias_too(queueing_caller: Queueing, server: Obedient) -> None:
    server.answers["RCPT TO:<late@"] = "451 4.3.0 later"
    assert queueing_caller.caller.run("-odi", "nobody@example.com", "late@example.com").returncode == 0
    assert sorted(queueing_caller.waiting()) == [("admin@example.net", "queued"), ("late@example.com", "deferred")]
