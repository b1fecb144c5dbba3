"""Which section is a caller's, and what it says of his messages."""

import os
import pwd

import pytest

from pysendmail import errors
from pysendmail.command.envelope import Envelope
from pysendmail.command.identity import Caller
from pysendmail.daemon.directory import Directory
from pysendmail.daemon.rates import Rates
from pysendmail.options import parse
from tests.command.submissions import NOW, QID, message, user
from tests.daemon.callers import ACCOUNT, ALICE, BOB, CAROL, DAEMON, PEER, ROOT, Door

TEXT = b"From: alice@example.org\nTo: x@example.net\n\nhi\n"
MINE = ("-t", "-falice@example.org")


def refused(door: Door, kind: type[errors.Failure], *arguments: str, text: bytes = TEXT, caller: Caller = ALICE) -> str:
    with pytest.raises(kind) as caught:
        door.take(text, *(arguments or MINE), caller=caller)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_without_sections_everybody_may_do_everything() -> None:
    door = Door("")
    for caller in (ALICE, ROOT, DAEMON, PEER):
        assert door.policy.rule_of(caller) is None
        assert door.take(TEXT, "-t", "-fboss@corp.example", caller=caller).sender == b"boss@corp.example"


EVERY_KIND = """\
caller *
size 1M
caller @web
size 2M
caller @staff
size 3M
caller bob
size 4M
caller 1004
size 5M
caller listener
size 6M
"""


@pytest.mark.parametrize(
    ("caller", "megabytes"),
    [
        (BOB, 4),
        (user(1004, b"dave"), 5),
        (user(1002, b"bob2"), 4),  # the uid of bob
        (user(2002, b"bob"), 4),  # the name of bob
        (ALICE, 3),
        (CAROL, 1),
        (user(1005, b"1005"), 1),
        (PEER, 6),
        (ROOT, None),
        (DAEMON, None),
    ],
)
def test_the_section_of_the_user_counts_before_those_of_groups_and_that_before_everybodys(
    caller: Caller, megabytes: int | None
) -> None:
    rule = Door(EVERY_KIND).policy.rule_of(caller)
    assert (rule.size if rule else None) == (megabytes << 20 if megabytes else None)


def test_of_several_groups_the_first_in_the_file_counts() -> None:
    for first, second in (("web", "staff"), ("staff", "web")):
        rule = Door(f"caller @{first}\ncaller @{second}\n").policy.rule_of(BOB)
        assert rule is not None and rule.name == first.encode()


def test_of_a_login_and_a_uid_the_first_in_the_file_counts() -> None:
    for first, second in (("alice", "1001"), ("1001", "alice"), ("twin", "alice"), ("alice", "twin")):
        rule = Door(f"caller {first}\ncaller {second}\n").policy.rule_of(ALICE)
        assert rule is not None and rule.shown == first


def test_a_group_may_be_given_by_its_gid_and_have_a_blank_in_its_name() -> None:
    rule = Door("caller @50\n").policy.rule_of(ALICE)
    assert rule is not None and rule.number == 50
    door = Door("caller @domain users\n")
    door.machine.members = {1001: {600}}
    assert door.policy.rule_of(ALICE) is not None and door.policy.rule_of(BOB) is None


def test_whoever_is_in_no_section_may_do_all_but_not_a_peer_of_the_listener() -> None:
    door = Door("caller bob\nsenders bob@example.org\n")
    assert door.take(TEXT, "-t", "-fboss@corp.example").sender == b"boss@corp.example"
    assert "no caller section is for listener" in refused(door, errors.NoPermission, caller=PEER)


def test_everybody_does_not_mean_the_listener() -> None:
    assert "listener" in refused(Door("caller *\nsenders any\n"), errors.NoPermission, caller=PEER)
    assert Door("caller *\ndeny on\ncaller listener\n").take(TEXT, "-t", caller=PEER)


def test_a_user_called_listener_is_not_the_listener() -> None:
    door = Door("caller listener\nsenders any\ncaller *\ndeny on\n")
    assert "may not send" in refused(door, errors.NoPermission, caller=user(1009, b"listener"))


@pytest.mark.parametrize("caller", [ROOT, DAEMON])
def test_root_and_the_daemons_user_are_bound_only_where_they_are_named(caller: Caller) -> None:
    assert Door("caller *\ndeny on\ncaller @staff\ndeny on\n").policy.rule_of(caller) is None
    for name in (caller.login.decode(), str(caller.uid)):
        assert "may not send" in refused(Door(f"caller {name}\ndeny on\n"), errors.NoPermission, caller=caller)


def test_another_name_of_root_is_root() -> None:
    assert "may not send" in refused(Door("caller toor\ndeny on\n"), errors.NoPermission, caller=ROOT)


def test_who_is_denied_hears_by_which_section() -> None:
    said = refused(Door("caller bob\ncaller alice\ndeny on\n"), errors.NoPermission)
    assert said == "user alice may not send (caller alice at conf:2)"


def test_groups_are_not_asked_for_where_no_section_is_of_one() -> None:
    door = Door("caller alice\ncaller *\n")
    door.policy.rule_of(ALICE)
    assert door.machine.asked == []


def test_names_that_this_machine_does_not_have_are_told() -> None:
    door = Door("caller alice\ncaller alcie\ncaller @staff\ncaller @stuff\ncaller 77\ncaller @78\ncaller *\n")
    assert door.policy.notes() == [
        "conf:2: caller: there is no such user here, and the section is for nobody",
        "conf:4: caller: there is no such group here, and the section is for nobody",
    ]


