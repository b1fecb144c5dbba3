"""pysendmail metrics: read back by the parsers of Prometheus' own library, and a file that is whole at every time."""

import argparse
import os
import pathlib
import re
import threading

import prometheus_client.openmetrics.parser as strict
import pytest
from prometheus_client import parser

from pysendmail import errors
from pysendmail.command.admin import metrics, picture, textfile
from pysendmail.command.admin.picture import Live
from pysendmail.queue.states import STATES
from pysendmail.queue.store import Store
from tests.command.queued import NOW, Queue
from tests.command.test_status import FIGURES, live, queue

__all__ = ["queue"]
Capture = pytest.CaptureFixture[str]
Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def run(store: Store | None, *arguments: str, uid: int | None = None, of: Live | None = None) -> int:
    """Run `pysendmail metrics` with these arguments."""
    parser = argparse.ArgumentParser(prog="pysendmail")
    metrics.add_parser(parser.add_subparsers())
    return metrics.run(parser.parse_args(["metrics", *arguments]), lambda config, account: (store, uid), of, NOW)


def families(text: str, older: bool = False) -> list[object]:
    """Read a text by the library."""
    return list((parser if older else strict).text_string_to_metric_families(text))


def figures(text: str, older: bool = False) -> Figures:
    """Give each figure of a text by its name and labels."""
    found: Figures = {}
    for family in families(text, older):
        for sample in family.samples:  # type: ignore[attr-defined]
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def test_openmetrics_is_what_its_parser_takes(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, of=live()) == 0
    text = capfd.readouterr().out
    assert text.endswith("# EOF\n") and text.count("# EOF") == 1
    found = figures(text)
    assert found["pysendmail_submissions_total", (("outcome", "accepted"),)] == 1204
    assert found["pysendmail_recipients_total", (("outcome", "sent"),)] == 28
    assert found["pysendmail_queue_recipients", (("state", "failed"),)] == 1
    assert found["pysendmail_lane_open", (("account", "work"), ("config", ""))] == 0
    assert found["pysendmail_build_info", (("version", "0.1"),)] == 1
    assert {labels[0][1] for name, labels in found if name == "pysendmail_queue_recipients"} == set(STATES)


def test_every_family_has_a_type_a_meaning_and_the_unit_at_its_end(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, of=live()) == 0
    for family in families(capfd.readouterr().out):
        assert family.documentation.endswith(".") and family.type != "unknown"  # type: ignore[attr-defined]
        assert family.name.endswith(family.unit)  # type: ignore[attr-defined]


def test_the_older_format_has_the_same_figures(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, of=live()) == 0
    newer = figures(capfd.readouterr().out)
    assert run(queue.store, "--prometheus", of=live()) == 0
    text = capfd.readouterr().out
    assert figures(text, older=True) == newer
    assert "# EOF" not in text and "# UNIT" not in text and " info\n" not in text
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.M))
    helped = re.findall(r"^# HELP (\S+) ", text, flags=re.M)
    assert set(types) == set(helped) == {name for name, _ in newer}
    assert {name for name, kind in types.items() if kind == "counter"} == {name for name in types if name.endswith("_total")}


def test_labels_and_values_survive_whatever_stands_in_them(queue: Queue, capfd: Capture) -> None:
    queue.store.close_lane('a"b\\c\nd\x1b', "/例え", NOW + 600)
    assert run(queue.store, of=live(started=NOW + 0.5)) == 0
    text = capfd.readouterr().out
    found = figures(text)
    assert found["pysendmail_lane_open", (("account", 'a"b\\c?d?'), ("config", "/例え"))] == 0
    assert found["pysendmail_start_timestamp_seconds", ()] == NOW + 0.5
    assert "\x1b" not in text


def test_without_a_daemon_there_is_the_queue_and_that_nobody_answers(queue: Queue, capfd: Capture) -> None:
    for store in (queue.store, None):
        assert run(store) == 0
        found = figures(capfd.readouterr().out)
        assert found["pysendmail_up", ()] == 0 and ("pysendmail_queue_messages", ()) in found
        assert not [name for name, _ in found if name.startswith(("pysendmail_callers", "pysendmail_well"))]


def test_figures_of_all_are_for_those_who_may_see_all(queue: Queue, capfd: Capture) -> None:
    with pytest.raises(errors.NoPermission):
        run(queue.store, uid=1000, of=live())
    assert capfd.readouterr().out == ""


def test_a_file_is_for_everybody_to_read_whatever_the_umask(queue: Queue, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "pysendmail.prom"
    before = os.umask(0o177)
    try:
        assert run(queue.store, "--write", str(path), of=live()) == 0
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == 0o644
    assert figures(path.read_text(), older=True)["pysendmail_up", ()] == 1
    assert os.listdir(tmp_path) == ["pysendmail.prom"]


def test_a_link_in_the_place_of_the_file_is_replaced_and_not_followed(queue: Queue, tmp_path: pathlib.Path) -> None:
    aim, path = tmp_path / "aim", tmp_path / "pysendmail.prom"
    aim.write_text("untouched")
    path.symlink_to(aim)
    assert run(queue.store, "--write", str(path)) == 0
    assert aim.read_text() == "untouched" and not path.is_symlink()


@pytest.mark.parametrize("name", ["missing/x.prom", ".", "", "nul\0", "x" * 300])
def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(name: str, queue: Queue, tmp_path: pathlib.Path) -> None:
    path = f"{tmp_path}/{name}" if name else ""
    with pytest.raises(errors.SystemFailure):
        run(queue.store, "--write", path)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_old_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.prom"
    textfile.write(str(path), b"old\n")
    full = OSError(28, "No space left on device")

    def write(descriptor: int, data: bytes) -> int:
        raise full

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(errors.SystemFailure, match="No space left"):
        textfile.write(str(path), b"new\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"old\n" and os.listdir(tmp_path) == ["x.prom"]


def test_who_reads_at_any_moment_finds_a_whole_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.prom"
    texts = {letter * 200_000 for letter in (b"a", b"b")}
    textfile.write(str(path), b"a" * 200_000)
    odd: list[int] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            data = path.read_bytes()
            if data not in texts:
                odd.append(len(data))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        for text in texts:
            textfile.write(str(path), text)
    over.set()
    reader.join()
    assert odd == []


def test_a_daemon_without_figures_of_its_deliveries_has_all_others(queue: Queue) -> None:
    queue.store.publish("deliver", {}, NOW)
    names = {family.name for family in metrics.families(picture.draw(queue.store, None, NOW, live()))}
    queue.store.publish("deliver", FIGURES, NOW)
    more = {family.name for family in metrics.families(picture.draw(queue.store, None, NOW, live()))}
    assert more - names == {f"pysendmail_{name}" for name in ("recipients", "attempts", "attempted_bytes", "reports")}
