"""What a check has found: told line by line as it is found, or as one JSON object at the end."""

from time import monotonic

from pysendmail import errors
from pysendmail.command.admin import queue_object
from pysendmail.command.console import say, write

OK, NOTE, WARNING, FAILED = "ok", "note", "warning", "failed"


class Finding:
    """One step that was looked at: what is found, what mends it, the seconds it took, the exit code that it means."""

    __slots__ = ("code", "level", "mend", "seconds", "step", "text")

    def __init__(self, step: str, level: str, text: str, mend: str, seconds: float | None, code: int) -> None:
        self.step = step
        self.level = level
        self.text = text
        self.mend = mend
        self.seconds = seconds
        self.code = code

    def line(self) -> str:
        """Return it as one line."""
        label = self.step if self.level == OK else self.level
        what = self.text if label == self.step else f"{self.step}: {self.text}"
        took = f" ({self.seconds * 1000:.0f} ms)" if self.seconds is not None else ""
        return f"{label + ':':<15}{what}{took}{f'; mend: {self.mend}' if self.mend else ''}"


class Findings:
    """All findings; `silent` tells none of them before the end."""

    __slots__ = ("_began", "found", "silent")

    def __init__(self, silent: bool) -> None:
        self.silent = silent
        self._began = monotonic()
        self.found: list[Finding] = []

    def add(
        self, step: str, text: str, level: str = OK, mend: str = "", seconds: float | None = None, code: int = 0
    ) -> Finding:
        """Add a finding."""
        finding = Finding(step, level, text, mend, seconds, code)
        self.found.append(finding)
        if not self.silent:
            say(finding.line())
        return finding

    def fail(self, step: str, failure: errors.Failure, level: str = FAILED, mend: str = "") -> Finding:
        """Add a failure, whose text has the mend behind its last semicolon if it has any, else `mend` is it."""
        text, parted, known = str(failure).rpartition("; ")
        if not parted:
            text, known = known, mend
        return self.add(step, text, level, known, code=failure.exit_code)

    @property
    def code(self) -> int:
        """The exit code: that of the first failure, 0 if there is none."""
        return next((one.code or errors.TempFail.exit_code for one in self.found if one.level == FAILED), 0)

    def finish(self, place: str | None, account: str | None) -> int:
        """Tell how it ended, and return the exit code."""
        count = self._count()
        if self.silent:
            write(1, queue_object.line(self.facts(place, account)))
        elif count[FAILED] or count[WARNING]:
            say(f"{'result:':<15}{count[FAILED]} failed, {_number(count[WARNING], 'warning')}")
        else:
            say(f"{'result:':<15}all is well")
        return self.code

    def facts(self, place: str | None, account: str | None) -> "dict[str, object]":
        """Return all of it as what becomes a JSON object."""
        return self._object(place, account, self._count())

    def _count(self) -> dict[str, int]:
        return {level: sum([1 for one in self.found if one.level == level]) for level in (WARNING, FAILED)}

    def _object(self, place: str | None, account: str | None, count: dict[str, int]) -> "dict[str, object]":
        names = ("step", "level", "text", "mend", "seconds", "code")
        return {
            "file": None if place is None else queue_object.text(place),
            "account": None if account is None else queue_object.text(account),
            "code": self.code,
            "failed": count[FAILED],
            "warnings": count[WARNING],
            "seconds": monotonic() - self._began,
            "findings": [{name: _value(getattr(one, name)) for name in names} for one in self.found],
        }


def _value(value: object) -> object:
    return queue_object.text(value) if isinstance(value, str) else value


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
