"""Read messages and recipients out of a queue file: the columns, the conditions of a selection, the list."""

from pysendmail.queue import schema, trouble
from pysendmail.queue.sights import Counts
from pysendmail.queue.sqlite import seal_message
from pysendmail.queue.states import ACTIVE, CODES, DONE, FAILED, HELD, STATES, WAITING
from pysendmail.queue.store import Malformed
from pysendmail.queue.values import Item, Message, Recipient, Select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pysendmail.queue.database import Database

_PAGE = 1000

# In the order of the constructors' arguments, the checksum last.
MESSAGE = (
    "m.id, m.qid, m.uid, m.sender, l.account, l.config, m.created, m.header_size, m.body_size, m.flags, m.ret, m.envid,"
    " m.tag, m.seal"
)
RECIPIENT = (
    "r.message, r.number, r.address, r.orcpt, r.notify, r.state, r.origin, r.due, r.attempts, r.warned, r.first_tried,"
    " r.last_tried, r.done, r.reply, r.dsn, r.relay, r.owner, r.code, r.seal"
)
WIDTH = MESSAGE.count(",") + 1  # columns of a message
SOURCE = "message m JOIN lane l ON l.id = m.lane JOIN recipient r ON r.message = m.id"

_NAMES = ("", *STATES)
_DONE = ", ".join([str(CODES[state]) for state in DONE])
_WAITING = len(WAITING)


def message(row: "tuple[Any, ...]") -> Message:
    """Make a message of its columns. Raises Malformed for what cannot be columns of one."""
    try:
        flags = row[9]
        return Message(
            row[0], row[1], row[2], row[3], _text(row[4]), _text(row[5]), row[6], row[7], row[8],
            bool(flags & schema.EIGHT_BIT), bool(flags & schema.NUL), bool(flags & schema.LONG_LINE), row[10], row[11],
            row[12], bool(flags & schema.BOUNCE), bool(flags & schema.AWAITED),
        )  # fmt: skip
    except (TypeError, AttributeError) as error:
        raise senseless(row[0]) from error


def message_is_sound(row: "tuple[Any, ...]") -> bool:
    """Tell whether the columns are what was once written."""
    try:
        return bool(seal_message(*row[1:6], *row[7:9], row[9] & ~schema.AWAITED, *row[10:12]) == row[13])
    except (TypeError, ValueError, AttributeError):
        return False


def recipient(row: "tuple[Any, ...]", owners: "dict[int, str]") -> Recipient:
    """Make a recipient of his columns. Raises Malformed for what cannot be columns of one."""
    try:
        return Recipient(
            row[0], row[1], row[2], row[3], row[4], _NAMES[row[5]], _NAMES[row[6]], row[7], row[8], bool(row[9]), row[10],
            row[11], row[12], row[13], row[14], row[15], owners.get(row[16], "") if row[16] else "", row[17],
        )  # fmt: skip
    except (TypeError, IndexError) as error:
        raise senseless(row[0]) from error


def senseless(number: object) -> Malformed:
    """Return the failure of rows that make no sense; `number` is that of the message."""
    return Malformed(f"the queue file is damaged (message {number!r} makes no sense in it); {trouble.CHECK}")


def recipient_is_sound(row: "tuple[Any, ...]") -> bool:
    """Tell whether the columns are what was once written."""
    try:
        return bool(schema.seal(*row[:5]) == row[18])
    except (TypeError, ValueError):
        return False


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


class Condition:
    """A selection as a condition of SQL over m, l and r, with its parameters; `text` is "" if it says nothing.

    Without `lanes` its account and configuration are left out, since they are seen to (lanes_meant).
    """

    __slots__ = ("_lanes", "parameters", "text")

    def __init__(self, select: Select | None, lanes: bool = True) -> None:
        self.parameters: list[Any] = []
        self._lanes = lanes
        self.text = "" if select is None else "".join([f" AND {part}" for part in self._parts(select)])

    def _parts(self, select: Select) -> "list[str]":
        parts: list[str] = []
        exact = (("m.uid", select.uid), ("m.tag", select.tag), ("l.account", select.account), ("l.config", select.config))
        for column, value in exact if self._lanes else exact[:2]:
            if value is not None:
                parts.append(f"{column} = ?")
                self.parameters.append(schema.octets(str(value)) if column.startswith("l.") else value)
        if select.qids is not None:
            parts.append("m.qid IN (SELECT value FROM json_each(?))")
            known = [qid for qid in select.qids if qid.isascii() and qid.isalnum()]  # no other one exists
            self.parameters.append("[" + ",".join([f'"{qid}"' for qid in known]) + "]")
        if select.sender is not None:
            parts.append(self._contains("m.sender", select.sender) if select.sender else "length(m.sender) = 0")
        if select.recipient is not None:
            parts.append(self._contains("r.address", select.recipient))
        if select.created_before is not None:
            parts.append("m.created < ?")
            self.parameters.append(select.created_before)
        if select.states is not None:
            parts.append(f"r.state IN ({', '.join([str(CODES[state]) for state in select.states])})")
        self._lanes = True
        for other in select.excluded:
            parts.append(f"NOT ({' AND '.join(self._parts(other)) or '1'})")
        return parts

    def _contains(self, column: str, pattern: bytes) -> str:
        self.parameters.append(pattern.lower())
        return f"instr(CAST(lower(CAST({column} AS TEXT)) AS BLOB), ?) > 0"


