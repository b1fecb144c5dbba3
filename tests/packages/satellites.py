"""Machines that send through a smarthost by another program: what has to be done in a root to have one."""

USER, PASSWORD = "alice@example.net", "se=cret word"

# A program's files as its own documentation has them; @PORT@ is where the smarthost wants STARTTLS and a login.
SATELLITES = {
    "msmtp": """\
cat >/etc/msmtprc <<'END'
defaults
tls on
tls_trust_file /etc/ssl/certs/ca-certificates.crt
account provider
host localhost
port @PORT@
auth on
user @USER@
password "@PASSWORD@"
from alice@example.net
account default : provider
END
chown root:msmtp /etc/msmtprc && chmod 640 /etc/msmtprc
""",
    "nullmailer": """\
echo 'localhost smtp port=@PORT@ starttls auth-login user=@USER@ "pass=@PASSWORD@"' >/etc/nullmailer/remotes
chown mail:mail /etc/nullmailer/remotes && chmod 600 /etc/nullmailer/remotes
echo bob@example.org >/etc/nullmailer/adminaddr
""",
    "dma": """\
cat >>/etc/dma/dma.conf <<'END'
SMARTHOST localhost
PORT @PORT@
AUTHPATH /etc/dma/auth.conf
SECURETRANSFER
STARTTLS
MASQUERADE alice@example.net
END
echo '@USER@|localhost:@PASSWORD@' >/etc/dma/auth.conf
chown root:mail /etc/dma/auth.conf && chmod 640 /etc/dma/auth.conf
""",
    "ssmtp": """\
cat >/etc/ssmtp/ssmtp.conf <<'END'
root=bob@example.org
mailhub=localhost:@PORT@
hostname=satellite.example.net
FromLineOverride=YES
UseSTARTTLS=YES
UseTLS=YES
AuthUser=@USER@
AuthPass=@PASSWORD@
END
chown root:mail /etc/ssmtp/ssmtp.conf && chmod 640 /etc/ssmtp/ssmtp.conf
""",
    "postfix": """\
cat >/etc/postfix/main.cf <<'END'
compatibility_level = 3.6
myhostname = satellite.example.net
relayhost = [localhost]:@PORT@
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
smtp_sasl_security_options = noanonymous
smtp_tls_security_level = encrypt
inet_interfaces = loopback-only
mydestination =
END
echo '[localhost]:@PORT@ @USER@:@PASSWORD@' >/etc/postfix/sasl_passwd
chmod 600 /etc/postfix/sasl_passwd
""",
    # A machine that had none, where somebody writes the configuration first.
    "plain": """\
mkdir -p /etc/pysendmail
cat >/etc/pysendmail/pysendmail.conf <<'END'
host localhost
port @PORT@
user @USER@
password "@PASSWORD@"
from alice@example.net
END
chmod 600 /etc/pysendmail/pysendmail.conf
""",
}
