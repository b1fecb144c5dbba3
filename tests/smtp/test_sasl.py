"""The simple mechanisms, and the choice between all of them."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pysendmail
from pysendmail import errors
from pysendmail.smtp import sasl
from pysendmail.smtp.cram import CramMD5
from pysendmail.smtp.oauth import OAuthBearer, XOAuth2
from pysendmail.smtp.sasl import Credentials, External, Login, Mechanism, Plain

TIM = Credentials(b"tim", b"tanstaaftanstaaf")
ALL = list(sasl.SUPPORTED)


def choose(
    offered: list[bytes],
    credentials: Credentials = TIM,
    wanted: bytes | None = None,
    binding: bytes | None = b"hash",
    external: bool = False,
    encrypted: bool = True,
) -> Mechanism:
    return sasl.choose(
        offered,
        credentials,
        wanted=wanted,
        channel_binding=(lambda kind: binding) if encrypted else None,
        external=external,
        encrypted=encrypted,
        host=b"smtp.example.com",
        port=587,
    )


# The mechanisms


def test_plain_is_what_rfc_4616_shows() -> None:
    assert Plain(TIM).initial() == b"\0tim\0tanstaaftanstaaf"
    assert Plain(Credentials(b"Kurt", b"xipj3plmq", b"Ursel")).initial() == b"Ursel\0Kurt\0xipj3plmq"


@settings(deadline=None)
@given(st.binary(), st.binary())
def test_plain_carries_any_octets_but_nul(user: bytes, password: bytes) -> None:
    credentials = Credentials(user, password)
    if b"\0" in user + password:
        with pytest.raises(errors.ConfigError, match="NUL"):
            Plain(credentials)
    else:
        assert Plain(credentials).initial().split(b"\0") == [b"", user, password]


def test_plain_with_an_empty_password_is_sent() -> None:
    assert Plain(Credentials(b"tim")).initial() == b"\0tim\0"


def test_login_answers_two_questions_whatever_they_say() -> None:
    login = Login(TIM)
    assert login.initial() is None
    assert login.respond(b"User Name\0") == b"tim"
    assert login.respond(b"") == b"tanstaaftanstaaf"
    with pytest.raises(errors.ProtocolError, match="AUTH LOGIN"):
        login.respond(b"Password:")


def test_cram_md5_is_what_rfc_2195_shows() -> None:
    cram = CramMD5(TIM)
    assert cram.initial() is None
    answer = cram.respond(b"<1896.697170952@postoffice.reston.mci.net>")
    assert answer == b"tim b913a602c7eda7a495b4e6e7334d3890"
    with pytest.raises(errors.ProtocolError):
        cram.respond(b"<again@example.com>")


def test_cram_md5_does_not_sign_an_empty_challenge() -> None:
    with pytest.raises(errors.ProtocolError, match="empty"):
        CramMD5(TIM).respond(b"")


def test_cram_md5_says_so_where_md5_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    def switched_off(key: bytes, message: bytes, digest: str) -> bytes:
        raise ValueError("[digital envelope routines] unsupported")

    monkeypatch.setattr(hmac, "digest", switched_off)
    with pytest.raises(errors.ConfigError, match="MD5"):
        CramMD5(TIM).respond(b"<1@x>")


def test_external_sends_the_user_or_nothing() -> None:
    assert External(Credentials(b"tim")).initial() == b"tim"
    assert External(Credentials(b"tim", authzid=b"tom")).initial() == b"tom"
    empty = External(Credentials(b""))
    assert empty.initial() == b""
    assert empty.respond(b"") == b""
    with pytest.raises(errors.ProtocolError):
        empty.respond(b"")
    with pytest.raises(errors.ProtocolError):
        External(Credentials(b"tim")).respond(b"who?")


TOKEN = b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


def test_oauthbearer_is_what_rfc_7628_shows() -> None:
    bearer = OAuthBearer(Credentials(b"user@example.com", TOKEN), b"server.example.com", 143)
    assert bearer.initial() == (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer " + TOKEN + b"\x01\x01"
    )


def test_oauthbearer_escapes_the_user_and_does_without_one() -> None:
    assert OAuthBearer(Credentials(b"a=b,c", TOKEN), b"h", 25).initial().startswith(b"n,a=a=3Db=2Cc,\x01host=h\x01")
    assert OAuthBearer(Credentials(b"", TOKEN), b"h", 25).initial().startswith(b"n,,\x01host=h\x01port=25\x01")


def test_xoauth2_sends_user_and_token() -> None:
    expected = b"user=tim@example.com\x01auth=Bearer " + TOKEN + b"\x01\x01"
    assert XOAuth2(Credentials(b"tim@example.com", TOKEN)).initial() == expected


@pytest.mark.parametrize(
    ("mechanism", "answer"),
    [(XOAuth2(Credentials(b"u", TOKEN)), b""), (OAuthBearer(Credentials(b"u", TOKEN), b"h", 1), b"\x01")],
)
def test_the_error_text_of_a_token_server_is_acknowledged_once(mechanism: Mechanism, answer: bytes) -> None:
    assert mechanism.respond(b'{"status":"invalid_token","scope":"mail"}') == answer
    with pytest.raises(errors.ProtocolError):
        mechanism.respond(b"{}")


def test_a_very_long_token_goes_whole() -> None:
    token = b"A" * 100_000
    assert XOAuth2(Credentials(b"u", token)).initial().count(token) == 1


@pytest.mark.parametrize("token", [b"", b"two words", b"line\nend", b"nul\0", b"\xc3\xa9", b"a\x01b"])
def test_what_cannot_be_a_token_is_refused_unseen(token: bytes) -> None:
    for make in (XOAuth2, lambda c: OAuthBearer(c, b"h", 1)):
        with pytest.raises(errors.ConfigError, match="token") as caught:
            make(Credentials(b"u", token))
        assert "words" not in str(caught.value)


def test_a_user_name_cannot_smuggle_fields_into_the_token_message() -> None:
    with pytest.raises(errors.ConfigError, match="control"):
        XOAuth2(Credentials(b"u\x01auth=Bearer other", TOKEN))


# Secrets


def test_each_mechanism_names_all_that_must_be_masked() -> None:
    assert set(Plain(TIM).secrets()) == {TIM.secret, b"\0tim\0" + TIM.secret}
    assert Login(TIM).secrets() == [TIM.secret]
    assert External(Credentials(b"tim")).secrets() == []
    cram = CramMD5(TIM)
    assert cram.secrets() == [TIM.secret]
    answer = cram.respond(b"<1896.697170952@postoffice.reston.mci.net>")
    assert answer.split()[1] in cram.secrets()
    for bearer in (XOAuth2(Credentials(b"u", TOKEN)), OAuthBearer(Credentials(b"u", TOKEN), b"h", 1)):
        assert set(bearer.secrets()) == {TOKEN, bearer.initial()}


@pytest.mark.parametrize("wanted", [b"PLAIN", b"LOGIN", b"CRAM-MD5", b"SCRAM-SHA-1", b"SCRAM-SHA-256-PLUS"])
def test_an_empty_password_is_no_secret_to_mask(wanted: bytes) -> None:
    assert b"" not in choose(ALL, Credentials(b"tim"), wanted=wanted).secrets()


# The choice


def chosen(offered: list[bytes], **kwargs: object) -> bytes:
    return choose(offered, **kwargs).name  # type: ignore[arg-type]


def test_the_strongest_mechanism_is_taken_first_inside_tls() -> None:
    order = [
        b"SCRAM-SHA-256-PLUS",
        b"SCRAM-SHA-1-PLUS",
        b"SCRAM-SHA-256",
        b"SCRAM-SHA-1",
        b"PLAIN",
        b"CRAM-MD5",
        b"LOGIN",
    ]
    for count in range(len(order)):
        assert chosen(order[count:][::-1]) == order[count]


def test_in_clear_what_hides_the_password_comes_first() -> None:
    assert (
        chosen([b"PLAIN", b"LOGIN", b"CRAM-MD5", b"SCRAM-SHA-1-PLUS", b"SCRAM-SHA-1"], encrypted=False)
        == b"SCRAM-SHA-1"
    )
    assert chosen([b"PLAIN", b"LOGIN", b"CRAM-MD5"], encrypted=False) == b"CRAM-MD5"
    assert chosen([b"LOGIN", b"PLAIN"], encrypted=False) == b"PLAIN"


def test_offered_and_wanted_names_are_taken_in_any_case() -> None:
    assert chosen([b"plain"]) == b"PLAIN"
    assert chosen([b"Login", b"PLAIN"], wanted=b"login") == b"LOGIN"
    for name in ALL:
        assert chosen([name.lower()], wanted=name.title(), external=True) == name


def test_without_channel_binding_the_plain_scram_is_taken() -> None:
    mechanism = choose([b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"], binding=None)
    assert mechanism.name == b"SCRAM-SHA-256"
    assert (mechanism.initial() or b"").startswith(b"n,,")
    with pytest.raises(errors.TempFail, match="channel binding"):
        choose([b"SCRAM-SHA-256-PLUS"], binding=None)


def test_a_stripped_offer_makes_us_say_that_we_could_bind() -> None:
    assert (choose([b"SCRAM-SHA-256"]).initial() or b"").startswith(b"y,,")
    assert (choose([b"SCRAM-SHA-256-PLUS"]).initial() or b"").startswith(b"p=tls-exporter,,")


@pytest.mark.parametrize("secret", [b"p\xe4ss", "\U0001f600".encode(), b"tab\there"])
def test_a_password_that_scram_cannot_carry_goes_by_plain_unless_scram_is_wanted(secret: bytes) -> None:
    credentials = Credentials(b"tim", secret)
    assert chosen([b"SCRAM-SHA-256", b"PLAIN"], credentials=credentials) == b"PLAIN"
    for wanted in (b"SCRAM-SHA-256", None):
        with pytest.raises(errors.ConfigError, match="password"):
            choose([b"SCRAM-SHA-256"], credentials, wanted=wanted)


@pytest.mark.parametrize("offered", [[b"XOAUTH2", b"OAUTHBEARER"], [b"EXTERNAL"], [b"NTLM", b"GSSAPI"], []])
def test_what_is_not_asked_for_is_never_chosen(offered: list[bytes]) -> None:
    with pytest.raises(errors.TempFail) as caught:
        choose(offered)
    for name in offered:
        assert name.decode() in str(caught.value)
    assert ("xoauth2" in str(caught.value)) == (b"XOAUTH2" in offered)


def test_a_wanted_mechanism_that_is_not_offered_is_a_temporary_failure_naming_the_offer() -> None:
    with pytest.raises(errors.TempFail, match="does not offer AUTH PLAIN; it offers LOGIN CRAM-MD5"):
        choose([b"LOGIN", b"CRAM-MD5"], wanted=b"plain")
    with pytest.raises(errors.TempFail, match="it offers none"):
        choose([], wanted=b"plain")


@pytest.mark.parametrize("wanted", [b"ntlm", b"GSSAPI", b"digest-md5", b"nonsense", b"evil\x1b[2J\n"])
def test_a_wanted_mechanism_that_we_do_not_have_is_a_configuration_error(wanted: bytes) -> None:
    with pytest.raises(errors.ConfigError, match="not supported") as caught:
        choose([wanted.upper(), b"PLAIN"], wanted=wanted)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_that_the_server_offers_are_shown_without_controls_and_not_without_end() -> None:
    with pytest.raises(errors.TempFail) as caught:
        choose([b"\x1b[31m\x9b", b"X" * 10_000])
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_external_serves_where_a_certificate_stands_for_the_password() -> None:
    nobody = Credentials(b"tim")
    assert chosen([b"EXTERNAL", b"PLAIN"], credentials=nobody, external=True) == b"EXTERNAL"
    assert chosen([b"EXTERNAL", b"PLAIN"], external=True) == b"PLAIN"
    assert chosen([b"EXTERNAL", b"PLAIN"], external=True, wanted=b"external") == b"EXTERNAL"
    with pytest.raises(errors.TempFail, match="it offers PLAIN"):
        choose([b"PLAIN"], nobody, external=True)  # never an empty password in place of the certificate


@pytest.mark.parametrize(("external", "encrypted"), [(False, True), (True, False)])
def test_external_without_a_certificate_or_tls_is_a_configuration_error(external: bool, encrypted: bool) -> None:
    with pytest.raises(errors.ConfigError, match="certificate"):
        choose([b"EXTERNAL"], wanted=b"EXTERNAL", external=external, encrypted=encrypted)


def test_a_bound_mechanism_in_clear_is_a_configuration_error() -> None:
    with pytest.raises(errors.ConfigError, match="needs TLS"):
        choose([b"SCRAM-SHA-1-PLUS"], wanted=b"scram-sha-1-plus", encrypted=False)


def test_nobody_cannot_log_in() -> None:
    for wanted in (None, b"plain", b"xoauth2"):
        with pytest.raises(errors.ConfigError, match="no user"):
            choose(ALL, Credentials(b"", b"x"), wanted=wanted)
    assert chosen(ALL, credentials=Credentials(b"", TOKEN), wanted=b"oauthbearer") == b"OAUTHBEARER"


def test_the_second_choice_after_a_refused_binding_says_nothing_of_binding() -> None:
    offered = [b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256", b"PLAIN"]
    assert choose(offered).retry_unbound
    again = sasl.choose(
        offered, TIM, wanted=None, channel_binding=None, external=False, encrypted=True, host=b"h", port=25
    )
    assert again.name == b"SCRAM-SHA-256"
    assert (again.initial() or b"").startswith(b"n,,")
    assert not again.retry_unbound
    assert not Plain(TIM).retry_unbound


def test_a_plain_login_imports_nothing_for_other_mechanisms() -> None:
    root = Path(pysendmail.__file__).parents[1]
    program = f"""import sys; sys.path.insert(0, {str(root)!r})
from pysendmail.smtp import sasl
sasl.choose([b"PLAIN", b"CRAM-MD5"], sasl.Credentials(b"u", b"p"), wanted=None, channel_binding=None,
            external=False, encrypted=True, host=b"h", port=25).initial()
for name in ("hashlib", "_hashlib", "hmac", "stringprep", "unicodedata", "re", "enum", "typing", "base64",
             "pysendmail.smtp.scram", "pysendmail.smtp.oauth", "pysendmail.smtp.cram", "pysendmail.smtp.saslprep"):
    assert name not in sys.modules, name"""
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
