"""Passwords that are tried: bounded, without telling who exists, and without keeping anybody out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from timerproject.sign_in import limit
from timerproject.sign_in.limit import FOR_A_USER, FOR_AN_ADDRESS, forget_tries

pytestmark = pytest.mark.django_db
PAGES = ["/login/", "/admin/login/"]
GOOD = "correct horse"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(limit, "time", clock)
    forget_tries()
    yield clock
    forget_tries()


@pytest.fixture(autouse=True)
def root() -> User:
    return User.objects.create_superuser("root", password=GOOD)


def attempt(page: str, user: str, password: str = "wrong", address: str = "192.0.2.1") -> Any:
    return Client(REMOTE_ADDR=address).post(page, {"username": user, "password": password})


@pytest.mark.parametrize("page", PAGES)
def test_attempts_beyond_the_bound_are_answered_429(page: str) -> None:
    said = [attempt(page, "root") for _ in range(30)]
    assert [each.status_code for each in said] == [200] * int(FOR_A_USER[1]) + [429] * (30 - int(FOR_A_USER[1]))
    assert int(said[-1].headers["Retry-After"]) == 60
    assert "Too many attempts" in said[-1].content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_the_right_password_does_not_help_beyond_the_bound(page: str) -> None:
    for _ in range(10):
        attempt(page, "root")
    assert attempt(page, "root", GOOD).status_code == 429


def test_no_password_is_compared_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(User, "check_password", lambda self, password: compared.append(password))
    for _ in range(30):
        attempt("/login/", "root")
    assert len(compared) == FOR_A_USER[1]


@pytest.mark.parametrize("page", PAGES)
def test_an_unknown_name_is_answered_like_a_known_one(page: str) -> None:
    def said(user: str) -> list[tuple[int, str]]:
        answers = [attempt(page, user) for _ in range(8)]
        return [(each.status_code, each.context["form"].non_field_errors()[0]) for each in answers]

    assert said("root") == said("nobody")


def test_a_stranger_keeps_the_administrator_out_from_no_other_address() -> None:
    for _ in range(40):
        attempt("/login/", "root")
    assert attempt("/login/", "root", GOOD, address="192.0.2.2").status_code == 302


def test_the_bound_ends_by_itself(clock: Clock) -> None:
    for _ in range(10):
        attempt("/login/", "root")
    clock.now += 60
    assert attempt("/login/", "root", GOOD).status_code == 302


def test_many_names_from_one_address_are_bounded_together() -> None:
    statuses = [attempt("/login/", f"user{number}").status_code for number in range(40)]
    assert statuses.count(429) == 40 - FOR_AN_ADDRESS[1]


def test_addresses_of_one_ipv6_network_count_together() -> None:
    said = [attempt("/login/", "root", address=f"2001:db8::{number:x}") for number in range(1, 8)]
    assert [each.status_code for each in said].count(429) == 2


def test_who_signs_in_is_not_counted() -> None:
    assert {attempt("/login/", "root", GOOD).status_code for _ in range(60)} == {302}


def test_the_console_and_the_admin_count_together() -> None:
    for _ in range(3):
        attempt("/login/", "root")
        last = attempt("/admin/login/", "root")
    assert last.status_code == 429


def test_a_sign_in_link_is_not_bounded(root: User) -> None:
    from timerproject.sign_in.link import sign_in_path

    for _ in range(40):
        attempt("/login/", "root")
    assert Client(REMOTE_ADDR="192.0.2.1").post(sign_in_path(root)).status_code == 302
