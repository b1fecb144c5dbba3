"""SCRAM: the exchanges of RFC 5802 and RFC 7677, a server of our own, and servers that cheat."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.smtp import scram
from pysendmail.smtp.sasl import Credentials
from pysendmail.smtp.saslprep import prepare
from pysendmail.smtp.scram import Scram
from tests.smtp.scram_server import ScramServer

NONCE = b"fyko+d2lbbFgONRv9qkxdawL"
JOINT = NONCE + b"3rfcNHYJY1ZVvWVs7j"
PENCIL = Credentials(b"user", b"pencil")
SALT = b"QSXCR+Q6sek8bf92"


def sha1(credentials: Credentials = PENCIL) -> Scram:
    return Scram(b"SCRAM-SHA-1", credentials, b"n", nonce=NONCE)


def login(client: Scram, server: ScramServer) -> None:
    first = client.initial()
    assert client.respond(server.final(client.respond(server.first(first)))) == b""
    client.finish()


def test_the_example_of_rfc_5802_comes_out_octet_by_octet() -> None:
    client = sha1()
    assert client.initial() == b"n,,n=user,r=" + NONCE
    assert client.respond(b"r=%b,s=%b,i=4096" % (JOINT, SALT)) == (
        b"c=biws,r=" + JOINT + b",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    )
    assert client.respond(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") == b""
    client.finish()


def test_the_example_of_rfc_7677_comes_out_octet_by_octet() -> None:
    client = Scram(b"SCRAM-SHA-256", PENCIL, b"n", nonce=b"rOprNGfwEbeRWgbNEkqO")
    assert client.initial() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    joint = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    assert client.respond(b"r=%b,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" % joint) == (
        b"c=biws,r=" + joint + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert client.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""
    client.finish()


@settings(max_examples=60, deadline=None)
@given(
    user=st.text(min_size=1, max_size=20),
    password=st.text(max_size=40),
    salt=st.binary(min_size=1, max_size=64),
    digest=st.sampled_from(["sha1", "sha256"]),
    authzid=st.sampled_from([b"", b"other,=user"]),
)
def test_client_and_server_agree_on_any_user_and_password(
    user: str, password: str, salt: bytes, digest: str, authzid: bytes
) -> None:
    try:
        prepared_user = prepare(user.encode(), "user", stored=False)
        prepared = prepare(password.encode(), "password", stored=True)
    except errors.ConfigError:
        return
    if not prepared_user:
        return
    name = b"SCRAM-SHA-1" if digest == "sha1" else b"SCRAM-SHA-256"
    server = ScramServer(digest, prepared, salt=salt)
    login(Scram(name, Credentials(user.encode(), password.encode(), authzid), b"n"), server)
    assert server.accepted
    assert (server.user, server.authzid) == (prepared_user, authzid)


def test_the_password_is_prepared_before_it_is_hashed() -> None:
    server = ScramServer("sha1", b"IX")
    login(sha1(Credentials("I\u00adX".encode(), "\u2168".encode())), server)
    assert server.accepted
    assert server.user == b"IX"


def test_an_empty_password_works() -> None:
    server = ScramServer("sha256", b"")
    login(Scram(b"SCRAM-SHA-256", Credentials(b"user"), b"n"), server)
    assert server.accepted


def test_a_wrong_password_does_not_pass_the_server() -> None:
    client = sha1()
    server = ScramServer("sha1", b"pen")
    answer = server.final(client.respond(server.first(client.initial())))
    assert not server.accepted
    with pytest.raises(errors.NoPermission, match="invalid-proof"):
        client.respond(answer)


def test_two_exchanges_have_different_nonces_of_enough_octets() -> None:
    one, other = (Scram(b"SCRAM-SHA-1", PENCIL, b"n").initial() for _ in range(2))
    assert one != other
    assert len(base64.b64decode(one.rpartition(b"r=")[2])) >= 18


def test_a_password_that_is_no_utf8_is_a_clear_error() -> None:
    with pytest.raises(errors.ConfigError, match="not UTF-8"):
        sha1(Credentials(b"user", b"p\xe4ss"))


def test_a_user_name_that_prepares_to_nothing_is_refused() -> None:
    with pytest.raises(errors.ConfigError, match="empty"):
        sha1(Credentials("\u00ad".encode(), b"x"))


def binding(**known: bytes):
    return lambda kind: known.get(kind.replace("-", "_"))


PLUS = b"SCRAM-SHA-256-PLUS"


@pytest.mark.parametrize(
    ("known", "flag", "data"),
    [
        ({"tls_server_end_point": b"hash"}, b"p=tls-server-end-point", b"hash"),
        ({"tls_exporter": b"secret", "tls_server_end_point": b"hash"}, b"p=tls-exporter", b"secret"),
    ],
)
def test_the_plus_form_binds_the_best_type_that_the_connection_has(
    known: dict[str, bytes], flag: bytes, data: bytes
) -> None:
    server = ScramServer("sha256", b"pencil", binding=data)
    login(scram.make(PLUS, PENCIL, [PLUS], binding(**known)), server)
    assert server.accepted
    assert server.flag == flag


def test_another_connection_than_the_servers_is_noticed() -> None:
    client = scram.make(PLUS, PENCIL, [PLUS], binding(tls_exporter=b"between us and the attacker"))
    server = ScramServer("sha256", b"pencil", binding=b"between the attacker and the server")
    answer = server.final(client.respond(server.first(client.initial())))
    with pytest.raises(errors.NoPermission, match="channel-bindings-dont-match"):
        client.respond(answer)


@pytest.mark.parametrize("callable_", [None, binding(), binding(tls_exporter=b"")])
def test_the_plus_form_without_channel_binding_is_a_temporary_failure(callable_) -> None:
    with pytest.raises(errors.TempFail, match="channel binding"):
        scram.make(PLUS, PENCIL, [PLUS], callable_)


@pytest.mark.parametrize(
    ("offered", "callable_", "flag"),
    [
        ([b"SCRAM-SHA-256"], binding(tls_exporter=b"x"), b"y"),
        ([b"SCRAM-SHA-256"], None, b"n"),
        ([b"SCRAM-SHA-256"], binding(), b"n"),
        ([b"SCRAM-SHA-256", b"SCRAM-SHA-1-PLUS"], binding(tls_exporter=b"x"), b"n"),
        ([b"SCRAM-SHA-256", b"SCRAM-SHA-512-PLUS"], binding(tls_exporter=b"x"), b"n"),
        ([b"SCRAM-SHA-256", b"GS2-KRB5-PLUS"], binding(tls_exporter=b"x"), b"y"),
    ],
)
def test_the_server_learns_that_we_could_bind_only_if_it_seems_unable_to(offered, callable_, flag) -> None:
    server = ScramServer("sha256", b"pencil")
    login(scram.make(b"SCRAM-SHA-256", PENCIL, offered, callable_), server)
    assert server.flag == flag


def test_a_refusal_before_the_proof_is_one_of_the_channel_binding() -> None:
    client = scram.make(PLUS, PENCIL, [PLUS], binding(tls_exporter=b"x"))
    assert client.retry_unbound
    client.respond(ScramServer("sha256", b"pencil").first(client.initial()))
    assert not client.retry_unbound
    assert not sha1().retry_unbound


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"r",
        b"=x",
        b"r=,s=,i=",
        b"r=%b,s=%b" % (JOINT, SALT),
        b"s=%b,r=%b,i=4096" % (SALT, JOINT),
        b"r=%b,s=%b,i=4096" % (NONCE, SALT),
        b"r=%b,s=%b,i=4096" % (b"x" + JOINT, SALT),
        b"r=%b,s=%b,i=4096" % (JOINT[:-24], SALT),
        b"r=%b\x7f,s=%b,i=4096" % (JOINT, SALT),
        b"r=%b ,s=%b,i=4096" % (JOINT, SALT),
        b"r=%b\xc3\xa9,s=%b,i=4096" % (JOINT, SALT),
        b"r=%b,s=,i=4096" % JOINT,
        b"r=%b,s=!!!!,i=4096" % JOINT,
        b"r=%b,s=QSXC\nR+Q6,i=4096" % JOINT,
        b"r=%b,s=%b,i=4096" % (JOINT, base64.b64encode(bytes(1025))),
        b"r=%b,s=%b,i=" % (JOINT, SALT),
        b"r=%b,s=%b,i=04096" % (JOINT, SALT),
        b"r=%b,s=%b,i=+4096" % (JOINT, SALT),
        b"r=%b,s=%b,i=-1" % (JOINT, SALT),
        b"r=%b,s=%b,i=4096.0" % (JOINT, SALT),
        b"r=%b,s=%b,i=\xd9\xa4" % (JOINT, SALT),
        b"m=ext,r=%b,s=%b,i=4096" % (JOINT, SALT),
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        b"\0" * 100,
    ],
)
def test_a_malformed_or_foreign_first_message_ends_the_exchange(first: bytes) -> None:
    client = sha1()
    with pytest.raises(errors.ProtocolError, match="AUTH SCRAM-SHA-1"):
        client.respond(first)
    with pytest.raises(errors.ProtocolError):
        client.finish()


def test_an_extension_that_the_server_insists_on_is_named_as_the_reason() -> None:
    with pytest.raises(errors.ProtocolError, match="extension"):
        sha1().respond(b"m=ext,r=%b,s=%b,i=4096" % (JOINT, SALT))


def test_commas_and_equals_signs_in_names_are_escaped() -> None:
    client = sha1(Credentials(b"a,=b", b"pencil", b"c=,d"))
    assert client.initial() == b"n,a=c=3D=2Cd,n=a=2C=3Db,r=" + NONCE


@pytest.mark.parametrize(
    ("count", "word"),
    [
        (b"1", "fewer"),
        (b"4095", "fewer"),
        (b"1000001", "more"),
        (b"2000000000", "more"),
        (b"9" * 100_000, "more"),
    ],
)
def test_too_few_and_too_many_iterations_are_refused_in_one_line(count: bytes, word: str) -> None:
    with pytest.raises(errors.TempFail, match=f"{word} than") as caught:
        sha1().respond(b"r=%b,s=%b,i=%b" % (JOINT, SALT, count))
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [4096, 1_000_000])
def test_the_bounds_of_the_iterations_are_allowed(count: int) -> None:
    server = ScramServer("sha1", b"pencil", iterations=count)
    login(sha1(), server)
    assert server.accepted


def test_extensions_after_the_iterations_are_passed_over() -> None:
    client = sha1()
    assert client.respond(b"r=%b,s=%b,i=4096,x=some,y=thing" % (JOINT, SALT)).startswith(b"c=biws,")


@pytest.mark.parametrize("stage", [0, 1])
def test_an_error_message_is_a_refusal_that_is_named_without_controls(stage: int) -> None:
    client = sha1()
    if stage:
        client.respond(b"r=%b,s=%b,i=4096" % (JOINT, SALT))
    with pytest.raises(errors.NoPermission) as caught:
        client.respond(b"e=unknown-user\r\n\x1b[2J")
    assert "unknown-user" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def proved() -> Scram:
    client = sha1()
    client.respond(b"r=%b,s=%b,i=4096" % (JOINT, SALT))
    return client


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"v=",
        b"v",
        b"v=!!",
        b"v=AAAA",
        b"v=" + base64.b64encode(bytes(20)),
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ",
        b"x=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        b"r=%b,s=%b,i=4096" % (JOINT, SALT),
    ],
)
def test_a_server_that_cannot_sign_never_gets_a_success(final: bytes) -> None:
    client = proved()
    with pytest.raises(errors.ProtocolError):
        client.respond(final)
    with pytest.raises(errors.ProtocolError, match="without proving"):
        client.finish()


@pytest.mark.parametrize("client", [sha1(), proved()])
def test_success_without_a_signature_does_not_count(client: Scram) -> None:
    with pytest.raises(errors.ProtocolError, match="without proving"):
        client.finish()


def test_a_challenge_after_the_signature_is_an_error() -> None:
    client = proved()
    client.respond(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
    with pytest.raises(errors.ProtocolError):
        client.respond(b"")


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"r=" + JOINT + b",s=" + SALT + b",i=4096", b"e=x", b"v="])))
@settings(deadline=None)
def test_no_answer_of_a_server_makes_anything_but_a_clean_failure(answers: list[bytes]) -> None:
    client = sha1()
    for answer in answers:
        try:
            client.respond(answer)
        except errors.Failure as error:
            assert error.temporary
    with pytest.raises(errors.ProtocolError):
        client.finish()


def test_password_prepared_password_and_proof_are_secrets() -> None:
    client = Scram(b"SCRAM-SHA-1", Credentials(b"user", "\u2168".encode()), b"n", nonce=NONCE)
    assert set(client.secrets()) == {"\u2168".encode(), b"IX"}
    final = client.respond(b"r=%b,s=%b,i=4096" % (JOINT, SALT))
    assert final in client.secrets()
    assert final.rpartition(b"p=")[2] in client.secrets()
    assert b"" not in Scram(b"SCRAM-SHA-1", Credentials(b"user"), b"n").secrets()
