"""Results are committed before their courier goes on, several couriers' at once, and not given up easily."""

import threading
from collections.abc import Iterable

import pytest

from pysendmail import errors
from pysendmail.queue.ledger import Ledger, Unrecorded
from pysendmail.queue.store import Store
from pysendmail.queue.values import Notice, Result

LIMIT = 10


class Book(Store):
    """A store that only takes results: each commit waits for `gate` and fails as `failures` say."""

    def __init__(self) -> None:
        self.commits: list[list[int]] = []
        self.failures: list[errors.Failure | None] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.refused: set[int] = set()

    def finish(
        self, owner: str, results: Iterable[Result], notices: Iterable[Notice] = ()
    ) -> list[tuple[int, int]]:
        self.begun.set()
        assert self.gate.wait(LIMIT)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        results = list(results)
        self.commits.append([result.message for result in results])
        return [(result.message, result.number) for result in results if result.message not in self.refused]


def result(message: int, state: str = "sent") -> Result:
    return Result(message, 0, state, tried=1.0)


def ledger(book: Book, pauses: list[float] | None = None) -> Ledger:
    return Ledger(book, "me", (pauses if pauses is not None else []).append)


FULL = errors.TempFail("the disk is full")


def test_results_are_committed_before_enter_returns() -> None:
    book = Book()
    assert ledger(book).enter([result(1)], []) == {(1, 0)}
    assert book.commits == [[1]]


def test_what_gathers_during_a_commit_goes_with_the_next_one() -> None:
    book = Book()
    book.gate.clear()
    book.refused = {3}
    one = ledger(book)
    answers: dict[int, set[tuple[int, int]]] = {}
    threads = [
        threading.Thread(target=lambda n=n: answers.update({n: one.enter([result(n)], [])}))  # type: ignore[misc]
        for n in range(1, 6)
    ]
    threads[0].start()
    assert book.begun.wait(LIMIT)
    for thread in threads[1:]:
        thread.start()
    while len(one._gathered) < 4:
        pass
    book.gate.set()
    for thread in threads:
        thread.join(LIMIT)
    assert book.commits[0] == [1] and sorted(book.commits[1]) == [2, 3, 4, 5]
    assert answers == {n: ({(n, 0)} if n != 3 else set()) for n in range(1, 6)}


def test_a_commit_that_fails_is_tried_again_after_pauses() -> None:
    book, pauses = Book(), []  # type: ignore[var-annotated]
    book.failures = [FULL] * 4
    assert ledger(book, pauses).enter([result(1)], []) == {(1, 0)}
    assert pauses == [0.0, 0.1, 0.2, 0.5]


def test_in_the_end_what_was_sent_is_tried_alone_and_then_given_up() -> None:
    book = Book()
    book.failures = [FULL] * 11
    assert ledger(book).enter([result(1, "failed"), result(2), result(3, "uncertain"), result(4, "deferred")], []) == {
        (2, 0),
        (3, 0),
    }
    assert book.commits == [[2, 3]]
    book.failures = [FULL] * 12
    with pytest.raises(Unrecorded) as unrecorded:
        ledger(book).enter([result(1)], [])
    assert unrecorded.value.failure is FULL


def test_a_bug_is_not_tried_again() -> None:
    book, pauses = Book(), []  # type: ignore[var-annotated]
    book.failures = [errors.SoftwareError("no attempt ends as active")] * 3
    with pytest.raises(Unrecorded):
        ledger(book, pauses).enter([result(1)], [])
    assert pauses == [0.0]


def test_one_couriers_results_that_cannot_be_committed_do_not_take_the_others_with_them() -> None:
    class Choosy(Book):
        def finish(
            self, owner: str, results: Iterable[Result], notices: Iterable[Notice] = ()
        ) -> list[tuple[int, int]]:
            results = list(results)
            if any([result.message == 2 for result in results]) and self.gate.is_set():
                raise errors.SoftwareError("bad")
            return super().finish(owner, results, notices)

    book = Choosy()
    book.gate.clear()
    one = ledger(book)
    failed: list[int] = []

    def enter(number: int) -> None:
        try:
            one.enter([result(number)], [])
        except Unrecorded:
            failed.append(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in (1, 2, 3)]
    threads[0].start()
    assert book.begun.wait(LIMIT)
    for thread in threads[1:]:
        thread.start()
    while len(one._gathered) < 2:
        pass
    book.gate.set()
    for thread in threads:
        thread.join(LIMIT)
    assert failed == [2]
    assert sorted([message for commit in book.commits for message in commit]) == [1, 3]