def test_a_refusal_is_permanent_and_has_the_status_of_a_matter_of_permission() -> None:
    with pytest.raises(errors.NoPermission) as caught:
        Door("caller alice\ndeny on\n").take(TEXT, *MINE)
    assert (caught.value.exit_code, caught.value.status, caught.value.temporary) == (77, "5.7.1", False)


def test_a_message_that_is_too_large_is_refused_for_good() -> None:
    door = Door("caller alice\nsize 1K\n")
    assert door.take(TEXT + b"x" * 900, *MINE)
    with pytest.raises(errors.DataError) as caught:
        door.take(TEXT + b"x" * 1024, *MINE)
    assert (caught.value.exit_code, caught.value.status) == (65, "5.3.4")
    assert str(caught.value) == "the message is larger than 1024 octets, which is all that caller alice at conf:1 allows"


def test_a_header_counts_for_the_size_too() -> None:
    refused(Door("caller alice\nsize 1K\n"), errors.DataError, text=b"X: " + b"x" * 1024 + b"\n" + TEXT)


def test_the_messages_in_the_queue_are_limited() -> None:
    door = Door("caller alice\nmessages 10\n")
    door.waiting = 9
    assert door.take(TEXT, *MINE)
    door.waiting = 10
    with pytest.raises(errors.TempFail) as caught:
        door.take(TEXT, *MINE)
    assert caught.value.exit_code == 75
    assert "user alice has 10 messages in the queue, which is all that caller alice at conf:1 allows" in str(caught.value)
    assert door.take(TEXT, *MINE, caller=BOB)


def test_the_rate_lets_so_many_through_and_then_one_at_a_time() -> None:
    door = Door("caller *\nrate 3/m\n")
    for _ in range(3):
        door.take(TEXT, *MINE)
    assert refused(door, errors.TempFail) == "caller * at conf:1 allows user alice 3 messages in 60 s; try in 21 s"
    assert door.take(TEXT, *MINE, caller=BOB), "each user has a rate of his own"
    door.clock += 20.5
    assert door.take(TEXT, *MINE)
    refused(door, errors.TempFail)
    door.clock += 3600
    for _ in range(3):
        door.take(TEXT, *MINE)
    refused(door, errors.TempFail)


def test_what_is_refused_does_not_count_for_the_rate() -> None:
    door = Door("caller alice\nrate 1/h\nsenders alice@example.org\nsize 10K\n")
    refused(door, errors.NoPermission, "-t", "-fboss@corp.example")
    refused(door, errors.UsageError, "-t", "-falice@example.org", text=b"Subject: nobody\n\n")
    refused(door, errors.DataError, text=TEXT + b"x" * 10240)
    assert door.take(TEXT, *MINE)
    refused(door, errors.TempFail)


def test_peers_of_the_listener_share_one_rate() -> None:
    door = Door("caller listener\nrate 1/h\n")
    door.take(TEXT, "-t", caller=PEER)
    refused(door, errors.TempFail, caller=PEER)


def test_rates_of_many_callers_do_not_grow_without_end() -> None:
    rates = Rates()
    for uid in range(10_000):
        rates.use(uid, (1, 1.0), float(uid))
    assert len(rates._free) <= 1025
    assert rates.wait(9_999, (1, 1.0), 9_999.5) == 0.5
    assert rates.wait(1, (1, 1.0), 9_999.5) == 0.0


def test_a_section_forces_an_account() -> None:
    config = ACCOUNT % "account" + "account work : default\nhost work.example\n"
    door = Door("caller alice\nuse_account work\n", config)
    found = door.take(TEXT, *MINE)
    assert (found.account.name, found.account.host) == ("work", "work.example")
    assert found.reason == "account work, the only one for this caller"
    assert door.take(TEXT, *MINE, "-a", "work").account.name == "work"
    assert "may not choose the account" in refused(door, errors.NoPermission, *MINE, "-a", "default")
    assert door.take(TEXT, *MINE, caller=BOB).account.name == "default"
    session = Envelope(b"alice@example.org", [(b"x@example.net", None, None)])
    assert door.take(TEXT, envelope=session).account.name == "work"


@pytest.mark.parametrize(("word", "shown"), [("received_user on\n", True), ("", False)])
def test_received_says_the_uid_only_if_that_is_wanted(word: str, shown: bool) -> None:
    door = Door(word + "caller alice\n")
    for caller, said in ((ALICE, b"(pysendmail, from userid 1001) id"), (user(0, b"root"), b", from userid 0)")):
        options = parse([b"-t"], b"sendmail")
        (found,) = door.policy.compose(options, caller, door.file, message(TEXT), now=NOW, clock=0.0, qid=QID)
        assert isinstance(found.parcel.fields, list)
        assert (said in found.parcel.fields[0].raw) is shown
        assert b"alice" not in found.parcel.fields[0].raw


def test_received_says_nothing_of_a_peer_of_the_listener() -> None:
    door = Door("received_user on\n")
    (found,) = door.policy.compose(parse([b"-t"]), PEER, door.file, message(TEXT), now=NOW, clock=0.0, qid=QID)
    assert isinstance(found.parcel.fields, list)
    assert b"(pysendmail) id" in found.parcel.fields[0].raw


def test_the_directory_knows_the_users_and_groups_of_this_machine() -> None:
    directory = Directory()
    me = pwd.getpwuid(os.getuid())
    assert directory.uid_of(me.pw_name.encode()) == me.pw_uid
    assert me.pw_gid in directory.gids_of(me.pw_uid)
    assert set(directory.gids_of(me.pw_uid)) == set(os.getgrouplist(me.pw_name, me.pw_gid))
    assert directory.uid_of(b"no such user") is None and directory.gid_of(b"no such group") is None
    assert directory.gid_of(b"root") == 0
    assert directory.gids_of(3_999_999_999) == ()
