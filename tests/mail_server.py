"""A real mail server on loopback: STARTTLS, AUTH, and recipients that it refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tls import certificate
from tocsin_notifiers.email import EmailConfig


@dataclass
class MailServer:
    """What came in; ``refusals`` are the answers to recipients, by address."""

    password: str
    ca_file: str
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    connections: int = 0

    def config(self, *to: str, **smtp: Any) -> EmailConfig:
        """Settings that reach it."""
        return EmailConfig.model_validate(self.written(*to, **smtp))

    def written(self, *to: str, **smtp: Any) -> dict[str, Any]:
        """The same as users write them."""
        server = {
            "host": "127.0.0.1",
            "port": self.port,
            "starttls": True,
            "username": "tocsin",
            "password": {"secret": "smtp"},
            "ca_file": self.ca_file,
        }
        return {
            "to": list(to or ("data@example.com",)),
            "from": "Tocsin <tocsin@example.com>",
            "smtp": server | smtp,
        }

    # -- what aiosmtpd calls

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        made = message_from_bytes(envelope.original_content, policy=default)
        assert isinstance(made, EmailMessage)
        self.mails.append(made)
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return "250 taken"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and data.password == self.password.encode()
        return AuthResult(success=right, handled=right)


@asynccontextmanager
async def mail_server(folder: Path, *, password: str) -> AsyncIterator[MailServer]:
    """A mail server on a free port that wants STARTTLS and this password."""
    context, _ = certificate(folder)
    there = MailServer(password, str(folder / "cert.pem"))

    def session() -> SMTP:
        there.connections += 1
        return SMTP(
            there,
            hostname="127.0.0.1",
            tls_context=context,
            require_starttls=True,
            authenticator=there.authenticate,
            auth_required=True,
        )

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()
