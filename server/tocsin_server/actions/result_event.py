"""What an action came to, as an event: ``automation.action-succeeded``, ``-failed`` or ``-skipped``."""

from typing import Final

from tocsin_automations.rules import STARTS_A_RUN
from tocsin_events.bus import event_subject
from tocsin_events.envelope import encode_event
from tocsin_events.identity import derived_id, message_key
from tocsin_events.instant import SECOND
from tocsin_server.actions.fired import Fired
from tocsin_server.actions.results import ActionOutcome, ActionResult
from tocsin_server.outgoing import Message

SOURCE: Final = "/server/actions"

_TYPES: Final = {
    ActionOutcome.SUCCEEDED: "automation.action-succeeded",
    ActionOutcome.FAILED: "automation.action-failed",
}


def result_event(result: ActionResult, fired: Fired) -> Message | None:
    """Return the event of a result; its id is derived, so the same result is the same event.

    What was not to be done is told only where a run would have been started: ``concurrency`` waits for its end.
    """
    type_ = _TYPES.get(result.outcome)
    if type_ is None:
        if result.kind != STARTS_A_RUN:
            return None
        type_ = "automation.action-skipped"
    id_ = derived_id("action", result.firing, result.number, result.outcome)
    body = encode_event(
        id=id_,
        type=type_,
        source=SOURCE,
        time=result.ended,
        resource=fired.resource,
        related=fired.related,
        payload={
            "firing": result.firing,
            "action": result.number,
            "kind": result.kind,
            "outcome": result.outcome,
            "detail": result.detail,
            "reason": result.reason,
            "attempts": result.attempts,
            "duration": (result.ended - result.started) / SECOND,
        },
        cause=result.firing,
        hops=fired.hops + 1,
    )
    return Message(event_subject(type_), message_key(SOURCE, id_), body)
