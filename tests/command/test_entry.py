"""What the command says of what should never have happened."""

import errno

import pytest

from pysendmail.entry import _judge

FAULTS: list[tuple[BaseException, int, str]] = [
    (OSError(errno.EMFILE, "x"), 75, "Too many open files"),
    (OSError(errno.ENFILE, "x"), 75, "operating system"),
    (OSError(errno.ENOMEM, "x"), 75, "Cannot allocate memory"),
    (OSError(errno.ENOSPC, "x"), 75, "No space left"),
    (OSError(errno.EIO, "x"), 71, "Input/output error"),
    (PermissionError(errno.EPERM, "x"), 71, "not permitted"),
    (ImportError("x"), 75, "cannot be loaded"),
    (ValueError("secret"), 70, "internal error (ValueError at"),
    (KeyError("secret"), 70, "please report it"),
    (RecursionError("secret"), 70, "RecursionError"),
]


@pytest.mark.parametrize(("fault", "code", "says"), FAULTS)
def test_every_fault_has_an_exit_code_and_one_line_without_what_may_be_secret(
    fault: BaseException, code: int, says: str
) -> None:
    try:
        raise fault
    except BaseException as error:
        found, line = _judge(error)
    text = line.decode()
    assert (found, text.count("\n"), text[:10]) == (code, 1, "sendmail: ")
    assert says in text and "secret" not in text and "test_entry.py:" in text
