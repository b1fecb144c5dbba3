"""What a context trusts and shows: roots, revocations, client certificates; and what the environment cannot change."""

import _ssl
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pysendmail import errors
from pysendmail.delivery import tls_context
from pysendmail.delivery.tls import TLS, Context, TLSFailure, TLSSettings, context
from tests.delivery.certificates import DAY, authority, hash_link, issue, revocation_list
from tests.delivery.tls_server import GOOD, ROOT, server_context, shake_hands

pytestmark = pytest.mark.usefixtures("binding")

MIDDLE = authority("Middle", ROOT)
DEEP = issue(MIDDLE, chain=(MIDDLE,))
CLIENT = issue(ROOT, dns=["client.example"], usage=None)


@pytest.fixture
def write(tmp_path):
    def _write(name: str, *contents: bytes, mode: int = 0o644) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(contents))
        path.chmod(mode)
        return str(path)

    return _write


@pytest.fixture
def system(monkeypatch, tmp_path):
    """Put folder and bundle of the test in the place of the system's."""
    folder, bundle = tmp_path / "certs", tmp_path / "bundle.pem"
    folder.mkdir()
    monkeypatch.setattr(tls_context, "_system_places", lambda: ([str(folder)], [str(bundle)]))
    return folder, bundle


def accepts(made: Context, identity, tmp_path, **more) -> bool:
    return shake_hands(TLS(made), server_context(identity, tmp_path, **more)).done


def refuses(made: Context, identity, tmp_path) -> TLSFailure:
    with pytest.raises(TLSFailure) as caught:
        shake_hands(TLS(made), server_context(identity, tmp_path))
    return caught.value


def settings(**more) -> TLSSettings:
    return TLSSettings(host="mail.example", **more)


def wrong(**more) -> str:
    """Give the line for settings that cannot be used; it must come when the context is made, not later."""
    with pytest.raises(errors.ConfigError) as caught:
        context(settings(**more))
    return str(caught.value)


# The binding


def test_the_public_module_is_the_stand_in(binding):
    assert isinstance(context(settings(verify=False)).raw, ssl.SSLContext) is (binding == "public")


def test_the_context_is_as_strict_as_it_must_be(write):
    raw = context(settings(trust=write("root.pem", ROOT.pem))).raw
    assert raw.verify_mode == ssl.CERT_REQUIRED
    assert raw.check_hostname
    assert getattr(raw, "_host_flags") & _ssl.HOSTFLAG_NEVER_CHECK_SUBJECT  # noqa: B009 - unknown to the stubs
    assert raw.minimum_version == ssl.TLSVersion.TLSv1_2
    assert raw.options & ssl.OP_NO_COMPRESSION
    assert raw.options & ssl.OP_NO_RENEGOTIATION
    assert not raw.options & ssl.OP_IGNORE_UNEXPECTED_EOF
    assert not raw.verify_flags & ssl.VERIFY_X509_STRICT
    assert raw.keylog_filename is None


def test_what_a_build_of_python_is_lax_about_is_taken_back(monkeypatch):
    lax = ssl.OP_IGNORE_UNEXPECTED_EOF | 0x4  # OP_LEGACY_SERVER_CONNECT, which not every version names
    make = tls_context._new_context

    def make_lax():
        raw = make()
        raw.options |= lax
        return raw

    monkeypatch.setattr(tls_context, "_new_context", make_lax)
    assert not context(settings(verify=False)).raw.options & lax


@pytest.mark.parametrize("word", ["TLS1.3", "tlsv1.3", "1.3"])
def test_the_least_version_may_be_raised(word):
    assert context(settings(verify=False, min_version=word)).raw.minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("word", ["TLS1.0", "1.1", "SSL3", "on", "1.4"])
def test_the_least_version_may_not_be_lowered(word):
    assert "tls_min_version" in wrong(min_version=word)


# The system's roots


def test_roots_are_found_by_their_hash_links(system, tmp_path):
    (system[0] / hash_link("Test Root")).write_bytes(ROOT.pem)
    made = context(settings())
    assert made.raw.cert_store_stats()["x509"] == 0  # nothing was parsed to no purpose
    assert accepts(made, GOOD, tmp_path)


