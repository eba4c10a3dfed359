"""`nlreid evaluate`: what it says is what the library answers, for a data set and for saved embeddings."""

import hashlib
import io
import json
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from data.miniature import publish_mars, write_mars
from PIL import Image

import nlreid
from nlreid import Embeddings
from nlreid.cli import main
from nlreid.data.datasets.people import read_people
from nlreid.data.datasets.table import DATASETS, Dataset, read_splits
from nlreid.data.split import Split
from nlreid.evaluation import camera_matrix, confidence_interval, evaluate, evaluate_distances, over_splits, rerank
from nlreid.visualize import draw_cmc

pytestmark = pytest.mark.usefixtures("one_thread")

RANDOM = "nlreid: the weights are random; give --pretrained for a ranking that means something\n"
SCORES = ["rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP"]
MODEL = ["--model", "test_r3d", "--device", "cpu"]


@pytest.fixture
def mars(tmp_path, monkeypatch):
    publish_mars(monkeypatch)
    return write_mars(tmp_path / "MARS")


@pytest.fixture
def people(tmp_path):
    """Four persons, three cameras, two tracks: more alike within a person than between two, but not much."""
    generator = np.random.default_rng(0)
    for person in "1234":
        mean = generator.integers(60, 200, (8, 4, 3))
        for track in ("c1/t1", "c1/t2", "c2/t1", "c3/t1"):
            plant(tmp_path / "people" / person / track, mean, generator)
    return tmp_path / "people"


def plant(folder, mean, generator):
    folder.mkdir(parents=True)
    for number in range(1, 3):
        picture = mean + generator.integers(-60, 60, mean.shape)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")


@pytest.fixture
def _two_splits(monkeypatch):
    """A data set of two splits of the persons: 1 to 3, 2 to 4, each read anew."""

    def read(root, *, split, partial=False):
        whole = read_people(root)
        query, gallery = ([t for t in part if 1 + split <= t.pid <= 3 + split] for part in (whole.query, whole.gallery))
        return Split(f"toy, split {split}", (), tuple(query), tuple(gallery), ("partial",) * partial)

    monkeypatch.setitem(DATASETS, "toy", Dataset(read, "two splits", splits=2))


@pytest.fixture
def batches(monkeypatch):
    """How many clips ran in each batch; `batches.end_after(n)` interrupts the one after the n-th."""

    class Batches(list):
        end = None

        def end_after(self, count):
            self.clear()
            self.end = count

    seen, run = Batches(), nlreid.embedding.extract._run

    def counted(model, clips, autocast):
        if len(seen) == seen.end:
            raise KeyboardInterrupt
        seen.append(len(clips))
        return run(model, clips, autocast)

    monkeypatch.setattr("nlreid.embedding.extract._run", counted)
    return seen


def command(*arguments):
    return main(["evaluate", *map(str, arguments)])


