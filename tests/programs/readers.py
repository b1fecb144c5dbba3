"""Programs in which people read and write mail, and tools that they send with."""

from tests.programs.letters import Program

ALL = ("CC HIDDEN TO",)

# Alpine has to be seen by somebody: it shows the text, is told to send it, and ends.
ALPINE = """import os, pathlib, pty, signal
words = os.environ
pathlib.Path("settings").write_text("user-domain=example.net\\nfeature-list=quell-folder-internal-msg\\n"
    f'default-fcc=""\\ncustomized-hdrs=Subject: {words["SUBJECT"]},Cc: {words["CC"]},Bcc: {words["HIDDEN"]}\\n')
pid, screen = pty.fork()
if pid == 0:
    words["TERM"] = "xterm"
    os.dup2(os.open("text", os.O_RDONLY), 0)
    os.execvp("alpine", ["alpine", "-p", "settings", "-x", "settings", "-attach", "blob", words["TO"]])
signal.alarm(50)

def answer(question, keys):
    seen = b""
    while question not in seen:
        seen += os.read(screen, 65536)
    os.write(screen, keys)

answer(b"last line", b"\\x18")
answer(b"Send message", b"y")
try:
    answer(b"the end of Alpine, which closes its screen", b"")
except OSError:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

# Any word that the command says on success is an error to Emacs.
EMACS = """cat >letter.el <<'EOF'
(setq mail-interactive t message-interactive t user-full-name "Alice" user-mail-address "alice@example.net"
      mail-specify-envelope-from t message-send-mail-function #'message-send-mail-with-sendmail)
(require 'message)
(with-temp-buffer
  (message-mode)
  (insert "To: " (getenv "TO") "\\nCc: " (getenv "CC") "\\nBcc: " (getenv "HIDDEN") "\\nSubject: " (getenv "SUBJECT")
          "\\nFrom: alice@example.net\\n" mail-header-separator "\\n")
  (insert-file-contents "text")
  (goto-char (point-max))
  (mml-attach-file (expand-file-name "blob") "application/octet-stream" nil "attachment")
  (message-send))
EOF
emacs --batch --quick --load letter.el
"""

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
    Program("alpine by SMTP", ALPINE, "python3 -", sender="alice@example.net", copies=ALL, attached=True),
    Program("Emacs", EMACS, sender="alice@example.net", copies=ALL, attached=True),
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
