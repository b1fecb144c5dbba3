"""The option table row by row, the forms in which each option may come, and what must never happen."""

import pytest

from pysendmail.errors import UsageError
from pysendmail.options import MODES, REQUIRED, TABLE, Options, parse, usage


def read(*arguments: str | bytes, name: bytes = b"sendmail") -> Options:
    return parse([a if isinstance(a, bytes) else a.encode() for a in arguments], name)


def refusal(*arguments: str | bytes, name: bytes = b"sendmail") -> str:
    with pytest.raises(UsageError) as caught:
        read(*arguments, name=name)
    text = str(caught.value)
    assert caught.value.exit_code == 64
    assert text.isprintable() and text.isascii() and len(text) < 300, text
    return text


def test_without_options_every_argument_is_a_recipient_as_it_came() -> None:
    options = read("a@x,b@y", "Name <c@z>", b"\xc3\xa9@x", "", "-")
    assert options.recipients == [b"a@x,b@y", b"Name <c@z>", b"\xc3\xa9@x", b"", b"-"]
    defaults = {slot: getattr(options, slot) for slot in Options.__slots__ if slot != "recipients"}
    assert {slot: value for slot, value in defaults.items() if value} == {"mode": "deliver", "errors": "m"}
    assert [slot for slot in defaults if defaults[slot] is False] == [
        "extract", "foreground", "ignore_dots", "mail_back", "read_envelope_from", "run_queue", "verbose",
    ]  # fmt: skip


def test_the_argv_list_is_left_alone() -> None:
    argv = [b"-f", b"a@b", b"-t", b"--", b"c@d"]
    parse(argv)
    assert argv == [b"-f", b"a@b", b"-t", b"--", b"c@d"]


# --- the forms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        ["-t", "-i", "-f", "a@b", "r@x"],
        ["-ti", "-fa@b", "r@x"],
        ["-it", "r@x", "-f", "a@b"],
        ["-tif", "a@b", "r@x"],
        ["-tifa@b", "r@x"],
        ["r@x", "-toi", "-ra@b"],
        ["-t", "-oi", "-r", "a@b", "--", "r@x"],
        ["-t", "-o", "i", "--from=a@b", "r@x"],
        ["-i", "--read-recipients", "--from", "a@b", "r@x"],
    ],
)
def test_attached_separate_clustered_permuted_and_long_mean_the_same(argv: list[str]) -> None:
    options = read(*argv)
    assert (options.extract, options.ignore_dots, options.sender) == (True, True, b"a@b")
    assert options.recipients == [b"r@x"]


def test_two_dashes_end_the_options() -> None:
    options = read("-i", "--", "-t", "--help", "-f", "--", "a@b")
    assert options.recipients == [b"-t", b"--help", b"-f", b"--", b"a@b"]
    assert (options.extract, options.mode, options.sender) == (False, "deliver", None)


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row[0] == REQUIRED])
def test_an_option_without_its_argument_is_refused_by_name(name: bytes) -> None:
    text = refusal("r@x", name)
    assert f"option {name.decode()} needs an argument" in text


# An argument that each option accepts.
VALID = {
    b"-B": b"7BIT", b"-N": b"never", b"-R": b"full", b"-b": b"m", b"-h": b"3",
    b"--dsn-notify": b"delay", b"--dsn-return": b"hdrs",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row[0] == REQUIRED])
def test_an_argument_attached_or_separate_never_becomes_a_recipient(name: bytes) -> None:
    value = VALID.get(name, b"victim@example.org")
    attached = name + b"=" + value if name.startswith(b"--") else name + value
    for argv in ([name, value, b"r@x"], [b"r@x", name, value], [attached, b"r@x"], [b"-i", attached, b"--", b"r@x"]):
        assert parse(argv).recipients == [b"r@x"]
    if not name.startswith(b"--"):
        assert parse([b"-t" + name[1:], value, b"r@x"]).recipients == [b"r@x"]
        assert parse([b"-t" + name[1:] + value, b"r@x"]).extract


def test_an_option_takes_the_next_argument_even_if_it_looks_like_an_option() -> None:
    options = read("-f", "-t", "r@x")
    assert (options.sender, options.extract, options.recipients) == (b"-t", False, [b"r@x"])


@pytest.mark.parametrize("letter", [bytes([c]) for c in range(33, 256) if c != 127])
def test_every_letter_is_in_the_table_or_refused_by_name(letter: bytes) -> None:
    if b"-" + letter not in TABLE and letter != b"-":
        shown = letter.decode("ascii", "backslashreplace")
        assert f"unknown option -{shown};" in refusal(b"-t" + letter, "r@x")


