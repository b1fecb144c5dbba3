"""Which recipients a selection means, asked of values instead of a database."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.queue.values import Message, Recipient, Select


def matches(select: "Select | None", message: "Message", one: "Recipient") -> bool:
    """Tell whether a recipient is meant."""
    if select is None:
        return True
    wanted = (
        (select.uid, message.uid),
        (select.tag, message.tag),
        (select.account, message.account),
        (select.config, message.config),
    )
    return (
        all([value is None or value == found for value, found in wanted])
        and (select.qids is None or message.qid in select.qids)
        and (select.sender is None or _contains(message.sender, select.sender, b""))
        and (select.recipient is None or _contains(one.address, select.recipient, None))
        and (select.created_before is None or message.created < select.created_before)
        and (select.states is None or one.state in select.states)
        and not any([matches(other, message, one) for other in select.excluded])
    )


def _contains(address: bytes, pattern: bytes, alone: bytes | None) -> bool:
    return address == alone if pattern == alone else pattern.lower() in address.lower()
