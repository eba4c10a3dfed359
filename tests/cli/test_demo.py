"""`nlreid demo`: the scores are the library's, the picture shows what was found, a video gives suggestions and says so."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nlreid
from nlreid import Embeddings, Tracklet
from nlreid.cli import demo, main
from nlreid.cli.returns import SUGGESTIONS, find_returns, return_lists, return_table
from nlreid.data.datasets.mot import read_video_tracklets
from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.histograms import colour_histogram
from nlreid.embedding import TrackInfo
from nlreid.evaluation import nearest
from nlreid.visualize import RankedList, draw_ranked_lists, save_picture

RANDOM = "nlreid: the weights are random; give --pretrained for a ranking that means something\n"
PEOPLE, SEED = 4, 3

pytestmark = pytest.mark.usefixtures("one_thread")


def model(seed=SEED):
    torch.manual_seed(seed)
    return nlreid.create_model("test_r3d_nl").eval()


def drawn(*options):
    base = ["demo", "--model", "test_r3d_nl", "--identities", PEOPLE, "--seed", SEED, "--device", "cpu"]
    return [str(argument) for argument in (*base, *options)]


def distances(query, gallery):
    return 1 - query.double() @ gallery.double().T


# --- people who are drawn


@pytest.fixture(scope="module")
def expected():
    """The people, and their vectors by the network and by colours, computed with the library alone."""
    split = SyntheticPeople(seed=SEED, identities=PEOPLE, size=(64, 32)).split()
    with torch.random.fork_rng(devices=[]):
        network = model()
    vectors = {"test_r3d_nl": [], "colour histogram": []}
    for part in (split.query, split.gallery):
        vectors["test_r3d_nl"].append(nlreid.embed(network, part, progress=False).features)
        pictures = [torch.from_numpy(np.stack(tracklet.frames)) for tracklet in part]
        vectors["colour histogram"].append(torch.stack([colour_histogram(each) for each in pictures]))
    return split, vectors


def row_of_scores(query, gallery):
    """Rank-1, 5, 10 and mAP in per cent, where entry i of the gallery is the right answer to query i."""
    ranks = (distances(query, gallery) <= distances(query, gallery).diagonal()[:, None]).sum(1).double()
    return [100 * float((ranks <= rank).double().mean()) for rank in (1, 5, 10)] + [100 * float((1 / ranks).mean())]


def test_the_scores_are_the_librarys(expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(drawn()) == 0
    shown = capsys.readouterr()
    head, _, header, *rows, _, last = shown.out.splitlines()[0:1] + shown.out.splitlines()[2:]
    assert head == "4 people, drawn from seed 3, in 16 frames of each of two cameras."
    assert header.split() == ["per", "cent", "rank-1", "rank-5", "rank-10", "mAP"]
    table = {line[:18].strip(): [float(value) for value in line[18:].split()] for line in rows}
    assert list(table) == ["test_r3d_nl", "colour histogram", "guessing"]
    for name, (query, gallery) in expected[1].items():
        assert table[name] == pytest.approx(row_of_scores(query, gallery), abs=0.051)
    assert table["guessing"] == [25.0, 100.0, 100.0, 52.1]  # (1 + 1/2 + 1/3 + 1/4) / 4
    assert last == "nlreid_demo.png: the first 3 of them; a tick is the same person, a cross another"
    assert "rendering" in shown.err
    assert "embedding" in shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["nlreid_demo.png"]


def test_the_picture_shows_who_was_found(expected, tmp_path):
    split, vectors = expected
    lists = []
    for place in range(2):
        for name, (query, gallery) in vectors.items():
            values, rows = distances(query[place : place + 1], gallery)[0].sort(stable=True)
            answers = [split.gallery[row] for row in rows[:3].tolist()]
            lists.append(RankedList(split.query[place], answers, values[:3].tolist(), name))
    output = tmp_path / "found.png"
    assert main(drawn("--rows", 2, "--top", 3, "--quiet", "-o", output)) == 0
    save_picture(draw_ranked_lists(lists), tmp_path / "expected.png")
    assert output.read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_quiet_is_the_table_alone(tmp_path, capsys):
    assert main(drawn("--quiet", "-o", tmp_path / "a.jpg")) == 0
    shown = capsys.readouterr()
    assert shown.err == RANDOM
    assert [line.split("  ")[0] for line in shown.out.splitlines()] == [
        "per cent",
        "test_r3d_nl",
        "colour histogram",
        "guessing",
    ]


def test_the_seed_decides_everything_and_nothing_is_left_changed(tmp_path, capsys):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    written = []
    for seed in (SEED, SEED, SEED + 1):
        output = tmp_path / "a.png"  # an earlier picture is replaced
        assert main(drawn("--quiet", "--seed", seed, "-o", output)) == 0
        written.append((output.read_bytes(), capsys.readouterr().out))
    assert written[0] == written[1]
    assert written[0][0] != written[2][0]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("given", "pretrained"),
    [
        ([], "synthetic"),
        (["--model", "r3d18_half_nl"], "synthetic"),
        (["--model", "test_r3d_nl"], None),
        (["--pretrained", "mine"], "mine"),
    ],
)
def test_the_model_that_ships_is_the_default(monkeypatch, tmp_path, given, pretrained):
    asked = []

    def stop(arguments, default):
        asked.append((arguments.model or default, arguments.pretrained))
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "make_model", stop)
    assert main(["demo", *given, "-o", str(tmp_path / "a.png")]) == 130
    assert asked == [(given[1] if "--model" in given else "r3d18_half_nl", pretrained)]


def test_ctrl_c_leaves_the_earlier_picture(monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    output = tmp_path / "a.png"
    output.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", interrupted)
    assert main(drawn("--identities", 2, "-o", output)) == 130
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"old")]


@pytest.mark.parametrize("quiet", [False, True])
def test_without_the_extra_the_scores_are_printed_and_a_line_names_it(monkeypatch, tmp_path, capsys, quiet):
    options = drawn("--identities", 2, *["--quiet"] * quiet)
    monkeypatch.chdir(tmp_path)
    assert main(options) == 0
    expected = capsys.readouterr().out
    (tmp_path / "nlreid_demo.png").unlink()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(options) == 0
    shown = capsys.readouterr()
    table = expected if quiet else expected[: expected.index("\nnlreid_demo.png")]
    assert shown.out == table
    line = "nlreid: no picture is drawn: 'matplotlib' is not installed; install it with: pip install 'nlreid[viz]'\n"
    assert shown.err.endswith(line)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_was_asked_for_by_name_is_an_error_without_the_extra(monkeypatch, tmp_path, refused):
    monkeypatch.setattr(demo, "render", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert refused(*drawn("-o", tmp_path / "a.png")).endswith("install it with: pip install 'nlreid[viz]'")


# --- people of a video


def of_video(street, *options, video=None, tracks=None):
    given = ["demo", video or street.video(), "--tracks", tracks or street.tracks(), "--model", "test_r3d_nl"]
    return [str(argument) for argument in (*given, "--device", "cpu", "-o", street.folder / "a.png", *options)]


# Tracks 1 (all twelve frames) and 2 (the last five) are in the street together; 3 and 5 were there before 2.
MORE = [f"{frame},3,50,5,30,60" for frame in range(1, 5)] + [f"{frame},5,20,10,30,60" for frame in range(4, 8)]


def test_who_comes_back(street, capsys):
    tracks = street.tracks(*MORE)
    assert main(of_video(street, tracks=tracks)) == 0
    shown = capsys.readouterr()
    assert "4 tracklets with 25 pictures" in shown.out
    assert SUGGESTIONS in shown.out
    assert shown.out.endswith("a.png: 3 of them, pairs once, and who is most like them\n")
    assert shown.err.startswith(RANDOM)
    lines = shown.out.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("track "))
    rows = [line.split() for line in lines[start + 1 : start + 5]]
    people = nlreid.embed(model(demo.SEED), read_video_tracklets(street.video(), tracks, size=(64, 32)), progress=False)
    far = distances(people.features, people.features)
    at = {track.name: row for row, track in enumerate(people.tracks)}
    assert {row[0] for row in rows} == {"1", "2", "3", "5"}
    assert rows[-1][0] == "1"
    assert " ".join(rows[-1][6:]) == "- (nobody is there at another time)"
    for track, frames, _, first, _, last, other, *_, distance, both in rows[:-1]:
        mine = {"2": ["3", "5"], "3": ["2"], "5": ["2"]}
        assert (frames, first, last) == {"2": ("5", "8", "12"), "3": ("4", "1", "4"), "5": ("4", "4", "7")}[track]
        assert other == min(mine[track], key=lambda name: far[at[track], at[name]])
        assert float(distance) == pytest.approx(float(far[at[track], at[other]]), abs=6e-4)
        back = min(mine[other], key=lambda name: far[at[other], at[name]])
        assert both == ("yes" if back == track else "-")
    values = [float(row[-2]) for row in rows[:-1]]
    assert values == sorted(values)


def test_the_picture_of_a_video_shows_the_surest_first(street, capsys):
    assert main(of_video(street, "--quiet", "--rows", 1, "--top", 1, tracks=street.tracks(*MORE))) == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 5
    pictures = {each.name: each for each in read_video_tracklets(street.video(), street.tracks(*MORE), size=(64, 32))}
    track, _, _, first, _, last, other, *_ = table[1].split()
    title = f"track {track}, {len(pictures[track])} from {first} to {last}"
    people = nlreid.embed(model(demo.SEED), pictures.values(), progress=False)
    at = {each.name: row for row, each in enumerate(people.tracks)}
    distance = nearest(people.features[at[track] : at[track] + 1], people.features[at[other] : at[other] + 1]).distances
    wanted = RankedList(pictures[track], [pictures[other]], [float(distance)], title)
    save_picture(draw_ranked_lists([wanted]), street.folder / "expected.png")
    assert (street.folder / "a.png").read_bytes() == (street.folder / "expected.png").read_bytes()


@st.composite
def tracks(draw):
    count = draw(st.integers(1, 8))
    spans = [sorted(draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))) for _ in range(count)]
    features = torch.randn(count, 3, generator=torch.Generator().manual_seed(draw(st.integers(0, 999))))
    infos = [TrackInfo(str(row), 1, first, last) for row, (first, last) in enumerate(spans)]
    return Embeddings(torch.nn.functional.normalize(features), tracks=infos)


@settings(deadline=None, max_examples=50)
@given(tracks(), st.integers(1, 9))
def test_nobody_is_found_in_the_picture_with_themselves(people, top):
    returns = find_returns(people, top)
    assert sorted(found.track for found in returns) == list(range(len(people)))
    for found in returns:
        own = people.tracks[found.track]
        others = [
            row
            for row, track in enumerate(people.tracks)
            if not set(range(own.first, own.last + 1)) & set(range(track.first, track.last + 1))
        ]
        near = nearest(people.features[found.track : found.track + 1], people.features[others], top)
        assert list(found.rows) == [others[place] for place in near.rows[0].tolist()]
        assert list(found.distances) == near.distances[0].tolist()
    best = [found.distances[0] if found.rows else float("inf") for found in returns]
    assert best == sorted(best)
    lines = list(return_table(people, returns))[1:]
    assert [line.split()[0] for line in lines] == [people.tracks[found.track].name for found in returns]
    pictures = {track.name: Tracklet(track.name, [np.zeros((8, 4, 3), np.uint8)]) for track in people.tracks}
    shown = [each.query.name for each in return_lists(people, returns, pictures, 100)]
    for track, _, _, _, _, _, *other in map(str.split, lines):
        assert shown.count(track) + (shown.count(other[0]) if other[-1] == "yes" else 0) == 1


# --- what is refused


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["--tracks", "tracks.txt"], "only with VIDEO goes --tracks"),
        (["--min-frames", "3", "--skip-bad-lines"], "only with VIDEO goes --min-frames, --skip-bad-lines"),
        (["street.avi"], "with VIDEO goes --tracks FILE"),
        (["street.avi", "--tracks", "t.txt", "--identities", "3"], "only without VIDEO goes --identities"),
        (["--identities", "1"], "argument --identities: '1' is no whole number from 2"),
        (["--rows", "0"], "argument --rows: '0' is no whole number from 1"),
        (["--top", "x"], "argument --top: 'x' is no whole number from 1"),
        (["--seed", "-1"], "argument --seed: '-1' is no whole number from 0"),
    ],
)
def test_options_that_do_not_go_together(misused, options, answer):
    assert answer in misused("demo", *options)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["-o", "no/a.png"], "no/a.png: cannot be written: there is no folder"),
        (["-o", "a.gif"], "a.gif: the ending of a picture's name says its format; wanted one of .png, .jpg, .jpeg, .pdf, .svg"),
        (["-o", "."], "wanted one of .png"),
        (["--device", "quantum"], "device 'quantum' cannot be used here"),
        (["--model", "test_r3d_ml"], "unknown model 'test_r3d_ml'; did you mean 'test_r3d_nl'?"),
        (["--pretrained", "no/weights.pth"], "no/weights.pth: no such file"),
    ],
)
def test_wrong_options_are_answered_before_the_work(refused, tmp_path, monkeypatch, options, answer):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "render", None)
    assert answer in refused(*drawn(*options))
    assert list(tmp_path.iterdir()) == []


def test_videos_that_are_none(street, refused):
    assert "no.avi: no such file or folder" in refused(*of_video(street, video=street.folder / "no.avi"))
    assert "no.txt: cannot be read" in refused(*of_video(street, tracks=street.folder / "no.txt"))
    assert "no track has 13 or more pictures" in refused(*of_video(street, "--min-frames", 13))
    people = street.people()
    assert "would be one of the pictures" in refused(*of_video(street, "-o", people / "1.png", video=people))
    assert "tracks.txt:18: x is 'nan'" in refused(*of_video(street, tracks=street.tracks("12,3,nan,5,30,60")))
    assert street.leftovers() == set()
