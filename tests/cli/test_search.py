"""`nlreid search`: the nearest tracks, never the one that is looked for itself."""

import pytest
import torch

from nlreid import Embeddings
from nlreid.cli import main
from nlreid.embedding import TrackInfo

TRACKS = (TrackInfo("7", 12, 1, 12), TrackInfo("9", 5, 8, 12), TrackInfo("cam2/ann", 8))
FEATURES = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, -0.6]])


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.safetensors"
    Embeddings(FEATURES, tracks=TRACKS, model="m").save(path)
    return path


def ranking(capsys, *arguments):
    assert main(["search", *map(str, arguments)]) == 0
    query, header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["rank", "track", "cosine", "frames"]
    return query, [line.split(maxsplit=3) for line in lines]


def test_the_ranking_is_printed(capsys, people):
    query, rows = ranking(capsys, people, "--query", "7")
    assert query == "query: track 7 (12 from 1 to 12)"
    assert rows == [["1", "cam2/ann", "0.8000", "8"], ["2", "9", "0.6000", "5 from 8 to 12"]]


def test_top_limits_it(capsys, people):
    _, rows = ranking(capsys, people, "--query", "cam2/ann", "--top", "1")
    assert [row[1] for row in rows] == ["7"]


def test_another_file_is_looked_through_whole(capsys, people, tmp_path):
    other = tmp_path / "other"
    Embeddings(FEATURES[[1, 0]], tracks=(TrackInfo("7", 3), TrackInfo("8", 4)), model="m").save(other)
    _, rows = ranking(capsys, people, "--query", "7", "--in", other)
    assert [(row[1], row[2]) for row in rows] == [("8", "1.0000"), ("7", "0.6000")]


def test_the_same_file_by_another_name_is_the_same(capsys, people, tmp_path):
    (tmp_path / "link").symlink_to(people)
    _, rows = ranking(capsys, people, "--query", "7", "--in", tmp_path / "link")
    assert [row[1] for row in rows] == ["cam2/ann", "9"]


def test_unknown_tracks_get_the_nearest_one(people, refused):
    answer = refused("search", people, "--query", "cam2/anne")
    assert "unknown track 'cam2/anne'; did you mean 'cam2/ann'? There are 3: 7, 9, cam2/ann." in answer


def test_files_that_cannot_be_searched(people, tmp_path, refused):
    assert "no.st: no such file; nlreid embed writes" in refused("search", tmp_path / "no.st", "--query", "7")
    assert "no.st: no such file" in refused("search", people, "--query", "7", "--in", tmp_path / "no.st")
    damaged = tmp_path / "damaged"
    damaged.write_bytes(people.read_bytes()[:-3])
    assert "damaged: not a file of embeddings, or a damaged one" in refused("search", damaged, "--query", "7")


def test_what_cannot_be_compared_is_refused(people, tmp_path, refused):
    other = tmp_path / "other"
    Embeddings(FEATURES, tracks=TRACKS, model="n").save(other)
    assert "different models cannot be compared: 'm' and 'n'" in refused("search", people, "--query", "7", "--in", other)
    Embeddings(torch.eye(3), tracks=TRACKS, model="m").save(other)
    assert "have one d; got (1, 2) and (3, 3)" in refused("search", people, "--query", "7", "--in", other)


def test_nobody_to_compare_with(tmp_path, people, refused):
    alone, nobody = tmp_path / "alone", tmp_path / "nobody"
    Embeddings(FEATURES[:1], tracks=TRACKS[:1], model="m").save(alone)
    Embeddings(FEATURES[:0], model="m").save(nobody)
    assert f"{alone} holds no track other than '7'" in refused("search", alone, "--query", "7")
    assert f"{nobody} holds no track other than '7'" in refused("search", people, "--query", "7", "--in", nobody)


@pytest.mark.parametrize("top", ["0", "-1", "some"])
def test_top_is_a_whole_number(people, misused, top):
    assert f"argument --top: '{top}' is no whole number from 1" in misused("search", people, "--query", "7", "--top", top)
