"""`evaluate` answers what loops over whole rankings answer, and what public evaluators answer, whatever the block."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation.conftest import problems
from evaluation.naive_ranking import average_precision, distance, rankings, scores, side
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import nlreid
from nlreid.errors import InputError, UnknownNameError
from nlreid.evaluation.distances.exact import cosine_distance, squared_euclidean
from nlreid.evaluation.ranking.scores import evaluate_distances

GOLDEN = Path(__file__).parents[1] / "golden" / "ranking.npz"
any_block = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(queries=40, gallery=300, width=16, people=12, seed=0, dtype=torch.float32):
    """A problem like those of real data: people, cameras, distractors (0) and junk (-1)."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(people + 1, width, generator=generator, dtype=torch.float64)

    def some(count, least):
        pids = torch.randint(least, people + 1, (count,), generator=generator)
        features = centres[pids] + torch.randn(count, width, generator=generator, dtype=torch.float64)
        return side(features.to(dtype), pids, torch.randint(1, 4, (count,), generator=generator))

    return some(queries, 1), some(gallery, -1)


# --- against loops and public answers


@pytest.mark.usefixtures("block")
@any_block
@given(
    problem=problems(),
    metric=st.sampled_from(["euclidean", "cosine"]),
    kind=st.sampled_from(["average_precision", "trapezoid"]),
)
def test_scores_are_those_of_loops(problem, metric, kind):
    query, gallery = problem
    right = list(rankings(query, gallery, metric))
    if not any(map(any, right)):
        with pytest.raises(InputError, match=rf"none of the {len(right)} queries has a right answer"):
            nlreid.evaluate(query, gallery, metric=metric)
        return
    answer = nlreid.evaluate(query, gallery, metric=metric, ap=kind, max_rank=15)
    cmc, mean, penalty, valid, invalid = scores(query, gallery, metric, kind, 15)
    assert answer.cmc.tolist() == pytest.approx(cmc, abs=1e-12)
    assert (answer.mAP, answer.mINP) == pytest.approx((mean, penalty), abs=1e-12)
    assert (answer.valid, answer.invalid) == (valid, invalid)
    for row, ranking in enumerate(right):
        if any(ranking):
            assert answer.first_hit[row] == ranking.index(True) + 1
            assert answer.average_precision[row] == pytest.approx(average_precision(ranking, kind), abs=1e-12)
        else:
            assert answer.first_hit[row] == 0
            assert np.isnan(answer.average_precision[row])


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_real_numbers_are_ranked_like_loops_rank_them(metric):
    query, gallery = drawn()
    answer = nlreid.evaluate(query, gallery, metric=metric)
    cmc, mean, penalty, _, _ = scores(query, gallery, metric)
    assert answer.cmc.tolist() == pytest.approx(cmc, abs=1e-12)
    assert (answer.mAP, answer.mINP) == pytest.approx((mean, penalty), abs=1e-12)


def test_public_evaluators_answer_the_same():
    given_ = np.load(GOLDEN)
    query, gallery = (side(given_[n], given_[f"{n}_pid"], given_[f"{n}_camid"]) for n in ("query", "gallery"))
    usual = nlreid.evaluate(query, gallery, max_rank=len(given_["cmc_average_precision"]))
    assert usual.cmc == pytest.approx(given_["cmc_average_precision"], abs=1e-6)
    assert usual.mAP == pytest.approx(float(given_["map_average_precision"]), abs=1e-6)
    official = nlreid.evaluate(query, gallery, ap="trapezoid", max_rank=len(given_["cmc_trapezoid"]))
    assert official.cmc == pytest.approx(given_["cmc_trapezoid"], abs=1e-6)
    assert official.average_precision == pytest.approx(given_["ap_trapezoid"], abs=1e-6)


def test_one_right_answer_at_rank_two_by_hand():
    query, gallery = side(np.zeros((1, 1)), [1], [1]), side(np.array([[1.0], [2.0]]), [2, 1], [1, 2])
    usual, official = (nlreid.evaluate(query, gallery, ap=kind) for kind in ("average_precision", "trapezoid"))
    assert (usual.rank(1), usual.rank(2), usual.mAP, usual.mINP) == (0, 1, 0.5, 0.5)
    assert official.mAP == 0.25


