"""A folder of embeddings is one: what is read, searched and scored is what one file would give, whatever the borders."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nlreid
from nlreid import Embeddings
from nlreid.embedding import TrackInfo
from nlreid.errors import DataError, InputError, UnknownNameError
from nlreid.evaluation import XQDA, Stacked, calibrate, nearest
from nlreid.visualize import project

LENGTHS = (3, 1, 40, 6)
ROWS = 50


def drawn(count=ROWS, seed=0, dtype=torch.float32, width=5, **facts):
    """Few values, so that there are ties; of few persons."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randint(-2, 3, (count, width), generator=generator).to(dtype)
    features[:, 0] += 5
    pids, camids = (torch.randint(0, 4, (count,), generator=generator) for _ in range(2))
    tracks = [TrackInfo(f"t{row}", row + 1, row, 2 * row) for row in range(count)]
    return Embeddings(features, **{"pids": pids, "camids": camids, "tracks": tracks, "model": "drawn", **facts})


def write(people, folder, lengths=LENGTHS):
    folder.mkdir(parents=True, exist_ok=True)
    start = 0
    for number, count in enumerate(lengths):
        people.select(list(range(start, start + count))).save(folder / f"{number:03d}.safetensors")
        start += count
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(drawn(), tmp_path / "gallery")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_folder_is_what_one_file_is(tmp_path, dtype):
    people = drawn(dtype=dtype)
    found = Embeddings.load(write(people, tmp_path / "gallery"))
    assert isinstance(found.features, Stacked)
    assert (found.features.dtype, found.features.shape, len(found)) == (dtype, (50, 5), 50)
    assert torch.equal(found.features[:], people.features)
    assert torch.equal(found.pids, people.pids)
    assert torch.equal(found.camids, people.camids)
    assert (list(found.tracks), found.model) == (list(people.tracks), people.model)
    assert found.tracks[-2:] == people.tracks[-2:]
    assert found.index("t44") == 44
    with pytest.raises(UnknownNameError, match="did you mean 't4"):
        found.index("t444")
    with pytest.raises(IndexError):
        found.tracks[50]


