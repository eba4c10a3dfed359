"""`nlreid search`: the nearest tracks, never the one that is looked for itself."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from nlreid import Embeddings
from nlreid.cli import main, search
from nlreid.data.datasets.mot import read_video_tracklets
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


def test_embeddings_without_names_have_nothing_to_print(people, tmp_path, refused):
    Embeddings(FEATURES, model="m").save(tmp_path / "unnamed")
    for arguments in ((people, "--query", "7", "--in", tmp_path / "unnamed"), (tmp_path / "unnamed", "--query", "7")):
        assert f"{tmp_path / 'unnamed'} holds no names of tracks; in Python" in refused("search", *arguments)


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


# --- the picture


@pytest.fixture
def pictured(monkeypatch):
    """The ranked list that is drawn; it is written all the same."""
    seen, draw = [], search.draw_ranked_lists
    monkeypatch.setattr(search, "draw_ranked_lists", lambda lists: seen.extend(lists) or draw(lists))
    return seen


@pytest.fixture
def folders(tmp_path):
    """Three people as folders of pictures, each in its own shade, and their embeddings."""
    shades = {"7": (3, 40), "9": (5, 120), "ann": (2, 200)}
    for name, (count, shade) in shades.items():
        (tmp_path / "folders" / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((12, 6, 3), shade + number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "folders" / name / f"{number}.png")
    tracks = tuple(TrackInfo(name, count) for name, (count, _) in shades.items())
    Embeddings(FEATURES, [7, 9, 7], [1, 2, 2], tracks, model="m").save(tmp_path / "people")
    return tmp_path / "people", tmp_path / "folders"


def shades_of(tracklets):
    return [int(tracklet.pictures([0])[0][0, 0, 0]) for tracklet in tracklets]


def test_the_picture_shows_the_ranking(folders, pictured, tmp_path, capsys):
    people, source = folders
    assert (
        main([str(each) for each in ("search", people, "--query", "7", "--picture", tmp_path / "a.svg", "--source", source)])
        == 0
    )
    assert capsys.readouterr().out.endswith(f"\n{tmp_path / 'a.svg'}: the same as a picture\n")
    (shown,) = pictured
    assert (shown.query.name, shown.query.pid, shown.query.camid) == ("7", 7, 1)
    assert [(each.name, each.pid, each.camid) for each in shown.answers] == [("ann", 7, 2), ("9", 9, 2)]
    assert shades_of([shown.query, *shown.answers]) == [40 + 1, 200 + 1, 120 + 2]  # the pictures in the middle
    assert shown.distances == pytest.approx([0.2, 0.4])
    assert shown.title == "m, cosine distance"
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_people_of_a_video_are_cut_out_again(street, pictured):
    assert main(street.embed()) == 0
    picture = street.folder / "a.png"
    source = ["--source", street.folder / "street.avi", "--tracks", street.folder / "tracks.txt"]
    assert main([str(each) for each in ("search", street.output, "--query", "2", "--picture", picture, *source)]) == 0
    (shown,) = pictured
    expected = {each.name: each for each in read_video_tracklets(street.video(), street.tracks(), size=(256, 128))}
    for own, name in ((shown.query, "2"), (shown.answers[0], "1")):
        middle = expected[name].frames[len(expected[name]) // 2]
        assert own.name == name
        assert own.pid is None
        assert np.array_equal(own.frames[0], middle)
    assert picture.stat().st_size


def test_the_gallery_may_come_from_elsewhere(folders, street, pictured):
    people, source = folders
    assert main(street.embed()) == 0
    Embeddings(FEATURES[:2], tracks=Embeddings.load(street.output).tracks, model="m").save(street.output)
    picture = street.folder / "a.png"
    other = ["--in", street.output, "--in-source", street.folder / "street.avi", "--in-tracks", street.folder / "tracks.txt"]
    options = ["search", people, "--query", "ann", "--picture", picture, "--source", source, *other]
    assert main([str(each) for each in options]) == 0
    (shown,) = pictured
    assert shades_of([shown.query]) == [201]
    assert [each.name for each in shown.answers] == ["1", "2"]


def test_a_source_that_is_another_is_refused(folders, tmp_path, refused):
    people, source = folders
    options = ["search", people, "--query", "7", "--picture", tmp_path / "a.png", "--source", source]
    Image.new("RGB", (6, 12)).save(source / "9" / "9.png")
    assert f"{source}: track '9' has 6 pictures here, and had 5 when it was embedded" in refused(*options)
    (source / "9").rename(source / "8")
    assert f"{source}: there is no track '9'; give what the embeddings were made from" in refused(*options)
    assert f"{tmp_path / 'no'}: no such file or folder" in refused(*options[:-1], tmp_path / "no")
    assert not (tmp_path / "a.png").exists()


def test_pictures_are_refused_before_anything_is_read(people, tmp_path, refused, monkeypatch):
    base = ["search", people, "--query", "7", "--source", tmp_path]
    assert "wanted one of .png" in refused(*base, "--picture", tmp_path / "a.gif")
    assert "would be one of the pictures that are read" in refused(*base, "--picture", tmp_path / "a.png")
    assert "--tracks FILE says where the people are" in refused(
        "search", people, "--query", "7", "--source", people, "--picture", tmp_path / "a.png"
    )
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'nlreid[viz]'" in refused(*base, "--picture", tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["people.safetensors"]


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["--source", "a", "--in-tracks", "b"], "only with --picture goes --source, --in-tracks"),
        (["--picture", "a.png"], "with --picture goes --source, what FILE was embedded from: it holds no pictures"),
        (["--picture", "a.png", "--source", "b", "--in-source", "c"], "--in-source and --in-tracks are of what --in names"),
        (["--picture", "a.png", "--source", "b", "--in", "c", "--in-tracks", "d"], "with --in-tracks goes --in-source"),
    ],
)
def test_options_of_the_picture_that_do_not_go_together(misused, options, answer):
    assert answer in misused("search", "people", "--query", "7", *options)
