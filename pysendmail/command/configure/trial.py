"""The checks of `pysendmail check` for a configuration that is not there yet."""

import os

from pysendmail.command.admin import check, check_domain, check_local, check_server
from pysendmail.command.admin.findings import Findings
from pysendmail.command.configure import secret
from pysendmail.smtp.sasl import Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.configure.plan import Plan
    from pysendmail.command.identity import Caller
    from pysendmail.delivery.session import Trace

LOGIN = "login"


class Trial:
    """What the checks have found, and the credentials that they were made with."""

    __slots__ = ("credentials", "findings")

    def __init__(self, findings: Findings, credentials: Credentials | None) -> None:
        self.findings = findings
        self.credentials = credentials

    @property
    def code(self) -> int:
        """The exit code of check."""
        return self.findings.code

    @property
    def untrusted(self) -> bool:
        """Tell whether a certificate may be what is wrong."""
        return any([one.level == "failed" and one.step == "encryption" for one in self.findings.found])

    @property
    def login_failed(self) -> bool:
        """Tell whether another user or password would help."""
        return any([one.level == "failed" and one.step in (LOGIN, "password") for one in self.findings.found])


def look(plan: "Plan", caller: "Caller", recipient: bytes | None, *, silent: bool, dialogue: "Trace | None") -> Trial:
    """Try all that a delivery by the new configuration needs, and send nothing."""
    findings = Findings(silent)
    account, settings = plan.account, plan.settings
    check.look(findings, plan.file, account, plan.reason, caller)
    if settings.login and settings.secret != secret.COMMAND:
        credentials: Credentials | None = Credentials(settings.user, settings.password)
        findings.add("password", "given")
    else:
        credentials = check.find_secret(findings, account, caller)
    check_local.look_ahead(findings, plan.file, account)
    sender = check_domain.sender(account, caller)
    check_server.look(findings, account, credentials, sender, recipient, dialogue)
    check_domain.look(findings, account, sender)
    return Trial(findings, credentials)


def names_of(plan: "Plan") -> tuple[str, str]:
    """Return file and account as the result names them."""
    return os.fsdecode(os.fsencode(plan.place.path)), plan.name
