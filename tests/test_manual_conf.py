"""The manual of the configuration says what the code does: words, values, defaults, files and examples."""

import re
import shutil
import subprocess
from collections.abc import Callable

import pytest

from pysendmail.config import accounts, aliases, reader, values
from pysendmail.config.callers import CALLER_WORDS, Rule
from pysendmail.config.daemon import DAEMON_WORDS, Daemon
from pysendmail.config.words import ACTS, NOTED, OLD, REFUSED, WORDS
from pysendmail.message.address import Mailbox
from pysendmail.message.local import _SUFFIXES
from tests.conftest import skip
from tests.imports import ROOT

PAGE = ROOT / "man" / "pysendmail.conf.5"
TEXT = PAGE.read_text()
STRUCTURE = {"account", "defaults"}


def section(name: str) -> str:
    """Give the source of one section."""
    return re.split(r"^\.Sh ", TEXT.partition(f"\n.Sh {name}\n")[2], maxsplit=1, flags=re.M)[0]


def headings(name: str = "DESCRIPTION") -> dict[str, str]:
    """Give the heading of each word of a section without macros: `on | off`."""
    found: dict[str, str] = {}
    for line in re.findall(r"^\.It Cm (.*)", section(name), flags=re.M):
        word, _, rest = line.partition(" ")
        assert word not in found, word
        found[word] = " ".join(part for part in rest.split() if part not in ("Ar", "Cm", "Ns", "Op"))
    return found


def paragraph(word: str) -> str:
    """Give what the manual says of a word, as one line without macros."""
    after = re.split(rf"^\.It Cm {word}\b.*\n", TEXT, maxsplit=1, flags=re.M)[1]
    lines = re.split(r"^\.(?:It|El|Sh|Ss)\b", after, maxsplit=1, flags=re.M)[0].splitlines()
    return " ".join(re.sub(r"^\.(Cm|Ar|Pq|Pa|Fl|Ql|Dv) ", "", line) for line in lines)


def examples() -> list[str]:
    """Give the displays of the section EXAMPLES."""
    return re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section("EXAMPLES"), flags=re.M | re.S)


HEADINGS = headings()
# Of words with a choice or a number; the port and whether to log in depend on other words.
DEFAULTS = {
    word: {True: "on", False: "off"}[default] if isinstance(default, bool) else str(default).removeprefix("TLS")
    for word, (doing, _, default) in WORDS.items()
    if doing == ACTS and default not in (None, "") and word not in ("port", "auth", "syslog", "delivery")
    and not isinstance(default, float | tuple)
}
# Of words whose default is written otherwise than it is held: times in seconds, and the letter of a mode.
READ_DEFAULTS = sorted(
    word for word, row in WORDS.items() if row[0] == ACTS and (isinstance(row[2], float | tuple) or word == "delivery")
)


def test_the_manual_has_every_word_that_acts_and_no_other() -> None:
    assert set(HEADINGS) == STRUCTURE | {word for word, row in WORDS.items() if row[0] in (ACTS, OLD)} | set(DAEMON_WORDS)


def test_the_manual_has_every_word_of_a_caller_and_no_other() -> None:
    assert set(headings("CALLERS")) == {"caller", *CALLER_WORDS}


@pytest.mark.parametrize(("word", "convert"), sorted({**DAEMON_WORDS, **CALLER_WORDS}.items()))
def test_the_default_of_a_word_for_the_daemon_is_that_of_the_manual(word: str, convert: Callable[[str], object]) -> None:
    rule, daemon = Rule("alice", "conf:1"), Daemon()
    default = getattr(rule if word in CALLER_WORDS else daemon, word)
    text = section("CALLERS" if word in CALLER_WORDS else "DESCRIPTION")
    after = re.split(rf"^\.It Cm {word}\b.*\n", text, maxsplit=1, flags=re.M)[1]
    said = re.split(r"^\.(?:It|El)\b", after, maxsplit=1, flags=re.M)[0]
    written = re.findall(r"The default is\n?(?:\.Cm )? ?([a-z]+)", said)
    if default in (None, False) and written == ["off"]:
        assert not convert("off")
    else:
        known = {"senders": ["any"], "listen": ["none"], "submission_socket": [], "run_as": [], "use_account": []}
        assert written == known[word] and not default


@pytest.mark.parametrize("word", [word for word, convert in {**DAEMON_WORDS, **CALLER_WORDS}.items() if convert == values.flag])
def test_a_word_for_the_daemon_that_is_on_or_off_is_shown_as_such(word: str) -> None:
    assert {**headings(), **headings("CALLERS")}[word] == "on | off"


def test_the_example_of_callers_does_what_it_says() -> None:
    text = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section("CALLERS"), flags=re.M | re.S)[0]
    file = reader.parse(text.encode(), "example")
    rules = {rule.shown: rule for rule in file.daemon.callers}
    assert list(rules) == ["*", "@staff", "www-data", "listener", "games"]
    assert rules["www-data"].aligned == b"shop@example.org" and rules["www-data"].rate == (200, 3600.0)
    assert rules["games"].deny and rules["*"].senders == [(b"%U", b"example.org")]
    assert file.daemon.listen == [("127.0.0.1", 25, False), ("::1", 25, True)]
    assert accounts.choose(file)[0].host == "smtp.example.org"


@pytest.mark.parametrize("word", sorted(word for word, row in WORDS.items() if row[:2] == (ACTS, values.flag)))
def test_a_word_that_is_on_or_off_is_shown_as_such(word: str) -> None:
    assert HEADINGS[word] == "on | off"


