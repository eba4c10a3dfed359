"""`nlreid embed`: what it writes is what `embed` answers; after an error there is one line, and no file."""

import hashlib
import os
import re

import pytest
import safetensors.torch
import torch

import nlreid
from nlreid import Embeddings
from nlreid.cli import main
from nlreid.data.datasets.mot import read_video_tracklets
from nlreid.embedding import TrackInfo

RANDOM = "nlreid: the weights are random; give --pretrained for a ranking that means something\n"


def model(name="test_r3d_nl", seed=0, **options):
    torch.manual_seed(seed)
    return nlreid.create_model(name, **options).eval()


def saved_weights(folder):
    path = folder / "weights.safetensors"
    safetensors.torch.save_file(model(seed=9, num_classes=5).state_dict(), path)
    return path


# --- what comes out


def test_the_file_holds_what_the_library_answers(street, capsys):
    arguments = street.embed("--batch-size", 3)
    assert main(arguments) == 0
    people = Embeddings.load(street.output)
    assert set(people.tracks) == {TrackInfo("1", 12, first=1, last=12), TrackInfo("2", 5, first=8, last=12)}
    tracklets = read_video_tracklets(street.video(), street.tracks(), size=(64, 32))
    expected = nlreid.embed(model(), tracklets, progress=False)
    torch.testing.assert_close(people.features, expected.features, rtol=0, atol=1e-5)
    shown = capsys.readouterr()
    assert "2 tracklets with 17 pictures" in shown.out
    assert f"{street.output}: 2 embeddings of 96 values (test_r3d_nl, weights: random, seed 0)\n" in shown.out
    assert shown.err.startswith(RANDOM)


def test_folders_of_pictures_need_no_track_file(street, capsys):
    people = street.people()
    base = ["embed", people, "--model", "test_r3d_nl", "-o", street.output, "--device", "cpu"]
    assert main([str(argument) for argument in base]) == 0
    assert "left out" not in capsys.readouterr().out
    assert Embeddings.load(street.output).tracks == (TrackInfo("1", 12), TrackInfo("2", 5))
    assert main([str(argument) for argument in (*base, "--min-frames", 6)]) == 0
    assert "left out 1 folders with fewer than 6 pictures" in capsys.readouterr().out
    assert Embeddings.load(street.output).tracks == (TrackInfo("1", 12),)


def test_the_seed_decides_random_weights_and_nothing_else(street):
    state = torch.get_rng_state()
    written = []
    for seed in (0, 0, 5):
        assert main(street.embed("--seed", seed, "--quiet")) == 0
        written.append(street.output.read_bytes())
    assert written[0] == written[1] != written[2]
    assert Embeddings.load(street.output).model.endswith("seed 5")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_file_of_weights_is_loaded_and_named(street, capsys):
    path = saved_weights(street.folder)
    assert main(street.embed("--pretrained", path)) == 0
    shown = capsys.readouterr()
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"(test_r3d_nl, weights: {path} (sha256 {checksum[:12]}))" in shown.out
    assert "random" not in shown.err
    people = Embeddings.load(street.output)
    assert people.model == f"test_r3d_nl, weights: {path} (sha256 {checksum[:12]})"
    assert people.features.shape == (2, 512)  # the file brings the bottleneck head
    tracklets = read_video_tracklets(street.video(), street.tracks(), size=(64, 32))
    expected = nlreid.embed(model(pretrained=path), tracklets, progress=False)
    torch.testing.assert_close(people.features, expected.features, rtol=0, atol=1e-5)


def test_quiet_is_quiet_but_not_about_random_weights(street, capsys):
    assert main(street.embed("--quiet")) == 0
    assert capsys.readouterr() == ("", RANDOM)
    assert main(street.embed("--quiet", "--pretrained", saved_weights(street.folder))) == 0
    assert capsys.readouterr() == ("", "")


def test_mixed_precision_comes_close(street):
    assert main(street.embed("--quiet")) == 0
    exact = Embeddings.load(street.output)
    assert main(street.embed("--quiet", "--autocast", "bfloat16")) == 0
    mixed = Embeddings.load(street.output)
    assert not torch.equal(exact.features, mixed.features)
    assert (exact.features * mixed.features).sum(1).min() > 0.999


def test_short_tracks_are_left_out_and_told(street, capsys):
    assert main(street.embed("--min-frames", 6)) == 0
    assert [track.name for track in Embeddings.load(street.output).tracks] == ["1"]
    assert "left out 1 tracks with too few pictures: 2" in capsys.readouterr().out


BAD_LINES = ("12,3,nan,5,30,60", "12,3,10,5,-30,60", "12,3", "99,1,10,5,30,60")


def test_bad_lines_can_be_left_out_and_are_told(street, capsys):
    tracks = street.tracks(*BAD_LINES, "12,4,500,5,30,60", "1,5,-10,5,30,60")
    assert main(street.embed("--skip-bad-lines", tracks=tracks)) == 0
    shown = capsys.readouterr().out
    assert "left out 3 bad lines, the first: " in shown
    assert f"{tracks}:18: x is 'nan'" in shown
    assert "left out 1 boxes wholly outside the picture or empty: lines 22" in shown
    assert "left out 1 boxes after the end of the video: lines 21" in shown
    assert "1 boxes clipped" in shown
    assert {track.name for track in Embeddings.load(street.output).tracks} == {"1", "2", "5"}