@pytest.mark.parametrize("trust", [None, "system"])
def test_the_bundle_is_read_where_no_folder_has_links(system, tmp_path, trust):
    (system[0] / "root.pem").write_bytes(ROOT.pem)
    system[1].write_bytes(ROOT.pem)
    made = context(settings(trust=trust))
    assert accepts(made, GOOD, tmp_path)
    assert not refuses(made, issue(authority("Stranger")), tmp_path).retry_with_bundle


def test_the_bundle_serves_a_second_attempt(system, tmp_path):
    (system[0] / hash_link("Stranger")).write_bytes(authority("Stranger").pem)
    system[1].write_bytes(ROOT.pem)
    assert refuses(context(settings()), GOOD, tmp_path).retry_with_bundle
    assert refuses(context(settings()), DEEP, tmp_path).retry_with_bundle
    second = context(settings(), bundle=True)
    assert accepts(second, GOOD, tmp_path)
    assert not refuses(second, issue(authority("Other")), tmp_path).retry_with_bundle


def test_a_root_that_the_server_sends_along_is_looked_for_in_the_bundle_too(system, tmp_path):
    (system[0] / hash_link("Stranger")).write_bytes(authority("Stranger").pem)
    system[1].write_bytes(ROOT.pem)
    sent = issue(ROOT, chain=(ROOT,))
    assert refuses(context(settings()), sent, tmp_path).retry_with_bundle
    assert accepts(context(settings(), bundle=True), sent, tmp_path)


@pytest.mark.parametrize(
    "identity", [issue(ROOT, begin=-9 * DAY, end=-DAY), issue(ROOT, dns=["other.example"])], ids=["expired", "name"]
)
def test_what_no_root_can_mend_is_not_tried_again(system, tmp_path, identity):
    (system[0] / hash_link("Test Root")).write_bytes(ROOT.pem)
    system[1].write_bytes(ROOT.pem)
    assert not refuses(context(settings()), identity, tmp_path).retry_with_bundle


def test_without_a_bundle_there_is_no_second_attempt(system, tmp_path):
    (system[0] / hash_link("Stranger")).write_bytes(authority("Stranger").pem)
    assert not refuses(context(settings()), GOOD, tmp_path).retry_with_bundle


def test_a_system_without_roots_is_told_so(system):
    assert "no root certificates" in wrong()


def test_a_bundle_that_holds_none_is_told_so(system):
    system[1].write_bytes(b"nothing\n")
    assert str(system[1]) in wrong()


def test_the_places_are_those_of_the_build_first_then_well_known_ones(monkeypatch):
    monkeypatch.setenv("SSL_CERT_DIR", "/elsewhere")
    monkeypatch.setenv("SSL_CERT_FILE", "/elsewhere.pem")
    folders, bundles = tls_context._system_places()
    built = ssl.get_default_verify_paths()
    assert (folders[0], bundles[0]) == (built.openssl_capath, built.openssl_cafile)
    assert "/etc/ssl/certs" in folders and "/etc/pki/tls/certs/ca-bundle.crt" in bundles


@pytest.mark.parametrize(
    ("name", "link"),
    [("0123abcd.0", True), ("0123abcd.12", True), ("0123abcd.r0", False), ("0123ABCD.0", False), ("0123abcd.", False)],
)
def test_a_hash_link_is_known_by_its_name(tmp_path, name, link):
    (tmp_path / "root.pem").touch()
    (tmp_path / name).touch()
    assert tls_context.is_hashed(str(tmp_path)) is link


# Roots of one's own


def test_a_trust_file_is_all_that_is_trusted(system, write, tmp_path):
    system[1].write_bytes(ROOT.pem)
    own = authority("Own")
    made = context(settings(trust=write("own.pem", own.pem)))
    assert accepts(made, issue(own), tmp_path)
    assert not refuses(made, GOOD, tmp_path).retry_with_bundle


