"""Providers whose servers are known here: by the domains of their addresses, and by the servers that take mail for others.

Each row is the provider's own advice for mail programs. Port 465 speaks TLS from the start, any other begins in clear.
"""

from pysendmail.command.configure.offer import ADDRESS, DOMAIN, IMPLICIT, STARTTLS, Offer

_APP = "it wants a password made for programs (an app password), not the one of the web site"
_FROM = "the sender has to be an address, or of a domain, that was confirmed there"
_NO_PASSWORD = "Microsoft takes no password for these addresses any more, only OAuth2"


class Provider:
    """One provider; `name` is what --provider takes, `user` as in Offer; it is known by `domains` and `exchangers`."""

    __slots__ = ("domains", "exchangers", "hint", "host", "name", "oauth", "port", "title", "user")

    def __init__(
        self, name: str, title: str, host: str, port: int, domains: str, exchangers: str, hint: str, user: str = ADDRESS
    ) -> None:
        self.name = name
        self.title = title
        self.host = host
        self.port = port
        self.domains = domains.split()
        self.exchangers = exchangers.split()
        self.hint = hint
        self.user = user
        self.oauth = hint.startswith(_NO_PASSWORD)

    def offer(self, source: str) -> Offer:
        """Return its server; `source` says how it was come upon."""
        tls = IMPLICIT if self.port == 465 else STARTTLS
        return Offer(
            self.host, self.port, tls, f"{self.title}, {source}", user=self.user, hint=self.hint, oauth=self.oauth
        )  # fmt: skip


_MICROSOFT = (
    "outlook.com outlook.de outlook.fr outlook.es outlook.it outlook.at outlook.be outlook.dk outlook.ie outlook.jp "
    "outlook.pt outlook.sa outlook.in outlook.com.br outlook.com.au hotmail.com hotmail.de hotmail.fr hotmail.es "
    "hotmail.it hotmail.be hotmail.nl hotmail.se hotmail.co.uk hotmail.co.jp hotmail.com.br live.com live.de live.fr "
    "live.it live.be live.nl live.se live.dk live.no live.at live.ie live.ca live.co.uk live.com.au msn.com "
    "windowslive.com outlook.cl outlook.cz outlook.hu outlook.kr outlook.lv outlook.my outlook.ph outlook.sg "
    "outlook.sk outlook.co.id outlook.co.il outlook.co.th outlook.com.ar outlook.com.gr outlook.com.tr outlook.com.vn "
    "hotmail.ca hotmail.cl hotmail.cz hotmail.dk hotmail.fi hotmail.gr hotmail.hu hotmail.lt hotmail.lv hotmail.no "
    "hotmail.rs hotmail.sg hotmail.sk hotmail.co.il hotmail.co.in hotmail.co.kr hotmail.co.th hotmail.co.za "
    "hotmail.com.ar hotmail.com.au hotmail.com.hk hotmail.com.tr hotmail.com.tw live.cl live.cn live.fi live.hk "
    "live.in live.jp live.ru live.co.za live.com.ar live.com.mx live.com.my live.com.ph live.com.pt live.com.sg"
)
_YAHOO = (
    "yahoo.com yahoo.de yahoo.fr yahoo.es yahoo.it yahoo.ca yahoo.in yahoo.ie yahoo.gr yahoo.at yahoo.co.uk "
    "yahoo.co.in yahoo.com.br yahoo.com.au yahoo.com.ar yahoo.com.mx yahoo.com.sg ymail.com rocketmail.com myyahoo.com "
    "yahoo.se yahoo.co.nz cox.net"
)
_POSTEO = (
    "posteo.de posteo.net posteo.org posteo.eu posteo.at posteo.ch posteo.be posteo.co posteo.dk posteo.ee posteo.es "
    "posteo.hu posteo.it posteo.jp posteo.la posteo.lt posteo.lu posteo.me posteo.mx posteo.nl posteo.no posteo.pl "
    "posteo.pm posteo.pt posteo.ro posteo.se posteo.si posteo.tn posteo.uk posteo.us posteo.ca posteo.cl posteo.com "
    "posteo.com.br posteo.co.uk posteo.cr posteo.cz posteo.fi posteo.gl posteo.gr posteo.hn posteo.hr posteo.ie "
    "posteo.in posteo.is posteo.li posteo.my posteo.nz posteo.pe posteo.sg"
)
_FASTMAIL = "fastmail.com fastmail.fm fastmail.de fastmail.net fastmail.org fastmail.us fastmail.co.uk fastmail.com.au"