# --- what is refused


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_named_by_file_and_number(street, refused, line):
    tracks = street.tracks(line)
    assert f"{tracks}:18: " in refused(*street.embed(tracks=tracks))
    assert street.leftovers() == set()


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["--model", "test_r3d_ml"], "unknown model 'test_r3d_ml'; did you mean 'test_r3d_nl'?"),
        (["--model", "test_r3d_nl.imagenett"], "did you mean 'imagenet'?"),
        (["--pretrained", "imagenett"], "did you mean 'imagenet'?"),
        (["--pretrained", "no/weights.pth"], "no/weights.pth: no such file"),
        (["--device", "quantum"], "device 'quantum' cannot be used here"),
        (["--device", "cuda:99"], "device 'cuda:99' cannot be used here"),
        (["--device", "meta"], "devices that can: 'cpu'"),
        (["--tracks", "no.txt"], "no.txt: cannot be read (No such file or directory)"),
        (["--min-frames", "13"], "tracks.txt: no track has 13 or more pictures"),
        (["-o", "no/people"], "no/people: cannot be written: there is no folder"),
        (["-o", "."], ".: cannot be written: it exists and is no regular file"),
    ],
)
def test_wrong_options_are_answered_in_one_line(street, refused, monkeypatch, options, answer):
    monkeypatch.chdir(street.folder)
    assert answer in refused(*street.embed(*options))
    assert street.leftovers() == set()


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["--batch-size", "0"], "argument --batch-size: '0' is no whole number from 1"),
        (["--batch-size", "2.5"], "'2.5' is no whole number from 1"),
        (["--min-frames", "0"], "argument --min-frames: '0' is no whole number from 1"),
        (["--seed", "-1"], "argument --seed: '-1' is no whole number from 0 to 9223372036854775807"),
        (["--seed", "9" * 40], "argument --seed"),
        (["--autocast", "float64"], "invalid choice: 'float64' (choose from"),
    ],
)
def test_values_that_cannot_be_are_usage_errors(street, misused, options, answer):
    assert answer in misused(*street.embed(*options))
    assert street.leftovers() == set()


@pytest.mark.parametrize("name", ["loop", "n" * 300])
def test_paths_that_lead_nowhere_are_errors_in_one_line(street, refused, name):
    (street.folder / "loop").symlink_to("loop")
    wrong = street.folder / name
    base = ["embed", "--model", "test_r3d", "--device", "cpu"]
    assert f"{wrong}: cannot be " in refused(*base, street.people(), "-o", wrong)
    assert f"{wrong}: cannot be " in refused(*base, wrong, "-o", street.output)
    assert f"{wrong}: cannot be " in refused(*base, street.video(), "--tracks", wrong, "-o", street.output)
    assert street.leftovers() == {"loop"}


def test_a_name_that_could_not_be_read_again_is_refused_before_the_work(street, refused):
    output = street.folder / os.fsdecode(b"caf\xe9")
    assert "the path is not UTF-8" in refused("embed", street.people(), "-o", output, "--model", "test_r3d")
    assert street.leftovers() == set()


def test_sources_that_are_none(street, refused):
    tracks, output = street.tracks(), ["-o", street.output, "--model", "test_r3d"]
    assert "no.avi: no such file" in refused("embed", street.folder / "no.avi", "--tracks", tracks, *output)
    assert "no: no such file or folder" in refused("embed", street.folder / "no", *output)
    assert "is a file; --tracks FILE says where the people are" in refused("embed", street.video(), *output)
    assert "no video" in refused("embed", tracks, "--tracks", tracks, *output)
    assert "no image file" in refused("embed", street.folder, *output)
    assert street.leftovers() == set()


def test_folders_that_are_all_too_short(street, refused):
    answer = refused("embed", street.people(), "-o", street.output, "--model", "test_r3d", "--min-frames", 13)
    assert f"{street.folder / 'people'}: no track has 13 or more pictures" in answer


def test_nothing_that_is_read_is_written_over(street, refused):
    video, tracks, weights = street.video(), street.tracks(), saved_weights(street.folder)
    for path in (video, tracks, weights):
        before = path.read_bytes()
        arguments = street.embed("--pretrained", weights, "-o", path, source=video, tracks=tracks)
        assert "is read, and cannot be written too" in refused(*arguments)
        assert path.read_bytes() == before


def test_a_truncated_video_names_its_last_good_frame_and_leaves_the_old_file(street, refused):
    video = street.video()
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    street.output.write_bytes(b"old")
    answer = refused(*street.embed("--batch-size", 1, source=video))
    assert re.search(r"street\.avi: decoding stopped after frame [1-9]", answer)
    assert street.leftovers() == {"people.safetensors"}
    assert street.output.read_bytes() == b"old"


def test_broken_pictures_are_named(street, refused):
    people = street.people()
    (people / "2" / "9.png").write_bytes(b"\x89PNG")
    assert "2/9.png: not a readable image" in refused("embed", people, "-o", street.output, "--model", "test_r3d")
    assert street.leftovers() == set()


def test_ctrl_c_while_embedding_leaves_nothing(street, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("nlreid.embedding.extract._run", interrupted)
    assert main(street.embed()) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "nlreid: interrupted"
    assert street.leftovers() == set()


def test_ctrl_c_while_writing_leaves_nothing(street, monkeypatch):
    def interrupted(_descriptor):
        raise KeyboardInterrupt

    arguments = street.embed()
    monkeypatch.setattr("os.fsync", interrupted)
    assert main(arguments) == 130
    assert street.leftovers() == set()


def test_errors_that_are_not_ours_pass_and_leave_nothing(street, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("nlreid.embedding.extract._run", exhausted)
    with pytest.raises(MemoryError):
        main(street.embed())
    assert street.leftovers() == set()


def test_a_picture_that_is_read_is_not_written_over(street, refused):
    people = street.people()
    picture = next(people.rglob("*.png"), None) or next(people.rglob("*.jpg"))
    before = picture.read_bytes()
    assert "would be one of the pictures" in refused("embed", people, "-o", picture, "--model", "test_r3d")
    assert picture.read_bytes() == before
