"""pysendmail configure --yes: a configuration from options, tried and then written, or not written and the reason told."""

import base64
import os
import pathlib
import subprocess

import pytest

from tests.configure.conftest import LIMIT, SECRET, Configurer
from tests.obedient import SILENCE, Obedient

ME = "me@localdomain"


@pytest.fixture
def server(identities: dict[str, str]):
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as running:
        yield running


def test_a_configuration_is_tried_written_and_sends(who: Configurer, server: Obedient) -> None:
    said = who.good(ME, server=server)
    assert "\nlogin:         accepted for me@localdomain\n" in said and "\nresult:        0 failed, 2 warnings\n" in said
    assert f"{who.path} is written\n" in said and "password (not shown)\n" in said
    assert who.words == [
        "host localhost", f"port {server.port}", f"tls_trust_file {who.ca}", "from me@localdomain", "user me@localdomain",
        f'password "{SECRET}"', "local_sender me@localdomain",
    ]  # fmt: skip
    assert who.path.stat().st_mode & 0o777 == 0o600
    assert who.path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(who.path.parent) == ["pysendmail.conf"]
    assert server.deliveries == []
    who.sends(server)
    assert base64.b64encode(f"\0{ME}\0{SECRET}".encode()) in server.said[1]


def test_a_test_message_is_sent_and_its_outcome_is_told(who: Configurer, server: Obedient) -> None:
    said = who.good(ME, "--test-to", "bob@example.net", server=server)
    (delivery,) = server.deliveries
    assert delivery.recipients == ["bob@example.net"] and delivery.sender == ME and delivery.encrypted
    assert delivery.field("To") == ["<bob@example.net>"] and delivery.field("From")[0].endswith("<me@localdomain>")
    assert delivery.field("Auto-Submitted") == ["auto-generated"]
    assert "recipient:     <bob@example.net>: 250" in said
    assert f"test message: accepted for bob@example.net by localhost[127.0.0.1]:{server.port}: 250 2.0.0 kept" in said


def test_a_test_message_that_is_refused_ends_with_its_exit_code(who: Configurer, server: Obedient) -> None:
    server.answers = {".": "554 5.7.1 looks like spam"}
    done = who.run(ME, "--test-to", "bob@example.net", server=server)
    assert done.returncode == 65 and "test message: " in done.stdout and "554 5.7.1 looks like spam" in done.stdout
    assert who.path.exists()
    found = who.object(ME, "--test-to", "bob@example.net", server=server, code=65)
    assert found["message"]["code"] == 65 and "looks like spam" in found["message"]["reply"] and not found["written"]


@pytest.mark.parametrize(
    ("answers", "code", "cause"),
    [
        ({"AUTH": "535 5.7.8 bad credentials"}, 77, "login: wrong user or password: "),
        ({"RCPT": "550 5.1.1 nobody"}, 67, "recipient: <bob@example.net>: refused: "),
        ({"MAIL": "550 5.7.1 not your address"}, 69, "sender: <me@localdomain>: refused: "),
        ({"greeting": "554 go away"}, 75, "failed:        "),
    ],
)
def test_what_fails_the_checks_is_not_written(
    who: Configurer, server: Obedient, answers: dict[str, str], code: int, cause: str
) -> None:
    server.answers = answers
    done = who.run(ME, "--test-to", "bob@example.net", server=server)
    assert (done.returncode, done.stderr) == (code, "")
    assert cause in done.stdout and "nothing was written; --force writes it all the same\n" in done.stdout
    assert who.left() == {} and list(who.home.iterdir()) == [] and server.deliveries == []


def test_force_writes_what_fails_and_exits_as_the_checks_say(who: Configurer, server: Obedient) -> None:
    server.answers = {"AUTH": "535 5.7.8 bad credentials"}
    done = who.run(ME, "--force", "--test-to", "bob@example.net", server=server)
    assert done.returncode == 77 and f"{who.path} is written\n" in done.stdout
    assert who.path.exists() and server.deliveries == []


def test_a_wrong_certificate_gets_no_password(who: Configurer, server: Obedient) -> None:
    done = who.run(ME, "--tls-trust-file", "/etc/ssl/certs", server=server)
    assert done.returncode == 75 and "from an issuer that is not trusted here" in done.stdout
    assert b"AUTH" not in server.said[0] + server.said[1] and who.left() == {}


