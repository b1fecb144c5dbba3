"""The installed command's arguments: every spelling that callers use, and what must never be understood."""

import os

import pytest

from tests.command.caller import MESSAGE, Caller

TO_BOTH = b"From: ann@example.org\nTo: to@example.net\nCc: cc@example.net\n\ntext\n"
DELIVERIES: dict[str, tuple[str, list[str], str, list[str]]] = {
    "separate": ("-f a@example.org r@example.net", ["r@example.net"], "a@example.org", []),
    "attached": ("-fa@example.org r@example.net", ["r@example.net"], "a@example.org", []),
    "-r for -f": ("-r a@example.org r@example.net", ["r@example.net"], "a@example.org", []),
    "the last -f": ("-f a@example.org -f b@example.org r@example.net", ["r@example.net"], "b@example.org", []),
    "-tif": ("-tif a@example.org", ["to@example.net", "cc@example.net"], "a@example.org", []),
    "-it": ("-it", ["to@example.net", "cc@example.net"], "sender@example.org", []),
    "-toi": ("-toi", ["to@example.net", "cc@example.net"], "sender@example.org", []),
    "options behind recipients": ("r@example.net -f a@example.org", ["r@example.net"], "a@example.org", []),
    "the end of options": ("-i -- r@example.net", ["r@example.net"], "sender@example.org", []),
    "-t and --": ("-t -- r@example.net", ["to@example.net", "cc@example.net", "r@example.net"], "sender@example.org", []),
    "a list in one argument": ("a@example.net,b@example.net", ["a@example.net", "b@example.net"], "sender@example.org", []),
    "msmtp's -t": ("--read-recipients", ["to@example.net", "cc@example.net"], "sender@example.org", []),
    "msmtp's -f": ("--from=a@example.org r@example.net", ["r@example.net"], "a@example.org", []),
    "msmtp's sender of the header": ("--read-envelope-from r@example.net", ["r@example.net"], "ann@example.org", []),
    "-bm": ("-bm r@example.net", ["r@example.net"], "sender@example.org", []),
    "-N": ("-N success,failure r@example.net", ["r@example.net"], "sender@example.org",
           ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;r@example.net"]),
    "-N never": ("-Nnever r@example.net", ["r@example.net"], "sender@example.org",
                 ["NOTIFY=NEVER", "ORCPT=rfc822;r@example.net"]),
}  # fmt: skip


@pytest.mark.parametrize("case", DELIVERIES)
def test_every_spelling_of_an_option_is_understood(caller: Caller, case: str) -> None:
    arguments, recipients, sender, words = DELIVERIES[case]
    delivery = caller.deliver(*arguments.split(), message=TO_BOTH)
    assert (delivery.sender, delivery.recipients) == (sender, recipients)
    assert delivery.recipient_words == [words] * len(recipients)


# What others act upon and we take without acting, next to a recipient that must be the only one.
IGNORED = (
    "-odi -odb -odq -odd -oem -oep -oew -oee -e m -oi -oitrue -om -os -or0s -o7 -oA/etc/aliases -B7BIT -B 8BITMIME -G"
    " -U -n -m -s -c -x -XV -p proto -pESMTP -h 3 -L tag -T t -A x -Ac -Am -M x -D x -d0.1 -d -O ErrorMode=m"
    " -ODeliveryMode=b -OQueueDirectory=/nonexistent -O MaxRunnersPerQueue=1 -R hdrs -V00000123 --read-envelope-from"
)


def test_what_others_act_upon_is_taken_and_makes_no_recipient(caller: Caller) -> None:
    arguments = IGNORED.replace("-XV", "-X transcript").split()
    delivery = caller.deliver(*arguments, "r@example.net", cwd=caller.home)
    assert delivery.recipients == ["r@example.net"]
    assert sorted(delivery.sender_words) == ["ENVID=00000123", "RET=HDRS", f"SIZE={len(delivery.data)}"]


@pytest.mark.parametrize("option", ["-odi", "-odb", "-odq", "-odd", "-ODeliveryMode=deferred"])
def test_without_a_queue_every_delivery_mode_delivers_before_the_end(caller: Caller, option: str) -> None:
    assert caller.deliver(option, "r@example.net").recipients == ["r@example.net"]


REFUSED = {
    "an unknown letter": ("-j r@example.net", "-j"),
    "an unknown letter in a cluster": ("-tiy", "-y"),
    "an unknown long option": ("--transcript=/tmp/x r@example.net", "--transcript"),
    "an option without its argument": ("r@example.net -f", "-f"),
    "a bad body type": ("-B 9BIT r@example.net", "9BIT"),
    "a bad -N": ("-N sometimes r@example.net", "sometimes"),
    "never and more in -N": ("-N never,delay r@example.net", "never"),
    "a bad -R": ("-R half r@example.net", "half"),
    "a bad hop count": ("-h x r@example.net", "-h"),
    "an envelope id that is none": ("-V \u00e9 r@example.net", "-V"),
    "a bad interval of -q": ("-q5parsecs", "-q"),
    "the test mode": ("-bt", "-bt"),
    "the expansion mode": ("-be ${run{/bin/id}}", "-be"),
    "the ARPANET mode": ("-ba", "-ba"),
    "host statistics": ("-bh", "-bh"),
    "host statistics purged": ("-bH", "-bH"),
    "frozen configuration": ("-bz", "-bz"),
    "configuration check": ("-bC", "-bC"),
    "batch SMTP": ("-bS", "-bS"),
    "an unknown mode": ("-bq", "-bq"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_understood_is_named_and_sends_nothing(caller: Caller, case: str) -> None:
    arguments, named = REFUSED[case]
    assert named in caller.refuse(64, *arguments.split(" "))


@pytest.mark.parametrize("octet", [1, 9 + 1, 13, 27, 31, 127])
def test_a_control_character_in_any_argument_sends_nothing(caller: Caller, octet: int) -> None:
    bad = f"x{chr(octet)}y"
    for arguments in ([f"{bad}@example.net"], ["-f", bad], ["-F", bad], ["-X", bad], ["-L" + bad], ["-t", "--", bad]):
        line = caller.refuse(64, "-oi", *arguments, "r@example.net")
        assert "control character" in line


def test_a_tab_in_an_argument_is_a_blank(caller: Caller) -> None:
    delivery = caller.deliver("-F", "Ann\tLee", "r@example.net,\tq@example.net", message=b"Subject: x\n\ntext\n")
    assert delivery.recipients == ["r@example.net", "q@example.net"]
    assert delivery.field("From") == ["Ann Lee <sender@example.org>"]


EXPLOITS = [
    "-X{0}/x.php -OQueueDirectory={0}",
    "-oQ{0} -X{0}/x.php",
    "-X {0}/x.php -O QueueDirectory={0}/queue -O PidFile={0}/pid -O StatusFile={0}/status -OAliasFile={0}/aliases",
    "-oX{0}/x -oA{0}/a -oP{0}/p -oS{0}/s -oM{0}/m -D{0}/macros -d{0}/debug -A{0}/a -M{0}/m -L{0}/log",
]


@pytest.mark.parametrize("arguments", EXPLOITS)
def test_no_argument_names_a_file_that_is_written(caller: Caller, arguments: str) -> None:
    folder = caller.home / "target"
    folder.mkdir()
    caller.deliver("-t", *arguments.format(folder).split(), "-fann@example.org", message=TO_BOTH, cwd=folder)
    assert list(folder.iterdir()) == []


def test_a_transcript_file_is_never_made_and_the_log_says_that_it_was_asked_for(caller: Caller) -> None:
    caller.deliver("-X", str(caller.home / "transcript"), "r@example.net")
    assert not (caller.home / "transcript").exists()
    assert any("ignored -X" in line for line in caller.log)
    assert not any("transcript" in line for line in caller.log)


def test_a_name_with_quotes_smuggles_no_option(caller: Caller) -> None:
    smuggled = f'"a\\" -oQ{caller.home} -X{caller.home}/x.php  b"@example.org'
    assert caller.deliver("-t", "-f" + smuggled, message=TO_BOTH).sender == smuggled.replace('\\" ', '\\" ')
    assert not (caller.home / "x.php").exists()


NAMES = [("send-mail", "r@example.net", 0), ("sendmail", "r@example.net", 0), ("smtpd", "", 64), ("hoststat", "", 64),
         ("purgestat", "", 64)]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "code"), NAMES)
def test_the_name_under_which_it_is_called_chooses_what_it_does(
    caller: Caller, name: str, arguments: str, code: int
) -> None:
    link = caller.home / name
    link.symlink_to(caller.sendmail)
    if code:
        assert name in caller.refuse(code, *arguments.split(), command=str(link))
    else:
        assert caller.deliver(*arguments.split(), command=str(link)).recipients == ["r@example.net"]


@pytest.mark.parametrize(("name", "arguments"), [("mailq", []), ("sendmail", ["-bp"]), ("sendmail", ["-bp", "-qIx"])])
def test_the_queue_is_listed_as_empty_in_the_words_that_monitoring_looks_for(
    caller: Caller, name: str, arguments: list[str]
) -> None:
    link = caller.home / name
    link.symlink_to(caller.sendmail)
    done = caller.run(*arguments, command=str(link))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Mail queue is empty\n", b"")


@pytest.mark.parametrize(
    "arguments", ["-q", "-q30m", "-qf", "-qp5m", "-qIabc", "-q!R example.net", "-qS x", "-qGx", "-q -v"]
)
def test_a_queue_run_without_a_queue_is_done_at_once(caller: Caller, arguments: str) -> None:
    done = caller.run(*arguments.split())
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert caller.server.connections == 0


ALIASES = [("bob: robert@example.net\n", 0, ""), ("", 0, ""), ("bob robert\n", 78, "aliases:1")]


@pytest.mark.parametrize("arguments", [("newaliases",), ("sendmail", "-bi"), ("sendmail", "-I")])
@pytest.mark.parametrize(("text", "code", "says"), ALIASES)
def test_the_alias_file_is_checked(caller: Caller, arguments: tuple[str], text: str, code: int, says: str) -> None:
    file = caller.home / "aliases"
    file.write_text(text)
    link = caller.home / arguments[0]
    link.symlink_to(caller.sendmail)
    done = caller.run(*arguments[1:], command=str(link), words={"aliases": str(file)})
    assert (done.returncode, done.stdout) == (code, b"")
    assert says in done.stderr.decode() if says else done.stderr == b""


def test_verification_tells_the_way_and_sends_nothing(caller: Caller) -> None:
    (caller.home / "aliases").write_text("crew: ann, eve@example.com\n")
    done = caller.run("-bv", "bob@example.net", "crew", words={"aliases": str(caller.home / "aliases")})
    assert (done.returncode, done.stderr) == (0, b"")
    way = f"127.0.0.1 port {caller.server.port}"
    for line, (name, address) in zip(
        done.stdout.decode().splitlines(),
        [("bob@example.net", "bob@example.net"), ("crew", "ann@example.org"), ("crew", "eve@example.com")],
        strict=True,
    ):
        assert line.startswith(f"{name}... to {address} by {way}")
        assert "account" in line
    assert caller.server.connections == 0


def test_verification_refuses_what_is_no_address(caller: Caller) -> None:
    assert "a@@b" in caller.refuse(65, "-bv", "a@@b")
    caller.refuse(64, "-bv")


@pytest.mark.parametrize(("option", "says"), [("--help", "usage: sendmail"), ("--version", "pysendmail ")])
def test_help_and_version_send_nothing_and_need_no_configuration(caller: Caller, option: str, says: str) -> None:
    done = caller.run(option, "-t", "r@example.net", environ={"HOME": "/nonexistent"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith(says)
    assert caller.server.connections == 0


def test_another_configuration_can_be_named(caller: Caller) -> None:
    for arguments in (["-C"], ["--file"]):
        other = caller.home / "other.conf"
        other.write_text(f"host 127.0.0.1\nport {caller.server.port}\ntls off\nfrom other@example.com\nsyslog off\n")
        delivery = caller.deliver(*arguments, str(other), "r@example.net", words={"port": "1"})
        assert delivery.sender == "other@example.com"


ACCOUNTS = """
defaults
host 127.0.0.1
port {port}
tls off
syslog off
maildomain example.org
account work
from ann@work.example
account home
from ann@home.example
account wild
from *@wild.example
account default : home
"""
CHOICES: dict[str, tuple[list[str], str, str, str]] = {
    "-a": (["-a", "work"], "x@home.example", "ann@work.example", "named by -a"),
    "--account=": (["--account=work"], "x@home.example", "ann@work.example", "named by -a"),
    "-f": (["-f", "ann@work.example"], "ann@home.example", "ann@work.example", "fits the envelope sender"),
    "From": ([], "Ann <ann@work.example>", "ann@work.example", "fits the From field"),
    "a pattern": (["-f", "any@wild.example"], "x@y.example", "any@wild.example", "fits the envelope sender"),
    "none of them": ([], "x@y.example", "ann@home.example", "the default account"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_the_account_is_chosen_by_name_then_by_sender_then_by_default(caller: Caller, case: str) -> None:
    arguments, shown, sender, reason = CHOICES[case]
    file = caller.home / "accounts"
    file.write_text(ACCOUNTS.format(port=caller.server.port) + f"logfile {caller.home}/log\n")
    message = f"From: {shown}\n\ntext\n".encode()
    delivery = caller.deliver("--file", str(file), *arguments, "r@example.net", message=message)
    assert delivery.sender == sender
    if case == "none of them":
        assert any(reason in line for line in caller.log)


def test_an_account_that_does_not_exist_is_an_error_of_the_configuration(caller: Caller) -> None:
    assert "no account of the name" in caller.refuse(78, "-a", "nobody", "r@example.net")


def test_arguments_are_bytes_whatever_the_locale_is(caller: Caller) -> None:
    for locale in ("C", "POSIX", "C.UTF-8", "xx_YY.ISO-8859-1", ""):
        name = caller.deliver("-F", "Jörg Müller".encode(), "r@example.net", message=b"\ntext\n", environ={"LC_ALL": locale})
        assert name.field("From") == ["=?utf-8?q?J=C3=B6rg_M=C3=BCller?= <sender@example.org>"], locale
    raw = caller.deliver(b"-FJ\xf6rg", "r@example.net", message=b"\ntext\n")
    assert raw.header.isascii() and b"=F6" in raw.header


def test_a_long_list_of_recipients_is_taken_whole(caller: Caller) -> None:
    names = [f"user{number}@example.net" for number in range(900)]
    assert caller.deliver("-i", *names).recipients == names


def test_nothing_is_left_behind_in_the_callers_folder(caller: Caller) -> None:
    folder = caller.home / "here"
    folder.mkdir()
    caller.deliver("r@example.net", cwd=folder, message=MESSAGE + b"x\n" * 1_000_000)
    assert os.listdir(folder) == []