def test_an_unknown_long_option_is_refused_without_its_value() -> None:
    text = refusal("--password=geheim", "r@x")
    assert "unknown option --password" in text and "geheim" not in text
    for name in ("--host=x", "--tls=off", "--passwordeval=id", "--pretend", "--serverinfo", "--aliases=/x", "--t"):
        assert "unknown option " + name.partition("=")[0] in refusal(name, "r@x")


def test_a_long_flag_takes_no_value() -> None:
    assert "--read-recipients takes no value" in refusal("--read-recipients=no")
    assert "--help takes no value" in refusal("--help=x")


# --- the rows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-f", "-r"])
@pytest.mark.parametrize(
    ("text", "sender"),
    [
        ("a@b", b"a@b"), ("<a@b>", b"<a@b>"), ("Name <a@b>", b"Name <a@b>"), ("alice", b"alice"),
        ("", b""), ("<>", b""), ("< >", b""), (" ", b""), ("\t<>\t", b""), ("<", b"<"),
    ],
)  # fmt: skip
def test_the_sender_is_kept_raw_and_the_null_sender_known(option: str, text: str, sender: bytes) -> None:
    assert read(option, text, "r@x").sender == sender
    if text:
        assert read(option + text, "r@x").sender == sender


def test_the_last_sender_wins() -> None:
    assert read("-f", "a@x", "-rb@x", "-f", "c@x").sender == b"c@x"
    assert read("-f", "a@x", "-f", "<>").sender == b""


def test_the_full_name_keeps_its_bytes() -> None:
    assert read("-FCronDaemon").full_name == b"CronDaemon"
    assert read("-F", 'J\u00f6rg, "J" <x>\tM. ').full_name == 'J\u00f6rg, "J" <x> M.'.encode()


@pytest.mark.parametrize(
    ("argv", "ignores"),
    [
        (["-i"], True), (["-oi"], True), (["-o", "i"], True), (["-oitrue"], True), (["-oiTRUE"], True),
        (["-O", "IgnoreDots=true"], True), (["-OIgnoreDots"], True), (["-oifalse"], False), (["-oem"], False),
        (["-i", "-OIgnoreDots=False"], False), (["-om"], False), (["-t"], False),
    ],
)  # fmt: skip
def test_dots_are_ignored_when_asked(argv: list[str], ignores: bool) -> None:
    assert read(*argv, "r@x").ignore_dots is ignores


@pytest.mark.parametrize(
    ("argv", "mode"),
    [
        (["-bm"], "deliver"), (["-b", "m"], "deliver"), (["-bs"], "smtp"), (["-bp"], "list"), (["-bi"], "aliases"),
        (["-I"], "aliases"), (["-bd"], "daemon"), (["-bD"], "daemon"), (["-bl"], "daemon"), (["-bv"], "verify"),
        (["-bp", "-bs"], "smtp"), (["-vbp"], "list"), (["-iI"], "aliases"),
    ],
)  # fmt: skip
def test_each_mode_is_given_to_the_command(argv: list[str], mode: str) -> None:
    assert read(*argv).mode == mode


def test_only_bD_and_qf_stay_in_the_foreground() -> None:
    assert [read("-b" + letter).foreground for letter in "dDl"] == [False, True, False]
    assert (read("-qf").foreground, read("-q").foreground, read("-bd", "-qf").foreground) == (True, False, True)


@pytest.mark.parametrize(
    "mode", ["t", "a", "h", "H", "z", "C", "S", "P", "e", "n", "f", "bp", "pc", "V", "x", "-", "\u00e9"]
)
def test_a_mode_that_is_not_offered_is_refused_and_never_delivers(mode: str) -> None:
    assert "is not offered" in refusal("-b" + mode, "r@x")
    assert "is not offered" in refusal("-t", "-b", mode)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (b"sendmail", "deliver"), (b"/usr/lib/sendmail", "deliver"), (b"send-mail", "deliver"), (b"other", "deliver"),
        (b"", "deliver"), (b"mailq", "list"), (b"/usr/bin/mailq", "list"), (b"./newaliases", "aliases"),
        (b"/mailq/sendmail", "deliver"),
    ],
)  # fmt: skip
def test_the_name_of_the_command_chooses_the_mode(name: bytes, mode: str) -> None:
    assert read(name=name).mode == mode