def test_a_certificate_can_be_pinned(who: Configurer, server: Obedient, identities: dict[str, str]) -> None:
    import hashlib
    import ssl

    pem = pathlib.Path(identities["good"]).read_text()
    der = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERT") : pem.index("-----END CERTIFICATE-----") + 25])
    pin = hashlib.sha256(der).hexdigest()
    who.ca = ""
    done = who.run(ME, "--tls-fingerprint", pin, server=server)
    assert done.returncode == 0, done.stdout
    assert f"tls_fingerprint {pin}" in who.words
    who.path.unlink()
    done = who.run(ME, "--tls-fingerprint", "ab" * 32, server=server)
    assert done.returncode == 75 and not who.path.exists()


def test_without_a_login_there_is_no_password(who: Configurer) -> None:
    with Obedient() as server:
        words = [who.command, "configure", "-y", "--file", str(who.path), "--host", "localhost", "--port", str(server.port)]
        said = who.good(words=[*words, "--tls", "off", "--auth", "off", ME], server=server)
        assert "encryption: NONE" in said.replace("encryption:    ", "encryption: ")
        assert who.words[:4] == ["host localhost", f"port {server.port}", "tls off", "from me@localdomain"]
        assert who.path.stat().st_mode & 0o777 == 0o600
        who.sends(server)


def test_tls_from_the_start_at_an_unusual_port(who: Configurer, identities: dict[str, str]) -> None:
    with Obedient(identities, tls="implicit", mechanisms="PLAIN") as server:
        who.good("--host", "localhost", "--port", str(server.port), "--tls", "implicit", ME)
        assert "tls_starttls off" in who.words
        who.sends(server)


def test_the_result_as_json_has_all_of_it_and_no_secret(who: Configurer, server: Obedient) -> None:
    found = who.object(ME, "--from", "other@localdomain", "--user", "uv", "--test-to", "b@example.net", server=server)
    assert (found["address"], found["from"], found["user"], found["secret"]) == (ME, "other@localdomain", "uv", "file")
    assert (found["host"], found["port"], found["tls"], found["auth"]) == ("localhost", server.port, "starttls", "on")
    assert found["written"] is True and found["backup"] is None and found["message"]["recipient"] == "b@example.net"
    assert found["check"]["code"] == 0 and found["check"]["file"] == str(who.path) and found["source"] == "as was asked for"
    assert any(one["step"] == "login" for one in found["check"]["findings"])


def test_a_command_for_the_password_is_run_and_written(who: Configurer, server: Obedient) -> None:
    command = "printf '%s\\n' \"s3 cret\"; true \"x\""
    words = [who.command, "configure", "-y", "--file", str(who.path), "--tls-trust-file", who.ca]
    words += ["--host", "localhost", "--port", str(server.port), "--secret", f"passwordeval={command}", ME]
    who.good(words=words)
    assert f"passwordeval {command}" in who.words
    assert base64.b64encode(f"\0{ME}\0s3 cret".encode()) in server.said[1]
    who.sends(server)


def test_a_command_that_prints_nothing_fails_the_checks(who: Configurer, server: Obedient) -> None:
    words = [who.command, "configure", "-y", "--file", str(who.path), "--tls-trust-file", who.ca]
    words += ["--host", "localhost", "--port", str(server.port), "--secret", "passwordeval=true", ME]
    done = who.run(words=words)
    assert done.returncode == 75 and "password: " in done.stdout and not who.path.exists()


def test_a_password_of_any_octets_arrives_as_it_is(who: Configurer, server: Obedient) -> None:
    for password in ('"', '""', '"x"', " x ", "\tx\t", "#x", "# x", "~/x", "\\", "a b\tc", "x\"", "'", "%U", "x" * 300):
        said = len(b"".join(server.secure))
        who.good("--force", ME, server=server, password=password)
        token = base64.b64encode(f"\0{ME}\0{password}".encode())
        assert token in b"".join(server.secure)[said:], password
        said = len(b"".join(server.secure))
        who.sends(server)
        assert token in b"".join(server.secure)[said:], password