@settings(deadline=None)
@given(problem=problems())
def test_given_distances_are_scored_like_those_of_features(problem):
    query, gallery = problem
    matrix = np.array([[distance(q, g, "euclidean") for g in gallery.features] for q in query.features])
    assume(any(map(any, rankings(query, gallery))))
    same_answers(evaluate_distances(torch.from_numpy(matrix), query, gallery), nlreid.evaluate(query, gallery))
    rounded = torch.from_numpy(matrix).bfloat16()
    same_answers(evaluate_distances(rounded, query, gallery), evaluate_distances(rounded.double().numpy(), query, gallery))


@pytest.mark.parametrize(
    ("matrix", "error"),
    [
        (np.zeros(3), r"none of them NaN; got float64 \(3,\)"),
        (np.full((1, 2), np.nan), r"none of them NaN; got float64 \(1, 2\)"),
        (np.zeros((2, 2)), "one for each of 2 rows; got"),
        (np.array([["a", "b"]]), r"distances are numbers \(q, g\).* got <U1"),
        ([[1.0, 2.0]], "got list"),
        (torch.eye(2, device="meta"), "got Tensor"),
    ],
)
def test_given_distances_must_be_a_matrix_of_numbers(matrix, error):
    with pytest.raises(InputError, match=error):
        evaluate_distances(matrix, side(None, [1], [1]), side(None, [1, 2], [2, 2]))


# --- exactness


def same_answers(first, second):
    assert first.matches.negatives.tolist() == second.matches.negatives.tolist()
    assert first.matches.gallery.tolist() == second.matches.gallery.tolist()
    assert first.mAP == second.mAP


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_equally_distant_entries_stand_in_the_order_of_the_gallery(metric):
    copies = torch.randn(3, 700).repeat(20, 1)  # a product of matrices would give copies other distances here and there
    pids = torch.arange(60) % 5
    query, gallery = side(copies[:3] + 0.1, [0, 1, 2], [1, 1, 1]), side(copies, pids, torch.full((60,), 2))
    answer = nlreid.evaluate(query, gallery, metric=metric)
    expected = scores(query, side(copies, pids.numpy(), gallery.camids.numpy()), metric)
    assert answer.cmc.tolist() == pytest.approx(expected[0], abs=1e-12)
    assert answer.mAP == pytest.approx(expected[1], abs=1e-12)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("offset", [0, 1e3, 1e6])
def test_what_float32_cannot_tell_apart_by_products_is_ranked_exactly(offset):
    query, gallery = drawn(seed=3, dtype=torch.float64)
    moved = [side((part.features + offset).float(), part.pids.numpy(), part.camids.numpy()) for part in (query, gallery)]
    answer, expected = nlreid.evaluate(*moved), scores(*moved)
    assert answer.mAP == pytest.approx(expected[1], abs=1e-12)
    assert answer.cmc.tolist() == pytest.approx(expected[0], abs=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18])
def test_very_small_and_very_large_features(scale):
    query, gallery = drawn()
    scaled = [side(part.features * scale, part.pids, part.camids) for part in (query, gallery)]
    assert nlreid.evaluate(*scaled).mAP == pytest.approx(nlreid.evaluate(query, gallery).mAP, abs=1e-3)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("exponent", [-40, -2, 40])
def test_scaling_by_a_power_of_two_changes_no_ranking(metric, exponent):
    query, gallery = drawn(people=100)
    for part in (query, gallery):
        part.features[part.pids % 2 == 0] += 1e3  # two crowds, so far apart that products of float32 do not rank within them
    scaled = [side(part.features * 2.0**exponent, part.pids, part.camids) for part in (query, gallery)]
    answer = nlreid.evaluate(*scaled, metric=metric)
    same_answers(answer, nlreid.evaluate(query, gallery, metric=metric))
    assert answer.mAP == pytest.approx(scores(*(side(*map(np.asarray, vars(part).values())) for part in scaled), metric)[1])


@pytest.mark.usefixtures("block")
def test_a_collapsed_network_gets_the_scores_of_the_gallery_order():
    query, gallery = drawn()
    for part in (query, gallery):
        part.features = torch.ones_like(part.features)
    expected = scores(query, side(gallery.features, gallery.pids.numpy(), gallery.camids.numpy()))
    assert nlreid.evaluate(query, gallery).mAP == pytest.approx(expected[1], abs=1e-12)


