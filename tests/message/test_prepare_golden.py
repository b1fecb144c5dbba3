"""Whole headers as real programs write them: the envelope that they get and the header that leaves."""

from typing import Any

import pytest

from tests.message.submission import DATE, MESSAGE_ID, header_of, submit

ADDED_DATE = "Date: " + DATE.decode() + "\n"
ADDED_ID = "Message-ID: " + MESSAGE_ID.decode() + "\n"

CRON = """\
From: root (Cron Daemon)
To: a@x.org,root
Subject: Cron <root@host> run-parts
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
X-Cron-Env: <PATH=/usr/bin:/bin>

output
"""
ANACRON = """\
From: Anacron <root>
To: root
Subject: Anacron job 'cron.daily'

output
"""
SUDO = """\
To: root
From: bob
Auto-Submitted: auto-generated
Subject: *** SECURITY information for host ***

host : Jan  1 00:00:00 : bob : user NOT in sudoers
"""
MDADM = """\
From: mdadm monitoring <root>
To: admin@x.org
Subject: DegradedArray event on /dev/md0

text
"""
MAILX = """\
From: me@x.org
To: b@x.org
Subject: s
MIME-Version: 1.0
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: 8bit
Bcc: c@x.org
From: other@x.org

text
"""
MAILDROP = """\
From sender@far.org  Tue Nov 14 22:13:20 2023
Return-Path: <sender@far.org>
Received: from far.org
\tby near.org; Tue, 14 Nov 2023 22:13:20 +0000
From: sender@far.org
To: list@far.org
Date: Tue, 14 Nov 2023 22:13:19 +0000
Message-ID: <1@far.org>

text
"""
PHP = """\
To: b@x.org\r
Subject: s\r
X-PHP-Originating-Script: 33:mail.php\r
From: web@x.org\r
Bcc: c@x.org\r
\r
text
Bcc: d@x.org
"""
ALPINE = """\
Date: Tue, 14 Nov 2023 22:13:20 +0000
From: Me <me@x.org>
To: b@x.org
cc: c@x.org
bcc: d@x.org
Subject: s
Message-ID: <2@x.org>

text
"""
BOUNCE = """\
Resent-From: me@x.org
Resent-Date: Tue, 14 Nov 2023 22:13:20 +0000
Resent-Message-ID: <3@x.org>
Resent-To: new@x.org
Received: from far.org
Resent-From: old@x.org
Resent-To: older@x.org
From: sender@far.org
To: list@far.org
Bcc: gone@far.org
Date: Tue, 14 Nov 2023 22:13:19 +0000
Message-ID: <1@far.org>

text
"""
AT = """\
Subject: Output from your job        1
To: alice

text
"""

GOLDEN = [
    pytest.param(
        CRON,
        [b"a@x.org,root"],
        {"extract": False, "full_name": b"CronDaemon", "login": b"root", "gecos": b"root"},
        b"root@example.org",
        [b"a@x.org", b"root@example.org"],
        CRON.partition("\n\n")[0]
        .replace("From: root", "From: root@example.org")
        .replace(",root", ",root@example.org")
        + "\n" + ADDED_DATE + ADDED_ID,
        id="cron",
    ),
    pytest.param(
        ANACRON,
        [b"root"],
        {"extract": False, "full_name": b"Anacron", "account_from": b"robot@x.org"},
        b"robot@x.org",
        [b"root@example.org"],
        "From: Anacron <root@example.org>\nTo: root@example.org\nSubject: Anacron job 'cron.daily'\n"
        + ADDED_DATE + ADDED_ID.replace("example.org", "x.org"),
        id="anacron",
    ),
    pytest.param(
        SUDO,
        [],
        {},
        b"alice@example.org",
        [b"root@example.org"],
        SUDO.partition("\n\n")[0].replace("To: root", "To: root@example.org").replace("bob", "bob@example.org")
        + "\n" + ADDED_DATE + ADDED_ID,
        id="sudo",
    ),
    pytest.param(
        MDADM,
        [],
        {},
        b"alice@example.org",
        [b"admin@x.org"],
        MDADM.partition("\n\n")[0].replace("<root>", "<root@example.org>") + "\n" + ADDED_DATE + ADDED_ID,
        id="mdadm",
    ),
    pytest.param(
        MAILX,
        [],
        {"sender": b"me@x.org"},
        b"me@x.org",
        [b"b@x.org", b"c@x.org"],
        MAILX.partition("Bcc")[0] + ADDED_DATE + ADDED_ID.replace("example.org", "x.org"),
        id="bsd-mailx",
    ),
    pytest.param(
        MAILDROP,
        [b"fwd@x.org"],
        {"extract": False, "sender": b""},
        b"",
        [b"fwd@x.org"],
        "Received" + MAILDROP.partition("\n\n")[0].partition("Received")[2] + "\n",
        id="maildrop",
    ),
    pytest.param(
        PHP,
        [],
        {"login": b"www-data", "gecos": b"www-data", "sender_from_header": True},
        b"web@x.org",
        [b"b@x.org", b"c@x.org"],
        "To: b@x.org\nSubject: s\nX-PHP-Originating-Script: 33:mail.php\nFrom: web@x.org\n"
        + ADDED_DATE + ADDED_ID.replace("example.org", "x.org"),
        id="php",
    ),
    pytest.param(
        ALPINE,
        [],
        {},
        b"alice@example.org",
        [b"b@x.org", b"c@x.org", b"d@x.org"],
        ALPINE.partition("\n\n")[0].replace("bcc: d@x.org\n", "") + "\n",
        id="alpine",
    ),
    pytest.param(
        BOUNCE,
        [],
        {"sender": b"me@x.org"},
        b"me@x.org",
        [b"new@x.org"],
        BOUNCE.partition("\n\n")[0].replace("Bcc: gone@far.org\n", "") + "\n",
        id="mutt-bounce",
    ),
    pytest.param(
        AT,
        [b"alice"],
        {"extract": False, "gecos": b"&"},
        b"alice@example.org",
        [b"alice@example.org"],
        AT.partition("\n\n")[0].replace("alice", "alice@example.org")
        + "\nFrom: Alice <alice@example.org>\n" + ADDED_DATE + ADDED_ID,
        id="at",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("message", "arguments", "settings", "sender", "recipients", "header"), GOLDEN)
def test_what_real_programs_send_leaves_like_this(
    message: str, arguments: list[bytes], settings: dict[str, Any], sender: bytes, recipients: list[bytes], header: str
) -> None:
    prepared = submit(message.encode(), *arguments, **settings)
    assert prepared.sender == sender
    assert prepared.recipients == recipients
    assert header_of(prepared).decode() == header
