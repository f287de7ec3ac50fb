"""``pause_automation`` and ``resume_automation``: the engine obeys the events that these put on the bus."""

from typing import Final

from tocsin_events.bus import event_subject
from tocsin_events.envelope import encode_event
from tocsin_events.identity import derived_id, message_key
from tocsin_server.actions.call import Call, Done, Retry
from tocsin_server.actions.fields import Fields, Name
from tocsin_server.outgoing import Message

_SOURCE: Final = "/server/automations"


class AutomationFields(Fields):
    """``name`` left out is the automation that the event is about, else the one that fired."""

    name: Name | None = None


class _Switch:
    main: Final = "name"
    model: Final = AutomationFields
    retry: Final = Retry()
    repeatable: Final = True

    def __init__(self, name: str, event_type: str) -> None:
        self.name = name
        self._type = event_type

    async def perform(self, args: AutomationFields, call: Call) -> Done:
        """Make the event, which goes out once the action is recorded."""
        found = call.view.resolve("automation") if call.view is not None else None
        name = args.name or (
            str(found["name"] or found["id"]) if isinstance(found, dict) else call.automation
        )
        id_ = derived_id("switched", call.key)
        body = encode_event(
            id=id_,
            type=self._type,
            source=_SOURCE,
            time=call.now,
            resource={"kind": "automation", "id": name, "name": name, "labels": {}, "tags": []},
            payload={"reason": f"automation {call.automation}"},
            cause=call.firing_id,
            hops=call.hops,
        )

        message = Message(event_subject(self._type), message_key(_SOURCE, id_), body)
        return Done({"automation": name, "event": id_}, (message,))


pause_automation: Final = _Switch("pause_automation", "automation.paused")
"""Keeps an automation from firing."""

resume_automation: Final = _Switch("resume_automation", "automation.resumed")
"""Lets an automation fire again."""