def test_a_mode_option_overrules_the_name() -> None:
    assert read("-bp", name=b"newaliases").mode == "list"
    assert read("-bm", "r@x", name=b"mailq").mode == "deliver"


@pytest.mark.parametrize("name", [b"smtpd", b"/usr/bin/hoststat", b"purgestat"])
def test_names_that_are_not_offered_are_refused(name: bytes) -> None:
    assert name.rpartition(b"/")[2].decode() in refusal("r@x", name=name)


@pytest.mark.parametrize(
    ("argv", "interval", "selections"),
    [
        (["-q"], None, []), (["-q0"], None, []), (["-q0s"], None, []), (["-qf"], None, []),
        (["-q30m"], 1800, []), (["-q30"], 1800, []), (["-q90s"], 90, []), (["-q1h30m"], 5400, []),
        (["-q1h30"], 5400, []), (["-q00000000000060s"], 60, []),
        (["-q2d"], 172800, []), (["-q1w"], 604800, []), (["-qp"], 1, []), (["-qp5m"], 300, []),
        (["-qIABC"], None, [("I", False, b"ABC")]), (["-qI", "ABC"], None, [("I", False, b"ABC")]),
        (["-q!Rexample.org"], None, [("R", True, b"example.org")]), (["-q!S", "a@b"], None, [("S", True, b"a@b")]),
        (["-qG", "bulk"], None, [("G", False, b"bulk")]), (["-vqR", "-x"], None, [("R", False, b"-x")]),
        (["-q", "-qS@x", "-q!I1"], None, [("S", False, b"@x"), ("I", True, b"1")]),
    ],
)  # fmt: skip
def test_the_queue_family(argv: list[str], interval: int | None, selections: list[tuple[str, bool, bytes]]) -> None:
    options = read(*argv)
    assert (options.mode, options.interval, options.selections) == ("queue", interval, selections)
    assert options.run_queue and options.recipients == []


@pytest.mark.parametrize(
    "value",
    ["x", "5y", "m", "-5", "!G", "!", "!5m", "1 h", "5mm", "1hm", "qq", "L", "Q", "ff", "p-1", "9" * 9999],
)
def test_a_queue_option_that_means_nothing_is_refused(value: str) -> None:
    assert "-q" in refusal("-q" + value)


@pytest.mark.parametrize("value", ["I", "R", "S", "G", "!I", "!R", "!S"])
def test_a_queue_selection_needs_a_pattern(value: str) -> None:
    assert f"-q{value} needs" in refusal("-q" + value)
    assert f"-q{value} needs" in refusal("-q" + value, "")


def test_the_daemon_and_the_list_keep_their_mode_with_q() -> None:
    assert (read("-bd", "-q30m").mode, read("-q30m", "-bd").interval) == ("daemon", 1800)
    assert (read("-bD", "-q").mode, read("-q", "-bl").mode, read("-qIA", "-bp").mode) == ("daemon", "daemon", "list")
    assert read("-q", "-bm").mode == "queue"


def test_contradictions_are_refused_instead_of_delivered() -> None:
    for mode in ("-bs", "-bi", "-bv"):
        assert "-q does not go together" in refusal("-q", mode)
        assert "-q does not go together" in refusal(mode, "-q1h")
    for mode in ("-bs", "-bp", "-bi", "-bd", "-bv", "-q", "-I"):
        assert "-t is for delivery only" in refusal("-t", mode)
    for mode in ("-bs", "-bp", "-bi", "-bd", "-q", "-q30m"):
        assert "takes no recipient" in refusal(mode, "r@x")
    assert "attached, as in -q30m" in refusal("-q", "30m")
    assert "takes no recipient" in refusal("r@x", name=b"mailq")
    assert read("-bv", "r@x", "-v").recipients == [b"r@x"]


@pytest.mark.parametrize(
    ("argv", "delivery"),
    [
        (["-odi"], "i"), (["-odb"], "b"), (["-odq"], "q"), (["-odd"], "q"), (["-o", "db"], "b"), (["-od"], "i"),
        (["-O", "DeliveryMode=b"], "b"), (["-ODeliveryMode=deferred"], "q"), (["-Odeliverymode = queue"], "q"),
        (["-odf"], "i"), (["-odB"], "b"), (["-odi", "-odb"], "b"), (["-odb", "-v"], "i"), (["-v"], "i"),
        (["-v", "-odq"], "i"), (["-ov"], "i"), (["-odx"], None), (["-t"], None),
    ],
)  # fmt: skip
def test_the_delivery_mode_and_that_v_means_now(argv: list[str], delivery: str | None) -> None:
    assert read(*argv).delivery == delivery


