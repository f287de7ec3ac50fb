"""The automation: what happened (`when`), what to do about it (`then`), and when it is over (`until`)."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationInfo,
    model_validator,
)

from tocsin_automations.action import Action, parse_action
from tocsin_automations.limits import Limits
from tocsin_automations.plugins import action_kinds
from tocsin_automations.trigger import AnyTrigger, TriggerConfig, Wiring, parsed_trigger
from tocsin_automations.words import Span
from tocsin_events.instant import SECOND

DEFAULT_GRACE: Final = 5 * SECOND
"""How late an event may arrive and still count, in microseconds, where an automation doesn't say."""


def _action(value: Any, info: ValidationInfo) -> Action:
    kinds = (info.context or {}).get("action_kinds")
    return parse_action(value, action_kinds() if kinds is None else kinds)


def _until(value: Any, info: ValidationInfo) -> Any:
    return value if value is None or value == "never" else parsed_trigger(value, info)


Actions = tuple[Annotated[Action, BeforeValidator(_action)], ...]
"""Actions in the order in which they run."""


class Automation(BaseModel):
    """A rule: when its trigger fires, its actions run; its alert stays open until the opposite happens.

    The same fields as in a file. ``grace`` is how late (in microseconds) an event may arrive and still count.
    ``until: never`` turns a trigger's natural opposite off. Kinds of triggers and actions come from the installed
    packages, or from the validation context (``trigger_kinds``, ``action_kinds``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=200)]
    description: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    enabled: bool = True
    when: AnyTrigger
    then: Actions = ()
    until: Annotated[SerializeAsAny[TriggerConfig] | Literal["never"] | None, BeforeValidator(_until)] = None
    then_resolve: Actions = ()
    limits: Limits = Limits()
    grace: Span = DEFAULT_GRACE

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        trigger = self.when.compile(Wiring(self.grace))
        if isinstance(self.until, TriggerConfig):
            self.until.compile(self.until_wiring())
        elif self.then_resolve and (self.until == "never" or not trigger.natural):
            raise ValueError("then_resolve needs `until`: nothing says when the alert is over")
        return self

    def until_wiring(self) -> Wiring:
        """Return what `until` is compiled with: the key of `when`, unless it has its own with as many values."""
        outer = Wiring(self.grace).keyed(self.when.for_each, by_subject=self.when.by_subject)
        return outer.child()
