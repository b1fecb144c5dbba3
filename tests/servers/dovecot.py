"""Dovecot's submission server: it checks the login and hands everything on to an SMTP server of the test's own."""

import pathlib

from tests.servers import PASSWORD, REFUSED, USER, Arrived, Server, split_trace
from tests.smarthost import Authority, Smarthost

CONFIGURATION = """\
protocols = submission
log_path = /mnt/log
hostname = localhost
ssl = required
ssl_cert = </mnt/chain.pem
ssl_key = </mnt/key.pem
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
mail_location = maildir:/mnt/mail
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u /mnt/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=/mnt/mail
}
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
first_valid_uid = 1
first_valid_gid = 1
service submission-login {
  inet_listener submission {
    address = 127.0.0.1
    port = @STARTTLS@
  }
  inet_listener submissions {
    address = 127.0.0.1
    port = @TLS@
    ssl = yes
  }
}
submission_relay_host = 127.0.0.1
submission_relay_port = @RELAY@
submission_relay_trusted = no
"""


class Dovecot(Server):
    """submission with PIPELINING and CHUNKING; what arrives is read at the server behind it, octet for octet."""

    name = "dovecot"
    mechanisms = ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256")

    def __init__(self, folder: pathlib.Path, authority: Authority) -> None:
        super().__init__(folder, authority)
        self.relay = Smarthost(refused=frozenset({REFUSED}))

    def configure(self) -> str:
        text = CONFIGURATION
        ports = {"@STARTTLS@": self.starttls_port, "@TLS@": self.tls_port, "@RELAY@": self.relay.port}
        for word, value in ports.items():
            text = text.replace(word, str(value))
        (self.folder / "dovecot.conf").write_text(text)
        (self.folder / "users").write_text(f"{USER}:{PASSWORD}::::::\n")
        return """\
chown mail:mail /mnt/mail
chmod 644 /mnt/users
exec dovecot -F -c /mnt/dovecot.conf
"""

    def start(self) -> None:
        self.relay.start()
        super().start()

    def stop(self) -> None:
        super().stop()
        self.relay.stop()

    def _new(self) -> list[Arrived]:
        found = []
        while self.relay.received:
            message = self.relay.received.pop(0)
            copy = split_trace(message.data.replace(b"\r\n", b"\n"))
            found += [Arrived(each, message.sender, copy.trace, copy.message) for each in message.recipients]
        return found