@pytest.mark.parametrize("letter", list("mpqwe"))
def test_how_errors_are_reported(letter: str) -> None:
    for argv in ([f"-oe{letter}"], ["-e", letter], [f"-e{letter}"], ["-o", "e" + letter], [f"-OErrorMode={letter}"]):
        assert read(*argv, "r@x").errors == letter
    assert read(f"-O ErrorMode={letter.upper()}x").errors == letter


def test_an_unknown_way_to_report_errors_is_ignored_and_noted() -> None:
    options = read("-oex", "-e", "z", "-oe")
    assert (options.errors, options.ignored) == ("m", [b"-e"])


@pytest.mark.parametrize("form", ["-B{}", "-B {}"])
def test_the_body_type(form: str) -> None:
    for value, body in (("7BIT", b"7BIT"), ("8BITMIME", b"8BITMIME"), ("8bitmime", b"8BITMIME")):
        assert read(*form.format(value).split()).body == body
    for bad in ("BINARYMIME", "8BIT", "7", "x"):
        assert "7BIT or 8BITMIME" in refusal(*form.format(bad).split())


@pytest.mark.parametrize(
    ("value", "notify"),
    [
        ("never", b"NEVER"), ("NEVER", b"NEVER"), ("failure,delay", b"FAILURE,DELAY"), ("Delay", b"DELAY"),
        ("delay,success,failure", b"SUCCESS,FAILURE,DELAY"), ("failure, failure", b"FAILURE"),
    ],
)  # fmt: skip
def test_notify_is_canonical(value: str, notify: bytes) -> None:
    assert read("-N", value).notify == read("-N" + value).notify == read("--dsn-notify=" + value).notify == notify


@pytest.mark.parametrize(
    "value", ["", "off", "never,failure", "success,", "sometimes", "success failure", "never " * 2]
)
def test_a_bad_notify_is_refused(value: str) -> None:
    assert "bad -N" in refusal("-N", value)


def test_what_a_report_returns() -> None:
    assert (read("-R", "hdrs").ret, read("-RFULL").ret, read("--dsn-return=full").ret) == (b"HDRS", b"FULL", b"FULL")
    for bad in ("", "off", "headers", "hdrs,full"):
        assert "full or hdrs" in refusal("-R", bad)


def test_the_long_report_options_know_msmtps_words() -> None:
    assert read("--dsn-return=headers").ret == b"HDRS"
    options = read("-Nnever", "-Rfull", "--dsn-notify=off", "--dsn-return=off")
    assert (options.notify, options.ret) == (None, None)


def test_the_envelope_id_is_printable_and_short() -> None:
    assert (read("-V00000123").envid, read("-V", "a b\t+=").envid) == (b"00000123", b"a b +=")
    assert (read("-V", "x" * 100).envid, read("-V1").envid) == (b"x" * 100, b"1")
    for bad in ("", "x" * 101, "\u00e9"):
        assert "envelope id" in refusal("-V", bad)


def test_the_hop_count_is_a_number() -> None:
    assert (read("-h", "17").hops, read("-h0").hops, read("-h", "000123").hops) == (17, 0, 123)
    for bad in ("", "-1", "x", "elp", "1.5", "9" * 5000, "\u0663"):
        assert "number of hops" in refusal("-h", bad)


def test_the_log_tag_cannot_forge_a_line() -> None:
    assert read("-L", "backup-1.x").tag == b"backup-1.x"
    assert read("-Lpostfix/smtp[1]: A: to=<x>").tag == b"postfix/smtp_1___A__to__x_"
    assert (read("-L", "").tag, read("-L", "y" * 90).tag, read("-L", "\u00e9").tag) == (None, b"y" * 32, b"__")


def test_configuration_and_account() -> None:
    for argv in (
        ["-C", "/x/f", "-a", "work"],
        ["-C/x/f", "-awork"],
        ["--file=/x/f", "--account=work"],
        ["--file", "/x/f", "--account", "work"],
    ):
        options = read(*argv, "r@x")
        assert (options.config, options.account, options.recipients) == (b"/x/f", b"work", [b"r@x"])
    for argv in (["-C", ""], ["-a", ""], ["--file="], ["--account="]):
        assert "not empty" in refusal(*argv)


def test_verbose_in_all_its_spellings() -> None:
    for argv in (["-v"], ["-vv"], ["-tv"], ["--debug"], ["--debug=0.1"], ["-ov"], ["-OVerbose=True"]):
        assert read(*argv).verbose is True
    assert read("-d", "-t").verbose is False


