"""Email: text and HTML, one alert is one thread, each recipient has a result of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Annotated, Any, ClassVar, Final, Self

import aiosmtplib
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tocsin_events.identity import derived_id
from tocsin_events.instant import SECOND, from_micros
from tocsin_notifiers.email_html import PICTURE, html
from tocsin_notifiers.markdown import as_plain, parse
from tocsin_notifiers.message import FollowUp, Message, Receipt
from tocsin_notifiers.notification import Severity
from tocsin_notifiers.notifier import SEND_TIMEOUT, Outside, Rejected, Retry
from tocsin_notifiers.run_chart import read_chart
from tocsin_notifiers.run_picture import draw
from tocsin_notifiers.secret import Secret

_CONNECTIONS: Final = 8
_IDLE: Final = 30 * SECOND
_PERMANENT: Final = range(500, 600)


def _address(text: str) -> str:
    name, address = parseaddr(text)
    local, at, domain = address.rpartition("@")
    if not (at and local and domain) or any(char in text for char in "\r\n"):
        raise ValueError(f"{text!r} is no email address")
    try:
        if not domain.isascii():
            # Few mail servers take other characters, all know the domain by this name.
            ascii_ = f"{local}@{domain.encode('idna').decode()}"
            text, address = text.replace(address, ascii_), ascii_
        Address(display_name=name, addr_spec=address)
    except ValueError as problem:
        raise ValueError(f"{text!r} is no email address: {problem}") from problem
    return text


EmailAddress = Annotated[str, AfterValidator(_address)]


class SmtpConfig(BaseModel):
    """The mail server. ``tls`` encrypts from the first byte (465); ``starttls`` after a greeting (587)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    starttls: bool | None = None
    tls: bool = False
    username: str | None = None
    password: Secret | None = None
    verify: bool = True
    ca_file: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: give both, or neither")
        if self.tls and self.starttls:
            raise ValueError("tls encrypts from the first byte, starttls after it: give one of them")
        return self


class EmailConfig(BaseModel):
    """``to`` whom, ``from`` whom, and by which ``smtp`` server."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    to: tuple[EmailAddress, ...] = Field(min_length=1, max_length=200)
    sender: EmailAddress = Field(alias="from")
    smtp: SmtpConfig


class Email:
    """The recipients of one mailing."""

    config: ClassVar = EmailConfig
    follow_ups: ClassVar[tuple[FollowUp, ...]] = ("thread", "message")
    resends_safely: ClassVar = True
    """The same message keeps its Message-ID, by which mailboxes know it."""
    ack_link: ClassVar = True
    picture: ClassVar = True

    def __init__(self, config: EmailConfig, outside: Outside) -> None:
        self._config = config
        self._outside = outside
        self._idle: list[tuple[int, aiosmtplib.SMTP]] = []
        self._places = asyncio.Semaphore(_CONNECTIONS)

    def targets(self) -> tuple[str, ...]:
        """Return the recipients."""
        return tuple(dict.fromkeys(parseaddr(one)[1] for one in self._config.to))

    async def send(self, message: Message, previous: Receipt | None) -> Receipt:
        """Hand the mail for one recipient to the server."""
        mail = payload(message, self._config, previous)
        sender = parseaddr(self._config.sender)[1]
        try:
            async with self._connection() as smtp:
                _, said = await smtp.sendmail(sender, [message.target], mail.as_bytes(policy=SMTP))
        except aiosmtplib.SMTPRecipientsRefused as refused:
            first = refused.recipients[0]
            raise _verdict(
                first.code, f"the server refuses {message.target}: {first.code} {first.message}"
            ) from refused
        except aiosmtplib.SMTPAuthenticationError as problem:
            raise _verdict(
                problem.code, f"the server refuses the login: {problem.code} {problem.message}"
            ) from problem
        except aiosmtplib.SMTPResponseException as problem:
            raise _verdict(problem.code, f"the server says {problem.code} {problem.message}") from problem
        except (aiosmtplib.SMTPException, OSError) as problem:
            raise Retry(f"{self._config.smtp.host}: {problem}") from problem
        return Receipt(target=message.target, id=str(mail["Message-ID"]), answer=said[:500])

    def preview(self, message: Message) -> dict[str, Any]:
        """Return the mail's subject, its text, its HTML, and what is attached to it."""
        mail = payload(message, self._config)
        return {
            "subject": str(mail["Subject"]),
            "text": plain_text(message),
            "html": html(message, domain=_domain_of(self._config)),
            "attached": [
                {
                    "name": part.get_filename(),
                    "type": part.get_content_type(),
                    "bytes": len(part.get_content()),
                }
                for part in mail.walk()
                if part.get_filename()
            ],
        }

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """Lend a connection, an idle one where there is one, and keep it when all went well."""
        async with self._places:
            smtp = self._take_idle() or await self._connect()
            try:
                yield smtp
            except BaseException:
                # Whatever state it is in now: the next mail starts afresh.
                smtp.close()
                raise
            self._idle.append((self._outside.clock(), smtp))

    def _take_idle(self) -> aiosmtplib.SMTP | None:
        now = self._outside.clock()
        while self._idle:
            since, smtp = self._idle.pop()
            if smtp.is_connected and now - since < _IDLE:
                return smtp
            smtp.close()
        return None

    async def _connect(self) -> aiosmtplib.SMTP:
        server = self._config.smtp
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls=False if server.tls else server.starttls,
            validate_certs=server.verify,
            cert_bundle=server.ca_file,
            username=server.username,
            password=None if server.password is None else self._outside.secrets.reveal(server.password),
            timeout=SEND_TIMEOUT / 2,
        )
        await smtp.connect()
        return smtp


