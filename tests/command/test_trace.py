"""pysendmail trace, as it is installed: tables, JSON, hostile messages, and what is no message."""

import json
import os
import pathlib
import subprocess

import pytest

from tests.conftest import Installed

MAIL = """\
Return-Path: <a@example.org>
Received: from mx.example.net (mx.example.net [203.0.113.9])
	by store.example.net (Postfix) with ESMTPS id ABC123
	for <bob@example.net>; Sat, 28 Nov 2020 03:00:10 +0100 (CET)
Received: from out.example.org (out.example.org [198.51.100.7])
	by mx.example.net (8.17/8.17) with ESMTPS id XYZ; Fri, 27 Nov 20 21:00:05 EST
Received: from [192.168.1.5] (helo=laptop) by out.example.org with esmtpsa (Exim 4.96) id 1q; Sat, 28 Nov 2020 02:00:00 +0000
Date: Sat, 28 Nov 2020 01:58:00 +0000

Received: from the body by nobody
"""


def trace(installed: Installed, *arguments: str, message: bytes | str = MAIL) -> "subprocess.CompletedProcess[bytes]":
    data = message.encode() if isinstance(message, str) else message
    command = [str(installed.prefix / "bin" / "pysendmail"), "trace", *(arguments or ("-",))]
    return subprocess.run(command, input=data, capture_output=True, env={"TZ": "UTC"}, timeout=120, check=False)


def test_the_hops_are_a_table_with_delays_and_bars(installed: Installed) -> None:
    done = trace(installed)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["#", "TIME", "DELAY", "FROM", "BY"]
    assert [line.split()[0] for line in lines[1:4]] == ["1", "2", "3"]
    assert lines[1].endswith("|") and lines[2].endswith("#") and lines[3].endswith("#")
    assert "2020-11-28 02:00:05        5s" in lines[2]
    assert lines[5:] == ["From the first hop to the last: 10s.", "Its Date is 2020-11-28 01:58:00, 2m00s before the first hop."]


def test_json_has_all_that_is_known(installed: Installed) -> None:
    found = json.loads(trace(installed, "--json", "-").stdout)
    assert (found["total"], found["written"], len(found["hops"])) == (10, 1606528680, 3)
    assert found["hops"][0]["from"] == {"name": "laptop", "reverse": None, "address": "192.168.1.5"}
    assert found["hops"][1]["zone"] == -300
    assert [hop["delay"] for hop in found["hops"]] == [None, 5, 5]
    assert found["hops"][2]["for"] == "bob@example.net"
    assert [hop["signs"] for hop in found["hops"]] == [[], [], []]


def test_signs_stand_below_their_hop(installed: Installed) -> None:
    done = trace(installed, message=MAIL.replace("03:00:10", "02:59:50"))
    assert b"\n    ! clock: its clock is 15s or more behind" in done.stdout
    assert b"1 hop of 3 with something odd" in done.stdout
    assert b"From the first hop to the last: -10s." in done.stdout


def test_a_file_with_crlf_and_an_mbox_line_is_read(installed: Installed, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mail"
    path.write_bytes(b"From a@example.org Sat Nov 28 02:00:00 2020\r\n" + MAIL.replace("\n", "\r\n").encode())
    assert trace(installed, "--json", str(path)).stdout == trace(installed, "--json", "-").stdout


def test_controls_of_a_message_never_reach_the_terminal(installed: Installed) -> None:
    hostile = "Received: from a\x1b[2J\u202e\x9b by b\x07.example (\x1b]0;x\x07) with \x1bZ id \0; \x1b 28 Nov 2020\n\n"
    for arguments in ((), ("--json", "-")):
        done = trace(installed, *arguments, message=hostile)
        assert done.returncode == 0
        assert not set(done.stdout) & {*range(10), *range(11, 32), 127}
        assert b"\xe2\x80\xae" not in done.stdout and b"\xc2\x9b" not in done.stdout


@pytest.mark.parametrize(("message", "code"), [(b"", 65), (b"no header here\n", 65), (b"\0\0\0", 65), (b"X: y\n" * 100_001, 65)])
def test_what_is_no_message_is_told_in_one_line(installed: Installed, message: bytes, code: int) -> None:
    done = trace(installed, message=message)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"pysendmail: ") and done.stderr.count(b"\n") == 1


def test_a_file_that_cannot_be_read_is_told_in_one_line(installed: Installed, tmp_path: pathlib.Path) -> None:
    for name, code in ((str(tmp_path / "none"), 66), (str(tmp_path), 74), ("", 66)):
        done = trace(installed, name)
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (code, b"", 1), done.stderr


def test_a_message_that_has_not_travelled_is_no_error(installed: Installed) -> None:
    done = trace(installed, message="Subject: x\n\ny\n")
    assert (done.returncode, done.stdout) == (0, b"It has no Received field: no server has passed it on.\n")


def test_of_three_megabytes_of_hops_the_newest_are_shown(installed: Installed) -> None:
    line = "Received: from a.example (b.example [10.1.2.3]) by c.example with ESMTP id X; Sat, 28 Nov 2020 02:00:05 +0000\n"
    done = trace(installed, message=line * 30_000)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\n1000  2020-" in done.stdout and b"\n29000 older hops left out" in done.stdout


def test_one_field_of_three_megabytes_is_shown(installed: Installed) -> None:
    done = trace(installed, message=b"Received: from a (" + b"(x)" * 1_000_000 + b"\n\nbody\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) < 2000


@pytest.mark.parametrize("columns", [1, 20, 40, 80, 132, 500])
def test_it_fits_every_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from pysendmail.command.admin import trace as module
    from pysendmail.message import journey
    from pysendmail.message.header import HeaderReader

    reader = HeaderReader()
    reader.feed(MAIL.encode())
    lines = list(module._lines(journey.follow(reader.fields, 2e9), columns))
    table = lines[: lines.index("\n")]
    assert max(len(line) for line in table) <= columns + 1


def test_a_reader_who_goes_ends_it_silently(installed: Installed) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [str(installed.prefix / "bin" / "pysendmail"), "trace", "-"]
    done = subprocess.run(command, input=MAIL.encode(), stdout=write_end, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")
