"""Exim, with authenticators that know one user."""

from tests.servers import PASSWORD, REFUSED, USER, Server

CONFIGURATION = """\
primary_hostname = localhost
log_file_path = /mnt/exim/%slog
keep_environment =
local_interfaces = 127.0.0.1
disable_ipv6 = true
daemon_smtp_ports = @STARTTLS@ : @TLS@
tls_on_connect_ports = @TLS@
tls_advertise_hosts = *
tls_certificate = /mnt/chain.pem
tls_privatekey = /mnt/exim/key.pem
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
message_size_limit = 0
rfc1413_query_timeout = 0s
acl_smtp_rcpt = recipient

begin acl
recipient:
  deny !authenticated = *
       message = authentication required
  deny recipients = @REFUSED@
       message = no such mailbox
  accept

begin routers
everybody:
  driver = accept
  transport = box

begin transports
box:
  driver = appendfile
  directory = /mnt/mail/box
  maildir_format
  envelope_to_add
  return_path_add
  user = mail

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{@USER@}}{eq{$auth3}{@PASSWORD@}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{@USER@}}{eq{$auth2}{@PASSWORD@}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${if eq{$auth1}{@USER@}{@PASSWORD@}fail}
  server_set_id = $auth1
"""


class Exim(Server):
    """exim4-daemon-light (GnuTLS) with PIPELINING and CHUNKING, delivering by appendfile."""

    name = "exim"
    mechanisms = ("plain", "login", "cram-md5")

    def configure(self) -> str:
        text = CONFIGURATION
        words = {"@STARTTLS@": self.starttls_port, "@TLS@": self.tls_port, "@REFUSED@": REFUSED}
        for word, value in {**words, "@USER@": USER, "@PASSWORD@": PASSWORD}.items():
            text = text.replace(word, str(value))
        (self.folder / "exim4.conf").write_text(text)
        return """\
chown mail:mail /mnt/mail
mkdir /mnt/exim
cp /mnt/key.pem /mnt/exim/
chown -R Debian-exim:Debian-exim /mnt/exim
install -m 644 /mnt/exim4.conf /etc/exim4/exim4.conf
exec exim4 -bdf
"""