@pytest.mark.parametrize("password", ["a\rb", "a\0b", "a\x1bb", "\x7f"])
def test_a_password_that_no_file_can_hold_is_refused(who: Configurer, server: Obedient, password: str) -> None:
    line = who.refuse(64, ME, server=server, password=password)
    assert "password: a control character in it" in line and server.connections == 0


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ((), "which mail address?"),
        (("",), "expected one mail address"),
        (("alice",), "expected one mail address"),
        (("a@b, c@d",), "expected one mail address"),
        (("a@b c",), "expected one mail address"),
        (("a@[127.0.0.1]",), "expected one mail address"),
        (("me@local\nhost evil.example",), "expected one mail address"),
        (("me@local\x1b[2J",), "expected one mail address"),
        (("a@exa_mple!.org",), "the address: "),
        (("jürgen@example.org",), "expected one mail address"),
        ((ME, "--from", "x"), "--from: expected one mail address"),
        ((ME, "--test-to", "x y"), "--test-to: expected one mail address"),
        ((ME, "--user", ""), "--user: it is empty"),
        ((ME, "--user", "a\nhost evil.example"), "user: a control character in it"),
        ((ME, "--user", "a\rb"), "user: a control character in it"),
        ((ME, "--user", "x" * 5000), "user: it is longer than"),
        ((ME, "--port", "0"), "--port: expected a number from 1 to 65535"),
        ((ME, "--port", "587x"), "--port: expected a number from 1 to 65535"),
        ((ME, "--host", "a b"), "--host: expected a host name"),
        ((ME, "--host", "a\nport 25"), "--host: expected a host name"),
        ((ME, "--account", "a:b"), "--account: expected a name"),
        ((ME, "--account", ""), "--account: expected a name"),
        ((ME, "--account", "a\nb"), "--account: expected a name"),
        ((ME, "--secret", "keyring"), "--secret: expected file, secret-tool, credential or passwordeval=COMMAND"),
        ((ME, "--secret", "passwordeval="), "--secret: expected file"),
        ((ME, "--secret", "credential"), "--system configures that"),
        ((ME, "--secret", "passwordeval=x"), "--password-file has no meaning beside"),
        ((ME, "--tls", "off"), "no password is sent in clear"),
        ((ME, "--tls-fingerprint", "12"), "--tls-fingerprint: expected the SHA-256 fingerprint"),
        ((ME, "--provider", "nobody"), "--provider: expected one of gmail, outlook"),
        ((ME, "--provider", "gmail"), "--host and --provider name two servers"),
        ((ME, "--auth", "off"), "then there is neither user nor password"),
        ((ME, "--system"), "--system has no meaning beside --file"),
    ],
)
def test_options_of_no_sense_are_told_before_anything_is_done(
    who: Configurer, server: Obedient, arguments: tuple[str, ...], cause: str
) -> None:
    assert cause in who.refuse(64, *arguments, server=server)
    assert server.connections == 0


def test_a_missing_password_and_a_missing_terminal_are_told(who: Configurer, server: Obedient) -> None:
    words = [who.command, "configure", ME, "--host", "localhost", "--port", str(server.port), "--file", str(who.path)]
    assert "there is no password; --password-file FILE" in who.refuse(64, words=[*words, "-y"])
    assert "there is no terminal to ask on; with --yes" in who.refuse(64, words=words)
    assert "its first line is empty" in who.refuse(64, ME, server=server, password="")
    assert "cannot be read" in who.refuse(66, words=[*words, "-y", "--password-file", "/nonexistent"])
    assert "cannot be read" in who.refuse(66, words=[*words, "-y", "--password-file", "/"])
    assert server.connections == 0


def test_a_password_file_may_be_a_pipe_and_only_its_first_line_counts(who: Configurer, server: Obedient) -> None:
    words = [who.command, *who.arguments(server), "--password-file", "/dev/fd/0", ME]
    who.good(words=words, password="first one\r\nsecond")
    assert "password first one" in who.words


def test_a_server_that_wants_oauth_is_explained(who: Configurer) -> None:
    words = [who.command, "configure", "-y", "--file", str(who.path), "me@hotmail.co.uk"]
    line = who.refuse(64, words=words)
    assert "smtp-mail.outlook.com takes no password, only OAuth2" in line and "--secret passwordeval=COMMAND" in line


def test_the_user_of_a_service_is_asked_for(who: Configurer) -> None:
    words = [who.command, "configure", "-y", "--file", str(who.path), "--password-file", "-", "box@example.org", "--provider"]
    assert "the user's name at smtp.postmarkapp.com is not known; --user says it" in who.refuse(64, words=[*words, "postmark"])
    assert "the server of Amazon SES depends on the region; --host says which" in who.refuse(64, words=[*words, "ses"])


def test_the_dialogue_is_shown_without_the_password(who: Configurer, server: Obedient) -> None:
    done = who.run("-v", ME, server=server)
    assert done.returncode == 0 and "--> EHLO" in done.stderr and "--> AUTH PLAIN ****" in done.stderr
    assert base64.b64encode(f"\0{ME}\0{SECRET}".encode()).decode() not in done.stdout + done.stderr


