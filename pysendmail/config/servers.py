"""The servers that the word host names, where it names more than one, or one with a port, or a domain that lists them."""

from pysendmail.config.values import SRV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def split(text: str) -> "Iterator[tuple[str, int]]":
    """Yield name and port (0 if none is written) of each server in a value that `values.hosts` has made."""
    for item in text.split(" "):
        if item[:1] == "[":
            name, _, port = item[1:].partition("]:")
            yield name, int(port)
        elif item.count(":") == 1 and not item.startswith(SRV):
            name, _, port = item.partition(":")
            yield name, int(port)
        else:
            yield item, 0
