"""Postfix, with Cyrus SASL and its own password file (sasldb)."""

from tests.servers import PASSWORD, REFUSED, USER, Server

MAIN = """\
compatibility_level = 3.6
myhostname = localhost
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = /mnt/log
maillog_file_prefixes = /mnt
message_size_limit = 0
smtpd_tls_cert_file = /mnt/chain.pem
smtpd_tls_key_file = /mnt/key.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_security_options = noanonymous
smtpd_sasl_path = smtpd
smtpd_tls_auth_only = yes
smtpd_relay_restrictions =
smtpd_recipient_restrictions = check_recipient_access inline:{{@REFUSED@ = 550 5.1.1 no such mailbox}},
    permit_sasl_authenticated, reject
virtual_mailbox_domains = static:any
virtual_mailbox_maps = static:box/
virtual_mailbox_base = /mnt/mail
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:8
virtual_gid_maps = static:8
"""

MASTER = """\
127.0.0.1:@STARTTLS@ inet n - n - - smtpd -o smtpd_tls_security_level=encrypt
127.0.0.1:@TLS@ inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: /etc/postfix/sasl/passwords
mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
"""


class Postfix(Server):
    """smtpd with PIPELINING, CHUNKING, DSN and SMTPUTF8, delivering by virtual(8)."""

    name = "postfix"
    mechanisms = ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256")

    def configure(self) -> str:
        (self.folder / "main.cf").write_text(MAIN.replace("@REFUSED@", REFUSED))
        ports = MASTER.replace("@STARTTLS@", str(self.starttls_port)).replace("@TLS@", str(self.tls_port))
        (self.folder / "master.cf").write_text(ports)
        (self.folder / "smtpd.conf").write_text(SASL)
        (self.folder / "password").write_text(PASSWORD)
        return f"""\
chown 8:8 /mnt/mail
cp /mnt/main.cf /mnt/master.cf /etc/postfix/
cp /mnt/smtpd.conf /etc/postfix/sasl/
saslpasswd2 -p -c -f /etc/postfix/sasl/passwords -u localhost {USER} </mnt/password
chown postfix /etc/postfix/sasl/passwords
exec postfix start-fg
"""
