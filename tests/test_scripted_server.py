"""The installed command against a server that does everything that a good server never does.

Each scenario says what the server does, the exit code that is right, and how long it may take at most; and in each of
them neither password nor message may have gone anywhere in clear, nor the password into anything that was printed.
"""

import functools
import pathlib
import subprocess
import time

import pytest
from cryptography.hazmat.primitives import hashes

from tests.conftest import Installed
from tests.delivery import certificates
from tests.scenarios import SCENARIOS, Scenario
from tests.scenarios.scenario import PASSWORD, TEXT, TIMEOUT, USER, echoes
from tests.scripted import ScriptedServer


def _run(sendmail: str, config: str, scene: Scenario, log: str) -> tuple[subprocess.CompletedProcess[bytes], float]:
    started = time.monotonic()
    done = subprocess.run(
        [sendmail, "-C", config, "-v", "-i", "-f", "sender@example.org", *scene.recipients],
        input=scene.message,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done, time.monotonic() - started


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write a server's key and certificate of each kind, and the authority's certificate as "ca"."""
    folder = tmp_path_factory.mktemp("identities")
    ca = certificates.issue(common_name="the authority", authority=True)
    other = certificates.issue(common_name="another authority", authority=True)
    here = functools.partial(certificates.issue, dns=("localhost",), ip=("127.0.0.1",))
    day = certificates.DAY
    made = {
        "good": here(ca),
        "expired": here(ca, begin=-3 * day, end=-day),
        "not-yet": here(ca, begin=day),
        "wrong-name": certificates.issue(ca, ("other.example",)),
        "self-signed": here(),
        "unknown-authority": here(other),
        "for-clients": here(ca, usage=certificates.CLIENT),
        "name-in-subject-only": certificates.issue(ca, (), common_name="127.0.0.1"),
        "wrong-address": certificates.issue(ca, (), ("127.0.0.2",)),
    }
    paths = {kind: identity.write(folder / f"{kind}.pem") for kind, identity in made.items()}
    (folder / "ca.crt").write_bytes(ca.pem)
    fingerprint = made["self-signed"].certificate.fingerprint(hashes.SHA256()).hex()
    return {**paths, "ca": str(folder / "ca.crt"), "fingerprint": fingerprint}


def _configuration(folder: pathlib.Path, port: int, scene: Scenario, identities: dict[str, str]) -> str:
    words = {
        "host": "127.0.0.1",
        "port": str(port),
        "tls_trust_file": identities["ca"],
        "user": USER,
        "password": PASSWORD,
        "timeout": str(TIMEOUT),
        "syslog": "off",
        "logfile": str(folder / "log"),
        **scene.words,
    }
    path = folder / "conf"
    lines = [f"{word} {value}\n" for word, value in words.items() if value]
    path.write_text("".join(lines).replace("@SELF-SIGNED@", identities["fingerprint"]))
    path.chmod(0o600)
    return str(path)


def test_there_are_scenarios_enough_and_no_two_of_one_name() -> None:
    names = [scene.name for scene in SCENARIOS]
    assert len(set(names)) == len(names) >= 120


@pytest.mark.parametrize("scene", SCENARIOS, ids=lambda scene: scene.name.replace(" ", "_"))
def test_scenario(scene: Scenario, installed: Installed, identities: dict[str, str], tmp_path: pathlib.Path) -> None:
    with ScriptedServer(scene.script, identities) as server:
        config = _configuration(tmp_path, server.port, scene, identities)
        done, took = _run(installed.sendmail, config, scene, str(tmp_path / "log"))
    printed = done.stdout + done.stderr
    logged = (tmp_path / "log").read_bytes() if (tmp_path / "log").exists() else b""
    assert done.returncode == scene.code, printed.decode("utf-8", "replace")
    assert took < scene.bound
    assert scene.says.encode() in printed.replace(b"\n", b" "), printed.decode("utf-8", "replace")
    assert not server.surprises
    assert len(server.messages) == scene.delivered
    assert scene.connections is None or server.connections == scene.connections
    clear, secure = server.said
    secrets = [form.encode() for form in echoes()]
    assert scene.clear_password or not any(secret in clear for secret in secrets)
    assert scene.clear_message or (TEXT.encode() not in clear and b"MAIL" not in clear)
    assert not any(secret in printed + logged for secret in secrets)
    assert TEXT.encode() not in printed
    assert not any(octet in printed for octet in (b"\x1b", b"\x07", b"\r", b"\x7f", b"\xc2\x9b", b"\xe2\x80\xae"))
    assert b"Traceback" not in printed
    if scene.code:
        assert done.stderr.splitlines()[-1].startswith(b"sendmail: ")
