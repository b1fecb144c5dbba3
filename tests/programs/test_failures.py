"""What real programs do when their message is refused or put off: those who look are told, the others get a bounce."""

import dataclasses
import time

import pytest

from tests.obedient import Delivery
from tests.programs import LIMIT, Machine, make_folder
from tests.programs.letters import BLOB, TEXT, Program
from tests.programs.test_programs import PROGRAMS

pytestmark = pytest.mark.servers

BY_NAME = {program.name: program for program in PROGRAMS}

# Program -> its exit status when the command gave 75, and when it gave 67.
TOLD = {
    "mutt": (1, 1),
    "neomutt": (1, 1),
    "s-nail": (4, 4),
    "bsd-mailx": (1, 1),
    "GNU mail": (1, 1),
    "nmh by SMTP": (1, 1),
    "Emacs": (255, 255),
    "git send-email": (75, 67),
    "swaks": (26, 26),
    "mime-construct": (75, 67),
    "PHP mail": (1, 1),
    "PHPMailer isMail": (255, 255),
    "PHPMailer isSendmail": (255, 255),
    "Symfony": (255, 255),
    "Symfony with -t": (255, 255),
    "Perl Email-Sender": (75, 67),
    "Perl MIME-Lite": (75, 67),
    "Perl Mail-Mailer": (75, 67),
    "Nodemailer": (1, 1),
    "Python": (1, 1),
    "smartd": (1, 1),
    "maildrop": (75, 67),
    "formail": (75, 67),
}
# Programs that do not look at the command's status, and do not ask for it either (-odi, as anacron does).
DEAF = ["Ruby mail", "nmh", "vacation", "procmail", "logwatch", "mdadm", "cron", "sudo"]


@dataclasses.dataclass(frozen=True)
class Doomed(Program):
    """The same program, with recipients that the smarthost does not take."""

    fate: str = "refused"

    def words(self) -> dict[str, str]:
        words = super().words()
        name = f"{self.fate}.{words['TO'].removeprefix('to.')}"
        return {**words, "TO": name, "CC": f"{self.fate}.cc.{name}", "HIDDEN": f"{self.fate}.bcc.{name}"}


def doom(name: str, fate: str) -> Doomed:
    """Give a program recipients that are all `deferred` or `refused`."""
    fields = {each.name: getattr(BY_NAME[name], each.name) for each in dataclasses.fields(Program)}
    return Doomed(**fields, fate=fate)


def send(machine: Machine, program: Doomed) -> int:
    """Have the program send its letter; return its exit status."""
    where = make_folder(machine, f"{program.fate}-{program.name}".replace(" ", "-"), {"text": TEXT, "blob": BLOB})
    done = machine.run(program.command.split(), program.code.encode(), program.user, where, **program.words())
    assert b"Traceback" not in done.stdout + done.stderr or program.command.startswith("python")
    return done.returncode


def bounces(machine: Machine, program: Doomed) -> list[Delivery]:
    """Give the bounces that name the program's recipient."""
    address = program.words()["TO"].encode()
    return [each for each in list(machine.server.deliveries) if not each.sender and address in each.data]


@pytest.mark.parametrize(("name", "codes"), TOLD.items(), ids=TOLD)
def test_a_program_that_looks_at_the_status_is_told(alone: Machine, name: str, codes: tuple[int, int]) -> None:
    assert (send(alone, doom(name, "deferred")), send(alone, doom(name, "refused"))) == codes


@pytest.mark.parametrize("name", ["mutt", "PHP mail", *DEAF])
def test_with_the_daemon_every_program_succeeds_and_refusal_comes_back_to_the_sender(served: Machine, name: str) -> None:
    program = doom(name, "refused")
    assert send(served, program) == 0
    end = time.monotonic() + LIMIT
    while not bounces(served, program) and time.monotonic() < end:
        time.sleep(0.02)
    # What root has sent comes back to who reads root's mail.
    reader = "operator@example.org" if program.sender == "root@example.org" else program.sender
    assert {tuple(each.recipients) for each in bounces(served, program)} == {(reader,)}


def test_with_the_daemon_a_message_that_is_put_off_stays_in_the_queue(served: Machine) -> None:
    program = doom("mutt", "deferred")
    assert send(served, program) == 0
    end = time.monotonic() + LIMIT
    while True:
        listing = served.run(["mailq"], user="root").stdout.decode()
        if f"{program.words()['TO']}\n" in listing and "451" in listing:
            break
        assert time.monotonic() < end, listing
        time.sleep(0.1)
    assert bounces(served, program) == []