def test_a_trust_file_may_hold_several_roots(write, tmp_path):
    own = authority("Own")
    made = context(settings(trust=write("roots.pem", b"# mine\n", own.pem, b"\n# the other\n", ROOT.pem)))
    assert accepts(made, issue(own), tmp_path) and accepts(made, GOOD, tmp_path)


@pytest.mark.parametrize(("anchor", "identity"), [(MIDDLE, DEEP), (GOOD, GOOD), (MIDDLE, issue(MIDDLE))])
def test_whatever_stands_in_the_trust_file_is_trusted_as_it_is(write, tmp_path, anchor, identity):
    assert accepts(context(settings(trust=write("some.pem", anchor.pem))), identity, tmp_path)


def test_a_self_signed_certificate_may_be_its_own_root(write, tmp_path):
    alone = issue()
    made = context(settings(trust=write("self.pem", alone.pem)))
    assert accepts(made, alone, tmp_path)
    other = issue(dns=["other.example"])
    wrong_name = context(settings(trust=write("other.pem", other.pem)))
    assert "not for mail.example" in str(refuses(wrong_name, other, tmp_path))


def test_a_trust_folder_with_links_is_used_by_them(write, tmp_path):
    write(f"links/{hash_link('Test Root')}", ROOT.pem)
    made = context(settings(trust=str(tmp_path / "links")))
    assert made.raw.cert_store_stats()["x509"] == 0
    assert accepts(made, GOOD, tmp_path)
    assert not refuses(made, issue(authority("Stranger")), tmp_path).retry_with_bundle


def test_a_trust_folder_without_links_is_read_file_by_file(write, tmp_path):
    own = authority("Own")
    write("plain/a.pem", ROOT.pem)
    write("plain/b.crt", own.pem)
    write("plain/key.pem", GOOD.key_pem())
    write("plain/c.txt", authority("Other").pem)
    made = context(settings(trust=str(tmp_path / "plain")))
    assert accepts(made, GOOD, tmp_path) and accepts(made, issue(own), tmp_path)
    assert made.raw.cert_store_stats()["x509"] == 2


def test_trust_in_nothing_is_an_error(write, tmp_path):
    (tmp_path / "empty").mkdir()
    write("keys/key.pem", GOOD.key_pem())
    for trust in (str(tmp_path / "empty"), str(tmp_path / "keys")):
        assert wrong(trust=trust).startswith(f"{trust}: ")
    assert "nothing" not in wrong(trust="") and "tls_trust_file is empty" in wrong(trust="")


@pytest.mark.parametrize(
    "content",
    [b"", b"no certificate\n", GOOD.key_pem(), ROOT.pem[:200], revocation_list(ROOT), ROOT.der],
    ids=["empty", "text", "key", "cut off", "revocations", "binary"],
)
def test_a_trust_file_without_a_certificate_is_an_error(write, content):
    path = write("trust.pem", content)
    line = wrong(trust=path)
    assert line.startswith(f"{path}: ") and "tls_trust_file" in line


def test_a_missing_file_is_an_error_that_names_it(write, tmp_path):
    gone = str(tmp_path / "gone.pem")
    good = write("good.pem", ROOT.pem, mode=0o600)
    for more in (
        {"trust": gone},
        {"trust": good, "crl_file": gone},
        {"trust": good, "cert_file": gone},
        {"trust": good, "cert_file": good, "key_file": gone},
        {"trust": good, "cert_file": gone, "key_file": good},
    ):
        assert wrong(**more) == f"{gone}: cannot be read: No such file or directory"


def test_a_pipe_is_an_error_and_not_waited_at(write, tmp_path):
    pipe = str(tmp_path / "plain" / "pipe.pem")
    (tmp_path / "plain").mkdir()
    os.mkfifo(pipe, 0o600)
    good = write("good.pem", ROOT.pem, mode=0o600)
    for more in (
        {"trust": pipe},
        {"trust": good, "crl_file": pipe},
        {"trust": good, "cert_file": pipe, "key_file": good},
        {"trust": good, "cert_file": good, "key_file": pipe},
    ):
        assert wrong(**more) == f"{pipe}: is not a regular file"
    write("plain/a.pem", ROOT.pem)
    assert context(settings(trust=str(tmp_path / "plain"))).raw.cert_store_stats()["x509"] == 1


