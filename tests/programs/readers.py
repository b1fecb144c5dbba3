"""Programs in which people read and write mail, and tools that they send with."""

from tests.programs.letters import Program

ALL = ("CC HIDDEN TO",)

READERS = [
    Program(
        "mutt",
        """mutt -e 'set copy=no' -s "$SUBJECT" -a blob -c "$CC" -b "$HIDDEN" -- "$TO" <text""",
        copies=ALL,
        attached=True,
    ),
    Program(
        "mutt with write_bcc",
        """mutt -e 'set copy=no write_bcc use_envelope_from dsn_notify="failure,delay" sendmail="/usr/sbin/sendmail -t"' \\
            -e "set from=alice@example.com" -s "$SUBJECT" -a blob -c "$CC" -b "$HIDDEN" -- "$TO" <text""",
        sender="alice@example.com",
        copies=ALL,
        attached=True,
    ),
    Program(
        "neomutt",
        """neomutt -e 'set copy=no write_bcc' -s "$SUBJECT" -a blob -c "$CC" -b "$HIDDEN" -- "$TO" <text""",
        copies=ALL,
        attached=True,
    ),
    Program(
        "s-nail",
        """s-nail -r 'Alice <alice@example.net>' -s "$SUBJECT" -a blob -c "$CC" -b "$HIDDEN" "$TO" <text""",
        sender="alice@example.net",
        copies=ALL,
        attached=True,
    ),
    Program("bsd-mailx", """bsd-mailx -s "$SUBJECT" -c "$CC" -b "$HIDDEN" "$TO" <text""", copies=ALL),
    Program(
        "bsd-mailx with a sender",
        """bsd-mailx -r alice@example.net -a 'From: Alice <alice@example.net>' -s "$SUBJECT" -b "$HIDDEN" "$TO" <text""",
        sender="alice@example.net",
        copies=("HIDDEN TO",),
    ),
    Program(
        "GNU mail",
        """mail.mailutils -E 'set nodot' -r alice@example.net -s "$SUBJECT" -a "Cc: $CC" -a "Bcc: $HIDDEN" \\
            --encoding=base64 -A blob "$TO" <text""",
        sender="alice@example.net",
        copies=ALL,
        attached=True,
    ),
    Program(
        "nmh",
        """echo 'Path: Mail' >"$HOME/.mh_profile"; mkdir -p "$HOME/Mail"
        printf 'To: %s\\nCc: %s\\nFrom: alice@example.org\\nSubject: %s\\nAttach: blob\\n\\n' "$TO" "$CC" "$SUBJECT" >draft
        cat text >>draft; /usr/bin/mh/send -mts sendmail/pipe "$PWD/draft" """,
        copies=("CC TO",),
        attached=True,
    ),
    Program(
        "nmh by SMTP",
        """echo 'Path: Mail' >"$HOME/.mh_profile"; mkdir -p "$HOME/Mail"
        printf 'To: %s\\nCc: %s\\nFrom: alice@example.org\\nSubject: %s\\nDcc: %s\\n\\n' "$TO" "$CC" "$SUBJECT" "$HIDDEN" >draft
        cat text >>draft; /usr/bin/mh/send -mts sendmail/smtp "$PWD/draft" """,
        copies=ALL,
    ),
    Program(
        "git send-email",
        """git init -q repository; cd repository; export GIT_CONFIG_GLOBAL="$PWD/../gitconfig"
        git config --global user.name Alice; git config --global user.email alice@example.org
        cp ../text .; git add text; git commit -q -m "$SUBJECT"
        git send-email --quiet --confirm=never --suppress-cc=all --to="$TO" --cc="$CC" --bcc="$HIDDEN" -1""",
        copies=ALL,
        shows="+.hidden",
    ),
    Program(
        "swaks",
        """swaks --silent 2 --pipe '/usr/sbin/sendmail -bs' --from alice@example.net --to "$TO,$HIDDEN" --h-To "$TO" \\
            --h-Subject "$SUBJECT" --attach-type application/octet-stream --attach-name blob --attach @blob \\
            --attach-type 'text/plain; charset=utf-8' --attach-body @text""",
        sender="alice@example.net",
        copies=("HIDDEN TO",),
        attached=True,
    ),
    Program(
        "mime-construct",
        """mime-construct --to "$TO" --cc "$CC" --bcc "$HIDDEN" --subject "$SUBJECT" \\
            --type 'text/plain; charset=utf-8' --file text --type application/octet-stream --attachment blob --file blob""",
        copies=ALL,
        attached=True,
    ),
]