def test_reduced_precision_of_products_changes_nothing():
    query, gallery = drawn(width=64)
    plain = nlreid.evaluate(query, gallery)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            same_answers(nlreid.evaluate(query, gallery), plain)
    finally:
        torch.set_float32_matmul_precision(before)


def test_float16_features_are_compared_as_the_numbers_that_they_are():
    query, gallery = drawn(dtype=torch.float16)
    wide = [side(part.features.double(), part.pids, part.camids) for part in (query, gallery)]
    same_answers(nlreid.evaluate(query, gallery), nlreid.evaluate(*wide))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("width", [2048, 5000])
def test_nearly_equal_float64_features_are_ranked_exactly(metric, width):
    query, gallery = (
        side(
            (torch.randn(n, width, dtype=torch.float64) + 1e4).half().double(), torch.arange(n) % 5 + 1, torch.full((n,), camid)
        )
        for n, camid in ((6, 1), (60, 2))
    )
    matrix = [[float(exact_distance(q, g, metric)) for g in gallery.features] for q in query.features]
    same_answers(nlreid.evaluate(query, gallery, metric=metric), evaluate_distances(np.array(matrix), query, gallery))


def exact_distance(q, g, metric):
    """By the library's room for single pairs."""
    return squared_euclidean(q[None], g[None]).sqrt() if metric == "euclidean" else cosine_distance(q[None], g[None])


@pytest.mark.parametrize("scale", [1e-300, 1e-162, 1e140])
def test_cosines_do_not_depend_on_lengths(scale):
    query, gallery = drawn(dtype=torch.float64)
    plain = nlreid.evaluate(query, gallery, metric="cosine")
    scaled = [side(part.features * scale, part.pids, part.camids) for part in (query, gallery)]
    assert nlreid.evaluate(*scaled, metric="cosine").mAP == pytest.approx(plain.mAP, abs=1e-12)


