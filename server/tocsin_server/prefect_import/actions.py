"""Prefect's actions as ours."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError

from tocsin_automations.action import ActionKind, parse_action
from tocsin_server.prefect_import.conditions import KnownNames
from tocsin_server.prefect_import.model import Action
from tocsin_server.prefect_import.report import Notes
from tocsin_server.prefect_import.templates import Templates
from tocsin_server.prefect_import.triggers import written_length

Written = dict[str, Any]

_DEFAULT_SUBJECT: Final = "Prefect automated notification"
_DEEPEST: Final = 20


@dataclass(frozen=True, slots=True)
class Actions:
    """Translates the actions of one automation.

    ``kinds`` are the actions that there are here; ``automations`` gives the names of the automations of the same file by
    their ids.
    """

    names: KnownNames
    kinds: Mapping[str, ActionKind]
    automations: Mapping[str, str]
    templates: Templates
    notes: Notes

    def written(self, action: Action) -> Written | None:
        """Return an action of ours; None (and a note) where there is none."""
        if action.type == "do-nothing":
            return None
        translate = _TRANSLATIONS.get(action.type)
        if translate is None:
            reason = _WITHOUT.get(action.type, "nothing here does that")
            self.notes.left_out(f"action {action.type}: {reason}")
            return None
        written = translate(self, action)
        return None if written is None else self._checked(written, action)

    def _checked(self, written: Written, action: Action) -> Written | None:
        kind = next(iter(written))
        if kind not in self.kinds:
            self.notes.left_out(f"action {action.type}: there is no action {kind} here yet")
            return None
        try:
            parse_action(written, self.kinds)
        except ValidationError as problem:
            self.notes.left_out(
                f"action {action.type}: {problem.errors(include_url=False, include_input=False)[0]['msg']}"
            )
            return None
        return written

    def run_deployment(self, action: Action) -> Written | None:
        """Start a run of a deployment."""
        written: Written = {"run_deployment": self._deployment(action)}
        if action.job_variables:
            self.notes.left_out(
                "action run-deployment: job_variables; settings of the process belong to the work pool here"
            )
        try:
            parameters = {
                name: self._parameter(value, name, 0) for name, value in (action.parameters or {}).items()
            }
        except _UntranslatableError as problem:
            self.notes.to_do(f"action run-deployment was left out, because of its parameter {problem}")
            return None
        if parameters:
            written["parameters"] = parameters
        if action.schedule_after > timedelta(0):
            written["delay"] = written_length(action.schedule_after)
        return written

    def switch_deployment(self, action: Action) -> Written:
        """Pause or resume a deployment."""
        return {action.type.replace("-", "_"): self._deployment(action)}

    def switch_automation(self, action: Action) -> Written:
        """Pause or resume an automation."""
        id_ = action.automation_id
        known = None if id_ is None else self.automations.get(id_) or self.names.of(id_, "automation")
        return {action.type.replace("-", "_"): known}

    def switch_pool(self, action: Action) -> Written:
        """Pause or resume a work pool."""
        id_ = action.work_pool_id
        return {action.type.replace("-", "_"): None if id_ is None else self.names.of(id_, "work pool")}

    def control_run(self, action: Action) -> Written:
        """Cancel, suspend or resume the event's run."""
        return {f"{action.type.split('-')[0]}_run": None}

    def change_state(self, action: Action) -> Written | None:
        """Change the state of the event's run, where that is something that can be asked for here."""
        match action.state:
            case "CANCELLED" | "CANCELLING":
                return {"cancel_run": None}
            case "SCHEDULED":
                self.notes.differs(
                    "action change-flow-run-state SCHEDULED: a further run is started, the old one stays as it is"
                )
                return {"retry_run": None}
            case "PAUSED":
                return {"suspend_run": None}
        self.notes.left_out(
            f"action change-flow-run-state: nobody but the run itself says that it is {action.state}"
        )
        return None

    def notify(self, action: Action) -> Written:
        """Send a message: the block's address and secrets are not in Prefect's JSON, so a notifier takes its place."""
        written: Written = {"notify": self.names.of(action.block_document_id or "inbox", "notifier")}
        if action.subject and action.subject != _DEFAULT_SUBJECT:
            written["title"] = self.templates.text(action.subject, "the notification's subject")
        if action.body:
            written["body"] = self.templates.text(action.body, "the notification's body")
        return {name: value for name, value in written.items() if value}

    def call_webhook(self, action: Action) -> Written:
        """Send a request: the block's address is not in Prefect's JSON, so a secret takes its place."""
        secret = self.names.of(action.block_document_id or "webhook", "webhook")
        self.notes.differs(
            f"call-webhook: put the block's address into the secret {secret} (tocsin secrets set {secret}); it is a POST"
        )
        written: Written = {"call_webhook": {"secret": secret}}
        if action.payload:
            payload = action.payload if isinstance(action.payload, str) else json.dumps(action.payload)
            body = self.templates.text(payload, "the webhook's payload")
            written |= {"body": body} if body else {}
        return written

    def _deployment(self, action: Action) -> str | None:
        if action.deployment_id is None:
            return None
        return self.names.of(action.deployment_id, "deployment")

    def _parameter(self, value: Any, name: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise _UntranslatableError(f"{name}: it is nested too deeply")
        if isinstance(value, str):
            return self._text(value, name)
        if isinstance(value, list):
            return [self._parameter(one, name, depth + 1) for one in value]
        if not isinstance(value, dict):
            return value
        match value.get("__prefect_kind"):
            case None:
                return {key: self._parameter(one, f"{name}.{key}", depth + 1) for key, one in value.items()}
            case "none":
                return value.get("value")
            case "jinja":
                return self._text(str(value.get("template", "")), name)
            case "json":
                return self._json(value.get("value"), name, depth)
            case "workspace_variable":
                return self._text(
                    "{{ variables[" + json.dumps(str(value.get("variable_name", ""))) + "] }}", name
                )
        raise _UntranslatableError(f"{name}: its kind {value['__prefect_kind']!r} is not known")

    def _json(self, value: Any, name: str, depth: int) -> Any:
        """Return what a template of JSON means: one that ends in ``tojson`` keeps its type here without it."""
        if isinstance(value, dict):
            template = str(value.get("template", ""))
            inside = template.strip().removeprefix("{{").removesuffix("}}").strip()
            bare = inside.removesuffix("tojson").rstrip()
            if inside.endswith("tojson") and bare.endswith("|") and "{" not in inside:
                return self._text("{{ " + bare.removesuffix("|").rstrip() + " }}", name)
            return self._text(template, name)
        try:
            return self._parameter(json.loads(str(value)), name, depth + 1)
        except (ValueError, RecursionError):
            raise _UntranslatableError(f"{name}: its text is no JSON") from None

    def _text(self, text: str, name: str) -> str:
        written = self.templates.text(text, f"the parameter {name}")
        if written is None:
            raise _UntranslatableError(f"{name}: its template can't be said here")
        return written


class _UntranslatableError(Exception):
    """A parameter means nothing here; without it the run would be another one."""


_WITHOUT: Final[Mapping[str, str]] = {
    "declare-incident": "there are no incidents here; a notification of severity `critical` may do",
    "delete-flow-run": "runs are deleted by age here",
    "pause-work-queue": "a queue has no switch of its own here; pause its pool or its deployments",
    "resume-work-queue": "a queue has no switch of its own here; resume its pool or its deployments",
}
_TRANSLATIONS: Final[Mapping[str, Callable[[Actions, Action], Written | None]]] = {
    "run-deployment": Actions.run_deployment,
    "pause-deployment": Actions.switch_deployment,
    "resume-deployment": Actions.switch_deployment,
    "pause-automation": Actions.switch_automation,
    "resume-automation": Actions.switch_automation,
    "pause-work-pool": Actions.switch_pool,
    "resume-work-pool": Actions.switch_pool,
    "cancel-flow-run": Actions.control_run,
    "suspend-flow-run": Actions.control_run,
    "resume-flow-run": Actions.control_run,
    "change-flow-run-state": Actions.change_state,
    "send-notification": Actions.notify,
    "call-webhook": Actions.call_webhook,
}