def test_a_signal_during_the_checks_leaves_nothing_behind(who: Configurer, server: Obedient) -> None:
    import signal

    server.answers = {"AUTH": SILENCE}
    words = [who.command, *who.arguments(server), ME]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=who.environ, start_new_session=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"secret\n")
        process.stdin.flush()
        from tests.command.caller import until

        until(lambda: any(line.startswith("AUTH") for line in server.commands))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 75 and err.endswith(b"ended by signal 15\n") and err.count(b"\n") == 1
    assert list(who.home.iterdir()) == []


def test_a_certificate_of_this_machine_s_own_is_told_and_not_trusted_by_itself(who: Configurer, server: Obedient) -> None:
    words = [who.command, "configure", "-y", "--file", str(who.path), "--password-file", "-", "--host", "localhost"]
    words += ["--port", str(server.port), "--tls", "starttls"]
    done = who.run(words=[*words, ME])
    assert done.returncode == 75 and not any(line.startswith("AUTH") for line in server.commands)
    pin = done.stdout.partition("if it is the right one, --tls-fingerprint ")[2].partition(" ")[0]
    who.good(words=[*words, "--tls-fingerprint", pin, ME])
    assert any(line == "tls_fingerprint " + pin for line in who.words)


@pytest.mark.parametrize("host", ["smtp.müller.example", "smtp.ŝ.example", "smtp.例え.example"])
def test_a_host_of_other_letters_is_written_in_those_of_dns(who: Configurer, host: str) -> None:
    done = who.run("--host", host, "--port", "1", ME, "--force")
    assert done.returncode == 75 and who.words[0].startswith("host smtp.xn--")


def test_a_domain_of_other_letters_is_written_in_those_of_dns(who: Configurer, server: Obedient) -> None:
    who.good("jan@Müller.localdomain", server=server)
    assert "user jan@xn--mller-kva.localdomain" in [line.lower() for line in who.words]


def test_a_file_of_authorities_that_is_not_there_is_told(who: Configurer, server: Obedient) -> None:
    done = who.run(ME, "--tls-trust-file", "nowhere.pem", server=server)
    assert done.returncode == 78 and "nowhere.pem" in done.stdout and not who.path.exists()


def test_another_program_s_file_that_was_used_until_now_is_told(who: Configurer, server: Obedient) -> None:
    (who.home / ".msmtprc").write_text("host 127.0.0.1\n")
    who.path = who.home / ".config" / "pysendmail" / "pysendmail.conf"
    assert f"note: until now {who.home}/.msmtprc was used\n" in who.good(ME, server=server)
    assert "note: " not in who.good(ME, server=server, password="quite new")
    who.path = who.home / "elsewhere"
    assert f"note: for this user {who.home}/.config/pysendmail/pysendmail.conf holds, unless -C names it" in who.good(ME, server=server)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_do_no_harm(who: Configurer, server: Obedient, closed: str) -> None:
    (who.home / "pw").write_text("secret-word\n")
    words = [*who.arguments(server), "--password-file", str(who.home / "pw"), "--test-to", "bob@example.net", ME]
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {closed}', who.command, *words], env=who.environ, timeout=LIMIT, check=False,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 0 and "password secret-word" in who.words and len(server.deliveries) == 1
    heard = {line.partition(" ")[0] for line in server.commands}
    assert heard == {"EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "RSET", "BDAT", "QUIT"}
    for arguments in (["--help"], ["check", "-C", str(who.path), "--json"]):
        script = ["sh", "-c", f'exec "$0" "$@" {closed}', who.command, *arguments]
        other = subprocess.run(script, env=who.environ, timeout=LIMIT, check=False, capture_output=True)
        assert other.returncode == 0, other


def test_output_that_nobody_takes_stops_nothing(who: Configurer, server: Obedient) -> None:
    (who.home / "pw").write_text("secret-word\n")
    words = [who.command, *who.arguments(server), "--password-file", str(who.home / "pw"), ME]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(words, env=who.environ, timeout=LIMIT, check=False, stdout=full, start_new_session=True)
    assert done.returncode == 0 and "password secret-word" in who.words


def test_a_current_folder_that_is_gone_is_told_where_it_counts(who: Configurer, server: Obedient) -> None:
    gone = who.home / "gone"
    for name, good in ((str(who.path), True), ("conf", False)):
        gone.mkdir()
        script = f'cd "{gone}" && rmdir "{gone}" && exec "$0" "$@"'
        words = ["sh", "-c", script, who.command, *who.arguments(server), "--file", name, ME]
        if good:
            who.good(words=words)
        else:
            assert "the current folder is gone; write the whole name" in who.refuse(64, words=words)
