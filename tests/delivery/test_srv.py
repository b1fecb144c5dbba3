"""The submission servers that a domain names in a real DNS server, and whom their certificates must be for."""

import socket
import time
from collections.abc import Iterator

import pytest

from pysendmail import errors
from pysendmail.config.accounts import Account
from pysendmail.delivery import dns, srv
from pysendmail.delivery import session as session_module
from pysendmail.delivery.deliver import deliver
from pysendmail.smtp.outcome import SENT
from tests import dns_server
from tests.delivery import memory
from tests.delivery.certificates import authority, issue
from tests.obedient import Obedient

ZONES = {
    "example.org": """
_submissions._tcp SRV 20 0 465 second
_submissions._tcp SRV 10 0 465 first
_submission._tcp SRV 0 0 587 clear
""",
    "starttls.example": "_submission._tcp SRV 0 0 587 mx\n",
    "none.example": "_submissions._tcp SRV 0 0 0 .\n_submission._tcp SRV 0 0 0 .\n",
    "half.example": "_submissions._tcp SRV 0 0 0 .\n_submission._tcp SRV 0 0 587 mx\n",
    "outside.example": "_submissions._tcp SRV 0 0 465 smtp.provider.test.\n",
    "hostile.example": """
_submissions._tcp SRV 0 0 465 a\\027b\\233c
_submissions._tcp SRV 1 0 465 *.bad
_submissions._tcp SRV 2 0 465 -x
_submissions._tcp SRV 3 0 0 zero
_submissions._tcp SRV 4 0 465 fine
_submission._tcp CNAME loop
loop CNAME _submission._tcp
""",
    "many.example": "".join(f"_submissions._tcp SRV 0 {n % 9} {1000 + n} m{n}\n" for n in range(1500)),
    "alias.example": "_submissions._tcp.sub CNAME _submissions._tcp\n_submissions._tcp SRV 0 0 465 mx\n",
    "empty.example": "mx A 127.0.0.1\n",
    "broken.example": "",
}


@pytest.fixture(scope="module")
def server() -> Iterator[dns_server.NameServer]:
    with dns_server.serving(ZONES) as running:
        yield running


@pytest.fixture(autouse=True)
def asked(server: dns_server.NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    dns_server.ask(monkeypatch, server)


def account(**words: object) -> Account:
    return memory.route({"host": "srv:example.org", "tls": "on", **words}).account


def servers(domain: str, **words: object) -> list[tuple[str, int, bool, str]]:
    found = srv.servers(domain, account(**words), time.monotonic() + 30)
    return [(one.host, one.port, one.starttls, one.identity) for one in found]


def refusal(domain: str, **words: object) -> str:
    with pytest.raises(errors.TempFail) as caught:
        servers(domain, **words)
    assert str(caught.value).startswith(f"srv:{domain}: ")
    return str(caught.value)


def test_tls_from_the_start_comes_first_and_priorities_count() -> None:
    assert servers("example.org") == [
        ("first.example.org", 465, False, ""), ("second.example.org", 465, False, ""), ("clear.example.org", 587, True, ""),
    ]  # fmt: skip


def test_tls_starttls_asks_for_one_service_only() -> None:
    assert [one[0] for one in servers("example.org", tls_starttls="on")] == ["clear.example.org"]
    assert [one[0] for one in servers("example.org", tls_starttls="off")] == ["first.example.org", "second.example.org"]
    assert [one[0] for one in servers("example.org", tls="off")] == ["clear.example.org"]


def test_a_service_that_is_not_there_or_not_offered_is_passed_over() -> None:
    assert servers("starttls.example") == [("mx.starttls.example", 587, True, "")]
    assert servers("half.example") == [("mx.half.example", 587, True, "")]


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        ("none.example", "none.example does not offer _submissions (its SRV record says so)"),
        ("empty.example", "there is no SRV record _submissions._tcp.empty.example"),
        ("missing.example.org", "there is no SRV record _submission._tcp.missing.example.org"),
        ("broken.example", "(SERVFAIL)"),
        ("foreign.test", "(REFUSED)"),
    ],
)
def test_a_domain_without_servers_is_told_with_its_cause(domain: str, text: str) -> None:
    assert text in refusal(domain)


