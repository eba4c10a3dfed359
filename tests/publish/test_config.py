"""`config.json` is read as it was written, or refused in one line that names what is wrong with it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlreid.errors import WeightsError
from nlreid.hub.table.config import ACTIONS, FORMAT, Config

CONFIG = Config(
    architecture="r3d50_nl",
    overrides={"non_local": {"scale": "1/sqrt(d)"}, "plan": "i3d"},
    clip={"frames": 8, "stride": 8, "size": [256, 128], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 1]},
    head="linear",
    num_classes=400,
    licence="Apache-2.0",
    origin={"url": "https://example.org", "note": "ünder öath"},
    task=ACTIONS,
    tag="pyslowfast",
    version="0.1.0",
)


def changed(**changes):
    content = json.loads(CONFIG.to_json()) | changes
    return json.dumps({key: value for key, value in content.items() if value is not ...})


def test_a_config_survives():
    text = CONFIG.to_json()
    assert Config.from_json(text, "here") == CONFIG
    assert Config.from_json(text.encode(), "here").to_json() == text
    assert text.isascii()
    assert CONFIG.name == "r3d50_nl.pyslowfast"
    assert replace(CONFIG, tag="").name == "r3d50_nl"


def test_a_newer_format_is_said_to_be_newer_whatever_else_it_has():
    with pytest.raises(WeightsError, match=r"^here: its format 2 is newer than 1, .*update nlreid \(it was written by 9\.0\)"):
        Config.from_json(changed(format=FORMAT + 1, version="9.0", head={"kind": "new"}, more=3, clip=...), "here")
    with pytest.raises(WeightsError, match="an unnamed version"):
        Config.from_json(changed(format=FORMAT + 1, version=...), "here")


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"format": "1"}, "its format is '1'; known is 1"),
        ({"format": True}, "its format is True"),
        ({"format": 0}, "its format is 0"),
        ({"format": ...}, "its format is None"),
        ({"library": "other"}, "describes no checkpoint of nlreid"),
        ({"library": ...}, "describes no checkpoint of nlreid"),
        ({"architecture": 3}, "architecture is a text of one line; got 3"),
        ({"architecture": ...}, "1 fields missing .architecture."),
        ({"more": 3}, "1 fields unknown .'more'."),
        ({"head": "new"}, "head is one of linear, bottleneck, bnneck, none; got 'new'"),
        ({"head": []}, "head is one of"),
        ({"num_classes": -1}, "num_classes is a whole number from 0; got -1"),
        ({"num_classes": 4.0}, "num_classes is a whole number from 0"),
        ({"num_classes": True}, "num_classes is a whole number from 0"),
        ({"task": "detection"}, "task is one of action recognition, person re-identification"),
        ({"licence": ""}, "licence is a text of one line; got ''"),
        ({"overrides": []}, "overrides is an object"),
        ({"origin": None}, "origin is an object"),
        ({"clip": {}}, "clip: 5 fields missing"),
        ({"clip": {**CONFIG.clip, "frames": 0}}, "clip: frames is a whole number from 1; got 0"),
    ],
)
def test_damages_are_named(changes, answer):
    with pytest.raises(WeightsError, match=f"^here: {answer}"):
        Config.from_json(changed(**changes), "here")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b"{", b"<html>", b"\xff", '{"format": NaN}', '{"a": 1, "a": 2}', "[" * 10**5]
)
def test_what_is_no_config_is_refused(text):
    with pytest.raises(WeightsError, match=r"^here: ") as caught:
        Config.from_json(text, "here")
    assert "\n" not in str(caught.value)


@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_one_wrong_byte_is_read_or_refused(place, value):
    text = bytearray(CONFIG.to_json().encode())
    text[place % len(text)] = value
    try:
        message = ""
        Config.from_json(bytes(text), "here")
    except WeightsError as error:
        message = str(error)
    assert "\n" not in message
