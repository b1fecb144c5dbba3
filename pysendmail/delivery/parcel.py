"""What is handed to a delivery, or to the queue for a later one."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.body import Body
    from pysendmail.message.header import Field


class Parcel:
    """What is to be delivered: a prepared header, a body, the envelope, and the DSN parameters of RFC 3461.

    `fields` may be all of them in one piece, as a queue keeps them. `each` is as in Mail.
    """

    __slots__ = ("body", "each", "envid", "fields", "notify", "recipients", "ret", "reverse_path")

    def __init__(
        self,
        fields: "list[Field] | bytes",
        body: "Body",
        reverse_path: bytes,
        recipients: list[bytes],
        notify: bytes | None = None,
        ret: bytes | None = None,
        envid: bytes | None = None,
        each: "dict[bytes, tuple[bytes | None, bytes | None]] | None" = None,
    ) -> None:
        self.fields = fields
        self.body = body
        self.reverse_path = reverse_path
        self.recipients = recipients
        self.notify = notify
        self.ret = ret
        self.envid = envid
        self.each = each
