"""`config.json` is read as it was written, or refused in one line that names what is wrong with it."""

import json
from dataclasses import fields, replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlreid.errors import WeightsError
from nlreid.hub.table.config import ACTIONS, FORMAT, Config
from nlreid.hub.table.fields import read_object
from nlreid.hub.table.overrides import NON_LOCAL, OVERRIDES, PLAN
from nlreid.inflation.plans import TemporalPlan
from nlreid.inflation.weights import Init
from nlreid.models.spec import ModelSpec, NonLocalSpec

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
        ({"num_classes": -1}, "num_classes is a whole number from 0 to 1048576; got -1"),
        ({"num_classes": 4.0}, "num_classes is a whole number from 0"),
        ({"num_classes": True}, "num_classes is a whole number from 0"),
        ({"task": "detection"}, "task is one of action recognition, person re-identification"),
        ({"licence": ""}, "licence is a text of one line; got ''"),
        ({"overrides": []}, "overrides is an object"),
        ({"origin": None}, "origin is an object"),
        ({"num_classes": 10**12}, "num_classes is a whole number from 0 to 1048576"),
        ({"tag": "a\nb"}, r"tag is a text of one line, which may be empty; got 'a\\nb'"),
        ({"version": "\x1b[31m"}, r"version is a text of one line, which may be empty; got '\\x1b"),
        ({"architecture": "a\u2028b"}, "architecture is a text of one line"),
        ({"architecture": "\ud800"}, "architecture is a text of one line"),
        ({"clip": {**CONFIG.clip, "size": [10**12, 1]}}, "clip: size is a list of 2 times a whole number from 1 to 1048576"),
        ({"clip": {**CONFIG.clip, "mean": [10**400, 0, 0]}}, "clip: mean is a list of 3 times a finite number"),
        ({"clip": {}}, "clip: 5 fields missing"),
        ({"clip": {**CONFIG.clip, "frames": 0}}, "clip: frames is a whole number from 1 to 1048576; got 0"),
    ],
)
def test_damages_are_named(changes, answer):
    with pytest.raises(WeightsError, match=f"^here: {answer}"):
        Config.from_json(changed(**changes), "here")


@pytest.mark.parametrize(
    ("overrides", "answer"),
    [
        ({"embedding_dim": 10**12}, "embedding_dim is a whole number from 1 to 65536"),
        ({"embedding_dim": 10**400}, "embedding_dim is a whole number from 1 to 65536"),
        ({"embedding_dim": "512"}, "embedding_dim is a whole number"),
        ({"backbone": ["resnet50"]}, "backbone is a text of one line"),
        ({"init": "a"}, "init is one of mean, center; got 'a'"),
        ({"aggregate": {}}, "aggregate is a text of one line"),
        ({"dropout": 10**400}, "dropout is a number from 0 to below 1"),
        ({"width": 0}, "width is a number above 0, at most 8; got 0"),
        ({"width": True}, "width is a number above 0"),
        ({"width": "0.5"}, "width is a number above 0"),
        ({"plan": 3}, "plan is a text of one line, or an object; got 3"),
        ({"plan": {"name": [1]}}, "plan: name is a text of one line"),
        ({"plan": {"stem_stride": 10**12}}, "plan: stem_stride is a whole number from 1 to 255"),
        ({"plan": {"first": [1, 1, 1, 1]}}, "plan: first is a list of 4 times a list of a whole number"),
        ({"plan": {"stem_hidden": 0}}, "plan: stem_hidden is a whole number from 1 to 65536, or null"),
        ({"non_local": 1}, "non_local is true or false, or an object, or null"),
        ({"non_local": {"pairwise": {}}}, "non_local: pairwise is a text of one line; got {}"),
        ({"non_local": {"blocks": [[1], 3]}}, "non_local: blocks is a list of a list of a whole number"),
        ({"non_local": {"scale": [1]}}, "non_local: scale is a finite number, or a text"),
    ],
)
def test_overrides_that_no_spec_could_have_are_named(overrides, answer):
    with pytest.raises(WeightsError, match=f"^here: overrides: {answer}") as caught:
        Config.from_json(changed(overrides=overrides), "here")
    assert len(str(caught.value)) < 300


def test_every_field_of_a_spec_has_a_kind():
    assert OVERRIDES.keys() | {"clip"} == {entry.name for entry in fields(ModelSpec)}
    assert PLAN.keys() == {entry.name for entry in fields(TemporalPlan)}
    assert NON_LOCAL.keys() == {entry.name for entry in fields(NonLocalSpec)}
    assert all(OVERRIDES["init"].fits(init) for init in get_args(Init))


def test_a_field_that_stands_twice_is_found_at_once_among_many():
    names = ", ".join(f'"{number}": 0' for number in range(200_000))
    with pytest.raises(WeightsError, match="'199999' stands in it twice"):
        read_object(f'{{{names}, "199999": 1}}', "here")


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
