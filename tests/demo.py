"""Show one real message going through the installed command: what `make demo` runs.

Installs below a temporary prefix, starts a smarthost with STARTTLS, AUTH and a certificate authority of its own on
loopback, pipes a message through `sendmail -t -i -v` and checks what the smarthost received. Exits non-zero if
anything is amiss.
"""

import base64
import os
import pathlib
import subprocess
import sys
import tempfile

from tests.smarthost import Authority, Received, Smarthost, make_authority

ROOT = pathlib.Path(__file__).resolve().parent.parent
USER = "alice"
PASSWORD = "correct horse & battery"
HIDDEN = "dave@example.com"
RECIPIENTS = ["bob@example.org", "carol@example.org", HIDDEN]
HEADER = (
    "From: Alice Liddell <alice@example.net>\n"
    "To: Bob <bob@example.org>\n"
    "Cc: carol@example.org\n"
    f"Bcc: {HIDDEN}\n"
    "Subject: A first message\n"
    "MIME-Version: 1.0\n"
    "Content-Type: text/plain; charset=utf-8\n"
    "Content-Transfer-Encoding: 8bit\n"
)
BODY = "Dear Bob,\n\nČeština, Grüße, 日本語, 🙂\n.\nA lone dot ends nothing here.\n"


def install(prefix: pathlib.Path) -> None:
    """Run `make install` for the interpreter below this virtual environment."""
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    command = ["make", "--no-print-directory", "-C", str(ROOT), "install", f"PREFIX={prefix}", f"PYTHON={python}"]
    subprocess.run([*command, "DESTDIR="], env=environment, check=True)


def write_configuration(path: pathlib.Path, smarthost: Smarthost, authority: Authority) -> None:
    """Write the five lines that a newcomer writes, and where the demo's own CA and log are."""
    path.write_text(
        f"host localhost\nport {smarthost.port}\nfrom alice@example.net\nuser {USER}\npassword {PASSWORD}\n"
        f"tls_trust_file {authority.ca}\nsyslog off\n"
    )
    path.chmod(0o600)


def faults(done: subprocess.CompletedProcess[bytes], received: list[Received]) -> list[str]:
    """List everything that is not as it has to be."""
    found = [f"the exit code is {done.returncode}"] if done.returncode else []
    if done.stdout:
        found.append("something was written to standard output")
    found += [f"the dialogue lacks {word}" for word in ("EHLO", "STARTTLS", "AUTH") if word not in done.stderr.decode()]
    plain = [f"\0{USER}\0{PASSWORD}".encode(), PASSWORD.encode()]
    for secret in (PASSWORD.encode(), *(base64.b64encode(each).rstrip(b"=") for each in plain)):
        if secret in done.stderr:
            found.append("the dialogue shows the password")
    if len(received) != 1:
        return [*found, f"{len(received)} messages arrived, not one"]
    return found + message_faults(received[0])


def message_faults(message: Received) -> list[str]:
    """List what is wrong with the message that arrived or with its envelope."""
    header, _, body = message.data.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].strip().lower() for line in header.split(b"\r\n") if not line[:1].isspace()]
    kept = [line.encode() for line in HEADER.splitlines() if not line.startswith("Bcc:")]
    checks = {
        "the message came without TLS": message.tls is not None,
        "the message came without login": message.login == USER,
        f"the envelope's sender is {message.sender}": message.sender == "alice@example.net",
        f"the envelope's recipients are {message.recipients}": sorted(message.recipients) == RECIPIENTS,
        "the header still has Bcc": b"bcc" not in names and HIDDEN.encode() not in message.data,
        "the header has no Date": names.count(b"date") == 1,
        "the header has no Message-ID": names.count(b"message-id") == 1,
        "a header field was changed or lost": [line for line in header.split(b"\r\n") if line in kept] == kept,
        "the body was changed": body == BODY.encode().replace(b"\n", b"\r\n"),
    }
    return [fault for fault, good in checks.items() if not good]


def show(title: str, text: str) -> None:
    """Print a part of the story."""
    print(f"\n== {title}")
    print("\n".join("   " + line for line in text.rstrip("\n").split("\n")))


def main() -> int:
    """Play the demo and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="pysendmail-demo-") as name:
        folder = pathlib.Path(name)
        print("== make install, below a temporary prefix")
        sys.stdout.flush()
        install(folder / "prefix")
        authority = make_authority(folder)
        smarthost = Smarthost(authority, USER, PASSWORD)
        smarthost.start()
        configuration = folder / "pysendmail.conf"
        write_configuration(configuration, smarthost, authority)
        command = [str(folder / "prefix/sbin/sendmail"), "-C", str(configuration), "-t", "-i", "-v"]
        try:
            done = subprocess.run(command, input=(HEADER + "\n" + BODY).encode(), capture_output=True, timeout=60)
        finally:
            smarthost.stop()
    show("configuration", "host localhost\nport ...\nfrom alice@example.net\nuser alice\npassword ...")
    show("message, as it is piped into the command", HEADER + "\n" + BODY)
    show("sendmail -t -i -v: the dialogue, secrets masked", done.stderr.decode("utf-8", "replace"))
    for message in smarthost.received:
        envelope = f"from <{message.sender}>\n" + "\n".join(f"to   <{each}>" for each in message.recipients)
        show("envelope that the smarthost received", f"{envelope}\nlogin {message.login}, {message.tls}")
        show("message that the smarthost received", message.data.decode("utf-8", "replace").replace("\r\n", "\n"))
    amiss = faults(done, smarthost.received)
    show("verdict", "\n".join(f"AMISS: {fault}" for fault in amiss) or "all as it should be: delivered, Bcc hidden")
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main())
