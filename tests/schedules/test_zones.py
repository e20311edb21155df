from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import pytest

from timers.exceptions import InvalidRequest
from timers.schedules.zones import tzdata_version, zone


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"])
def test_a_zone_is_found_by_its_name_and_found_only_once(name: str) -> None:
    assert zone(name).key == name
    assert zone(name) is zone(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("America/NewYork", "America/New_York"),
        ("America/Buenos_Aire", "America/Buenos_Aires"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_names(name: str, meant: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"did you mean .*{meant}") as refused:
        zone(name, "zone_of_group")
    assert refused.value.field == "zone_of_group"


@pytest.mark.parametrize(
    ("abbreviation", "region"), [("CEST", "Europe/Berlin"), ("pst", "America/Los_Angeles"), ("JST", "Asia/Tokyo")]
)
def test_an_abbreviation_is_refused_with_a_region(abbreviation: str, region: str) -> None:
    with pytest.raises(InvalidRequest, match=f"but an abbreviation: name a region, such as {region}"):
        zone(abbreviation)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Mars/Olympus",
        "America",
        "Europe/",
        "/Europe/Berlin",
        "Europe//Berlin",
        "Europe/Berlin\0",
        "Europe/Berlin\n",
        " Europe/Berlin",
        "../etc/passwd",
        "Europe/../../../etc/passwd",
        "Europe/./Berlin",
        "/etc/passwd",
        "C:\\Windows",
        "tzdata.zi",
        "leapseconds",
        "zone.tab",
        "posix/Europe/Berlin",
        "right/Europe/Berlin",
        "localtime",
        "posixrules",
        "Factory",
        "+01:00",
        "Europe/B\udce4rlin",
        "E" * 100_000,
        "A/" * 30 + "A",
        None,
        1,
        True,
        b"UTC",
        ["UTC"],
        {"UTC": 1},
    ],
)
def test_what_is_no_name_of_a_zone_is_refused_quickly(name: Any) -> None:
    began = time.thread_time()
    with pytest.raises(InvalidRequest) as refused:
        zone(name)
    assert refused.value.field == "time_zone"
    assert time.thread_time() - began < 0.05


def test_the_edition_of_the_rules_is_known() -> None:
    assert re.fullmatch(r"(20[0-9]{2}[a-z]+|unknown) \((system|package)\)", tzdata_version())


def test_the_package_s_edition_is_told_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    assert tzdata_version() == f"{import_module('tzdata').IANA_VERSION} (package)"


def test_a_system_copy_without_its_edition_is_called_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "UTC").write_bytes(b"TZif")
    monkeypatch.setattr("zoneinfo.TZPATH", (str(tmp_path),))
    assert tzdata_version() == "unknown (system)"


ASK = "from timers.schedules.zones import *; use_newest_rules(); print(tzdata_version(), zone('Europe/Berlin').key)"


@pytest.mark.parametrize(("system", "chosen"), [("1999a", "package"), ("9999z", "system"), (None, "package")])
def test_the_newer_of_the_two_copies_is_taken(tmp_path: Path, system: str | None, chosen: str) -> None:
    fake = tmp_path / "zoneinfo"
    (fake / "Europe").mkdir(parents=True)
    packaged = resources.files("tzdata").joinpath("zoneinfo")
    for name in ("UTC", "Europe/Berlin"):
        (fake / name).write_bytes(packaged.joinpath(name).read_bytes())
    if system is not None:
        (fake / "tzdata.zi").write_text(f"# version {system}\n")
    asked = f"import zoneinfo; zoneinfo.reset_tzpath(to=[{str(fake)!r}]); {ASK}"
    told = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True).stdout.split()
    assert told[1:] == [f"({chosen})", "Europe/Berlin"]


def test_a_path_that_somebody_chose_stays(tmp_path: Path) -> None:
    (tmp_path / "UTC").write_bytes(resources.files("tzdata").joinpath("zoneinfo", "UTC").read_bytes())
    environment = {**os.environ, "PYTHONTZPATH": str(tmp_path)}
    asked = "from timers.schedules.zones import *; use_newest_rules(); print(tzdata_version())"
    told = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True, env=environment)
    assert told.stdout.strip() == "unknown (system)"
