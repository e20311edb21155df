"""Names: what may be called so, and what may not."""

from __future__ import annotations

import pytest

from timers.control.groups import create_group
from timers.control.names import check_name, check_names
from timers.exceptions import InvalidRequest
from timers.scheduling import schedule_once, update_timer

DOTS = [".", "..", "./a", "a/..", "a/../b", "a/./b"]


@pytest.mark.parametrize("name", DOTS)
def test_what_no_address_can_hold_is_no_name(name: str) -> None:
    with pytest.raises(InvalidRequest, match="no address can hold it") as refused:
        check_name("name", name)
    assert refused.value.field == "name"


@pytest.mark.parametrize("name", ["...", ".a", "a.", "a..b", "a/b", "/", "a/.b", "%2e%2e", "\\..\\"])
def test_dots_and_slashes_beside_other_letters_are_allowed(name: str) -> None:
    assert check_name("name", name) == name


@pytest.mark.django_db
def test_groups_and_timers_are_never_called_by_dots_alone_but_tags_may_be() -> None:
    with pytest.raises(InvalidRequest, match=r'^name: must not be "\."'):
        create_group("..")
    create_group("g", action={"kind": "pull"})
    with pytest.raises(InvalidRequest, match=r'^name: must not be "\."'):
        schedule_once("g", "..", after=60)
    schedule_once("g", "a", after=60, tags=["."])
    assert update_timer("g", "a", tags=[".."]).tags == [".."]
    assert check_names("required_roles", ["."]) == ["."]
