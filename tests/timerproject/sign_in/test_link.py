from __future__ import annotations

from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client

from timerproject.sign_in.link import SignInTokens, sign_in_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("admin")


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_the_link_asks_first_and_signs_in_on_the_button(admin: User, client: Client) -> None:
    link = sign_in_path(admin)
    page = client.get(link)
    assert page.status_code == 200
    assert "admin" in page.content.decode()
    assert not signed_in(client)
    assert client.post(link).status_code == 302
    assert signed_in(client)


def test_a_link_that_is_only_looked_at_is_not_used_up(admin: User, client: Client) -> None:
    link = sign_in_path(admin)
    client.get(link)
    client.head(link)
    assert client.post(link).status_code == 302


def test_a_link_works_once(admin: User, client: Client) -> None:
    link = sign_in_path(admin)
    client.post(link)
    other = Client()
    assert other.post(link).status_code == 410
    assert not signed_in(other)


def test_a_link_ends_after_an_hour(admin: User, client: Client) -> None:
    link = sign_in_path(admin)
    for minutes, status in ((59, 200), (61, 410)):
        later = datetime.now() + timedelta(minutes=minutes)
        with patch.object(SignInTokens, "_now", return_value=later):
            assert client.get(link).status_code == status


def test_a_link_of_someone_who_may_not_sign_in_any_more_ends(admin: User, client: Client) -> None:
    link = sign_in_path(admin)
    User.objects.update(is_active=False)
    assert client.post(link).status_code == 410


@pytest.mark.parametrize("path", ["/sign-in/MQ/x-y/", "/sign-in/OTk5OTk5/a-b/", "/sign-in/__/-/"])
def test_a_made_up_link_is_refused(admin: User, client: Client, path: str) -> None:
    assert client.post(path).status_code == 410


def test_the_button_is_guarded_against_other_sites(admin: User) -> None:
    assert Client(enforce_csrf_checks=True).post(sign_in_path(admin)).status_code == 403


def test_a_password_signs_in_too(client: Client) -> None:
    User.objects.create_user("eva", password="a good long one")
    assert "error" in client.post("/login/", {"username": "eva", "password": "wrong"}).content.decode()
    answer = client.post("/login/", {"username": "eva", "password": "a good long one", "next": "/admin/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_pages_are_closed_to_strangers(client: Client) -> None:
    assert client.get("/admin/").headers["Location"].startswith("/admin/login/")
