"""Whatever stands in a configuration: the account that is meant says what was asked for, and all others what they said."""

import pathlib
import tempfile

from hypothesis import given, settings, strategies

from pysendmail import errors
from pysendmail.command.configure import editing, place
from pysendmail.command.configure.offer import Offer
from pysendmail.command.configure.plan import Plan
from pysendmail.command.configure.settings import Settings
from pysendmail.command.identity import Caller
from pysendmail.config import accounts, reader

WORDS = (
    "host old.example", "host a.example:25 b.example", "port 25", "port 465", "tls on", "tls off", "tls_starttls off", "auth off",
    "auth login", "user x", 'password "se cret"', "passwordeval echo x", "from a@b.example", "timeout 9", "aliases /etc/aliases",
    "queue /q", "# a comment", "", "\ttls_certcheck\toff", "tls_host_override o.example", "auth_without_tls on", "auto_from on",
    f"tls_fingerprint {'ab' * 32}", "set_from_header on", "srv_domains d.example", "tls_nostarttls",
)  # fmt: skip
HEADS = ("account one", "account two", "account three : one", "account default", "account default : one", "defaults", "caller www-data")
lines = strategies.lists(strategies.sampled_from(WORDS), max_size=5)
sections = strategies.lists(strategies.tuples(strategies.sampled_from(HEADS), lines), max_size=5)
files = strategies.builds(
    lambda top, rest, end: end.join([*top, *[row for head, body in rest for row in (head, *body)], ""]),
    lines, sections, strategies.sampled_from(["\n", "\r\n"]),
)  # fmt: skip


def meaning(file: reader.File, name: str) -> object:
    """Give all that an account says, or what is wrong with it."""
    try:
        account = accounts.Account(file, file.accounts[name])
    except errors.ConfigError as failure:
        return str(failure).partition(": ")[2]
    values = {word: getattr(account, word) for word in accounts.Account.__slots__ if word[0] != "_" and word != "notes"}
    servers = [(one.host, one.port, one.starttls) for one in account.servers]
    return {**values, "servers": servers, "place": None}


@given(text=files, wanted=strategies.sampled_from(["", "one", "two", "four", "default"]), port=strategies.sampled_from([465, 587, 25]))
@settings(max_examples=200, deadline=None)
def test_an_edit_says_what_was_asked_for_and_changes_nothing_else(text: str, wanted: str, port: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "conf"
        path.write_text(text, newline="")
        path.chmod(0o600)
        answers = Settings(b"me@x.example", b"me@x.example", Offer("new.example", port, "implicit" if port == 465 else "starttls", ""))
        answers.user, answers.password = b"me", b' p"w '
        caller = Caller()
        try:
            where = place.find(str(path), False, caller)
            plan = Plan(where, wanted, answers, caller)
        except errors.Failure:
            return  # it was no good before, or cannot say what is asked for; nothing was written
    old = reader.parse(text.encode(), "conf")
    assert answers.missed(plan.account) == [] and plan.file.accounts.keys() >= old.accounts.keys()
    if wanted:
        assert plan.name == wanted
    heirs = {"three", "default"} if plan.name == "one" else set()  # who takes it over follows
    for name in old.accounts.keys() - {plan.name} - heirs:
        assert meaning(plan.file, name) == meaning(old, name)
    assert len(old.daemon.callers) == len(plan.file.daemon.callers)
    before = _default(old)
    if wanted in ("two", "four") and before and wanted not in before:
        assert _default(plan.file)[1:] == before[1:]
    again = editing.replace(plan.text, plan.file.accounts, plan.name, answers.words(full=False), [], "")
    assert reader.parse(again, "conf").accounts.keys() == plan.file.accounts.keys()


def _default(file: reader.File) -> "list[object]":
    """Give the name of the default account, and its servers; nothing if there is none."""
    try:
        account = accounts.choose(file)[0]
    except errors.ConfigError:
        return []
    return [account.name, *[(one.host, one.port) for one in account.servers]]
