"""msmtp: words that are ours as well, with defaults that differ. Only `pysendmail import` needs this."""

from pysendmail.config import accounts, reader
from pysendmail.config.foreign.source import Files, Line
from pysendmail.config.foreign.translation import DIFFERS, IGNORED, LOST, SAME, Draft, Translation
from pysendmail.config.values import Expected
from pysendmail.config.words import ACTS, OLD, REFUSED, SECRETS, WORDS
from pysendmail.log import printable

_DEFAULTS = ("port", "tls", "auth", "syslog")  # what is written where the file leaves it to msmtp


def convert(files: Files, made: Translation) -> None:
    """Read the file. Raises ConfigError."""
    made.accounts = []
    drafts: list[Draft] = []
    kept: list[str] = []
    lines = list(files.main_file().lines())
    for line in lines:
        kept.append(line.text if _is_kept(line, made) else "")
    file = reader.parse("\n".join(kept).encode("latin-1"), made.place, home="~", msmtp=True)
    for section in file.accounts.values():
        account = accounts.Account(file, section)
        draft = Draft(section.name, "")
        for word, (_, number) in section.words.items():
            _, value = _split(lines[number - 1])
            ours, value = _ours(lines[number - 1], word, value)
            draft.set(ours, value, lines[number - 1].place)
        for word in _DEFAULTS:
            if word not in draft.words:
                draft.set(word, _written(getattr(account, word)), made.place)
        twin = next((one for one in drafts if _same(one, draft)), None)
        drafts.append(draft)
        made.accounts.append(draft if twin is None else Draft(draft.name, twin.name))
    made.default = next((one for one in drafts if one.name == "default"), drafts[0] if drafts else Draft("default"))


def _same(one: Draft, other: Draft) -> bool:
    mine, theirs = [{word: value for word, (value, _) in each.words.items()} for each in (one, other)]
    return mine == theirs


def _split(line: Line) -> tuple[str, str]:
    text = line.text.strip(" \t")
    word = text.partition(" ")[0].partition("\t")[0]
    value = text[len(word) :].strip(" \t")
    return word, value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _ours(line: Line, word: str, value: str) -> tuple[str, str]:
    """Return an older word in its newer spelling."""
    theirs = _split(line)[0]
    if theirs == word:
        return word, value
    result = WORDS[theirs][1](value)
    return word, _written(result)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return str(int(value))
    return "off" if value is None else str(value)


def _is_kept(line: Line, made: Translation) -> bool:
    """Say what becomes of a line, and tell whether our reader is to see it."""
    word, value = _split(line)
    if not word or word[0] == "#":
        return True
    row = WORDS.get(word)
    if row is None:
        if word not in ("account", "defaults"):
            made.remark(line, word, LOST, "unknown word")
            return False
        shared = ":" in value or word == "defaults"
        made.remark(line, word, SAME, "each account has all of its words" if shared else "account")
        return True
    doing, read, extra = row
    try:
        result = read(value)
    except Expected as expected:
        made.remark(line, word, LOST, f"expected {expected}")
        return False
    if doing in (ACTS, OLD):
        shown = "(not shown)" if word in SECRETS else printable(value.encode("latin-1"), 200)
        if doing == ACTS:
            made.remark(line, word, SAME, f"{word} {shown}")
        else:
            made.remark(line, word, DIFFERS, f"it is now called {extra}")
        return True
    if result:
        made.remark(line, word, LOST if doing == REFUSED else IGNORED, str(extra))
    return False
