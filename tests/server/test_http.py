import httpx2
import pytest

from server_process import ServerProcess, event, post_events
from tocsin_events.catalogue import EVENT_TYPES


@pytest.fixture
def client(server: ServerProcess):
    with server.client() as client:
        yield client


def test_health_needs_no_key_and_answers_head(server: ServerProcess):
    for path in ("/healthz", "/readyz"):
        assert httpx2.get(server.url + path).status_code == 200
        assert httpx2.head(server.url + path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/events",
        "/events/stream",
        "/event-types",
        "/keys",
        "/secrets",
        "/config",
        "/automations",
        "/inbox",
        "/audit",
    ],
)
def test_everything_else_needs_a_key(server: ServerProcess, path: str):
    for key in ("", "tsk_wrong"):
        with server.client(key) as client:
            answer = client.get(path)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx2.get(f"{server.url}/metrics").status_code == 401


def test_taking_in_events_needs_a_key_with_the_scope(server: ServerProcess, client):
    with server.client("") as nobody:
        assert post_events(nobody, [event()]).status_code == 401
    reader = client.post("/keys", json={"name": "reader", "role": "viewer"}).json()["key"]
    with server.client(reader) as viewer:
        answer = post_events(viewer, [event()])
        assert answer.status_code == 403
        assert answer.json()["scope"] == "events:write"


def test_a_key_ends_when_it_is_revoked(server: ServerProcess, client):
    key = client.post("/keys", json={"name": "short", "scopes": ["read"]}).json()["key"]
    with server.client(key) as holder:
        assert holder.get("/events").status_code == 200
        assert holder.get("/keys").status_code == 403
        assert client.delete("/keys/short").status_code == 200
        assert holder.get("/events").status_code == 401


def test_an_unknown_path_and_a_wrong_method_are_problems(client):
    for method, path, status in [
        ("GET", "/nothing", 404),
        ("DELETE", "/events", 405),
        ("GET", "/events/none", 404),
    ]:
        answer = client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_a_wrong_value_is_a_problem_that_names_its_place(client):
    answer = client.post("/keys", json={"name": "", "colour": "red"})
    assert answer.status_code == 400
    assert {error["path"] for error in answer.json()["errors"]} == {"body/name", "body/colour"}
    assert client.get("/events", params={"limit": 0}).json()["errors"][0]["path"] == "query/limit"
    assert client.get("/events", params={"where": "1 +"}).json()["errors"][0]["path"] == "query/where"


def test_a_name_of_another_host_is_refused_on_loopback(server: ServerProcess):
    answer = httpx2.get(f"{server.url}/healthz", headers={"Host": "evil.example.com"})
    assert answer.status_code == 421


def test_every_type_of_the_catalogue_is_listed_with_its_schema(client):
    listed = client.get("/event-types").json()["items"]
    assert {one["type"] for one in listed} == set(EVENT_TYPES)


def test_the_metrics_count_what_was_taken_and_refused(server: ServerProcess, client):
    post_events(client, [event(id="counted")])
    client.post("/events", content=b"{", headers={"Content-Type": "application/cloudevents+json"})
    headers = {"Authorization": f"Bearer {server.key}"}
    text = httpx2.get(f"{server.url}/metrics", headers=headers).text
    assert 'tocsin_events_received_total{source="http"}' in text
    assert 'tocsin_events_rejected_total{reason="invalid"}' in text
    assert "tocsin_build_info{version=" in text
    assert 'tocsin_consumer_pending{consumer="recorder"}' in text
    assert 'tocsin_consumer_pending{consumer="actions"}' in text
    for name in ("engine_lag_seconds", "delivery_seconds_count", "decisions_total", "firings_total", "runs"):
        assert f"\n# HELP tocsin_{name.removesuffix('_count')}" in text or f"\ntocsin_{name}" in text


def test_the_schema_names_every_operation_once_and_its_page_loads_nothing(server: ServerProcess):
    document = httpx2.get(f"{server.url}/api/openapi.json").json()
    ids = [
        operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))
    assert {"list_events", "post_events", "apply_config", "create_key"} <= set(ids)
    page = httpx2.get(f"{server.url}/api")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "src=" not in page.text


def test_the_schema_tells_how_errors_look_and_names_parameters_as_they_are(server: ServerProcess, client):
    document = httpx2.get(f"{server.url}/api/openapi.json").json()
    problem = document["components"]["schemas"]["Problem"]
    for path, methods in document["paths"].items():
        assert "_}" not in path
        for operation in methods.values():
            assert "422" not in operation["responses"]
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert {f"{{{name}}}" for name in named} == {
                part for part in path.split("/") if part.startswith("{")
            }
    missing = client.get("/alerts/none")
    assert missing.headers["content-type"] == "application/problem+json"
    assert set(problem["required"]) <= missing.json().keys()


def test_a_secret_is_set_listed_and_read_only_with_its_own_scope(server: ServerProcess, client):
    assert client.put("/secrets/slack-token", json={"value": "xoxb-geheim"}).status_code == 200
    assert "xoxb" not in client.get("/secrets").text
    viewer = client.post("/keys", json={"name": "v", "role": "viewer"}).json()["key"]
    with server.client(viewer) as holder:
        assert holder.get("/secrets/slack-token/value").status_code == 403
    assert client.get("/secrets/slack-token/value").json()["value"] == "xoxb-geheim"
    assert "xoxb" not in client.get("/audit").text
    assert client.delete("/secrets/slack-token").status_code == 200
    assert client.get("/secrets/slack-token/value").status_code == 404


def test_every_change_is_in_the_audit_record_page_by_page(client):
    for number in range(3):
        client.post("/keys", json={"name": f"audited-{number}", "role": "viewer"})
    first = client.get("/audit", params={"limit": 2}).json()
    second = client.get("/audit", params={"limit": 1, "cursor": first["next"]}).json()
    objects = [one["object"] for one in [*first["items"], *second["items"]]]
    assert objects == ["key/audited-2", "key/audited-1", "key/audited-0"]
    assert first["items"][0]["actor"] == "local"