def test_a_target_outside_must_show_the_certificate_of_the_domain() -> None:
    assert servers("outside.example") == [("smtp.provider.test", 465, False, "outside.example")]
    assert servers("outside.example", srv_domains="other.test provider.test")[0][3] == ""
    assert servers("outside.example", srv_domains="rovider.test")[0][3] == "outside.example"


@pytest.mark.parametrize("words", [{"tls_certcheck": "off"}, {"tls": "opportunistic"}, {"tls": "off"}])
def test_a_target_outside_is_not_used_where_no_certificate_is_verified(words: dict[str, str]) -> None:
    text = refusal("outside.example", **words)
    assert "srv_domains may permit it" in text or "no SRV record" in text


def test_a_pin_or_another_name_holds_wherever_the_target_is() -> None:
    assert servers("outside.example", tls_fingerprint="a" * 64)[0][3] == ""
    assert servers("outside.example", tls_host_override="x.test")[0][3] == ""


def test_names_that_no_host_can_have_are_left_out_and_a_loop_of_aliases_ends() -> None:
    assert servers("hostile.example") == [("fine.hostile.example", 465, False, "")]


def test_an_alias_of_the_service_is_followed_but_the_name_asked_for_counts() -> None:
    assert servers("sub.alias.example") == [("mx.alias.example", 465, False, "sub.alias.example")]


def test_thousands_of_records_give_a_few_servers() -> None:
    found = servers("many.example")
    assert len(found) == srv.MOST
    assert len({port for _, port, _, _ in found}) == srv.MOST


def test_an_answer_is_kept_while_it_is_good_and_an_old_one_is_better_than_none(monkeypatch: pytest.MonkeyPatch) -> None:
    before = servers("example.org", tls_starttls="off")
    now = time.monotonic()

    def never(*_: object) -> dns.Answer:
        raise dns.Troubled("no answer")

    monkeypatch.setattr(dns, "ask", never)
    assert servers("example.org", tls_starttls="off") == before
    monkeypatch.setattr(srv, "monotonic", lambda: now + 4000)  # past the time to live
    assert servers("example.org", tls_starttls="off") == before
    monkeypatch.setattr(srv, "monotonic", lambda: now + 100_000)
    assert "no answer" in refusal("example.org", tls_starttls="off")


def test_what_is_not_there_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal("empty.example")
    asked: list[str] = []
    real = dns.ask

    def count(name: str, kind: str, deadline: float) -> dns.Answer:
        asked.append(name)
        return real(name, kind, deadline)

    monkeypatch.setattr(dns, "ask", count)
    refusal("empty.example")
    assert len(asked) == 2


def test_a_server_that_never_answers_is_waited_for_no_longer_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with dns_server.silent() as silent:
        dns_server.ask(monkeypatch, silent)
        begun = time.monotonic()
        with pytest.raises(errors.TempFail, match="did not answer in time"):
            srv.servers("example.org", account(), begun + 1)
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    "replies",
    [[b""], [b"id"], [b"id\x81\x80" + b"\xff" * 500], [b"\0" * 12], [b"id\x81\x80\0\1\0\1\0\0\0\0" + b"\xc0\x0c" * 200], [b"xx"] * 50],
    ids=["empty", "id", "ones", "zeros", "pointers", "many"],
)
def test_rubbish_for_an_answer_is_no_answer(monkeypatch: pytest.MonkeyPatch, replies: list[bytes]) -> None:
    with dns_server.rubbish(*replies) as server:
        dns_server.ask(monkeypatch, server)
        begun = time.monotonic()
        with pytest.raises(errors.TempFail):
            srv.servers("example.org", account(), begun + 1)
        assert time.monotonic() - begun < 30


