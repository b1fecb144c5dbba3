"""Passwords that systemd keeps encrypted for the daemon (systemd-creds(1)); only root can have them decrypted."""

import os

PROGRAM = "systemd-creds"
ENCRYPTED = "/etc/credstore.encrypted"
_PATIENCE = 20  # seconds
_LIMIT = 65536


def name_of(account: str) -> str:
    """Return the name of the credential that an account's password has."""
    return "pysendmail.password" if account == "default" else f"pysendmail.{account}"


def reveal(account: str) -> bytes | None:
    """Return the password that is kept for an account, None if there is none or it cannot be had."""
    from subprocess import DEVNULL, PIPE, SubprocessError, run

    for name in dict.fromkeys((f"pysendmail.{account}", "pysendmail.password")):
        path = f"{ENCRYPTED}/{name}"
        if "/" in name or not os.path.exists(path):
            continue
        try:
            done = run(
                [PROGRAM, "decrypt", f"--name={name}", path, "-"], stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL,
                timeout=_PATIENCE, check=False,
            )  # fmt: skip
        except (OSError, SubprocessError):
            return None  # whoever asks says that there is no password
        line = done.stdout[:_LIMIT].partition(b"\n")[0]
        if not done.returncode and line:
            return line
    return None
