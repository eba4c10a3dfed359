"""Two, three and four processes answer what one answers, bit for bit; whatever stops them, finished work is kept."""

import shutil

import pytest
import torch
from processes.one_of_several import GROUPS, LENGTHS, by_parts, new_model, problem, scores, start

import nlreid
from nlreid.errors import InputError
from nlreid.processes import Processes

pytestmark = pytest.mark.usefixtures("one_thread")
CLIPS = sum(-(-frames // 4) for frames in LENGTHS)  # of four frames each
MISSING = (0, 3, 4)
MISSING_CLIPS = sum(-(-frames // 4) for part in MISSING for frames in LENGTHS[2 * part : 2 * part + 2])
SHARDS = (1, 700, 2, 1500, 798)


def saved(gallery, folder):
    """The gallery as a folder of shards of odd lengths."""
    folder.mkdir()
    start = 0
    for number, count in enumerate(SHARDS):
        rows = range(start, start + count)
        gallery.select(list(rows)).save(folder / f"{number}.safetensors")
        start += count
    assert start == len(gallery)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def alone(folder):
    """What one process answers."""
    return by_parts(folder / "alone")


@pytest.fixture(scope="module")
def answers(folder, alone):
    """What each process of each group answers: they start once."""
    assert len(alone) == len(LENGTHS)
    by_parts(folder / "of another", new_model(seed=1))
    for count in GROUPS:
        for name in ("half", "mixed"):
            shutil.copytree(folder / "alone", folder / f"{name} {count}")
        for part in MISSING:
            (folder / f"half {count}" / "parts" / f"{part:05d}.safetensors").unlink()
        shutil.copy(folder / "of another" / "parts" / "00001.safetensors", folder / f"mixed {count}" / "parts")
    saved(problem()[1], folder / "gallery")
    for code, errors in start(max(GROUPS), folder, "everything"):
        assert code == 0, errors
    by_rank = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(max(GROUPS))]
    return {count: [by_rank[rank][count] for rank in range(count)] for count in GROUPS}


# --- what comes out


@pytest.mark.parametrize("count", GROUPS)
@pytest.mark.parametrize("how", ["new", "half"])
def test_embeddings_are_those_of_one_process(answers, alone, folder, count, how):
    for answer in answers[count]:
        assert torch.equal(answer["features"][how], alone.features)
        assert torch.equal(answer["labels"][how], torch.stack([alone.pids, alone.camids]))
        assert answer["names"][how] == [track.name for track in alone.tracks]
        assert answer["model"][how] == alone.model
    kept, expected = (
        {path.name: path.read_bytes() for path in (folder / name / "parts").iterdir()} for name in (f"{how} {count}", "alone")
    )
    assert kept == expected


@pytest.mark.parametrize("count", GROUPS)
def test_each_part_is_embedded_once_and_by_all_of_them(answers, count):
    for how, clips in (("new", CLIPS), ("half", MISSING_CLIPS)):
        found = [answer["clips"][how] for answer in answers[count]]
        assert sum(found) == clips
        assert sum(map(bool, found)) == min(count, 6 if how == "new" else len(MISSING))


@pytest.mark.parametrize("count", GROUPS)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_scores_are_those_of_one_process(answers, count, metric):
    expected = scores(*problem(), metric=metric)
    for answer in answers[count]:
        assert {name for name, values in expected.items() if not torch.equal(values, answer["scores"][metric][name])} == set()


# --- what goes wrong


@pytest.mark.parametrize("count", GROUPS)
def test_a_part_of_another_model_is_refused_by_all(answers, folder, count):
    first, *others = [answer["mixed"] for answer in answers[count]]
    assert first.startswith("OtherEmbeddingsError: ")
    assert "00001.safetensors: is no part of what embedding.json describes" in first
    assert all(other.startswith(f"ProcessesError: process 0 of {count} failed: OtherEmb") for other in others)
    assert len(list((folder / f"mixed {count}" / "parts").iterdir())) == 6


@pytest.mark.parametrize("count", GROUPS)
def test_processes_with_other_models_are_refused_by_all(answers, folder, count):
    for answer in answers[count]:
        assert f"the {count} processes are to have the same weights, tracklets and options; 1" in answer["other model"]
    assert list((folder / f"other {count}").iterdir()) == []


@pytest.mark.parametrize("count", GROUPS)
def test_a_feature_that_is_not_finite_is_an_error_in_all(answers, count):
    *others, last = [answer["spoilt"] for answer in answers[count]]
    assert last.startswith("InputError: features of the gallery are finite")
    assert all(f"process {count - 1} of {count} failed: InputError: features of the gallery" in other for other in others)


@pytest.mark.parametrize("count", GROUPS)
def test_processes_with_other_queries_are_refused_by_all(answers, count):
    for answer in answers[count]:
        assert f"the {count} processes are to have the same query, gallery and metric; 1" in answer["other query"]


@pytest.mark.parametrize(
    ("job", "code", "message"),
    [("killed", -9, ""), ("full_disk", 1, "00003.safetensors: cannot be written (No space left on device)")],
)
def test_a_process_that_ends_takes_no_finished_part_with_it(tmp_path, alone, job, code, message):
    first, last = start(2, tmp_path, job)
    assert last[0] == code
    assert message in last[1]
    assert first[0] == 1
    assert "ProcessesError: process 0 of 2 waited for the others, and one of them is gone" in first[1]
    there = {path.name: path.read_bytes() for path in (tmp_path / "kept" / "parts").iterdir()}
    assert {"00000.safetensors", "00001.safetensors", "00002.safetensors", "00004.safetensors"} == set(there)
    assert torch.equal(by_parts(tmp_path / "kept").features, alone.features)
    assert {name: (tmp_path / "kept" / "parts" / name).read_bytes() for name in there} == there


# --- one process


def test_alone_sharing_changes_nothing(alone, folder):
    again = by_parts(folder / "shared alone", share=True)
    assert torch.equal(again.features, alone.features)
    query, gallery = problem()
    assert nlreid.evaluate(query, gallery, share=True).mAP == nlreid.evaluate(query, gallery).mAP


def test_a_mapped_result_is_the_same_and_stays_in_the_folder(alone, folder):
    mapped = by_parts(folder / "alone", mapped=True)
    assert not isinstance(mapped.features, torch.Tensor)
    assert torch.equal(mapped.features[:], alone.features)
    assert (list(mapped.tracks), mapped.model) == (list(alone.tracks), alone.model)
    assert mapped.index("t7") == 7


@pytest.mark.parametrize("share", [1, None, "all", 2.0])
def test_what_is_no_group_is_refused(share):
    with pytest.raises(InputError, match="share is True, False or a process group"):
        nlreid.evaluate(*problem(), share=share)
    with pytest.raises(InputError, match="share is True, False or a process group"):
        by_parts("nowhere", share=share)


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("items", [0, 1, 3, 11])
def test_all_items_fall_to_somebody_once(count, items):
    team = [Processes(rank, count) for rank in range(count)]
    assert sorted(item for one in team for item in one.part_of(range(items))) == list(range(items))
    assert [item for one in team for item in one.stretch_of(items)] == list(range(items))
