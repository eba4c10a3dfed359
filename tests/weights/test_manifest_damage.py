"""What a manifest cannot say is refused, in one line that names the entry and the field."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlreid.errors import WeightsError
from nlreid.hub.table.config import ACTIONS, PERSONS
from nlreid.hub.table.manifest import Score, Training, parse_manifest

GOOD = {
    "title": "A title",
    "status": "published",
    "format": "safetensors",
    "recipe": "gluoncv",
    "licence": {"id": "MIT", "evidence": "its LICENSE", "redistribution": True},
    "overrides": {"plan": "i3d"},
    "clip": {"frames": 8, "stride": 8, "size": [256, 128], "mean": [0.5, 0.5, 0], "std": [0.5, 0.5, 1]},
    "num_classes": 5,
    "url": "https://example.org/file.pth",
    "page": "",
    "hub": {"repo": "org/name", "revision": "0" * 40, "file": "model.safetensors"},
    "checksums": {"sha256": "a" * 64, "sha256_prefix": "a" * 8, "sha1": None, "size": 10},
    "scores": [{"dataset": "D", "metric": "top-1", "value": 0.5, "by": "measured here, on one core"}],
    "task": ACTIONS,
    "default_for": ["kinetics"],
}
SHIPPED = {
    "title": "A title",
    "status": "shipped",
    "format": "safetensors",
    "recipe": "nlreid",
    "licence": {"id": "MIT", "evidence": "our LICENSE", "redistribution": True},
    "overrides": {},
    "clip": GOOD["clip"],
    "head": "bottleneck",
    "num_classes": 0,
    "task": PERSONS,
    "training_data": "synthetic people",
    "training": {"recipe": "the paper's", "seed": 0, "hardware": "two cores", "time": "an hour", "command": "python train.py"},
    "checksums": {"sha256": "a" * 64, "size": 10},
    "scores": [],
}
GONE = object()


def damaged(place, value, name="r3d50.tag", good=GOOD):
    content = copy.deepcopy({"format": 1, "entries": {name: good}})
    at = content if place[:1] == ["/"] else content["entries"][name]
    *way, last = place[1:] if place[:1] == ["/"] else place
    for key in way:
        at = at[key]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return json.dumps(content)


def test_the_undamaged_one_is_read():
    entry = parse_manifest(json.dumps({"format": 1, "entries": {"r3d50.tag": GOOD}}), "here")["r3d50.tag"]
    assert entry.scores == (Score("D", "top-1", 0.5, "measured here, on one core"),)
    assert entry.hub.revision == "0" * 40
    assert entry.checksums.size == 10


@pytest.mark.parametrize(
    ("place", "value", "answer"),
    [
        (["/", "format"], 2, "format is 1; got 2"),
        (["/", "entries"], [], "entries is an object; got"),
        (["/", "more"], 1, "1 fields unknown"),
        (["title"], "", "title is a text of one line; got ''"),
        (["title"], "two\nlines", "title is a text of one line"),
        (["titel"], "x", "r3d50.tag: 1 fields unknown .'titel'."),
        (["title"], GONE, "1 fields missing .title."),
        (["status"], "there", "status is one of shipped, published, upstream, recipe; got 'there'"),
        (["format"], "onnx", "format is one of"),
        (["recipe"], 3, "recipe is the name of a recipe"),
        (["licence"], "MIT", "licence is an object"),
        (["licence", "id"], "", "licence: id is"),
        (["licence", "evidence"], GONE, "licence: 1 fields missing"),
        (["licence", "redistribution"], "yes", "redistribution is true or false; got 'yes'"),
        (["licence", "redistribution"], 1, "redistribution is true or false; got 1"),
        (["overrides"], None, "overrides is an object"),
        (["overrides"], {"embedding_dim": 10**12}, "overrides: embedding_dim is a whole number from 1 to 65536"),
        (["title"], "red \x1b[31m", r"title is a text of one line; got 'red \\x1b"),
        (["clip", "frames"], 0, "clip: frames is a whole number from 1 to 1048576; got 0"),
        (["clip", "frames"], 8.0, "clip: frames is a whole number"),
        (["clip", "frames"], True, "clip: frames is a whole number"),
        (["clip", "size"], [256], "clip: size is a list of 2 times a whole number from 1"),
        (["clip", "mean"], [0.5, "x", 0.5], "clip: mean is a list of 3 times a finite number"),
        (["clip", "std"], [0.5, 0, 0.5], "clip: std is a list of 3 times a number above 0"),
        (["clip", "std"], [0.5, float("nan"), 0.5], "NaN is no number of JSON"),
        (["num_classes"], 0, "num_classes is a whole number from 1"),
        (["url"], "http://example.org/file.pth", "url is an address that begins with https://"),
        (["url"], "https://example.org", "url is an address"),
        (["url"], "file:///etc/passwd", "url is an address"),
        (["page"], "somewhere", "page is an address"),
        (["hub"], GONE, "status 'published' wants hub, with its repo and revision, and the file's sha256"),
        (["hub"], None, "status 'published' wants hub"),
        (["hub", "repo"], "name", "hub: repo is org/name"),
        (["hub", "repo"], "../../etc", "hub: repo is org/name"),
        (["hub", "revision"], "main", "hub: revision is a commit, 40 hex digits; got 'main'"),
        (["hub", "revision"], "0" * 39, "hub: revision is a commit"),
        (["hub", "file"], "../model.safetensors", "hub: file is a safetensors file"),
        (["checksums", "sha256"], None, "status 'published' wants hub"),
        (["checksums", "sha256"], "A" * 64, "checksums: sha256 is 64 hex digits, or null"),
        (["checksums", "sha256"], "a" * 63, "checksums: sha256 is 64 hex digits"),
        (["checksums", "sha256_prefix"], "b" * 8, "sha256 begins otherwise than sha256_prefix, bbbbbbbb"),
        (["checksums", "sha256_prefix"], "a", "sha256_prefix is 8 to 63 hex digits"),
        (["checksums", "sha1"], "a" * 64, "sha1 is 40 hex digits"),
        (["checksums", "size"], 0, "size is a whole number from 1"),
        (["checksums", "size"], 1e6, "size is a whole number from 1"),
        (["checksums", "md5"], "a" * 32, "checksums: 1 fields unknown .'md5'."),
        (["status"], "upstream", "a hub file makes its status 'published'; got 'upstream'"),
        (["scores", 0, "value"], 74.0, "scores: value is a fraction of 1; got 74.0"),
        (["scores", 0, "by"], "us", "by is 'reported by …' or 'measured here, …'; got 'us'"),
        (["scores"], {}, "scores is a list of an object"),
        (["task"], "detection", "task is one of"),
        (["default_for"], "kinetics", "default_for is a list of a name"),
        (["default_for"], ["tag"], "'tag' of r3d50 means more than one entry"),
        (["default_for"], ["kinetics", "kinetics"], "'kinetics' of r3d50 means more than one entry"),
    ],
)
def test_damages_are_named(place, value, answer):
    with pytest.raises(WeightsError, match=f"^manifest: .*{answer}"):
        parse_manifest(damaged(place, value), "manifest")


def test_one_that_ships_is_read():
    entry = parse_manifest(json.dumps({"format": 1, "entries": {"r3d50.tag": SHIPPED}}), "here")["r3d50.tag"]
    assert entry.training == Training("the paper's", 0, "two cores", "an hour", "python train.py")
    assert (entry.head, entry.num_classes, entry.config().head) == ("bottleneck", 0, "bottleneck")


@pytest.mark.parametrize(
    ("place", "value", "answer"),
    [
        (["training"], GONE, "1 fields missing .training."),
        (["training"], "long", "training is an object"),
        (["training", "seed"], -1, "training: seed is a whole number from 0"),
        (["training", "command"], GONE, "training: 1 fields missing .command."),
        (["training", "cost"], "1", "training: 1 fields unknown"),
        (["scores"], GONE, "1 fields missing .scores."),
        (["checksums"], {"size": 10}, "status 'shipped' wants the file's sha256 and size"),
        (["checksums"], {"sha256": "a" * 64, "size": None}, "status 'shipped' wants the file's sha256 and size"),
        (["head"], "new", "head is one of linear, bottleneck, bnneck, none"),
        (["recipe"], "gluoncv", "recipe is one of nlreid"),
        (["format"], "torch", "format is one of safetensors"),
        (["url"], "https://example.org/file", "1 fields unknown .'url'."),
        (["hub"], GOOD["hub"], "1 fields unknown .'hub'."),
        (["num_classes"], -1, "num_classes is a whole number from 0"),
        (["status"], "upstream", "fields unknown"),
    ],
)
def test_of_one_that_ships_everything_is_known(place, value, answer):
    with pytest.raises(WeightsError, match=f"^manifest: r3d50.tag.*{answer}"):
        parse_manifest(damaged(place, value, good=SHIPPED), "manifest")


@pytest.mark.parametrize("name", ["r3d50", ".tag", "r3d50.", "r3d50.a.b", "R3D50.tag", "r3d50.a b", "../r3d50.tag"])
def test_names_are_model_and_tag(name):
    with pytest.raises(WeightsError, match=r"an entry is called model.tag"):
        parse_manifest(damaged(["num_classes"], 5, name), "manifest")


def test_one_default_of_a_model():
    two = {"format": 1, "entries": {"r3d50.a": GOOD, "r3d50.b": GOOD}}
    with pytest.raises(WeightsError, match="default_for: 'kinetics' of r3d50 means more than one entry; it can mean one"):
        parse_manifest(json.dumps(two), "manifest")
    two["entries"] = {"r3d50.a": GOOD, "r3d18.b": GOOD}
    assert len(parse_manifest(json.dumps(two), "manifest")) == 2


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"status": "upstream", "hub": None, "url": ""}, "status 'upstream' wants the url"),
        ({"status": "recipe", "hub": None}, "status 'recipe' wants the page that leads to the file, and no url"),
        ({"status": "recipe", "hub": None, "url": ""}, "status 'recipe' wants the page"),
    ],
)
def test_each_status_wants_its_place(changes, answer):
    with pytest.raises(WeightsError, match=answer):
        parse_manifest(json.dumps({"format": 1, "entries": {"r3d50.tag": GOOD | changes}}), "manifest")


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"format": 1, "format": 1, "entries": {}}', "null", "[" * 100_000, b"\xff\xfe{"]
)
def test_what_is_no_manifest_is_refused(content):
    with pytest.raises(WeightsError, match=r"^manifest: ") as caught:
        parse_manifest(content, "manifest")
    assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
places = st.sampled_from(
    [[key] for key in GOOD]
    + [[key, inner] for key, value in GOOD.items() if isinstance(value, dict) for inner in value]
    + [["scores", 0, key] for key in GOOD["scores"][0]]
)


@given(place=places, value=json_values)
def test_whatever_stands_in_a_field_it_is_read_as_it_is_or_refused(place, value):
    message, read = outcome(damaged(place, value))
    if message:
        assert message.startswith("manifest: ")
        assert "\n" not in message
    else:
        for key in place:
            read = read[key] if isinstance(read, dict | tuple) else getattr(read, key)
        assert len(place) == 1 or read == value


def outcome(content):
    try:
        return "", parse_manifest(content, "manifest")["r3d50.tag"]
    except WeightsError as error:
        return str(error), None