def test_an_unreadable_file_is_an_error_that_names_it(write, monkeypatch):
    path = write("trust.pem", ROOT.pem)
    real = os.open

    def deny(name, *rest, **more):
        if name == path:
            raise PermissionError(13, "Permission denied", name)
        return real(name, *rest, **more)

    monkeypatch.setattr(os, "open", deny)  # root may read everything
    assert wrong(trust=path) == f"{path}: cannot be read: Permission denied"


# Revocation


def revoking(write, *lists: bytes) -> Context:
    return context(settings(trust=write("root.pem", ROOT.pem), crl_file=write("crl.pem", *lists)))


def test_a_certificate_that_is_not_revoked_is_good(write, tmp_path):
    assert accepts(revoking(write, revocation_list(ROOT, CLIENT)), GOOD, tmp_path)


def test_a_revoked_certificate_is_refused(write, tmp_path):
    assert "is revoked" in str(refuses(revoking(write, revocation_list(ROOT, GOOD)), GOOD, tmp_path))


def test_a_revoked_intermediate_is_refused(write, tmp_path):
    made = revoking(write, revocation_list(ROOT, MIDDLE), revocation_list(MIDDLE))
    assert "is revoked" in str(refuses(made, DEEP, tmp_path))
    assert accepts(revoking(write, revocation_list(ROOT), revocation_list(MIDDLE)), DEEP, tmp_path)


def test_an_issuer_without_a_list_is_told(write, tmp_path):
    assert "tls_crl_file has no revocation list" in str(refuses(revoking(write, revocation_list(ROOT)), DEEP, tmp_path))


def test_an_expired_list_is_told(write, tmp_path):
    made = revoking(write, revocation_list(ROOT, begin=-9 * DAY, end=-DAY))
    assert "revocation list of tls_crl_file has expired" in str(refuses(made, GOOD, tmp_path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no revocation list"),
        (ROOT.pem, "no revocation list"),
        (revocation_list(ROOT) + authority("Evil").pem, "belongs into tls_trust_file"),
        (revocation_list(ROOT)[:150], "malformed"),
    ],
    ids=["empty", "certificate", "both", "cut off"],
)
def test_a_file_of_revocations_holds_nothing_else(write, content, words):
    path = write("crl.pem", content)
    line = wrong(trust=write("root.pem", ROOT.pem), crl_file=path)
    assert line.startswith(f"{path}: ") and words in line


# Client certificates


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_is_shown(write, tmp_path, version):
    root = write("root.pem", ROOT.pem)
    made = context(
        settings(
            trust=root,
            cert_file=write("client.pem", CLIENT.pem),
            key_file=write("client.key", CLIENT.key_pem(), mode=0o600),
        )
    )
    server = shake_hands(TLS(made), server_context(GOOD, tmp_path, version, client_authority=root))
    assert server.done
    assert server.end.getpeercert(True) == CLIENT.der


def test_the_key_may_stand_in_the_certificate_s_file(write, tmp_path):
    root = write("root.pem", ROOT.pem)
    both = write("both.pem", CLIENT.pem, CLIENT.key_pem(), mode=0o600)
    assert accepts(context(settings(trust=root, cert_file=both)), GOOD, tmp_path, client_authority=root)


def test_a_refused_client_certificate_is_told(write, tmp_path):
    stranger = issue(authority("Stranger"), usage=None)
    root = write("root.pem", ROOT.pem)
    both = write("both.pem", stranger.pem, stranger.key_pem(), mode=0o600)
    client = TLS(context(settings(trust=root, cert_file=both)))
    server = shake_hands(client, server_context(GOOD, tmp_path, ssl.TLSVersion.TLSv1_3, client_authority=root))
    client.feed(server.outgoing.read())
    with pytest.raises(TLSFailure, match='alert "unknown ca": check tls_cert_file and tls_key_file'):
        client.read()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620, 0o602])
