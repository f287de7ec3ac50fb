"""A message as a mailbox shows it: the head, and the text part."""

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tocsin_notifiers.email import EmailConfig, payload
from tocsin_notifiers.message import Message
from tocsin_server.previews.drawing import safe

_CONFIG: Final = EmailConfig.model_validate(
    {
        "to": ["data-team@example.com"],
        "from": "Tocsin <tocsin@example.com>",
        "smtp": {"host": "mail.example.com"},
    }
)


def preview(message: Message) -> RenderableType:
    """Draw a message as an opened mail."""
    mail = payload(message, _CONFIG)
    head = Table.grid(padding=(0, 2, 0, 0))
    for name in ("From", "To", "Subject"):
        head.add_row(Text(name, style="dim"), Text(safe(str(mail[name])), style="bold"))
    part = mail.get_body(("plain",))
    text = "" if part is None else part.get_content()
    # The title stands above as the subject.
    return Group(head, Text(), Text(safe(text.removeprefix(message.title).strip())))
