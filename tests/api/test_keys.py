"""Keys, secrets, calendars and the caller themselves, over the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers.control.keys import create_key
from timers.models import ApplicationKey, KeptAnswer, Secret
from timers.security.authentication import forget_known_keys

pytestmark = pytest.mark.django_db


def test_a_key_is_made_used_changed_rotated_and_revoked(api: Asking) -> None:
    factories.group("mine")
    made = api("POST", "/keys", {"name": "sender", "scopes": ["read"], "groups": ["mine"]})
    assert made.status_code == 201
    said = json.loads(made.content)
    assert (said["user"], said["groups"], said["state"]) == ("root", ["mine"], "valid")
    sender = Asking(said["key"])
    me = sender.get("/me")
    assert (me["actor"], me["scopes"], me["groups"]) == ("key sender", ["read"], ["mine"])
    changed = api("PATCH", f"/keys/{said['id']}", {"scopes": ["read", "consume"]}, If_Match=made.headers["ETag"])
    assert json.loads(changed.content)["scopes"] == ["read", "consume"]
    problem(api("PATCH", f"/keys/{said['id']}", {}, If_Match=made.headers["ETag"]), 409, "stale_version")
    wrong = {"scopes": ["boss"], "colour": "red"}
    assert fields(problem(api("PATCH", f"/keys/{said['id']}", wrong), 422, "invalid")) == ["colour", "scopes"]
    rotated = api.post(f"/keys/{said['id']}/rotate", {"overlap": 600})
    forget_known_keys()
    assert rotated["key"] != said["key"]
    assert sender.get("/me") and Asking(rotated["key"]).get("/me")
    assert api.post(f"/keys/{said['id']}/revoke")["state"] == "revoked"
    forget_known_keys()
    problem(sender("GET", "/me"), 401, "unauthorized")
    problem(Asking(rotated["key"])("GET", "/me"), 401, "unauthorized")


def test_the_text_of_a_key_stands_nowhere_but_in_its_own_answer(api: Asking) -> None:
    said = api.post("/keys", {"name": "sender", "scopes": ["read"], "all_groups": True})
    told = json.dumps([api.get("/keys"), api.get(f"/keys/{said['id']}")])
    assert said["key"] not in told and "digest" not in told
    assert not KeptAnswer.objects.exists()
    assert said["key"].rpartition("_")[2] not in json.dumps(list(ApplicationKey.objects.values()), default=str)


def test_nobody_gets_more_by_a_key_than_they_have(superuser: Any, new_key: Callable[..., str]) -> None:
    clerk = get_user_model().objects.create_user("clerk")
    clerk.user_permissions.set(Permission.objects.filter(content_type__app_label="timers"))
    _, text = create_key("clerk's", user=clerk, scopes=["admin"], all_groups=True)
    body = {"name": "x", "scopes": ["read"], "all_groups": True}
    assert Asking(text).post("/keys", body)["user"] == "clerk"
    refused = problem(Asking(text)("POST", "/keys", {**body, "name": "y", "user": "root"}), 422, "invalid")
    assert fields(refused) == ["user"]
    roots = new_key("admin")
    (theirs,) = [key for key in Asking(roots).get("/keys")["items"] if key["user"] == "root"]
    problem(Asking(text)("POST", f"/keys/{theirs['id']}/rotate"), 422, "invalid")
    assert not ApplicationKey.objects.filter(name="y").exists()
    problem(Asking(new_key("operate"))("POST", "/keys", body), 403, "forbidden")


def test_a_secret_goes_in_and_never_comes_out(api: Asking) -> None:
    value = "hunter2-of-the-secret"
    made = api("PUT", "/secrets/mail", {"value": value, "hosts": ["example.org"]})
    assert made.status_code == 201, made.content
    again = api("PUT", "/secrets/mail", {"value": value + "2", "groups": []})
    assert again.status_code == 200
    told = b"".join([made.content, again.content, json.dumps(api.get("/secrets")).encode()])
    assert value.encode() not in told
    assert value.encode() not in bytes(Secret.objects.get().value)
    assert api("DELETE", "/secrets/mail").status_code == 204
    problem(api("DELETE", "/secrets/mail"), 404, "not_found")


def test_what_is_said_of_a_secret_that_is_there_is_changed_and_the_rest_stays(api: Asking) -> None:
    api("PUT", "/secrets/mail", {"value": "one", "hosts": ["example.org"], "description": "Sends mail"})
    said = json.loads(api("PUT", "/secrets/mail", {"value": "two", "groups": ["billing"]}).content)
    assert (said["hosts"], said["groups"], said["description"]) == (["example.org"], ["billing"], "Sends mail")
    said = json.loads(api("PUT", "/secrets/mail", {"value": "two", "hosts": [], "description": "x"}).content)
    assert (said["hosts"], said["groups"], said["description"]) == ([], ["billing"], "x")
    for kind in ("signing", "certificates", "key"):
        refused = api("PUT", "/secrets/mail", {"kind": kind, "value": "three"})
        assert fields(problem(refused, 422, "invalid")) == ["kind"]


def test_a_signing_key_that_is_made_here_is_told_once(api: Asking) -> None:
    said = json.loads(api("PUT", "/secrets/hook", {"kind": "signing"}).content)
    assert said["value"].startswith("whsec_")
    assert said["value"] not in json.dumps(api.get("/secrets"))


def test_a_calendar_is_made_read_changed_and_deleted(api: Asking) -> None:
    rules: list[dict[str, Any]] = [{"dates": ["2027-01-01"]}]
    made = api("POST", "/calendars", {"name": "holidays", "rules": rules})
    assert made.status_code == 201, made.content
    assert api.get("/calendars")["items"][0]["name"] == "holidays"
    changed = api("PATCH", "/calendars/holidays", {"description": "x"}, If_Match=made.headers["ETag"])
    assert json.loads(changed.content)["description"] == "x"
    problem(api("PATCH", "/calendars/holidays", {"description": "y"}, If_Match='"1"'), 409, "stale_version")
    assert fields(problem(api("POST", "/calendars", {"name": "a", "rules": [{"dates": ["x"]}]}), 422, "invalid"))
    assert api("DELETE", "/calendars/holidays").status_code == 204
    problem(api("GET", "/calendars/holidays"), 404, "not_found")


@pytest.mark.parametrize("rate", [0, -1, 10**400, "5", True])
def test_a_rate_that_makes_no_sense_is_refused(rate: Any, api: Asking) -> None:
    body = {"name": "k", "user": "root", "scopes": ["read"], "all_groups": True, "rate": rate}
    assert fields(problem(api("POST", "/keys", body), 422, "invalid")) == ["rate"]
