"""`nlreid relink`: broken tracks joined, and nothing else of the file changed."""

import pytest
import torch

from nlreid import Embeddings
from nlreid.cli import main
from nlreid.embedding import TrackInfo

SPANS = {1: range(1, 11), 2: range(5, 30), 3: range(15, 31), 4: range(33, 40)}
FEATURES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.98, -0.2]])  # 1, 3 and 4 are one person


class Broken:
    """A track file with a person who is lost twice, and another one; and its embeddings."""

    def __init__(self, folder):
        self.folder, self.tracks, self.people, self.output = folder, *map(folder.joinpath, ("tracks.txt", "people", "new.txt"))
        self.text = "".join(
            f"{frame},{track},{10 * track}.50,5,30,60,1,-1,-1,-1\n" for track, s in SPANS.items() for frame in s
        )
        self.tracks.write_text(self.text)
        self.embed()

    def embed(self, names="1234", model="m", path=None, **labels):
        rows = [int(name) - 1 for name in names]
        about = [
            TrackInfo(name, len(SPANS[row + 1]), SPANS[row + 1][0], SPANS[row + 1][-1])
            for name, row in zip(names, rows, strict=True)
        ]
        Embeddings(FEATURES[rows], tracks=about, model=model, **labels).save(path or self.people)

    def run(self, *options):
        return ["relink", *map(str, (self.tracks, self.people, "-o", self.output, *options))]


@pytest.fixture
def broken(tmp_path):
    return Broken(tmp_path)


def test_tracks_are_joined_and_reported(broken, capsys):
    assert main(broken.run("--threshold", "0.1")) == 0
    assert broken.output.read_text() == broken.text.replace(",3,30.50", ",1,30.50").replace(",4,40.50", ",1,40.50")
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["track", "goes", "on", "in", "distance", "frames", "between"]
    assert [line.split() for line in lines[:2]] == [
        ["1", "3", "0.0050", "4", "(10", "to", "15)"],
        ["3", "4", "0.0450", "2", "(30", "to", "33)"],
    ]
    assert lines[2:] == [f"{broken.output}: 4 tracks became 2", "threshold 0.1000, as given"]
    assert broken.tracks.read_text() == broken.text


@pytest.mark.parametrize("options", [("--threshold", "0.1"), ()])
def test_embeddings_in_several_files_are_one(broken, capsys, options):
    assert main(broken.run(*options)) == 0
    expected = broken.output.read_text(), capsys.readouterr()
    broken.people.unlink()
    broken.people.mkdir()
    for number, names in enumerate(("12", "3", "4")):
        broken.embed(names, path=broken.people / f"{number}.safetensors")
    assert main(broken.run(*options)) == 0
    assert (broken.output.read_text(), capsys.readouterr()) == expected


def test_a_gap_may_be_too_long(broken, capsys):
    assert main(broken.run("--threshold", "0.1", "--max-gap", "3")) == 0
    assert "4 tracks became 3" in capsys.readouterr().out


def test_the_threshold_comes_from_tracks_that_are_there_at_once(broken, capsys):
    assert main(broken.run()) == 0
    out = capsys.readouterr().out
    assert "4 tracks became 2" in out
    assert out.endswith("in 0.000 of 3 tracks that have others in the picture at the same time\n")


def test_the_threshold_comes_from_labelled_embeddings(broken, capsys, tmp_path):
    labelled = tmp_path / "labelled"
    broken.embed(path=labelled, pids=[1, 2, 1, 1], camids=[1, 1, 2, 3])
    assert main(broken.run("--calibrate", labelled, "--false-accept-rate", "0")) == 0
    out = capsys.readouterr().out
    assert "4 tracks became 2" in out
    assert out.endswith(f"in 0.000 of 4 rows of {labelled}\n")


def test_tracks_without_an_embedding_are_left_alone(broken, capsys):
    broken.embed("134")
    assert main(broken.run("--threshold", "0.1")) == 0
    assert "4 tracks became 2; 1 without an embedding were left alone" in capsys.readouterr().out


def test_nothing_to_join_is_the_same_file(broken, capsys):
    assert main(broken.run("--threshold", "0")) == 0
    assert broken.output.read_text() == broken.text
    assert capsys.readouterr().out.startswith(f"{broken.output}: 4 tracks became 4\n")


def test_what_is_read_is_never_written(broken, refused):
    for given in (broken.tracks, broken.people):
        before = given.read_bytes()
        assert "is read, and cannot be written too" in refused(
            "relink", broken.tracks, broken.people, "-o", given, "--threshold", "0.1"
        )
        assert given.read_bytes() == before


def test_embeddings_of_other_tracks_are_refused(broken, refused):
    text = broken.text
    broken.tracks.write_text(text.replace(",4,40.50", ",5,40.50"))
    assert "1 of its tracks are not in" in refused(*broken.run("--threshold", "0.1"))
    broken.tracks.write_text(text.replace("1,1,10.50", "2,7,10.50", 1))
    assert "track '1' is from 1 to 10, and in" in refused(*broken.run("--threshold", "0.1"))
    Embeddings(FEATURES, model="m").save(broken.people)
    assert "says of no row which track it is of" in refused(*broken.run("--threshold", "0.1"))
    assert not broken.output.exists()


def test_a_threshold_of_another_model_is_refused(broken, refused, tmp_path):
    labelled = tmp_path / "labelled"
    broken.embed(model="n", path=labelled, pids=[1, 2, 1, 1], camids=[1, 1, 2, 3])
    assert "a threshold holds for one model; got 'n' and 'm'" in refused(*broken.run("--calibrate", labelled))
    assert f"{broken.people}: holds no identities" in refused(*broken.run("--calibrate", broken.people))


def test_bad_lines(broken, refused):
    broken.tracks.write_text(f"{broken.text}what\n")
    line = broken.text.count("\n") + 1
    assert f"tracks.txt:{line}: 1 comma-separated fields" in refused(*broken.run("--threshold", "0.1"))
    assert main(broken.run("--threshold", "0.1", "--skip-bad-lines")) == 0
    assert broken.output.read_text().count("\n") == line - 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "3"], "'3' is no number from 0 to 2"),
        (["--threshold", "nan"], "'nan' is no number from 0 to 2"),
        (["--threshold", "0.1", "--calibrate", "a"], "not allowed with argument --threshold"),
        (["--threshold", "0.1", "--false-accept-rate", "0.1"], "leave it or --threshold out"),
        (["--max-gap", "-1"], "'-1' is no whole number from 0"),
    ],
)
def test_options_that_cannot_be(broken, misused, options, message):
    assert message in misused(*broken.run(*options))


def test_from_a_video_to_a_corrected_file(street, capsys):
    tracks = street.tracks("1,3,10,5,30,60", "2,3,10,5,30,60")
    assert main(street.embed(tracks=tracks)) == 0
    new = street.folder / "new.txt"
    assert main(["relink", str(tracks), str(street.output), "-o", str(new), "--threshold", "2"]) == 0
    assert new.read_text() == tracks.read_text().replace("\n8,2,", "\n8,3,").replace(",2,50.5", ",3,50.5")
    assert "3 tracks became 2" in capsys.readouterr().out