def test_it_can_be_saved_as_one_file(folder, tmp_path):
    Embeddings.load(folder).save(tmp_path / "one.safetensors")
    drawn().save(tmp_path / "expected.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "expected.safetensors").read_bytes()


def test_what_is_not_known_stays_unknown(tmp_path):
    found = Embeddings.load(write(drawn(pids=None, camids=None, tracks=()), tmp_path / "gallery"))
    assert (found.pids, found.camids, found.tracks) == (None, None, ())


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_rows_are_those_of_the_matrix(tmp_path_factory, data):
    lengths = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    people = drawn(sum(lengths))
    found = Embeddings.load(write(people, tmp_path_factory.mktemp("gallery"), lengths)).features
    start, stop = (data.draw(st.none() | st.integers(-30, 30)) for _ in range(2))
    assert torch.equal(found[start:stop], people.features[start:stop])
    rows = data.draw(st.lists(st.integers(0, len(people) - 1), max_size=12))
    assert torch.equal(found[rows], people.features[rows])
    assert torch.equal(found[np.array(rows, dtype=np.int64)], people.features[rows])


@pytest.mark.parametrize("rows", [[50], [-1], [0.5], [[1]], [True, False], slice(None, None, 2)])
def test_rows_that_are_not_there_are_refused(folder, rows):
    with pytest.raises(InputError, match=r"rows of|slices of"):
        Embeddings.load(folder).features[rows]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_it_is_searched_and_scored_as_one_matrix(folder, metric):
    query, whole, found = drawn(9, 1), drawn(), Embeddings.load(folder)
    one, other = (nlreid.evaluate(query, gallery, metric=metric) for gallery in (whole, found))
    assert (one.as_dict(), one.cmc.tolist()) == (other.as_dict(), other.cmc.tolist())
    for name in ("gallery", "distances", "negatives", "itself"):
        assert np.array_equal(getattr(one.matches, name), getattr(other.matches, name)), name
    for one, other in zip(*(nearest(query.features, side.features, 7, metric=metric) for side in (whole, found)), strict=True):
        assert torch.equal(one, other)
    assert calibrate(query, whole, metric=metric) == calibrate(query, found, metric=metric)
    backwards = nlreid.evaluate(found, query, metric=metric), nlreid.evaluate(whole, query, metric=metric)
    assert backwards[0].as_dict() == backwards[1].as_dict()


def test_what_needs_all_rows_reads_them(folder):
    people, query = drawn(), drawn(9, 1)
    gallery = Embeddings.load(folder)
    assert torch.equal(nlreid.rerank(query.features, gallery.features), nlreid.rerank(query.features, people.features))
    assert torch.equal(nlreid.rerank(gallery.features, query.features), nlreid.rerank(people.features, query.features))
    read, held = (
        XQDA(regularisation=0.1).fit(side.features, people.pids, people.camids).transform(side.features)
        for side in (gallery, people)
    )
    assert torch.equal(read, held)
    assert torch.equal(project(gallery).points, project(people).points)


def test_features_that_are_not_finite_are_refused_when_they_are_read(tmp_path):
    features = drawn().features.clone()
    folder = write(drawn(), tmp_path / "gallery")
    path = folder / "002.safetensors"
    row = features[13].numpy().tobytes()
    path.write_bytes(path.read_bytes().replace(row, torch.full((5,), torch.nan).numpy().tobytes(), 1))
    with pytest.raises(InputError, match="features of the gallery are finite"):
        nlreid.evaluate(drawn(9, 1), Embeddings.load(folder))


# --- files that do not belong together


@pytest.mark.parametrize(
    ("other", "answer"),
    [
        (
            {"model": "another"},
            r"004.safetensors: made by 'another', and 000.safetensors by 'drawn'; .* each model a folder",
        ),
        ({"width": 6}, r"004.safetensors: numbers a row: 6, and of 000.safetensors 5"),
        ({"dtype": torch.float64}, r"004.safetensors: type: torch.float64, and of 000.safetensors torch.float32"),
        ({"camids": None}, r"004.safetensors: labels: \['pids'\], and of 000.safetensors \['camids', 'pids'\]"),
        ({"tracks": ()}, r"004.safetensors: names: False, and of 000.safetensors True"),
        ({}, r"004.safetensors: the name 't0' is in 000.safetensors too"),
    ],
)
def test_files_of_another_kind_are_refused(folder, other, answer):
    drawn(4, 1, **other).save(folder / "004.safetensors")
    with pytest.raises(DataError, match=answer):
        Embeddings.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", bytes(100)])
def test_a_damaged_file_is_named(folder, content):
    (folder / "001.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"001.safetensors: not a file of embeddings"):
        Embeddings.load(folder)


@pytest.mark.parametrize("end", ["gone", "short"])
def test_a_file_that_goes_away_while_it_is_read_is_named(folder, end):
    found = Embeddings.load(folder)
    path = folder / "002.safetensors"
    path.unlink() if end == "gone" else path.write_bytes(path.read_bytes()[:-8])
    assert len(found.features[:4]) == 4
    with pytest.raises(DataError, match=r"002.safetensors: "):
        found.features[3:5]


@pytest.mark.parametrize("seed", [0, 1], ids=["the same", "another"])
def test_a_file_that_is_written_anew_is_named(folder, seed):
    found, at = Embeddings.load(folder), sum(LENGTHS[:2])
    people = drawn(seed=seed).select(list(range(at, at + LENGTHS[2])))
    people.save(folder / "002.safetensors")
    assert len(found.features[:at]) == at
    for read in (
        lambda: found.features[at - 1 : at + 1],
        lambda: found.tracks[at],
        lambda: nlreid.evaluate(drawn(9, 1), found),
    ):
        with pytest.raises(DataError, match=r"002.safetensors: was written anew since it was opened; open the folder again"):
            read()
    assert torch.equal(Embeddings.load(folder).features[at : at + LENGTHS[2]], people.features)


def test_a_folder_without_embeddings_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="a folder without files of embeddings"):
        Embeddings.load(tmp_path)


def test_pieces_of_several_kinds_are_refused():
    with pytest.raises(InputError, match="got no piece"):
        Stacked([])


# --- a folder of embed_in_parts


@pytest.fixture
def kept(tmp_path):
    from processes.one_of_several import by_parts

    return tmp_path / "kept", by_parts(tmp_path / "kept")


@pytest.mark.usefixtures("one_thread")
def test_a_kept_folder_is_what_was_embedded(kept):
    folder, people = kept
    found = Embeddings.load(folder)
    assert torch.equal(found.features[:], people.features)
    assert (list(found.tracks), found.model) == (list(people.tracks), people.model)
    gallery = Embeddings.load(folder)
    assert nlreid.evaluate(people, gallery).as_dict() == nlreid.evaluate(people, people).as_dict()


@pytest.mark.usefixtures("one_thread")
def test_a_kept_folder_that_is_not_finished_or_mixed_is_refused(kept, tmp_path):
    from processes.one_of_several import by_parts, new_model

    folder, _ = kept
    part = folder / "parts" / "00004.safetensors"
    part.unlink()
    with pytest.raises(DataError, match=r"1 of 6 parts are not there yet \(00004.safetensors\); embed again"):
        Embeddings.load(folder)
    by_parts(tmp_path / "other", new_model(seed=1))
    shutil.copy(tmp_path / "other" / "parts" / part.name, part)
    with pytest.raises(DataError, match=r"00004.safetensors: is no part of what embedding.json describes"):
        Embeddings.load(folder)