# name, title, host, port, domains of its addresses, domains of the servers that take mail for its customers' domains, hint
TABLE = [
    Provider("gmail", "Gmail", "smtp.gmail.com", 465, "gmail.com googlemail.com", "google.com googlemail.com",
             f"{_APP}: https://myaccount.google.com/apppasswords, with 2-step verification on"),
    Provider("outlook", "Outlook.com", "smtp-mail.outlook.com", 587, _MICROSOFT, "olc.protection.outlook.com", _NO_PASSWORD),
    Provider("office365", "Microsoft 365", "smtp.office365.com", 587, "", "mail.protection.outlook.com mx.microsoft",
             "the administrator has to allow SMTP AUTH; many organizations permit OAuth2 only (--auth xoauth2)"),
    Provider("icloud", "iCloud", "smtp.mail.me.com", 587, "icloud.com me.com mac.com", "mail.icloud.com",
             f"{_APP}: https://account.apple.com, app-specific passwords"),
    Provider("fastmail", "Fastmail", "smtp.fastmail.com", 465, _FASTMAIL, "messagingengine.com",
             f"{_APP}: Settings, Privacy & Security"),
    Provider("yahoo", "Yahoo", "smtp.mail.yahoo.com", 465, _YAHOO, "yahoodns.net", f"{_APP}: Account security"),
    Provider("aol", "AOL", "smtp.aol.com", 465, "aol.com aim.com", "mx-aol.mail.gm0.yahoodns.net",
             f"{_APP}: Account security"),
    Provider("gmx", "GMX", "mail.gmx.net", 465, "gmx.net gmx.de gmx.at gmx.ch gmx.eu gmx.org gmx.info gmx.biz", "gmx.net",
             "POP3 and IMAP have to be permitted in the settings of GMX, else the login is refused"),
    Provider("gmx.com", "GMX", "mail.gmx.com", 465,
             "gmx.com gmx.us gmx.co.uk gmx.fr gmx.es gmx.it gmx.ie gmx.ca gmx.se gmx.pt", "",
             "POP3 and IMAP have to be enabled in the settings of GMX, else the login is refused"),
    Provider("web.de", "WEB.DE", "smtp.web.de", 465, "web.de email.de", "web.de",
             "POP3 and IMAP have to be permitted in the settings of WEB.DE, else the login is refused"),
    Provider("posteo", "Posteo", "posteo.de", 465, _POSTEO, "posteo.de", ""),
    Provider("mailbox.org", "mailbox.org", "smtp.mailbox.org", 465, "mailbox.org", "mailbox.org",
             f"{_APP} if 2-factor authentication is on"),
    Provider("proton", "Proton Mail Bridge", "127.0.0.1", 1025, "proton.me protonmail.com protonmail.ch pm.me",
             "protonmail.ch", "Proton Mail Bridge has to run on this machine; it shows the password for programs"),
    Provider("zoho", "Zoho", "smtp.zoho.com", 465, "zoho.com zohomail.com", "", f"{_APP} if 2-step verification is on"),
    Provider("zoho.eu", "Zoho", "smtp.zoho.eu", 465, "zoho.eu zohomail.eu", "", f"{_APP} if 2-step verification is on"),
    Provider("zohopro", "Zoho", "smtppro.zoho.com", 465, "", "zoho.com", f"{_APP} if 2-step verification is on"),
    Provider("zohopro.eu", "Zoho", "smtppro.zoho.eu", 465, "", "zoho.eu", f"{_APP} if 2-step verification is on"),
    Provider("yandex", "Yandex", "smtp.yandex.com", 465, "yandex.com yandex.ru yandex.by yandex.kz yandex.ua ya.ru narod.ru",
             "yandex.net yandex.ru", f"{_APP}: https://id.yandex.com, and mail programs have to be allowed in the settings"),
    Provider("mail.ru", "Mail.ru", "smtp.mail.ru", 465, "mail.ru inbox.ru list.ru bk.ru internet.ru", "mail.ru", _APP),
    Provider("t-online", "Telekom", "securesmtp.t-online.de", 465, "t-online.de magenta.de", "t-online.de",
             "it wants the e-mail password of the customer center, not that of the login"),
    Provider("ionos.de", "IONOS", "smtp.ionos.de", 465, "online.de onlinehome.de",
             "kundenserver.de ionos.de schlund.de", ""),
    Provider("ionos.com", "IONOS", "smtp.ionos.com", 465, "", "ionos.com 1and1.com perfora.net", ""),
    Provider("ionos.co.uk", "IONOS", "smtp.ionos.co.uk", 465, "", "ionos.co.uk 1and1.co.uk", ""),
    Provider("ionos.es", "IONOS", "smtp.ionos.es", 465, "", "ionos.es 1and1.es", ""),
    Provider("ionos.fr", "IONOS", "smtp.ionos.fr", 465, "", "ionos.fr 1and1.fr", ""),
    Provider("ionos.it", "IONOS", "smtp.ionos.it", 465, "", "ionos.it 1and1.it", ""),
    Provider("strato", "STRATO", "smtp.strato.de", 465, "", "rzone.de", ""),
    Provider("gandi", "Gandi", "mail.gandi.net", 465, "", "mail.gandi.net", ""),
    Provider("migadu", "Migadu", "smtp.migadu.com", 465, "", "migadu.com", ""),
    Provider("infomaniak", "Infomaniak", "mail.infomaniak.com", 465, "ik.me", "infomaniak.ch", _APP),
    Provider("purelymail", "Purelymail", "smtp.purelymail.com", 465, "purelymail.com", "purelymail.com", ""),
    Provider("runbox", "Runbox", "mail.runbox.com", 465, "runbox.com", "runbox.com", ""),
    Provider("seznam", "Seznam", "smtp.seznam.cz", 465, "seznam.cz email.cz post.cz", "seznam.cz", ""),
    # services for programs: no address tells that it is one of theirs
    Provider("ses", "Amazon SES", "", 465, "", "",
             f"user and password are the SMTP credentials of its console, not the access keys; {_FROM}", ""),
    Provider("sendgrid", "SendGrid", "smtp.sendgrid.net", 465, "", "", f"the password is an API key; {_FROM}", "apikey"),
    Provider("mailgun", "Mailgun", "smtp.mailgun.org", 465, "", "mailgun.org",
             "the password is that of the SMTP credentials of the domain", f"postmaster@{DOMAIN}"),
    Provider("mailgun.eu", "Mailgun", "smtp.eu.mailgun.org", 465, "", "eu.mailgun.org",
             "the password is that of the SMTP credentials of the domain", f"postmaster@{DOMAIN}"),
    Provider("postmark", "Postmark", "smtp.postmarkapp.com", 587, "", "",
             f"user and password are both the server's API token; {_FROM}", ""),
    Provider("brevo", "Brevo", "smtp-relay.brevo.com", 587, "", "",
             f"user and password are those of its page for SMTP; {_FROM}", ""),
    Provider("mailjet", "Mailjet", "in-v3.mailjet.com", 587, "", "",
             f"the user is the API key, the password the secret key; {_FROM}", ""),
    Provider("resend", "Resend", "smtp.resend.com", 465, "", "", f"the password is an API key; {_FROM}", "resend"),
    Provider("smtp2go", "SMTP2GO", "mail.smtp2go.com", 465, "", "",
             f"user and password are those of an SMTP user; {_FROM}", ""),
]  # fmt: skip


def named(name: str) -> Provider | None:
    """Return the provider of this name."""
    return next((one for one in TABLE if one.name == name.lower()), None)


def of_domain(domain: str) -> Provider | None:
    """Return the provider whose addresses have this domain."""
    return next((one for one in TABLE if domain in one.domains), None)


def of_exchanger(host: str) -> Provider | None:
    """Return the provider to whose servers this one belongs that takes mail for a domain; the longest name counts."""
    fitting = [(len(suffix), one) for one in TABLE for suffix in one.exchangers if (f".{host}").endswith(f".{suffix}")]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def of_host(host: str) -> Provider | None:
    """Return the provider whose customers send through this server."""
    return next((one for one in TABLE if one.host and one.host == host.lower()), None)