def answer(capsys, *arguments):
    """What `--json` gives."""
    capsys.readouterr()
    assert command(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def table(text, title):
    """The rows of the table under a title."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(title))
    rows = [line.split() for line in lines[start + 2 : start + 2 + len(SCORES)]]
    assert [row[0] for row in rows] == SCORES
    return lines[start + 1], rows


def embedded(split, seed=0):
    """The sides of a split, by the library; the command puts every name in one call, in this order."""
    torch.manual_seed(seed)
    model = nlreid.create_model("test_r3d").eval()
    tracklets = list({tracklet.name: tracklet for tracklet in (*split.query, *split.gallery)}.values())
    all_of_them = nlreid.embed(model, tracklets, batch_size=8, progress=False)
    return [all_of_them.select([all_of_them.index(t.name) for t in part]) for part in (split.query, split.gallery)]


# --- a data set


def test_what_is_printed_is_what_the_library_answers(mars, capsys):
    assert command("mars", mars, *MODEL) == 0
    shown = capsys.readouterr()
    [split] = read_splits("mars", mars)
    assert shown.out.startswith(split.summary() + "\n\nMARS (official)\n")
    assert shown.err.startswith(RANDOM)
    assert "11/11" in shown.err
    scores = evaluate(*embedded(split))
    header, rows = table(shown.out, "euclidean distance, average precision")
    assert header.split(maxsplit=3) == ["score", "per", "cent", "95 % interval (bootstrap over the queries)"]
    for name, *numbers in rows:
        interval = confidence_interval(scores, name)
        assert numbers == [f"{100 * value:.2f}" for value in (scores.as_dict()[name], interval.low)] + [
            "to",
            f"{100 * interval.high:.2f}",
        ]
    assert shown.out.endswith("queries: 4 valid, 0 left out since the gallery has no right answer\n")


def test_json_is_all_that_is_printed(mars, capsys):
    assert command("mars", mars, *MODEL, "--json", "--protocol", "community", "--seed", 5, "--rerank", "--cameras") == 0
    shown = capsys.readouterr()
    said = json.loads(shown.out)
    [split] = read_splits("mars", mars, protocol="community")
    query, gallery = embedded(split, seed=5)
    scores = evaluate(query, gallery)
    assert said["nlreid"] == nlreid.__version__
    assert said["data"] == {"name": "mars", "root": str(mars), "split": None, "partial": False, "protocol": "community"}
    assert said["model"] == {
        "name": "test_r3d", "weights": "random", "sha256": None, "seed": 5, "autocast": None,
        "embeddings": "test_r3d, weights: random, seed 5", "embedded": 9,
    }  # fmt: skip
    assert (said["metric"], said["ap"], said["mean"]) == ("euclidean", "average_precision", None)
    [one] = said["splits"]
    assert one["name"] == "MARS (community)"
    assert one["notes"] == list(split.notes) == ["2 of 4 queries have no right answer in the gallery"]
    assert (one["queries"], one["gallery"]) == (4, len(split.gallery))
    assert one["scores"].pop("intervals")["mAP"] == list(confidence_interval(scores, "mAP"))
    assert one["scores"] == scores.as_dict()
    assert (one["scores"]["valid queries"], one["scores"]["invalid queries"]) == (2, 2)
    after = evaluate_distances(rerank(query.features, gallery.features), query, gallery)
    assert one["reranked"]["mAP"] == after.mAP
    assert one["cameras"]["cameras"] == list(camera_matrix(scores).cameras)


def test_protocols_and_partial_reach_the_reader(mars, capsys):
    assert answer(capsys, "mars", mars, *MODEL)["data"]["protocol"] == "official"
    next((mars / "bbox_train" / "0001").iterdir()).unlink()
    assert command("mars", mars, *MODEL) == 1
    said = answer(capsys, "mars", mars, *MODEL, "--partial")
    assert said["data"]["partial"]
    assert any("missing: 1" in note for note in said["splits"][0]["notes"])


def test_what_is_missing_is_told_with_the_option_of_the_command(mars, refused):
    next((mars / "bbox_train" / "0001").iterdir()).unlink()
    said = refused("evaluate", "mars", mars, *MODEL)
    assert "give --partial to read what is there" in said
    assert "partial=" not in said


def test_options_of_the_data_set_are_passed_on_and_told_with_their_defaults(people, capsys, monkeypatch):
    seen = []

    def read(root, *, splits=None, min_frames=27, partial=False):
        seen.append((splits, min_frames, partial))
        return read_people(root)

    monkeypatch.setitem(DATASETS, "toy", Dataset(read, "one split", options=("splits", "min_frames")))
    said = answer(capsys, "toy", people, *MODEL, "--splits", "generated")["data"]
    assert (said["splits"], said["min_frames"]) == ("generated", 27)
    said = answer(capsys, "toy", people, *MODEL, "--min-frames", 2, "--partial")["data"]
    assert (said["splits"], said["min_frames"]) == (None, 2)
    assert seen == [("generated", 27, False), (None, 2, True)]


def test_people_are_drawn_who_lie_nowhere(capsys, refused, tmp_path):
    drawn = {"seed": 4, "identities": 3, "cameras": 3, "tracklets": 2}
    options = ["--data-seed", 4, "--identities", 3, "--data-cameras", 3, "--tracklets", 2, "--keep", tmp_path / "kept"]
    said = answer(capsys, "synthetic", *MODEL, *options)
    assert said["data"]["root"] is None
    assert {name: said["data"][name] for name in drawn} == drawn
    [split] = read_splits("synthetic", **drawn)
    [scored] = said["splits"]
    assert (scored["name"], scored["queries"], scored["gallery"]) == (split.name, 6, 12)
    assert scored["scores"]["mAP"] == evaluate(*embedded(split)).mAP
    other = refused("evaluate", "synthetic", *MODEL, *options, "--data-seed", 5, "--quiet")
    assert "the first that differs is number 0: '0001_c1_0', '0001_c1_0', of other pictures" in other


def test_weights_are_told_with_their_checksum(people, capsys, tmp_path):
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(nlreid.create_model("test_r3d", num_classes=5).state_dict(), path)
    said = answer(capsys, "people", people, *MODEL, "--pretrained", path, "--keep", tmp_path / "kept", "--quiet")["model"]
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (said["weights"], said["sha256"], said["seed"]) == (str(path), checksum, None)
    assert Embeddings.load(tmp_path / "kept" / "query.safetensors").model == said["embeddings"]
    assert checksum[:12] in said["embeddings"]


@pytest.fixture
def trained(tmp_path):
    """A folder of `save_pretrained`."""
    model = nlreid.create_model("test_r3d", num_classes=4)
    return nlreid.save_pretrained(model, tmp_path / "trained", card={"licence": "CC-BY-4.0", "summary": "Trained on nothing."})


def test_the_model_is_that_of_the_folder_of_its_weights(people, trained, capsys):
    said = [evaluated(capsys, people, "--pretrained", trained, *model)["model"] for model in ([], ["--model", "test_r3d"])]
    assert said[0]["name"] == "test_r3d"
    assert said[0] == said[1]


def test_a_file_says_its_model_as_its_folder_does(people, trained, capsys):
    assert evaluated(capsys, people, "--pretrained", trained / "model.safetensors")["model"]["name"] == "test_r3d"


def test_a_tag_comes_before_a_folder_that_is_called_so(people, trained, monkeypatch):
    trained.rename(trained.with_name("kinetics"))
    monkeypatch.chdir(trained.parent)
    monkeypatch.setattr("nlreid.cli.arguments.create_model", lambda name, **_: pytest.fail(name))
    with pytest.raises(pytest.fail.Exception, match="r3d50_nl"):
        main(["evaluate", "people", str(people), "--pretrained", "kinetics"])


def test_a_folder_is_no_name_of_a_model(people, trained, capsys):
    assert main(["evaluate", "people", str(people), "--model", str(trained)]) == 1
    assert f"for the weights in a folder: --pretrained {trained}" in capsys.readouterr().err


def test_weights_that_have_moved_are_the_same(people, trained, tmp_path, capsys):
    keep = ["--keep", tmp_path / "kept"]
    before = evaluated(capsys, people, "--pretrained", trained, *keep)
    after = evaluated(capsys, people, "--pretrained", trained.rename(tmp_path / "moved"), *keep)
    assert after["splits"] == before["splits"]
    assert "moved" in after["model"]["embeddings"]


def evaluated(capsys, people, *arguments):
    assert main(["evaluate", "people", str(people), "--json", "--quiet", *map(str, arguments)]) == 0
    return json.loads(capsys.readouterr().out)


def test_quiet_is_quiet_but_not_about_random_weights(people, capsys):
    assert command("people", people, *MODEL, "--quiet") == 0
    shown = capsys.readouterr()
    assert shown.err == RANDOM
    assert shown.out.startswith(f"people in {people}\n\neuclidean distance")


@pytest.mark.usefixtures("_two_splits")
def test_of_several_splits_the_mean_is_told_and_each_tracklet_is_embedded_once(people, capsys, batches):
    said = answer(capsys, "toy", people, *MODEL)
    assert sum(batches) == 16  # of 24 that the splits have together
    scores = [evaluate(*embedded(split)) for split in read_splits("toy", people)]
    expected = over_splits(scores)
    for name, spread in said["mean"].items():
        assert spread["mean"] == pytest.approx(expected[name].mean, abs=1e-6)
        assert spread["std"] == pytest.approx(expected[name].std, abs=1e-6)
    assert [one["name"] for one in said["splits"]] == ["toy, split 0", "toy, split 1"]
    assert command("toy", people, *MODEL, "--rerank") == 0
    shown = capsys.readouterr().out
    assert "\ntoy, split 0, and 1 more\n" in shown
    for title in ("euclidean distance", "re-ranked, k1 20, k2 6, lambda_value 0.3"):
        header, rows = table(shown, title)
        assert header.endswith("+- standard deviation over 2 splits")
        assert all(row[2] == "+-" for row in rows)
    _, rows = table(shown, "euclidean distance")
    assert rows[4][1:] == [f"{100 * expected['mAP'].mean:.2f}", "+-", f"{100 * expected['mAP'].std:.2f}"]
    assert shown.endswith("queries: 18 valid, 0 left out since the gallery has no right answer\n")


@pytest.mark.usefixtures("_two_splits")
def test_one_split_can_be_asked_for(people, capsys, batches):
    said = answer(capsys, "toy", people, *MODEL, "--split", 1)
    assert sum(batches) == 12
    assert [one["name"] for one in said["splits"]] == ["toy, split 1"]
    assert (said["data"]["split"], said["mean"]) == (1, None)


# --- a folder that keeps the embeddings


def test_kept_embeddings_are_scored_the_same(mars, capsys, tmp_path):
    kept = tmp_path / "new" / "kept"
    before = answer(capsys, "mars", mars, *MODEL, "--keep", kept, "--rerank", "--cameras")
    assert {path.name for path in kept.iterdir()} == {"embedding.json", "parts", "query.safetensors", "gallery.safetensors"}
    files = ["--query", kept / "query.safetensors", "--gallery", kept / "gallery.safetensors"]
    after = answer(capsys, *files, "--rerank", "--cameras")
    for key in ("scores", "reranked", "cameras"):
        assert after["splits"][0][key] == before["splits"][0][key]
    assert after["model"]["embeddings"] == before["model"]["embeddings"] == "test_r3d, weights: random, seed 0"
    assert after["files"] == {"query": str(files[1]), "gallery": str(files[3])}
    plain = answer(capsys, "mars", mars, *MODEL)
    assert plain["splits"][0]["scores"] == before["splits"][0]["scores"]


@pytest.mark.usefixtures("_two_splits")
def test_several_splits_have_a_folder_each(people, capsys, tmp_path):
    kept = tmp_path / "kept"
    said = answer(capsys, "toy", people, *MODEL, "--keep", kept)
    for number in range(2):
        files = [kept / f"split_{number}" / f"{side}.safetensors" for side in ("query", "gallery")]
        one = answer(capsys, "--query", files[0], "--gallery", files[1])["splits"][0]
        assert one["scores"] == said["splits"][number]["scores"]


@pytest.mark.parametrize("end", range(6))
def test_an_interrupted_run_goes_on_where_it_stopped(people, capsys, tmp_path, monkeypatch, batches, end):
    monkeypatch.setattr("nlreid.cli.dataset.PART", 3)
    arguments = ["people", people, *MODEL, "--batch-size", 2, "--quiet"]
    expected = answer(capsys, *arguments, "--keep", tmp_path / "undisturbed")
    whole = len(batches)
    batches.end_after(end)
    assert command(*arguments, "--keep", tmp_path / "kept") == 130
    assert capsys.readouterr().err.splitlines()[-1] == "nlreid: interrupted"
    assert not list(tmp_path.glob("kept/*.safetensors"))
    batches.end_after(None)
    assert answer(capsys, *arguments, "--keep", tmp_path / "kept") == expected
    assert len(batches) == whole - end // 2 * 2
    for side in ("query", "gallery"):
        files = [tmp_path / place / f"{side}.safetensors" for place in ("undisturbed", "kept")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_part_that_was_half_written_is_embedded_again(people, capsys, tmp_path):
    arguments = ["people", people, *MODEL, "--quiet", "--keep", tmp_path / "kept"]
    expected = answer(capsys, *arguments)
    part = tmp_path / "kept" / "parts" / "00000.safetensors"
    part.write_bytes(part.read_bytes()[:1000])
    assert command(*arguments, "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == expected
    assert f"nlreid: {part}: not a file of embeddings, or a damaged one" in shown.err


def test_another_embedding_in_the_folder_is_refused(people, mars, refused, tmp_path):
    keep = ["--keep", tmp_path / "kept"]
    assert command("people", people, *MODEL, *keep) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*.*")}
    for arguments, what in (
        (["people", people, *MODEL, "--seed", 1], "weights: random (tensors "),
        (["people", people, "--model", "test_c2d"], "model: 'test_r3d' there, 'test_c2d' here"),
        (["people", people, *MODEL, "--autocast", "bfloat16"], "precision: "),
        (["mars", mars, *MODEL], "tracklets: 16 there, 11 here"),
    ):
        said = refused("evaluate", *arguments, *keep, "--quiet")
        assert what in said
        assert "name another folder, or delete this one to begin anew" in said
    assert {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*.*")} == before


def test_folders_that_cannot_keep(people, refused, tmp_path):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "query.safetensors").write_bytes(b"mine")
    arguments = ["evaluate", "people", people, *MODEL, "--quiet", "--keep"]
    assert "holds other files (query.safetensors)" in refused(*arguments, tmp_path / "foreign")
    assert (tmp_path / "foreign" / "query.safetensors").read_bytes() == b"mine"
    assert "no folder that can be written" in refused(*arguments, tmp_path / "foreign" / "query.safetensors")
    assert "lies in the data set; give --keep a folder elsewhere" in refused(*arguments, people / "kept")
    assert not (people / "kept").exists()


@pytest.mark.usefixtures("_two_splits")
def test_one_split_of_what_is_kept_of_all_can_be_scored_as_the_error_says(people, capsys, refused, tmp_path):
    arguments = ["toy", people, *MODEL, "--quiet", "--keep", tmp_path / "kept"]
    said = answer(capsys, *arguments)
    error = refused("evaluate", *arguments, "--split", 1)
    assert "tracklets: 16 there, 12 here" in error
    told = error.partition("; split 1 of what is kept there can be scored: nlreid evaluate ")[2].split()
    assert answer(capsys, *told)["splits"][0]["scores"] == said["splits"][1]["scores"]
    assert "can be scored" not in refused("evaluate", *arguments, "--seed", 7)


def test_pictures_of_another_data_set_are_not_scored_by_what_is_kept(people, refused, tmp_path):
    arguments = [*MODEL, "--quiet", "--keep", tmp_path / "kept"]
    assert command("people", people, *arguments) == 0
    generator = np.random.default_rng(1)
    for picture in sorted(people.rglob("*.png")):
        other = tmp_path / "others" / picture.relative_to(people)
        other.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (8, 4, 3), dtype=np.uint8)).save(other)
    said = refused("evaluate", "people", tmp_path / "others", *arguments)
    assert "the first that differs is number 0: '1/c1/t1', '1/c1/t1', of other pictures" in said


@pytest.mark.parametrize("name", ["loop", "n" * 300])
def test_paths_that_lead_nowhere_are_errors_in_one_line(people, refused, tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    wrong = tmp_path / name
    assert f"{wrong}" in refused("evaluate", "people", people, *MODEL, "--quiet", "--keep", wrong)
    assert f"{wrong}" in refused("evaluate", "people", wrong, *MODEL, "--quiet", "--keep", tmp_path / "kept")
    assert f"{wrong}" in refused("evaluate", "--query", wrong, "--gallery", wrong)


def test_names_that_the_terminal_cannot_show_are_shown_with_backslashes(tmp_path, monkeypatch):
    root = tmp_path / "pe öple 人"
    for track in ("1/c1", "1/c2"):
        plant(root / track, np.full((8, 4, 3), 99), np.random.default_rng(0))
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", output)
    assert command("people", root, *MODEL) == 0
    assert rb"pe \xf6ple \u4eba" in output.buffer.getvalue()


# --- what is wrong with a data set is said before anything is embedded


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["peple", "."], "unknown data set 'peple'; did you mean 'people'?"),
        (["people", "nowhere"], "nowhere: not a folder that can be read"),
        (["people", ".", "--protocol", "official"], "'people' does not take --protocol; it takes --split, --partial"),
        (["mars", ".", "--min-frames", 3, "--splits", "x"], "'mars' does not take --splits, --min-frames; it takes --split"),
        (["ilids_vid", ".", "--split", 10], "'ilids_vid' has splits 0 to 9; got split=10"),
        (["mars", ".", "--data-seed", 3], "'mars' does not take --data-seed; it takes --split, --partial, --protocol"),
        (
            ["synthetic", "--protocol", "x"],
            "it takes --split, --partial, --data-seed, --identities, --data-cameras, --tracklets",
        ),
        (["mars", ".", "--protocol", "offical"], "unknown protocol of MARS 'offical'; did you mean 'official'?"),
        (["people", ".", "--device", "quantum"], "device 'quantum' cannot be used here"),
        (["people", ".", "--model", "test_r3"], "unknown model 'test_r3'; did you mean"),
        (["people", "."], "none of 1 queries has a right answer, the same person in another camera, among 1 tracklets"),
    ],
)
def test_a_data_set_that_cannot_be_scored(tmp_path, monkeypatch, refused, batches, arguments, said):
    monkeypatch.chdir(tmp_path)
    cameras = ["c1", "c2"] if "--model" in arguments else ["c1"]
    for camera in cameras:
        plant(tmp_path / "1" / camera, np.full((8, 4, 3), 99), np.random.default_rng(0))
    more = [] if "--model" in arguments else ["--model", "test_r3d"]
    assert said in refused("evaluate", *arguments, *more, "--quiet")
    assert batches == []


def test_tracks_of_query_and_gallery_may_be_called_the_same(tmp_path, capsys):
    for number, track in enumerate(("query/1/c1", "gallery/1/c1", "gallery/1/c2")):
        plant(tmp_path / track, np.full((8, 4, 3), 90), np.random.default_rng(number))
    assert main(["evaluate", "people", str(tmp_path), *MODEL, "--json", "--quiet", "--cameras"]) == 0
    [split] = json.loads(capsys.readouterr().out)["splits"]
    assert (split["queries"], split["gallery"]) == (1, 2)


def test_two_different_tracklets_of_one_name_are_refused(people, refused, monkeypatch, batches):
    def read(root, *, partial=False):
        whole = read_people(root)
        other = nlreid.Tracklet("1/c1/t1", whole.gallery[1].frames, 1, 1)
        return Split(f"toy {partial}", (), (other,), whole.gallery)

    monkeypatch.setitem(DATASETS, "toy", Dataset(read, "one split"))
    said = refused("evaluate", "toy", people, *MODEL, "--quiet")
    assert "two different tracklets are called '1/c1/t1': pid 1 in camera 1, from " in said
    assert "rename one of them" in said
    assert batches == []


def test_one_person_with_another_number_in_another_split_is_refused(people, refused, monkeypatch, batches):
    def read(root, *, split, partial=False):
        whole = read_people(root)
        gallery = [nlreid.Tracklet(t.name, t.frames, t.pid + split, t.camid) for t in whole.gallery]
        return Split(f"toy {partial}", (), tuple(gallery), tuple(gallery))

    monkeypatch.setitem(DATASETS, "toy", Dataset(read, "two splits", splits=2))
    assert "two different tracklets are called '1/c1/t1'" in refused("evaluate", "toy", people, *MODEL, "--quiet")
    assert batches == []


# --- saved embeddings


@pytest.fixture
def saved(tmp_path):
    """Two files, with junk, a distractor and two queries that nobody answers."""
    generator = torch.Generator().manual_seed(3)
    pids = [1, 1, 2, 3, 4, 4, 9]
    query = Embeddings(torch.randn(7, 4, generator=generator), pids, [1, 2, 1, 2, 1, 3, 1], model="m")
    gallery_pids = [1, 1, 2, 2, 3, 4, 0, -1, -1, 4, 3, 2]
    gallery = Embeddings(torch.randn(12, 4, generator=generator), gallery_pids, [1, 2, 3] * 4, model="m")
    paths = [tmp_path / "q.safetensors", tmp_path / "g.safetensors"]
    for side, path in zip((query, gallery), paths, strict=True):
        side.save(path)
    return query, gallery, ["--query", paths[0], "--gallery", paths[1]]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("ap", ["average_precision", "trapezoid"])
def test_files_are_scored_as_the_library_scores_them(saved, capsys, metric, ap):
    query, gallery, files = saved
    expected = evaluate(query, gallery, metric=metric, ap=ap)
    said = answer(capsys, *files, "--metric", metric, "--ap", ap)
    scores = said["splits"][0]["scores"]
    for name in SCORES:
        assert scores["intervals"][name] == list(confidence_interval(expected, name))
    del scores["intervals"]
    assert scores == expected.as_dict()
    assert (said["metric"], said["ap"], said["splits"][0]["reranked"], said["splits"][0]["cameras"]) == (metric, ap, None, None)
    assert command(*files, "--metric", metric, "--ap", ap) == 0
    shown = capsys.readouterr()
    _, rows = table(shown.out, f"{metric} distance, {ap.replace('_', ' ')}")
    assert [row[1] for row in rows] == [f"{100 * scores[name]:.2f}" for name in SCORES]
    assert "queries: 5 valid, 2 left out" in shown.out  # 9 is not there, and 3 was seen by one camera only
    assert shown.err == ""


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_reranking_leaves_junk_out(saved, capsys, metric):
    query, gallery, files = saved
    rows = [row for row, pid in enumerate(gallery.pids.tolist()) if pid != -1]
    sides = query.features, gallery.features[rows]
    if metric == "cosine":
        sides = [side / side.norm(dim=1, keepdim=True) for side in sides]
    expected = evaluate_distances(rerank(*sides), query, gallery.select(rows), ap="trapezoid")
    said = answer(capsys, *files, "--rerank", "--metric", metric, "--ap", "trapezoid")
    assert said["reranking"] == {"k1": 20, "k2": 6, "lambda_value": 0.3}
    reranked = said["splits"][0]["reranked"]
    del reranked["intervals"]
    assert reranked == pytest.approx(expected.as_dict())
    assert said["splits"][0]["scores"]["mAP"] == evaluate(query, gallery, metric=metric, ap="trapezoid").mAP


def test_camera_matrices_are_shown_with_gaps(saved, capsys):
    query, gallery, files = saved
    matrix = camera_matrix(evaluate(query, gallery))
    said = answer(capsys, *files, "--cameras")["splits"][0]["cameras"]
    for name, values in (("rank-1", matrix.rank1), ("mAP", matrix.mAP)):
        assert np.isnan(values).any()
        assert np.array_equal(np.array(said[name], dtype=float), values, equal_nan=True)
    assert said["queries"] == matrix.queries.tolist()
    assert command(*files, "--cameras") == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if ": mAP, per cent" in line)
    assert lines[start + 1].split() == [str(camera) for camera in matrix.cameras]
    for camera, row, line in zip(matrix.cameras, matrix.mAP, lines[start + 2 :], strict=False):
        assert line.split() == [str(camera), *("-" if np.isnan(value) else f"{100 * value:.2f}" for value in row)]


@pytest.fixture
def curves(monkeypatch):
    """What `draw_cmc` was asked for; it is drawn all the same."""
    seen, draw = [], draw_cmc

    def noted(systems, *, title):
        seen.append((systems, title))
        return draw(systems, title=title)

    monkeypatch.setattr("nlreid.cli.evaluate.draw_cmc", noted)
    return seen


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_the_picture_is_of_the_cmc_before_and_after_reranking(saved, capsys, tmp_path, curves, ending):
    query, gallery, files = saved
    picture = tmp_path / f"cmc.{ending}"
    assert command(*files, "--rerank", "--picture", picture) == 0
    assert capsys.readouterr().out.endswith(f"\n{picture}: the CMC\n")
    ((systems, title),) = curves
    assert list(systems) == ["m", "m, re-ranked"]
    assert title == f"{files[1]} in {files[3]}"
    assert np.array_equal(systems["m"][0].cmc, evaluate(query, gallery).cmc)
    assert not np.array_equal(systems["m"][0].average_precision, systems["m, re-ranked"][0].average_precision)
    assert picture.read_bytes()[:4] in (b"%PDF", b"\x89PNG")


@pytest.mark.usefixtures("_two_splits")
def test_the_picture_of_several_splits_is_of_them_all(people, capsys, tmp_path, curves):
    assert command("toy", people, *MODEL, "--json", "--picture", tmp_path / "cmc.png") == 0
    assert len(json.loads(capsys.readouterr().out)["splits"]) == 2
    ((systems, _),) = curves
    ((name, splits),) = systems.items()
    assert name == "test_r3d"
    assert len(splits) == 2


def test_pictures_are_refused_before_the_work(people, tmp_path, refused, monkeypatch, batches):
    base = ["evaluate", "people", people, *MODEL, "--picture"]
    assert "wanted one of .png" in refused(*base, tmp_path / "cmc.txt")
    assert "there is no folder" in refused(*base, tmp_path / "no" / "cmc.png")
    one = next(people.rglob("*.png"))
    before = one.read_bytes()
    for inside in (one, people / "cmc.png"):
        assert f"{inside} lies in the data set; give --picture a place elsewhere" in refused(*base, inside)
    assert one.read_bytes() == before
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'nlreid[viz]'" in refused(*base, tmp_path / "cmc.png")
    assert batches == []


def test_a_picture_does_not_take_the_place_of_embeddings(saved, tmp_path, refused):
    query, _, files = saved
    named = tmp_path / "q.png"
    query.save(named)
    before = named.read_bytes()
    assert "is read, and cannot be written too" in refused("evaluate", "--query", named, *files[2:], "--picture", named)
    assert named.read_bytes() == before


def test_one_file_can_be_both(saved, capsys):
    _, gallery, files = saved
    said = answer(capsys, "--query", files[3], "--gallery", files[3])
    scores = evaluate(gallery, gallery)
    assert said["splits"][0]["scores"]["mAP"] == scores.mAP


def test_files_that_cannot_be_scored(saved, tmp_path, refused):
    query, gallery, files = saved
    other = tmp_path / "other.safetensors"

    def with_other(**changes):
        facts = {"pids": gallery.pids, "camids": gallery.camids, "model": "m"} | changes
        Embeddings(facts.pop("features", gallery.features), **facts).save(other)
        return refused("evaluate", *files[:3], other)

    assert "different models cannot be compared: 'm' and 'n'; embed both with one model" in with_other(model="n")
    said = with_other(pids=None, camids=None)
    assert f"{other}: holds no pids and no camids, without which nothing can be scored" in said
    assert "nlreid evaluate DATASET ROOT --keep FOLDER" in said
    assert "holds no camids" in with_other(camids=None)
    assert "(7, 4) and (12, 3)" in with_other(features=gallery.features[:, :3])
    assert "none of the 7 queries has a right answer" in with_other(pids=gallery.pids + 100)
    assert len(query) == 7
    other.write_bytes(b"")
    assert "not a file of embeddings" in refused("evaluate", *files[:3], other)
    assert "no such file" in refused("evaluate", "--query", tmp_path / "no", "--gallery", other)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give DATASET and ROOT, or --query FILE and --gallery FILE, and not some of both"),
        (["mars"], "give DATASET and ROOT"),
        (["--query", "q"], "give DATASET and ROOT"),
        (["--gallery", "g"], "give DATASET and ROOT"),
        (["mars", "root", "--query", "q"], "give DATASET and ROOT"),
        (["mars", "root", "--query", "q", "--gallery", "g"], "give DATASET and ROOT"),
        (["mars", "--query", "q", "--gallery", "g"], "give DATASET and ROOT"),
        (["--query", "q", "--gallery", "g", "--seed", "1"], "only with DATASET and ROOT goes --seed"),
        (["--query", "q", "--gallery", "g", "--partial", "--keep", "x"], "goes --partial, --keep"),
        (["--query", "q", "--gallery", "g", "--model", "r3d18"], "goes --model"),
        (["mars", "root", "--metric", "cosinus"], "invalid choice: 'cosinus'"),
        (["mars", "root", "--ap", "area"], "invalid choice: 'area'"),
        (["mars", "root", "--split", "-1"], "'-1' is no whole number from 0"),
        (["mars", "root", "--min-frames", "0"], "'0' is no whole number from 1"),
        (["mars", "root", "--batch-size", "0"], "'0' is no whole number from 1"),
        (["mars", "root", "more"], "unrecognized arguments: more"),
        (["synthetic", "root"], "synthetic is drawn and lies nowhere; leave root out"),
        (["synthetic", "--query", "q", "--gallery", "g"], "give DATASET and ROOT"),
        (["synthetic", "--data-cameras", "1"], "'1' is no whole number from 2"),
        (["--query", "q", "--gallery", "g", "--data-seed", "1"], "goes --data-seed"),
    ],
)
def test_arguments_that_cannot_be_are_usage_errors(misused, arguments, said):
    assert said in misused("evaluate", *arguments)
