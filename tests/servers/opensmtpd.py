"""OpenSMTPD, with a table of one user."""

from tests.servers import PASSWORD, REFUSED, USER, Server

CONFIGURATION = """\
pki localhost cert "/mnt/chain.pem"
pki localhost key "/mnt/key.pem"
table users file:/mnt/users
table boxes {{ "@" = mail }}
smtp max-message-size "300M"
listen on 127.0.0.1 port {starttls} tls-require pki localhost hostname localhost auth <users>
listen on 127.0.0.1 port {tls} smtps pki localhost hostname localhost auth <users>
action "box" maildir "/mnt/mail/box" virtual <boxes>
match from any for rcpt-to "{refused}" reject
match from any auth for any action "box"
"""


class OpenSMTPD(Server):
    """smtpd without PIPELINING's announcement or CHUNKING, with DSN, delivering by mail.maildir."""

    name = "opensmtpd"
    mechanisms = ("plain", "login")

    def configure(self) -> str:
        text = CONFIGURATION.format(starttls=self.starttls_port, tls=self.tls_port, refused=REFUSED)
        (self.folder / "smtpd.conf").write_text(text)
        (self.folder / "password").write_text(PASSWORD)
        return f"""\
chown mail:mail /mnt/mail
printf '%s %s\\n' {USER} "$(openssl passwd -6 -in /mnt/password)" >/mnt/users
exec smtpd -d -f /mnt/smtpd.conf
"""