@pytest.mark.parametrize("word", sorted(word for word, row in WORDS.items() if row[0] == ACTS))
def test_the_choices_of_a_heading_are_those_of_the_word(word: str) -> None:
    convert = WORDS[word][1]
    choices = re.findall(r"[a-z0-9][a-z0-9.]*", HEADINGS[word]) if "|" in HEADINGS[word] else []
    placeholders = {"seconds", "mechanism", "file", "folder", "facility", "event", "time", "number"}
    for choice in set(choices) - placeholders:
        convert(choice)
    if choices and not placeholders.intersection(choices):
        with pytest.raises(values.Expected) as caught:
            convert("nonsense")
        assert set(choices) == set(re.findall(r"[a-z0-9][a-z0-9.]*", str(caught.value))) - {"or"}


@pytest.mark.parametrize(("word", "default"), sorted(DEFAULTS.items()))
def test_the_manual_gives_the_default_of_a_choice(word: str, default: str) -> None:
    said = paragraph(word)
    assert re.search(rf"[Tt]he default is {default}\b|\b{default} ?,( No)? the default", said), said


@pytest.mark.parametrize("word", READ_DEFAULTS)
def test_the_default_of_the_manual_reads_as_the_one_of_the_table(word: str) -> None:
    said = re.findall(r"[Tt]he default is ([a-z0-9]+(?: [a-z0-9]+)*) ?[.,;:]", paragraph(word))
    assert len(said) == 1
    assert WORDS[word][1](said[0]) == WORDS[word][2]


def test_the_words_of_the_queue_are_among_those_whose_default_is_looked_at() -> None:
    assert {"delivery", "retry", "expire", "warn", "keepfailed", "keep_connections"} == set(READ_DEFAULTS)
    assert {"connections", "uncertain"} <= set(DEFAULTS)
    assert "The default is off : any number" in paragraph("rate")
    assert "The default is no queue" in paragraph("queue")
    assert "The default is nobody" in paragraph("postmaster")


def test_the_manual_says_what_becomes_of_each_word_of_msmtp_that_does_not_act() -> None:
    compatibility = section("COMPATIBILITY")
    for word, row in WORDS.items():
        if row[0] in (NOTED, REFUSED):
            told = bool(re.search(rf"^\.Cm {word}\b", compatibility, flags=re.M))
            assert told, word


def test_the_manual_names_the_files_that_are_read() -> None:
    files = section("FILES")
    assert accounts.SYSTEM_FILE in files
    assert f"~/.config/{accounts._OWN_FILE}" in files
    assert accounts._MAILNAME in TEXT


def test_the_limits_of_the_manual_are_those_of_the_reader() -> None:
    limits = f"A line may have {reader._LINE_LIMIT} octets, the file {reader.FILE_LIMIT >> 20} MiB"
    assert limits in TEXT.replace("\n", " ")


def test_every_example_is_a_good_configuration() -> None:
    shown = examples()
    assert len(shown) == 6
    for text in [*shown[:4], shown[5]]:
        file = reader.parse(text.encode(), "example", home="/home/alice")
        for name in file.accounts:
            account, _ = accounts.choose(file, account=name.encode("latin-1"))
            assert account.notes == []
        assert accounts.choose(file)[0].host
    assert list(aliases.parse(shown[4].encode(), "example").problems()) == []


def test_the_words_for_senders_go_together() -> None:
    displays = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section("SENDERS"), flags=re.M | re.S)
    assert len(displays) == 2
    for text in displays:
        account, _ = accounts.choose(reader.parse(f"host smtp.example.org\n{text}".encode(), "example"))
        assert account.notes == [] and b"alice@example.org" in (account.sender, account.local_sender)


def test_the_manual_names_what_is_local() -> None:
    assert {f".Ql {one.decode()}" for one in _SUFFIXES} == set(re.findall(r"^\.Ql \.[a-z.]+[a-z]", section("SENDERS"), flags=re.M))


def test_the_example_of_aliases_does_what_it_says() -> None:
    text = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section("ALIASES"), flags=re.M | re.S)[0]
    listed = aliases.parse(text.replace(":include:/etc/pysendmail/web", "web@example.org").encode(), "example")
    assert list(listed.problems()) == []
    found = {
        name: [one.address.decode() for one in listed.expand(Mailbox(name.encode(), b"", 0, 0)) or []]
        for name in ("postmaster", "BACKUP+x", "web", "www-data")
    }
    assert found == {
        "postmaster": ["alice@example.org"],
        "BACKUP+x": ["alice@example.org", "bob@example.net", "jane@example.org"],
        "web": ["web@example.org"],
        "www-data": ["alice@example.org"],
    }


def test_the_first_example_has_five_lines_and_logs_in_over_tls() -> None:
    text = examples()[0]
    account, _ = accounts.choose(reader.parse(text.encode(), "example"))
    assert len(text.splitlines()) == 5
    assert (account.tls, account.tls_starttls, account.tls_certcheck, account.port, account.auth) == (
        "on", True, True, 587, True,
    )  # fmt: skip


def test_the_accounts_of_the_second_example_are_chosen_as_it_says() -> None:
    file = reader.parse(examples()[1].encode(), "example", home="/home/alice")
    assert accounts.choose(file, sender=b"bob@example.org")[0].name == "work"
    home, _ = accounts.choose(file)
    assert (home.name, home.host, home.tls_starttls) == ("default", "smtp.fastmail.com", False)


def test_the_example_of_a_queue_has_one_for_each_user_and_does_not_keep_callers_waiting() -> None:
    account, _ = accounts.choose(reader.parse(examples()[5].encode(), "example", home="/home/alice"))
    assert (account.queue, account.delivery, account.expire) == (
        "/home/alice/.local/state/pysendmail/queue", "b", 3 * 86400.0,
    )  # fmt: skip


def test_mandoc_finds_nothing_amiss() -> None:
    if shutil.which("mandoc") is None:
        skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", PAGE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
