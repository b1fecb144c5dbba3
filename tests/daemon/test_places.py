"""Who is answered when more ask than there are threads."""

from types import SimpleNamespace
from typing import Any

from pysendmail.daemon import places
from pysendmail.daemon.places import Places

ROOT, ANN, BOB = 0, 1001, 1002


class Room:
    """Places whose requests end when a test says so."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.places = Places(self.begun.append, lambda uid: uid == ROOT)

    def ask(self, uid: int, number: int = 1) -> None:
        for _ in range(number):
            self.places.take(SimpleNamespace(uid=uid))  # type: ignore[arg-type]

    def end(self, uid: int) -> None:
        client = next(one for one in self.begun if one.uid == uid)
        self.begun.remove(client)
        self.places.vacate(uid)

    def count(self, uid: int) -> int:
        return len([one for one in self.begun if one.uid == uid])


def test_no_more_are_answered_at_once_than_there_are_places() -> None:
    room = Room()
    room.ask(ROOT, 50)
    assert room.count(ROOT) == places._MOST
    room.end(ROOT)
    assert room.count(ROOT) == places._MOST


def test_one_user_leaves_places_for_others() -> None:
    room = Room()
    room.ask(ANN, 50)
    room.ask(BOB)
    room.ask(ROOT)
    assert (room.count(ANN), room.count(BOB), room.count(ROOT)) == (places._OF_ONE, 1, 1)


def test_users_together_leave_places_for_who_looks_after_the_machine() -> None:
    room = Room()
    room.ask(ANN, 50)
    room.ask(BOB, 50)
    room.ask(ROOT)
    assert room.count(ANN) + room.count(BOB) == places._OF_USERS
    assert room.count(ROOT) == 1


def test_everybody_has_his_turn_in_the_end() -> None:
    room = Room()
    room.ask(ANN, 30)
    room.ask(BOB, 30)
    room.ask(ROOT, 30)
    ended = 0
    while room.begun:
        assert len(room.begun) <= places._MOST
        room.end(room.begun[0].uid)
        ended += 1
    assert ended == 90 and room.places._of == {} and room.places._busy == 0


def test_who_follows_has_no_place_and_one_again_at_his_end() -> None:
    room = Room()
    room.ask(ANN, places._OF_ONE + 1)
    follower = room.begun.pop()
    room.places.vacate(follower.uid)
    assert room.count(ANN) == places._OF_ONE
    room.places.occupy(follower.uid)
    room.places.vacate(follower.uid)
    room.ask(ANN)
    assert room.count(ANN) == places._OF_ONE
