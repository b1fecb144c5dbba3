"""Completion for bash, zsh and fish, written from the tables of the commands when pysendmail is installed."""

from completions import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from completions.table import Command, Option

_HEAD = "completion for pysendmail's commands, made from their tables of options"


def files() -> dict[str, str]:
    """Return the files below the prefix and what they hold."""
    found = {}
    for program, commands in (
        ("sendmail", table.sendmail()),
        ("pysendmail", table.pysendmail()),
        ("pysendmaild", table.pysendmaild()),
    ):
        found[f"share/bash-completion/completions/{program}"] = bash(program, commands)
        found[f"share/zsh/site-functions/{zsh_name(program)}"] = zsh(program, commands)
        found[f"share/fish/vendor_completions.d/{program}.fish"] = fish(program, commands)
    return found


def bash(program: str, commands: "list[Command]") -> str:
    """Write the completion for bash."""
    name = f"_pysendmail_{program}"
    paths = [command.path for command in commands if command.path]
    lines = [
        f"# {_HEAD}",
        f"{name}() {{",
        '    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at="" word i',
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        word="${at:+$at }${COMP_WORDS[i]}"',
        f'        case "$word" in {"|".join(map(_quoted, paths))}) at=$word ;; esac' if paths else "        :",
        "    done",
        "    COMPREPLY=()",
        '    case "$at:$prev" in',
    ]
    for command in commands:
        for option in command.options:
            pattern = "|".join([_quoted(f"{command.path}:{one}") for one in option.names])
            if option.choices:
                lines.append(f"        {pattern}) COMPREPLY=($(compgen -W {_words(option.choices)} -- \"$cur\")); return ;;")
            elif option.value == "file":
                lines.append(f'        {pattern}) compopt -o default; return ;;')
            elif option.value:
                lines.append(f"        {pattern}) return ;;")
    lines += ["    esac", '    case "$at" in']
    for command in commands:
        words = [*command.words, *[one for option in command.options for one in option.names]]
        more = '; [[ $cur == -* ]] || compopt -o default' if command.files else ""
        lines.append(f"        {_quoted(command.path)}) COMPREPLY=($(compgen -W {_words(words)} -- \"$cur\")){more} ;;")
    return "\n".join([*lines, "    esac", "}", f"complete -F {name} {program}", ""])


def _words(words: list[str]) -> str:
    return _quoted(" ".join(words))


def _quoted(text: str) -> str:
    """Quote for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def zsh_name(program: str) -> str:
    """Name the function, which is the file, for zsh: others have one for sendmail."""
    return "_pysendmail" if program == "pysendmail" else f"_pysendmail_{program}"


def zsh(program: str, commands: "list[Command]") -> str:
    """Write the completion for zsh."""
    lines = [f"#compdef {program}", f"# {_HEAD}", "local at='' word"]
    paths = [command.path for command in commands if command.path]
    if paths:
        lines += [
            "for word in ${words[2,CURRENT-1]}; do",
            '    word="${at:+$at }$word"',
            f'    case "$word" in {"|".join(map(_quoted, paths))}) at=$word ;; esac',
            "done",
        ]
    lines.append('case "$at" in')
    for command in commands:
        lines.append(f"{_quoted(command.path)})")
        lines.append("    _arguments \\")
        for option in command.options:
            lines += [f"        {_quoted(spec)} \\" for spec in _zsh_option(option)]
        if command.words:
            shown = " ".join([f"{word}\\:{_zsh_item(text)}" for word, text in command.words.items()])
            lines.append(f"        {_quoted(f'*:command:(({shown}))')}")
        else:
            lines.append(f"        {_quoted('*:file:_files' if command.files else '*: :')}")
        lines.append("    ;;")
    return "\n".join([*lines, "esac", ""])


def _zsh_option(option: "Option") -> list[str]:
    text = _zsh_text(option.text)
    end = ""
    if option.choices:
        end = f":value:({' '.join(option.choices)})"
    elif option.value:
        end = ":file:_files" if option.value == "file" else ":value: "
    return [f"{name}[{text}]{end}" for name in option.names]


def _zsh_text(text: str) -> str:
    for special in "\\:[]":
        text = text.replace(special, "\\" + special)
    return text


def _zsh_item(text: str) -> str:
    """Quote the description of a word in ((word\\:description ...)), where blanks and more part the items."""
    return "".join([c if c.isalnum() else "\\" + c for c in text])


def fish(program: str, commands: "list[Command]") -> str:
    """Write the completion for fish."""
    paths = [command.path for command in commands if command.path]
    lines = [f"# {_HEAD}"]
    if paths:
        lines += [
            "function __pysendmail_at",
            "    set -l at ''",
            "    for word in (commandline -opc)[2..-1]",
            '        switch (string trim -- "$at $word")',
            f"            case {' '.join(map(_fished, paths))}",
            '                set at (string trim -- "$at $word")',
            "        end",
            "    end",
            '    test "$at" = "$argv[1]"',
            "end",
        ]
    for command in commands:
        where = f" -n {_fished(f'__pysendmail_at {_fished(command.path)}')}" if paths else ""
        start = f"complete -c {program}{where}"
        if not command.files:
            lines.append(f"{start} -f")
        for word, text in command.words.items():
            lines.append(f"{start} -a {word} -d {_fished(text)}")
        lines += [f"{start} {_fish_option(option)} -d {_fished(option.text)}" for option in command.options]
    return "\n".join([*lines, ""])


def _fish_option(option: "Option") -> str:
    parts = []
    for name in option.names:
        if name[:2] == "--":
            parts.append(f"-l {name[2:]}")
        else:
            parts.append(f"-s {name[1:]}" if len(name) == 2 else f"-o {name[1:]}")
    if option.choices:
        parts.append(f"-x -a {_fished(' '.join(option.choices))}")
    elif option.value:
        parts.append("-r -F" if option.value == "file" else "-x")
    return " ".join(parts)


def _fished(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