@pytest.mark.skipif(not hasattr(torch.backends.mkldnn, "matmul"), reason="this torch has the older switch only")
def test_other_ways_to_reduce_precision_are_no_obstacle():
    script = (
        "import torch, nlreid\n"
        "from types import SimpleNamespace as Side\n"
        "one, two = (Side(features=torch.randn(9, 8), pids=range(9), camids=[camid] * 9) for camid in (1, 2))\n"
        "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'\n"
        "print(nlreid.evaluate(one, two).valid)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "9", done.stderr


def test_a_default_device_of_others_is_not_used():
    query, gallery = drawn()
    plain = nlreid.evaluate(query, gallery)
    torch.set_default_device("meta")
    try:
        same_answers(nlreid.evaluate(query, gallery), plain)
    finally:
        torch.set_default_device(None)


# --- what may come in


def test_embeddings_arrays_and_mapped_files_are_one(tmp_path):
    query, gallery = drawn()
    np.save(tmp_path / "gallery.npy", gallery.features.numpy())
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    plain = nlreid.evaluate(query, gallery)
    same_answers(
        nlreid.evaluate(nlreid.Embeddings(**vars(query)), nlreid.Embeddings(mapped, gallery.pids, gallery.camids)), plain
    )
    lists = side(gallery.features.numpy(), gallery.pids.tolist(), gallery.camids.numpy())
    same_answers(nlreid.evaluate(query, lists), plain)


def test_inputs_are_never_changed():
    query, gallery = drawn()
    before = [tensor.clone() for part in (query, gallery) for tensor in vars(part).values()]
    nlreid.evaluate(query, gallery, metric="cosine")
    after = [tensor for part in (query, gallery) for tensor in vars(part).values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_features_that_need_a_gradient_are_taken():
    query, gallery = drawn()
    query.features.requires_grad_()
    assert nlreid.evaluate(query, gallery).valid == 40


def test_distractors_are_wrong_answers_and_junk_is_none():
    query = side(np.zeros((1, 1)), [5], [1])
    features = np.array([[1.0], [2.0], [3.0], [4.0]])
    for pid, rank in ((0, 2), (-1, 1), (5, 1)):
        answer = nlreid.evaluate(query, side(features, [pid, 5, 6, 5], [1, 2, 1, 3]))
        assert answer.first_hit.tolist() == [rank], pid


def test_figures_are_said_in_words():
    query, gallery = drawn()
    query.pids = torch.cat([query.pids[:39], torch.tensor([99])])
    answer = nlreid.evaluate(query, gallery, max_rank=10)
    assert list(answer.as_dict()) == ["rank-1", "rank-5", "rank-10", "mAP", "mINP", "valid queries", "invalid queries", "ap"]
    assert str(answer).splitlines()[0] == f"rank-1   {100 * answer.rank(1):6.2f} %"
    assert str(answer).splitlines()[-1] == "39 queries, 1 without a right answer left out"
    assert str(nlreid.evaluate(*drawn())).splitlines()[-1] == "40 queries"
    with pytest.raises(InputError, match="k is from 1 to max_rank, 10; got 11"):
        answer.rank(11)


eye = np.eye(3, dtype=np.float32)
broken = np.where(eye > 0, np.inf, eye)


@pytest.mark.parametrize(
    ("query", "gallery", "error"),
    [
        (side(eye, None, [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "the query has no pids; .*nlreid.Embeddings"),
        (side(eye, [1, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], None), "the gallery has no camids"),
        (side(eye, [1, 2], [1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), r"pids of the query .* 3 rows; got int64 \(2,\)"),
        (side(eye, [1.0, 2.0, 3.0], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "whole numbers, .* got float64"),
        (side(eye, np.array([2**64 - 1, 2, 3], dtype=np.uint64), [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "below 2\\^63"),
        (side(eye, [True] * 3, [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "got bool"),
        (side(eye[:, :2], [1, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), r"one d; got \(3, 2\) and \(3, 3\)"),
        (side(eye[0], [1, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), r"of the query .* \(n, d\); got float32 \(3,\)"),
        (side(eye[:, :0], [1, 2, 3], [1, 1, 1]), side(eye[:, :0], [1, 2, 3], [2, 2, 2]), r"got float32 \(3, 0\)"),
        (side(eye.astype(int), [1, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "of the query .* got int64"),
        (side(torch.eye(3).to_sparse(), [1, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "of the query are a floating"),
        (
            side(torch.eye(3, device="meta"), [1, 2, 3], [1, 1, 1]),
            side(eye, [1, 2, 3], [2, 2, 2]),
            "of the query are a floating",
        ),
        (side(np.ma.masked_array(eye), [1, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "of the query are a floating"),
        (side(eye, [[1], [2, 3], []], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "pids of the query are whole numbers"),
        (eye, side(eye, [1, 2, 3], [2, 2, 2]), "the query is nlreid.Embeddings.* got ndarray"),
        (side(eye.tolist(), [1, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "got list"),
        (side(eye, [1, 2, 3], [1, 1, 1]), side(eye[:0], [], []), "none of the 3 queries has a right answer"),
        (side(eye[:0], [], []), side(eye, [1, 2, 3], [2, 2, 2]), "none of the 0 queries"),
        (side(eye, [1, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], [1, 1, 1]), "the same pid under another camid"),
        (side(eye, [-1, -1, -1], [1, 1, 1]), side(eye, [-1, -1, -1], [2, 2, 2]), "none of the 3"),
        (side(broken, [9, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "of the query are finite .* row 0 are not"),
        (side(eye, [1, 2, 3], [1, 1, 1]), side(broken, [1, 2, 3], [2, 2, 2]), "of the gallery are finite"),
        (side(np.eye(3) * 1e200, [1, 2, 3], [1, 1, 1]), side(eye, [1, 2, 3], [2, 2, 2]), "too large to be squared"),
    ],
)
def test_what_cannot_be_evaluated_is_said(query, gallery, error):
    with pytest.raises(InputError, match=error):
        nlreid.evaluate(query, gallery)


def test_names_are_checked():
    for arguments, name in (({"metric": "l2"}, "metric"), ({"ap": "trapezoidal"}, "ap")):
        with pytest.raises(UnknownNameError, match=f"unknown {name}"):
            nlreid.evaluate(*drawn(), **arguments)
    assert len(nlreid.evaluate(*drawn(), max_rank=np.uint8(255)).cmc) == 255
    with pytest.raises(InputError, match="max_rank is a whole number from 1; got 0"):
        nlreid.evaluate(*drawn(), max_rank=0)


def test_the_last_row_of_the_gallery_that_is_not_finite_is_found():
    query, gallery = drawn()
    last = len(gallery.features) - 1
    gallery.features[last] = torch.inf
    with pytest.raises(InputError, match=f"those of row {last} are not"):
        nlreid.evaluate(query, gallery)
