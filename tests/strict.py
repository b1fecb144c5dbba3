"""A smarthost that takes no address but one's own, as large providers do, and what programs send without being asked."""

import email
import email.policy
from collections.abc import Mapping

from tests.obedient import Obedient

OWN = "me@provider.example"

CRON = b"""From: root (Cron Daemon)
To: root
Subject: Cron <root@box> test -x /usr/sbin/anacron
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
X-Cron-Env: <SHELL=/bin/sh>
X-Cron-Env: <LOGNAME=root>

gr\xc3\xbc\xc3\x9fe
"""
CRONIE = b"""From: "(Cron Daemon)" <root>
To: root
Subject: Cron <root@box> backup
Content-Type: text/plain; charset=UTF-8
Auto-Submitted: auto-generated
Precedence: bulk
X-Cron-Env: <USER=root>

done
"""
SUDO = b"""To: root
From: www-data
Auto-Submitted: auto-generated
Subject: *** SECURITY information for box ***

box : Nov 27 11:45:00 : www-data : user NOT in sudoers
"""
MDADM = b"""From: mdadm monitoring <root>
To: root
Subject: DegradedArray event on /dev/md0:box

This is an automatically generated mail message from mdadm
"""
LOGWATCH = b"""To: root
From: Logwatch@box.localdomain
Subject: Logwatch for box (Linux)
Auto-Submitted: auto-generated
Precedence: bulk

 ################### Logwatch 7.7 ####################
"""
FAIL2BAN = b"""Subject: [Fail2Ban] sshd: banned 192.0.2.1 from box
Date: Fri, 27 Nov 2026 11:45:00 +0000
From: Fail2Ban <root@box>
To: root@localhost

Hi,
"""

CALLS: dict[str, tuple[list[str], bytes]] = {
    "cron of Debian": (["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"], CRON),
    "cronie": (["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "<>"], CRONIE),
    "cronie before 1.7": (["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"], CRONIE),
    "at": (["-i", "root"], b"Subject: Output from your job        1\nTo: root\n\ndone\n"),
    "anacron": (["-FAnacron", "-odi", "root"], b"From: Anacron <root>\nTo: root\nSubject: Anacron job\n\ndone\n"),
    "sudo": (["-t"], SUDO),
    "mdadm": (["-t"], MDADM),
    "logwatch": (["-t"], LOGWATCH),
    "smartd": (["-i", "-t"], b"To: root\nSubject: SMART error (FailedOpenDevice) detected on host: box\n\ntext\n"),
    "smartd, bsd-mailx -r": (["-i", "-t", "-f", "smartd@box"], b"From: smartd@box\nTo: root\nSubject: SMART\n\ntext\n"),
    "fail2ban": (["-f", "fail2ban@box", "root@localhost"], FAIL2BAN),
    "vacation": (["-f", "alice", "--", "root"], b"To: root\nSubject: away\n\ntext\n"),
    "a text without a header": (["root"], b"the disk is full\n"),
}


class Strict(Obedient):
    """Refuse every reverse-path and author but one's own, and every recipient and To field of this machine."""

    def _answer(self, line: str, good: str) -> str:
        verb = line[:4].upper()
        if verb == "MAIL" and f"<{OWN}>" not in line:
            return "553 5.7.1 sender address rejected: not owned by user"
        if verb == "RCPT" and f"<{OWN}>" not in line:
            return "550 5.1.1 no such user"
        if line == "." and (bad := self._foreign(self.messages[-1])):
            return f"550 5.7.60 not permitted to send as {bad}"
        return super()._answer(line, good)

    def _foreign(self, data: bytes) -> str:
        """Return the first address in the header that is refused."""
        message = email.message_from_bytes(data, policy=email.policy.default)
        if len(message.get_all("From", [])) != 1:
            return "nobody, or many"
        for name in ("From", "Sender", "To", "Cc"):
            for address in [one.addr_spec for field in message.get_all(name, []) for one in field.addresses]:
                if address != OWN:
                    return f"{name} {address}"
        return ""


SELECTIVE: Mapping[str, str] = {"from": "", "local_sender": OWN, "null_sender": OWN, "aliases_headers": "on"}
FIXED: Mapping[str, str] = {
    "from": OWN, "allow_from_override": "off", "set_from_header": "on", "aliases_headers": "on",
}  # fmt: skip
