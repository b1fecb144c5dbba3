"""The account for the domain of a recipient."""

import pytest

from pysendmail.config import reader
from pysendmail.config.destinations import Destinations
from pysendmail.errors import ConfigError

FILE = """
account inner
host inner.example
recipient_domains example.org *.example.org

account branch
host branch.example
recipient_domains .Branch.Example.org example.net bücher.example

account late
host late.example
recipient_domains example.net .deep.branch.example.org

account default
host default.example
"""


def chosen(address: str, text: str = FILE) -> str | None:
    found = Destinations(reader.parse(text.encode(), "conf"), None).find(address.encode())
    return None if found is None else found[0].name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("a@example.org", "inner"),
        ("a@EXAMPLE.org", "inner"),
        ("a@example.org.", "inner"),
        ("a@x.example.org", "inner"),
        ("a@branch.example.org", "inner"),
        ("a@x.branch.example.org", "branch"),
        ("a@x.y.branch.example.org", "branch"),
        ("a@x.deep.branch.example.org", "late"),
        ("a@example.net", "branch"),
        ("a@xn--bcher-kva.example", "branch"),
        ("a@x.example.net", None),
        ("a@notexample.org", None),
        ("a@org", None),
        ("a@[192.0.2.1]", None),
        ('"x@example.org"@example.com', None),
        ('"a b"@example.org', "inner"),
    ],
)
def test_the_longest_domain_counts_and_the_first_account_among_equals(address: str, name: str | None) -> None:
    assert chosen(address) == name


def test_of_equals_the_default_account_counts_so_that_nothing_is_parted_from_itself() -> None:
    text = "account company\nhost h.example\nrecipient_domains example.org\naccount default : company\n"
    assert chosen("a@example.org", text) == "default"


def test_no_value_takes_the_domains_of_a_parent_back() -> None:
    text = "account a\nhost h\nrecipient_domains example.org\naccount b : a\nrecipient_domains\naccount default : b\n"
    assert chosen("a@example.org", text) == "a"


def test_the_reason_names_the_account_and_the_word() -> None:
    found = Destinations(reader.parse(FILE.encode(), "conf"), None).find(b"a@example.org")
    assert found is not None and found[1] == "account inner, for its recipient_domains"


@pytest.mark.parametrize("value", ["a@example.org", "*example.org", "*", ".", "..example.org", "exam ple..org", "a,b"])
def test_what_is_no_domain_is_an_error_with_its_line(value: str) -> None:
    with pytest.raises(ConfigError, match="^conf:3: recipient_domains: expected domains"):
        reader.parse(f"account a\nhost h\nrecipient_domains {value}\n".encode(), "conf")


def test_an_account_that_contradicts_itself_is_an_error_for_its_recipients_only() -> None:
    text = "account a\nrecipient_domains example.org\naccount default\nhost h\n"
    assert chosen("a@example.net", text) is None
    with pytest.raises(ConfigError, match="account a needs the word host"):
        chosen("a@example.org", text)