def test_a_key_that_others_can_get_at_is_refused(write, mode):
    key = write("client.key", CLIENT.key_pem(), mode=mode)
    certificate = write("client.pem", CLIENT.pem)
    assert wrong(verify=False, cert_file=certificate, key_file=key).startswith(f"{key}: the key has mode 0{mode:o}")
    both = write("both.pem", CLIENT.pem, CLIENT.key_pem(), mode=mode)
    assert wrong(verify=False, cert_file=both).startswith(f"{both}: the key has mode")


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_an_encrypted_key_is_refused_and_nobody_is_asked(write, tmp_path, kind):
    identity = CLIENT if kind == "ec" else issue(key=rsa.generate_private_key(65537, 2048))
    key = write("client.key", identity.key_pem(b"secret"), mode=0o600)
    line = wrong(verify=False, cert_file=write("client.pem", identity.pem), key_file=key)
    assert line == f"{key}: the key is encrypted, and nobody is there to be asked; write it decrypted"


def test_a_key_of_another_certificate_is_refused(write):
    certificate = write("client.pem", CLIENT.pem)
    key = write("client.key", GOOD.key_pem(), mode=0o600)
    line = wrong(verify=False, cert_file=certificate, key_file=key)
    assert line == f"{key}: the key does not belong to the certificate in {certificate}"


def test_a_file_without_key_or_certificate_is_refused(write):
    empty = write("empty.pem", mode=0o600)
    assert "can be loaded" in wrong(verify=False, cert_file=empty)
    assert "can be loaded" in wrong(verify=False, cert_file=write("client.pem", CLIENT.pem), key_file=empty)


def test_a_key_alone_is_refused(write):
    assert "needs tls_cert_file" in wrong(verify=False, key_file=write("client.key", CLIENT.key_pem(), mode=0o600))


# The environment


def test_the_caller_s_roots_are_not_trusted(system, write, tmp_path, monkeypatch):
    system[1].write_bytes(authority("Stranger").pem)
    write(f"links/{hash_link('Test Root')}", ROOT.pem)
    monkeypatch.setenv("SSL_CERT_FILE", write("root.pem", ROOT.pem))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "links"))
    assert "not trusted" in str(refuses(context(settings()), GOOD, tmp_path))


def in_a_process(code: str, **environment: str) -> str:
    """Run code in a new isolated interpreter and give what it prints."""
    top = str(Path(tls_context.__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {top!r})\nfrom pysendmail.delivery import tls, tls_context\n{code}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], env=environment, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_the_caller_s_configuration_of_openssl_is_not_read(write):
    evil = write(
        "openssl.cnf",
        b"openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = TLSv1.2\n",
    )
    probe = "print(tls.context(tls.TLSSettings(verify=False)).raw.maximum_version)"
    clean = in_a_process(probe)
    assert in_a_process(probe, OPENSSL_CONF=evil) == clean
    spoilt = "import _ssl; print(_ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT).maximum_version)"
    assert in_a_process(spoilt, OPENSSL_CONF=evil) != clean  # else this test tests nothing


def test_session_keys_are_not_written_where_the_caller_says(write, tmp_path, monkeypatch):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    assert accepts(context(settings(trust=write("root.pem", ROOT.pem))), GOOD, tmp_path)
    assert not (tmp_path / "keys.log").exists()
    assert "SSLKEYLOGFILE" not in os.environ


def test_the_public_module_is_not_imported_on_the_ordinary_path():
    code = """
made = tls.TLS(tls.context(tls.TLSSettings(host="mail.example")))
made.handshake()
names = {"ssl", "re", "enum", "socket", "hashlib", "typing", "collections", "pysendmail.delivery.certificate",
    "pysendmail.delivery.tls_files", "pysendmail.delivery.tls_failure"}
print(sorted(names & set(sys.modules)), len(made.take()) > 100)
"""
    assert in_a_process(code) == "[] True"