def payload(message: Message, config: EmailConfig, previous: Receipt | None = None) -> EmailMessage:
    """Return the mail: all recipients in ``To``, threaded by the alert, marked as made by a machine."""
    mail = EmailMessage(policy=SMTP)
    domain = _domain_of(config)
    mail["From"] = config.sender
    mail["To"] = ", ".join(config.to)
    mail["Subject"] = _header_safe(message.title)
    mail["Date"] = format_datetime(from_micros(message.at))
    # One mailing has one id, whoever of its recipients this copy is for, and whatever the attempt.
    mail["Message-ID"] = (
        f"<{derived_id('email', message.thread, message.status, message.at, message.title)}@{domain}>"
    )
    thread = f"<{derived_id('email-thread', message.thread)}@{domain}>"
    first = previous.id if previous is not None and previous.id else ""
    if first:
        mail["In-Reply-To"] = first
    mail["References"] = f"{thread} {first}".rstrip()
    mail["List-Id"] = f"Tocsin alerts <alerts.tocsin.{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if message.severity is Severity.CRITICAL and message.status == "firing":
        mail["Importance"] = "high"
    mail.set_content(plain_text(message))
    mail.add_alternative(html(message, domain=domain), subtype="html")
    if message.image is not None:
        page = mail.get_body(("html",))
        assert isinstance(page, EmailMessage)
        page.add_related(
            draw(read_chart(message.image.chart)), "image", "png",
            cid=f"<{PICTURE}@{domain}>", filename=f"{PICTURE}.png", disposition="inline",
        )  # fmt: skip
    return mail


def plain_text(message: Message) -> str:
    """Return the mail's text part."""
    facts: list[str] = []
    if message.fields:
        width = max(len(fact.name) for fact in message.fields) + 2
        facts = [f"{fact.name + ':':<{width}}{fact.value}" for fact in message.fields]
    parts = [message.title, as_plain(parse(message.body)), "\n".join(facts)]
    if message.image is not None:
        parts.append(message.image.alt)
    parts.append("\n".join(f"{link.label}: {link.url}" for link in message.links))
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(code: int, said: str) -> Retry | Rejected:
    return Rejected(said) if code in _PERMANENT else Retry(said)


def _header_safe(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _domain_of(config: EmailConfig) -> str:
    return _ascii_domain(parseaddr(config.sender)[1])


def _ascii_domain(address: str) -> str:
    domain = address.rpartition("@")[2]
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return "tocsin.invalid"