def lanes_meant(select: Select | None) -> "tuple[str, list[bytes]]":
    """Return the account and the configuration of a selection as a condition over lane, with its parameters."""
    text, names = "", []
    for column, value in (("account", select.account), ("config", select.config)) if select is not None else ():
        if value is not None:
            text += f" AND {column} = ?"
            names.append(schema.octets(value))
    return text, names


def owner_names(database: "Database") -> "dict[int, str]":
    """Return the names of the owners of leases."""
    return dict(database.read("SELECT id, name FROM owner"))


def listing(database: "Database", select: Select | None, after: int) -> "Iterator[Item]":
    """See Store.listing. What is read at a time is a page of rows; a message may go on in the next one."""
    condition = Condition(select)
    states = "" if select is not None and select.states is not None else f" AND r.state NOT IN ({_DONE})"
    sql = (
        f"SELECT {MESSAGE}, {RECIPIENT}, l.until, l.reply, l.dsn FROM {SOURCE}"
        f" WHERE (r.message, r.number) > (?, ?){states}{condition.text} ORDER BY r.message, r.number LIMIT {_PAGE}"
    )
    place = (after, 1 << 62)
    item: Item | None = None
    while True:
        page = database.read(sql, (*place, *condition.parameters))
        owners = owner_names(database) if page else {}
        for row in page:
            if item is None or item.message.id != row[0]:
                if item is not None:
                    yield item
                item = Item(message(row), [])
            item.recipients.append(_listed(row, owners))
        if len(page) < _PAGE:
            break
        place = page[-1][WIDTH : WIDTH + 2]
    if item is not None:
        yield item


def _listed(row: "tuple[Any, ...]", owners: "dict[int, str]") -> Recipient:
    """Make a recipient; while his lane is closed and he was told nothing himself, he has its reply."""
    one = recipient(row[WIDTH:], owners)
    if not one.reply and row[-3] and row[WIDTH + 5] <= _WAITING:
        one.reply, one.dsn = row[-2], row[-1]
    return one


def get(database: "Database", qid: str) -> Item | None:
    """See Store.get."""
    sql = f"SELECT {MESSAGE}, {RECIPIENT}, l.until, l.reply, l.dsn FROM {SOURCE} WHERE m.qid = ? ORDER BY r.number"
    found = database.read(sql, (qid,))
    if not found:
        return None
    owners = owner_names(database)
    return Item(message(found[0]), [_listed(row, owners) for row in found])


def untried(database: "Database", select: Select, since: float, now: float) -> bool:
    """See Store.untried."""
    condition = Condition(select)
    sql = (
        f"SELECT 1 FROM {SOURCE} WHERE r.state <= {_WAITING + 1} AND r.last_tried < ? AND m.created <= ? AND l.until <= ?"
        f"{condition.text} LIMIT 1"
    )
    return bool(database.read(sql, (since, since, now, *condition.parameters)))


def waiting_of(database: "Database", uid: int) -> int:
    """See Store.waiting_of."""
    sql = (
        "SELECT count(*) FROM message m WHERE uid = ? AND EXISTS"
        f" (SELECT 1 FROM recipient r WHERE r.message = m.id AND r.state <= {CODES[HELD]})"
    )
    return int(database.read(sql, (uid,))[0][0])


def counts(database: "Database", uid: int | None = None) -> Counts:
    """See Store.counts."""
    sql = "SELECT count(*), coalesce(sum(header_size + 2 + body_size), 0), coalesce(min(created), 0.0) FROM message"
    source, condition = "recipient r", ""
    parameters: tuple[int, ...] = ()
    if uid is not None:
        source, condition, parameters = "message JOIN recipient r ON r.message = message.id", " WHERE uid = ?", (uid,)
    messages, octets, oldest = database.read(sql + condition, parameters)[0]
    states = dict.fromkeys(STATES, 0)
    for state, number in database.read(f"SELECT r.state, count(*) FROM {source}{condition} GROUP BY r.state", parameters):
        if not isinstance(state, int) or not 0 < state < len(_NAMES):
            raise Malformed(f"the queue file is damaged (a state is {state!r}); {trouble.CHECK}", database.path)
        states[_NAMES[state]] = number
    return Counts(messages, octets, oldest, states)


assert CODES[FAILED] == 6 and _WAITING == 3 and CODES[ACTIVE] == 4 and CODES[HELD] == 5, "the indexes are made for these"
