"""What real programs send through the installed command arrives: for whom, from whom, whole, and nobody hidden shown."""

import time

import pytest

from tests.obedient import Delivery
from tests.programs import LIMIT, Machine, make_folder
from tests.programs.languages import LANGUAGES
from tests.programs.letters import BLOB, TEXT, Program, check
from tests.programs.readers import READERS
from tests.programs.system import SYSTEM

pytestmark = pytest.mark.servers

PROGRAMS = [*READERS, *LANGUAGES, *SYSTEM]


def send(machine: Machine, program: Program) -> None:
    """Have the program send its letter."""
    where = make_folder(machine, program.name.replace(" ", "-"), {"text": TEXT, "blob": BLOB})
    done = machine.run(program.command.split(), program.code.encode(), program.user, where, **program.words())
    assert done.returncode == 0, done.stdout + done.stderr


def arrivals(machine: Machine, program: Program) -> list[Delivery]:
    """Wait for as many messages for its recipients as the program has to send; some send after they have ended."""
    wanted = program.recipients()
    addresses = {address for copy in wanted for address in copy}
    end = time.monotonic() + LIMIT
    while True:
        found = [each for each in list(machine.server.deliveries) if addresses.intersection(each.recipients)]
        if len(found) >= len(wanted) or time.monotonic() > end:
            return found
        time.sleep(0.02)


def test_there_are_enough_programs_and_each_has_a_name_of_its_own() -> None:
    names = [program.name.split()[0] for program in PROGRAMS]
    assert len(set(names)) >= 20
    assert len({program.words()["SUBJECT"] for program in PROGRAMS}) == len(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_what_a_program_sends_arrives(machine: Machine, program: Program) -> None:
    send(machine, program)
    found = arrivals(machine, program)
    assert sorted(sorted(each.recipients) for each in found) == program.recipients()
    for delivery in found:
        check(program, delivery)
        assert bool(delivery.field("Received")) == machine.daemon


def test_nothing_arrived_that_no_program_sent(machine: Machine) -> None:
    known = {address for program in PROGRAMS for copy in program.recipients() for address in copy}
    assert [each.data for each in machine.server.deliveries if not known.issuperset(each.recipients)] == []
