"""A network of its own, with DNS, web and mail servers at the ports where the world has them, for the installed command.

Runs as a program of its own, by root, in namespaces for network and mounts: takes commands as JSON on standard input, and
prints what became of each.
"""

import fcntl
import json
import pathlib
import socket
import struct
import subprocess
import sys

from tests import dns_server
from tests.configure import web_server
from tests.configure.test_autoconfig import file as autoconfig_file
from tests.delivery import certificates
from tests.obedient import Obedient

LIMIT = 120
HERE = "A 127.0.0.1\n"
ZONES = {
    "gmail.com": f"smtp {HERE}",
    "google.com": "mx " + HERE,
    "srv.example": f"_submissions._tcp SRV 0 0 465 post\npost {HERE}",
    "down.example": f"_submissions._tcp SRV 0 0 466 post\n_submission._tcp SRV 0 0 587 post\npost {HERE}",
    "auto.example": f"autoconfig {HERE}mta {HERE}",
    "wellknown.example": f"@ {HERE}mta {HERE}",
    "workspace.example": "@ MX 1 mx.google.com.\n",
    "guess.example": f"mail {HERE}",
    "thunderbird.net": "@ TXT x\n",
}
NAMES = (
    "smtp.gmail.com", "post.srv.example", "post.down.example", "autoconfig.auto.example", "mta.auto.example", "wellknown.example",
    "mta.wellknown.example", "mail.guess.example",
)  # fmt: skip
COMMON_NAME = "world root"
SET_FLAGS, UP = 0x8914, 1 | 64  # SIOCSIFFLAGS, IFF_UP and IFF_RUNNING


def pages() -> "dict[str, web_server.Answer]":
    auto = autoconfig_file({"host": "mta.auto.example", "port": "587", "tls": "STARTTLS", "user": "%EMAILLOCALPART%"})
    known = autoconfig_file({"host": "mta.%EMAILDOMAIN%"})
    return {
        "autoconfig.auto.example/mail/config-v1.1.xml": web_server.page(auto),
        "wellknown.example/.well-known/autoconfig/mail/config-v1.1.xml": web_server.page(known),
    }


def main(folder: pathlib.Path) -> None:
    """Make the world, and run the commands in it."""
    commands = json.load(sys.stdin)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
    roots = folder / "roots"
    roots.mkdir()
    root = certificates.authority(COMMON_NAME)
    (roots / "root.pem").write_bytes(root.pem)
    (roots / certificates.hash_link(COMMON_NAME)).symlink_to("root.pem")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))
    for words in (
        ["mount", "--bind", str(folder / "resolv.conf"), "/etc/resolv.conf"],
        ["mount", "--bind", str(roots), "/etc/ssl/certs"],
    ):
        subprocess.run(words, check=True)
    identities = {"good": certificates.issue(root, NAMES).write(folder / "world.pem")}
    with (
        dns_server.serving(ZONES, port=53),
        web_server.Web(identities, pages(), port=443) as web,
        Obedient(identities, tls="implicit", mechanisms="PLAIN", port=465) as implicit,
        Obedient(identities, tls="starttls", mechanisms="PLAIN", port=587) as starttls,
    ):
        for command in commands:
            before = len(implicit.deliveries), len(starttls.deliveries)
            done = subprocess.run(
                command, input="secret-word\n", capture_output=True, text=True, timeout=LIMIT, check=False,
                env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
            sent = {"implicit": len(implicit.deliveries) - before[0], "starttls": len(starttls.deliveries) - before[1]}
            result = {"code": done.returncode, "out": done.stdout, "err": done.stderr, "sent": sent, "asked": web.requests}
            print(json.dumps(result), flush=True)
            web.requests = []


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