def test_msmtps_way_to_take_the_sender_from_the_header() -> None:
    options = read("--read-envelope-from", "-t")
    assert options.read_envelope_from and options.extract and options.sender is None


def test_help_and_version_win_over_everything_that_is_right() -> None:
    assert read("--help", "-bs", "-t", "r@x").mode == "help"
    assert read("-bd", "-q", "--version").mode == "version"
    assert read("--help", name=b"mailq").mode == "help"


# --- ignored, and noted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        ["-om"], ["-os"], ["-or0s"], ["-oA/etc/aliases"], ["-oQ/tmp"], ["-oMrX"], ["-o7"], ["-o8"], ["-oo"], ["-oT5d"],
        ["-oMa", "192.0.2.1"], ["-oMr", "scanned"], ["-oMas", "a@b"], ["-o", "m"], ["-o", ""], ["-oZ"],
        ["-OQueueDirectory=/tmp"], ["-O", "HoldExpensive=True"], ["-O", "nonsense"], ["-OTimeout.queuereturn=1h"],
        ["-XV"], ["-X", "V"], ["-X/var/www/x.php"], ["--logfile=/x"], ["-p", "smtp"], ["-pSMTP:host"],
        ["-A", "c"], ["-Am"], ["-M", "x"], ["-Mxvalue"], ["-D", "/tmp/log"], ["-D/tmp/log"], ["-T", "1h"], ["-T1h"],
        ["-d"], ["-d0.1"], ["-d0-99.1"], ["-d", "0.1"], ["-d", "0-99.1,8.7"],
        ["-G"], ["-U"], ["-n"], ["-m"], ["-s"], ["-c"], ["-x"], ["-GUnmscx"],
    ],
)  # fmt: skip
def test_what_is_ignored_is_taken_with_its_argument_and_changes_nothing(argv: list[str]) -> None:
    options = read(*argv, "r@x", "-i")
    plain = read("r@x", "-i")
    for slot in Options.__slots__:
        if slot != "ignored":
            assert getattr(options, slot) == getattr(plain, slot), slot


def test_a_lone_d_leaves_a_recipient_alone() -> None:
    for recipient in ("bob", "1000", "0.1x@y", "a@0.1"):
        assert read("-d", recipient).recipients == [recipient.encode()]


def test_what_deserves_a_note_is_noted_once_by_name_only() -> None:
    options = read("-X", "/a", "-X/b", "--logfile=/c", "-D/d", "-n", "-oQ/e", "-OQueueDirectory=/f", "-OA b=/g", "-odx")
    expected = [b"-X", b"--logfile", b"-D", b"-n", b"-oQ", b"-OQueueDirectory", b"-O", b"-od"]
    assert options.ignored == expected


def test_the_notes_stay_few() -> None:
    assert len(read(*[f"-Oname{n}=x" for n in range(1000)]).ignored) == 16
    assert read("-O" + "n" * 40, "-O" + "n" * 41).ignored == [b"-O" + b"n" * 40, b"-O"]


@pytest.mark.parametrize("letter", list("AHMPQSX"))
def test_a_setting_whose_value_stands_apart_is_refused_rather_than_mailed_to(letter: str) -> None:
    assert f"-o{letter} needs its value attached" in refusal(f"-o{letter}", "/tmp/file")


# --- help ------------------------------------------------------------------------------------------------------------


def test_the_help_names_every_option_and_fits_a_terminal() -> None:
    text = usage()
    words = text.replace(",", " ").replace("=", " ").replace("[", " ").split()
    for name in TABLE:
        assert name.decode() in words, name
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.endswith("\n") and text.isascii()
    heads = {line[2:23].rstrip() for line in text.splitlines() if line.startswith("  -")}
    assert {"-t", "-f address", "--from=address", "-q[what]", "--debug[=level]", "--read-envelope-from"} <= heads


def test_a_refused_argument_is_shown_whole_if_it_is_short_and_clean_in_any_case() -> None:
    assert "-B " + "x y" * 20 + ";" in refusal("-B", "x y" * 20)
    assert "-B " + "x" * 60 + "...;" in refusal("-B", "x" * 61)
    assert "-B \\xc3\\xa9\\xe2\\x80\\xae;" in refusal("-B", "\u00e9\u202e")


def test_every_mode_of_the_table_has_a_name() -> None:
    assert set(MODES.values()) == {"deliver", "smtp", "list", "aliases", "verify", "daemon"}
