"""Resources: the things that events are about."""

from pydantic import BaseModel, ConfigDict, Field

_LONGEST_KIND = 200


class Resource(BaseModel):
    """A thing that an event is about: a run, a deployment, a repository.

    ``kind`` is the field's word for the sort of thing (``flow-run``); it is empty where an outside event names
    its subject without one. ``kind`` and ``id`` together are unique; ``name`` is what people call it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(default="", max_length=_LONGEST_KIND)
    id: str = Field(min_length=1, max_length=2000)
    name: str = Field(default="", max_length=2000)
    labels: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The resource as CloudEvents' ``subject``: ``kind/id``, or the id alone where there is no kind."""
        return f"{self.kind}/{self.id}" if self.kind else self.id

    @classmethod
    def from_subject(cls, subject: str) -> "Resource":
        """Return the resource that a CloudEvents ``subject`` names; the inverse of `subject`."""
        kind, slash, id_ = subject.partition("/")
        if slash and kind and id_ and len(kind) <= _LONGEST_KIND:
            return cls(kind=kind, id=id_)
        return cls(id=subject)


class RelatedResource(Resource):
    """Another resource that an event concerns, and the role it plays in it."""

    role: str = Field(default="", max_length=200)
