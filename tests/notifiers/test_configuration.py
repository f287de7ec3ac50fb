"""What is wrong with notifiers is said when they are applied, once, and in the words of who wrote them."""

from typing import Any

import pytest
import yaml

from tocsin_notifiers.configuration import InvalidNotifiers
from tocsin_notifiers.notifier import load_kinds
from tocsin_notifiers.setup import parse_setup, secrets_of

KINDS = load_kinds()
MAIL = "to: [a@example.com], from: b@example.com"


def wrong(written: str) -> list[str]:
    """What is said about a document."""
    parsed: dict[str, Any] = yaml.safe_load(written)
    try:
        parse_setup(parsed, KINDS)
    except InvalidNotifiers as problem:
        return [str(one) for one in problem.problems]
    return []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("slack: {chanel: '#x', token: t}", "slack.chanel: there is no setting 'chanel': did you mean 'channel'?"),
        ("slack: {channel: 5, token: t}", "slack.channel: must be a text"),
        ("webhook: {}", "webhook: 'url' is missing"),
        ("webhook: {ulr: 'http://x'}", "webhook.ulr: there is no setting 'ulr': did you mean 'url'?"),
        ("webhook: {url: {sekret: x}}", "webhook.url: a secret is a text, or {secret: name}"),
        ("webhook: {url: 'ftp://hush'}", "webhook.url: the address must begin with https:// or http:// and name a host"),
        ("webhook: {url: 'http://'}", "webhook.url: the address must begin with https:// or http:// and name a host"),
        ("webhook: {url: 'http://[::1/'}", "webhook.url: the address must begin with https:// or http:// and name a host"),
        ("webhook: {url: 5}", "webhook.url: a secret is a text, or {secret: name}"),
        ("webhook: url", "webhook: must be a mapping, such as {key: value}"),
        ("email: {to: a@example.com, from: b@example.com, smtp: {host: m}}", "email.to: must be a list, such as [first, second]"),
        ("email: {to: [a], from: b@example.com, smtp: {host: m}}", "email.to.0: 'a' is no email address"),
        ("email: {to: [], from: b@example.com, smtp: {host: m}}", "email.to: needs 1 or more"),
        (f"email: {{{MAIL}, smtp: {{host: m, port: 0}}}}", "email.smtp.port: must be 1 or more"),
        (f"email: {{{MAIL}, smtp: {{host: m, starttls: maybe}}}}", "email.smtp.starttls: must be true or false"),
        (f"email: {{{MAIL}, smtp: {{host: m, username: u}}}}", "email.smtp: username and password belong together: give both, or neither"),
        (f"email: {{{MAIL}, smtp: {{host: m, tls: true, starttls: true}}}}", "email.smtp: tls encrypts from the first byte, starttls after it: give one of them"),
        ("teams: {webhook_url: example.com/x}", "teams.webhook_url: the address must begin with https://"),
        ("apprise: {urls: ['dbus://']}", "apprise.urls.0: this service acts on the server itself, which is refused"),
        ("apprise: {urls: [ntfy]}", "apprise.urls.0: an Apprise URL begins with its service, such as pover://"),
        ("{console: {}, resolve: never}", "resolve: must be 'edit', 'thread', 'message' or 'none'"),
        ("{console: {}, concurrency: many}", "concurrency: must be a whole number"),
        ("{console: {}, template: {title: '{{ x'}}", "template.title: "),
        ("{console: {}, template: {body: '{% import y %}'}}", "template.body: "),
        ("escalate: [{notify: inbox}, {repeat: 3}]", "escalate.1.repeat: repeat needs a wait before it: without one it tells everybody several times at once"),
        ("escalate: [{notify: inbox}, {wait: 5m, unless: read}]", "escalate.1.unless: must be 'acknowledged'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_once_and_plainly(written: str, said: str):
    text = written if written.startswith("{") else f"{{{written}}}"
    found = wrong(f"notifiers: {{one: {text}}}")
    assert len(found) == 1
    assert found[0] == f"notifiers.one.{said}" or (
        said.endswith(": ") and f"notifiers.one.{said}" in found[0]
    )


def test_quiet_hours_and_inhibitions_speak_alike():
    assert wrong("quiet_hours: {n: {intervals: [{from: '25:00', to: '07:00'}], timezon: UTC}}") == [
        "quiet_hours.n.intervals.0.from: '25:00' is no time of day: write it as 22:00",
        "quiet_hours.n.timezon: there is no setting 'timezon': did you mean 'timezone'?",
    ]
    assert wrong("inhibit: [{source: a, equal: b}]") == [
        "inhibit.0: 'target' is missing",
        "inhibit.0.equal: must be a list, such as [first, second]",
    ]


def test_what_the_reference_shows_is_right():
    assert (
        wrong(
            "notifiers: {page: {escalate: [{notify: inbox}, {wait: 10m, unless: acknowledged}, {repeat: 3}]}}"
        )
        == []
    )
    assert wrong(f"notifiers: {{mail: {{email: {{{MAIL}, smtp: {{host: m}}}}}}}}") == []


def test_the_secrets_of_settings_are_found_wherever_they_stand():
    written = {
        "hook": {"webhook": {"url": {"secret": "u"}, "headers": {"x-key": {"secret": "k"}}}},
        "all": {"apprise": {"urls": ["json://x", {"secret": "a"}]}},
    }
    services = parse_setup({"notifiers": written}, KINDS).services
    assert secrets_of(services["hook"].settings) == {"u", "k"}
    assert secrets_of(services["all"].settings) == {"a"}
    assert secrets_of(services["inbox"].settings) == set()


def test_a_mail_domain_is_written_as_mail_servers_know_it():
    mail = {"to": ["Ops <ops@exämple.com>"], "from": "t@bücher.example", "smtp": {"host": "m"}}
    settings = parse_setup({"notifiers": {"mail": {"email": mail}}}, KINDS).services["mail"].settings
    assert settings.model_dump()["to"] == ("Ops <ops@xn--exmple-cua.com>",)
    assert settings.model_dump()["sender"] == "t@xn--bcher-kva.example"
    assert len(wrong("notifiers: {one: {email: {to: ['a@ä..com'], from: b@c.d, smtp: {host: m}}}}")) == 1