def test_a_signal_while_dns_is_asked_ends_it_and_no_other_server_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> dns.Answer:
        raise errors.Interrupted("ended by signal 15")

    monkeypatch.setattr(dns, "ask", interrupted)
    with Obedient() as spare:
        way = memory.route({"host": f"srv:example.org 127.0.0.1:{spare.port}"})
        report = deliver(memory.parcel(), way)
        assert b"ended by signal 15" in report.outcomes[0].text
        assert b";" not in report.outcomes[0].text and spare.connections == 0


def test_without_dnspython_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name == "dns" or name.startswith("dns.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dns", None)
    with pytest.raises(errors.ConfigError, match="install the package python3-dnspython") as caught:
        servers("example.org")
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("weights", [(0, 0, 0), (0, 1, 100), (65535, 65535, 1)])
def test_weights_choose_by_chance_and_every_server_has_its_turn(weights: tuple[int, ...]) -> None:
    rows = [(1, weight, 25, f"{number}") for number, weight in enumerate(weights)]
    low = srv.ordered(rows, lambda most: 0)
    high = srv.ordered(rows, lambda most: most)
    assert sorted(low) == sorted(high) == sorted(rows)
    assert low[0][1] == min(weights) and high[0][1] == max(weights)


# Deliveries


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Have every name lead to this machine; give the certificates."""
    folder = tmp_path_factory.mktemp("identities")
    root = authority()
    (folder / "ca.pem").write_bytes(root.pem)
    names = {"good": ("first.example.org", "mx.example"), "domain": ("outside.example",), "provider": ("smtp.provider.test",)}
    made = {name: issue(root, dns_names).write(folder / f"{name}.pem") for name, dns_names in names.items()}
    yield {**made, "ca": str(folder / "ca.pem")}


def deliver_to(patch: pytest.MonkeyPatch, files: dict[str, str], identity: str, domain: str, **words: object) -> list[object]:
    """Deliver to the servers of a domain, of which each is one with this certificate; return state and text."""
    with Obedient({"good": files[identity]}, tls="implicit") as server:
        patch.setattr(session_module, "addresses", lambda host, port, deadline: [(socket.AF_INET, ("127.0.0.1", server.port))])
        settings = {"host": f"srv:{domain}", "tls": "on", "tls_trust_file": files["ca"], "timeout": 20, "tls_starttls": "off"}
        outcome = deliver(memory.parcel(), memory.route({**settings, **words})).outcomes[0]
        return [outcome.state, outcome.text.decode()]


def test_a_message_goes_to_the_server_that_dns_names(monkeypatch: pytest.MonkeyPatch, reached: dict[str, str]) -> None:
    assert deliver_to(monkeypatch, reached, "good", "example.org")[0] == SENT


def test_a_server_outside_with_a_certificate_of_its_own_is_refused(
    monkeypatch: pytest.MonkeyPatch, reached: dict[str, str]
) -> None:
    state, text = deliver_to(monkeypatch, reached, "provider", "outside.example")
    assert state != SENT and "certificate is not for outside.example but for smtp.provider.test" in str(text)


def test_a_server_outside_with_the_certificate_of_the_domain_is_used(
    monkeypatch: pytest.MonkeyPatch, reached: dict[str, str]
) -> None:
    assert deliver_to(monkeypatch, reached, "domain", "outside.example")[0] == SENT


def test_a_server_in_a_domain_that_is_permitted_is_used(monkeypatch: pytest.MonkeyPatch, reached: dict[str, str]) -> None:
    assert deliver_to(monkeypatch, reached, "provider", "outside.example", srv_domains="provider.test")[0] == SENT


def test_a_server_inside_with_a_certificate_for_the_domain_only_is_refused(
    monkeypatch: pytest.MonkeyPatch, reached: dict[str, str]
) -> None:
    state, text = deliver_to(monkeypatch, reached, "provider", "example.org")
    assert state != SENT and "not for first.example.org" in str(text)
