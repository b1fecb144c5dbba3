"""What the machine itself sends: jobs, watchers and filters."""

from tests.programs.letters import Program

SYSTEM = [
    Program(
        "cron",
        """printf 'MAILTO=%s\\n@reboot cat %s/text\\n' "$TO" "$PWD" | crontab -u root -
        rm -f /var/run/crond.reboot; cron""",
        user="root",
        sender="root@example.org",
        subject="Cron <root@",
    ),
    Program(
        "cron for a user",
        """printf 'MAILTO=%s,%s\\n@reboot cat %s/text\\n' "$TO" "$CC" "$PWD" | su alice -c 'crontab -'
        printf 'MAILTO=""\\n' | crontab -u root -; [ ! -e /var/run/crond.pid ] || kill "$(cat /var/run/crond.pid)"
        rm -f /var/run/crond.reboot; until cron; do sleep 0.1; done""",
        user="root",
        copies=("CC TO",),
        subject="Cron <alice@",
    ),
    Program(
        "anacron",
        """printf 'MAILTO=%s\\n1 0 job cat %s/text\\n' "$TO" "$PWD" >jobs; mkdir spool
        anacron -f -n -t "$PWD/jobs" -S "$PWD/spool" """,
        user="root",
        sender="root@example.org",
        subject="Anacron job 'job'",
    ),
    Program(
        "at",
        """atd -l 100; echo "cat $PWD/text" | su alice -c 'at now'""",
        user="root",
        copies=("alice@example.org",),
        subject="Output from your job",
    ),
    Program(
        "sudo",
        """printf 'Defaults mailto=%s, mail_always\\nalice ALL = NOPASSWD: /bin/true\\n' "$TO" >/etc/sudoers.d/mail
        su alice -c 'sudo -n /bin/true' """,
        user="root",
        copies=("TO", "TO"),
        subject="*** SECURITY information",
        shows="alice : ",
    ),
    Program(
        "logwatch",
        """mkdir -p /var/cache/logwatch; logwatch --output mail --format text --mailto "$TO" --range all""",
        user="root",
        sender="root@example.org",
        subject="Logwatch for",
        shows="Disk Space",
    ),
    Program(
        "mdadm",
        """mdadm --monitor --test --oneshot --mail="$TO" /dev/null""",
        user="root",
        sender="root@example.org",
        subject="TestMessage event on /dev/null",
        shows="automatically generated mail message",
    ),
    Program(
        "smartd",
        """export SMARTD_ADDRESS="$TO" SMARTD_FAILTYPE=EmailTest SMARTD_MESSAGE='TEST EMAIL' SMARTD_DEVICE=/dev/sda \\
            SMARTD_DEVICESTRING=/dev/sda SMARTD_DEVICETYPE=sat SMARTD_TFIRST=now SMARTD_TFIRSTEPOCH=1 SMARTD_PREVCNT=0 \\
            SMARTD_NEXTDAYS= SMARTD_DEVICEINFO=disk SMARTD_FULLMESSAGE='a disk' SMARTD_SUBJECT="$SUBJECT"
        /usr/share/smartmontools/smartd_warning.sh""",
        user="root",
        sender="root@example.org",
        subject="SMART error (EmailTest)",
        shows="TEST EMAIL",
    ),
    Program(
        "procmail",
        """printf ':0\\n! %s %s\\n' "$TO" "$CC" >rules
        { printf 'From bob@example.com Mon Nov  2 10:00:00 2026\\nFrom: bob@example.com\\nTo: alice\\nSubject: %s\\n\\n' "$SUBJECT"
        cat text; } | procmail -m "$PWD/rules" """,
        copies=("CC TO",),
    ),
    Program(
        "maildrop",
        """printf 'to "!%s %s"\\n' "$TO" "$CC" >rules; chmod 600 rules
        { printf 'From bob@example.com Mon Nov  2 10:00:00 2026\\nFrom: bob@example.com\\nTo: alice\\nSubject: %s\\n\\n' "$SUBJECT"
        cat text; } | maildrop rules""",
        sender="",
        copies=("CC TO",),
    ),
    Program(
        "vacation",
        """vacation -i; { printf 'Subject: %s\\n\\n' "$SUBJECT"; cat text; } >"$HOME/.vacation.msg"
        { printf 'From %s Mon Nov  2 10:00:00 2026\\nFrom: %s\\nTo: alice\\nSubject: a question\\n\\nHello?\\n' "$TO" "$TO"
        } | vacation alice""",
    ),
    Program(
        "formail",
        """{ printf 'From: %s\\nSubject: %s\\n\\n' "$TO" "$SUBJECT"; cat text; } >letter
        { formail -r -A 'X-Loop: alice' <letter; cat text; } | sendmail -oi -t""",
    ),
    Program(
        "a shell script",
        """{ printf 'To: %s\\nSubject: %s\\n\\n' "$TO" "$SUBJECT"; cat text; } | sendmail -f alice "$TO" """,
    ),
]
