"""From ways to messages: the default texts, a notifier's own templates, and why a message comes again. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin_events.template import Template, TemplateProblem, compile_template, template_names
from tocsin_notifiers.configuration import TemplateOverride
from tocsin_notifiers.default_message import Pages, ago, make_message
from tocsin_notifiers.digest import make_digest
from tocsin_notifiers.markdown import literal
from tocsin_notifiers.message import FollowUp, Message
from tocsin_notifiers.names import names_of
from tocsin_notifiers.notification import Notification, Status
from tocsin_notifiers.pipeline import Way


@dataclass(slots=True)
class Renderer:
    """Makes messages, with links to ``pages``."""

    pages: Pages
    _compiled: dict[str, Template] = field(default_factory=dict)

    def message(
        self,
        bundle: Sequence[Way],
        *,
        id: str,  # noqa: A002 - the message's own word
        target: str,
        follow_up: FollowUp = "message",
        now: int,
        ack_link: bool = False,
    ) -> Message:
        """Return the message that tells of ways (at least one) that go to the same notifier.

        ``ack_link`` adds a link by which the target acknowledges.
        """
        note = why_it_comes(bundle, now)
        if len(bundle) > 1:
            notifications = [way.notification for way in bundle]
            return make_digest(notifications, id=id, target=target, pages=self.pages, note=note)
        way = bundle[0]
        notification, problem = self.with_templates(way.notification, way.notifier.options.template)
        if problem:
            note = f"{note}\n\n{problem}" if note else problem
        message = make_message(
            notification, id=id, target=target, pages=self.pages, follow_up=follow_up, note=note
        )
        if not ack_link:
            return message
        links = (*message.links, *self.pages.ack_link(notification, target, now))
        return message.model_copy(update={"links": links})

    def with_templates(self, notification: Notification, own: TemplateOverride) -> tuple[Notification, str]:
        """Return a notification with a notifier's templates in place of the default texts, and what is wrong with them.

        A text that the action named wins. A template that fails leaves the default text: a broken template must not
        keep an alert from anybody.
        """
        texts: dict[str, str] = {}
        problems = []
        for part in ("title", "body"):
            template = getattr(own, part)
            if template is None or getattr(notification, part) is not None:
                continue
            try:
                texts[part] = self._template(template).render(template_values(notification))
            except TemplateProblem as wrong:
                problems.append(f"_The notifier's {part} template failed: {literal(str(wrong))}_")
        return notification.model_copy(update=texts) if texts else notification, "\n\n".join(problems)

    def _template(self, text: str) -> Template:
        if text not in self._compiled:
            self._compiled[text] = compile_template(text)
        return self._compiled[text]


def why_it_comes(bundle: Sequence[Way], now: int) -> str:
    """Return a line of Markdown that says why a message comes, where it is not the first news of its alert."""
    way = bundle[0]
    notification = way.notification
    since = notification.alert.opened if notification.alert else notification.created
    if notification.status is Status.ACKNOWLEDGED or notification.reason:
        return literal(notification.reason)
    if way.round:
        return f"Reminder: still open after {ago(now - since)}."
    if way.level:
        return f"Escalated: nobody has acknowledged it for {ago(now - since)}."
    if any(one.muted for one in bundle):
        return (
            "Held back by a silence or quiet hours until now; still open."
            if notification.alert
            else "Held back until now."
        )
    return ""


def template_values(notification: Notification) -> Mapping[str, Any]:
    """Return what a notifier's template sees: the firing's names, and the alert's."""
    names = names_of(notification, None)
    firing = notification.firing.get("firing") or {}
    about: dict[str, Any] = {
        "count": firing.get("count", 1),
        "key": firing.get("key", []),
        "value": firing.get("value"),
        "suppressed": firing.get("suppressed", 0),
        "events": notification.firing.get("events", []),
        "reason": notification.firing.get("reason", ""),
    }
    return template_names(names.view, **{**about, **names.own})
