"""The message: what one target is told, in a form that every service can show; and the receipt it gives back."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tocsin_notifiers.notification import AlertRef, Severity, Status

FollowUp = Literal["edit", "thread", "message"]
"""How a later message about an alert relates to the first: changes it, answers below it, or stands alone."""


class Fact(BaseModel):
    """A short named value, shown as a row or a column."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: str


class Link(BaseModel):
    """A link that people follow from a message; ``kind`` is ``run``, ``why``, ``alert``, ``ack`` or ``silence``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    label: str
    url: str


class Image(BaseModel):
    """A picture of the last runs.

    ``alt`` says the same in words (plain text); ``chart`` is what
    `tocsin_notifiers.run_picture` draws it from; ``url`` is where anybody can load it, empty where nobody can.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alt: str
    chart: str
    url: str = ""


class RunsOf(BaseModel):
    """Whose last runs a message can show: those of a deployment or, without one, of a flow.

    ``run`` is the id of the one that the message is about, ``state`` what its event says of it, ``at`` when
    (microseconds).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["deployment", "flow"]
    name: str
    run: str = ""
    state: str = ""
    at: int = 0


class Message(BaseModel):
    """One message for one target.

    ``id`` is the delivery's: the same for every attempt, so it serves as an idempotency key. ``target`` is the
    notifier's own word for whom this copy is for. ``title`` is plain text, ``body`` Markdown; both may carry
    anything that a stranger wrote, and a notifier escapes them. ``fields`` and ``links`` are shown in order;
    ``run`` is the id of the flow run that it is about, where it is about one, and ``runs_of`` says whose last runs
    belong to it; ``image`` is the picture of them, which a notifier that wants one gets when it sends. ``thread`` is the
    same for all messages of one alert. ``at`` is in microseconds since the epoch. ``follow_up`` says what to do with the
    receipt of the first message; ``broadcast`` that an answer below it is news, to be seen also by those who don't follow the
    thread. ``withdrawn`` says of one that is resolved that nobody knows whether what was wrong is over:
    its rule was paused, removed or changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    target: str
    title: str
    body: str = ""
    severity: Severity = Severity.ERROR
    status: Status = Status.FIRING
    withdrawn: bool = False
    fields: tuple[Fact, ...] = ()
    links: tuple[Link, ...] = ()
    image: Image | None = None
    alert: AlertRef | None = None
    event: str | None = None
    automation: str = ""
    run: str = ""
    runs_of: RunsOf | None = None
    thread: str = ""
    at: int = 0
    follow_up: FollowUp = "message"
    broadcast: bool = False

    @property
    def standing(self) -> str:
        """How its alert stands, in a word for people: the status, or ``withdrawn``."""
        return "withdrawn" if self.withdrawn else str(self.status)


class Receipt(BaseModel):
    """What a service gave back for a message it took.

    ``id`` is the service's id of the message, where it has one; ``place`` where it stands (a channel), as later
    edits need it; ``answer`` is the service's answer in short, for the delivery log.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    id: str = ""
    place: str = ""
    answer: str = Field(default="", max_length=2000)
