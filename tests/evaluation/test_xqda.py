"""`XQDA` learns the metric of all cross-camera pairs, written out one by one here."""

import itertools

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nlreid.errors import InputError
from nlreid.evaluation.metric_learning.covariances import cross_view_covariances
from nlreid.evaluation.metric_learning.xqda import XQDA


def covariances_by_hand(rows, pids, camids):
    """Sums of outer products of differences, and numbers of pairs: of one person, and of two."""
    sums, counts = torch.zeros(2, rows.shape[1], rows.shape[1], dtype=torch.float64), [0, 0]
    for i, j in itertools.combinations(range(len(rows)), 2):
        if camids[i] != camids[j]:
            difference, kind = rows[i] - rows[j], int(pids[i] != pids[j])
            sums[kind] += torch.outer(difference, difference)
            counts[kind] += 1
    return sums, counts


def seen(people, cameras, seed, width=12):
    """Features, pids and camids: each camera adds a large shift along two directions that say nothing about persons."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64)).Q
    persons = torch.randn(people, width - 2, generator=generator, dtype=torch.float64) @ basis[2:]
    pids, camids = torch.arange(people).repeat(cameras), torch.arange(cameras).repeat_interleave(people)
    nuisance = torch.randn(len(pids), 2, generator=generator, dtype=torch.float64) * 4 + 6 * camids[:, None]
    noise = torch.randn(len(pids), width, generator=generator, dtype=torch.float64) / 5
    return persons[pids] + nuisance @ basis[:2] + noise, pids, camids


def distances(metric, features):
    return torch.cdist(metric.transform(features), metric.transform(features), compute_mode="donot_use_mm_for_euclid_dist")


labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=14)


@settings(deadline=None)
@given(labels=labels, seed=st.integers(0, 10**6), offset=st.sampled_from([0.0, 100.0]))
def test_covariances_are_those_of_the_pairs(labels, seed, offset):
    pids, camids = torch.tensor(labels).unbind(1)
    rows = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + offset
    sums, counts = covariances_by_hand(rows, pids, camids)
    assume(all(counts))
    for covariance, total, count in zip(cross_view_covariances(rows, pids, camids), sums, counts, strict=True):
        torch.testing.assert_close(covariance, total / count, rtol=1e-9, atol=1e-9)


def test_two_cameras_are_the_two_views_of_the_paper():
    features, pids, camids = seen(5, 2, seed=0)
    intra, extra = cross_view_covariances(features, pids, camids)
    same, different = [], []
    for a, p in zip(features[camids == 0], pids[camids == 0], strict=True):
        for b, q in zip(features[camids == 1], pids[camids == 1], strict=True):
            (same if p == q else different).append(torch.outer(a - b, a - b))
    torch.testing.assert_close(intra, torch.stack(same).mean(0))
    torch.testing.assert_close(extra, torch.stack(different).mean(0))


@pytest.mark.parametrize(("people", "cameras"), [(30, 2), (20, 3), (4, 2)])  # the last has fewer features than channels
@pytest.mark.parametrize("regularisation", [1e-3, 0.5])
def test_the_distance_is_the_learned_metric(people, cameras, regularisation):
    features, pids, camids = seen(people, cameras, seed=1)
    metric = XQDA(regularisation=regularisation).fit(features, pids, camids)
    (intra, extra), (same, different) = covariances_by_hand(features, pids, camids)
    intra, extra = intra / same + regularisation * torch.eye(12, dtype=torch.float64), extra / different
    eigenvalues, vectors = torch.linalg.eig(torch.linalg.solve(intra, extra))
    kept = eigenvalues.real > 1
    torch.testing.assert_close(metric.eigenvalues, eigenvalues.real[kept].sort(descending=True).values, rtol=1e-6, atol=1e-8)
    directions = vectors.real[:, kept]
    kernel = torch.linalg.inv(directions.T @ intra @ directions) - torch.linalg.inv(directions.T @ extra @ directions)
    for i, j in [(0, 1), (2, 7), (5, 6)]:
        difference = (features[i] - features[j]) @ directions
        squared = distances(metric, features)[i, j] ** 2
        torch.testing.assert_close(squared, difference @ kernel @ difference, rtol=1e-6, atol=1e-8)


def test_directions_solve_the_generalised_eigenproblem():
    features, pids, camids = seen(30, 3, seed=2)
    metric = XQDA().fit(features, pids, camids)
    intra, extra = cross_view_covariances(features - features.mean(0), pids, camids)
    intra = intra + 0.001 * torch.eye(12, dtype=torch.float64)
    weighted, kept = metric.projection, metric.eigenvalues
    assert (kept > 1).all()
    assert (kept.diff() <= 0).all()
    torch.testing.assert_close(extra @ weighted, intra @ weighted * kept)
    torch.testing.assert_close(weighted.T @ intra @ weighted, torch.diag(1 - 1 / kept))


@pytest.mark.parametrize("cameras", [2, 4])
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_unseen_persons_are_found_despite_their_cameras(cameras, seed):
    features, pids, camids = seen(120, cameras, seed)
    training = pids < 60
    metric = XQDA().fit(features[training], pids[training], camids[training])

    def rank_1(rows):
        query, gallery = (rows[(camids == camera) & ~training] for camera in (0, 1))
        return (torch.cdist(query, gallery).argmin(1) == torch.arange(60)).double().mean()

    assert rank_1(metric.transform(features)) > 0.9 > 0.6 > rank_1(features)


@pytest.mark.parametrize("change", ["shift", "rotation", "order", "names", "twice"])
def test_what_does_not_change_the_metric(change):
    features, pids, camids = seen(20, 3, seed=6)
    expected = distances(XQDA().fit(features, pids, camids), features)
    generator = torch.Generator().manual_seed(0)
    if change == "shift":
        moved = features + 1e6
        found = distances(XQDA().fit(moved, pids, camids), moved)
    elif change == "rotation":
        turned = features @ torch.linalg.qr(torch.randn(12, 12, generator=generator, dtype=torch.float64)).Q
        found = distances(XQDA().fit(turned, pids, camids), turned)
    elif change == "order":
        order = torch.randperm(len(pids), generator=generator)
        found = distances(XQDA().fit(features[order], pids[order], camids[order]), features)
    elif change == "names":
        found = distances(XQDA().fit(features, (1000 - 7 * pids).tolist(), camids.to(torch.uint8).numpy()), features)
    else:  # each pair becomes four
        found = distances(XQDA().fit(features.repeat(2, 1), pids.repeat(2), camids.repeat(2)), features)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_dim_keeps_the_first_directions():
    features, pids, camids = seen(30, 2, seed=7)
    whole = XQDA().fit(features, pids, camids)
    first = XQDA(dim=3).fit(features, pids, camids)
    torch.testing.assert_close(first.transform(features).abs(), whole.transform(features)[:, :3].abs())
    assert XQDA(dim=1000).fit(features, pids, camids).transform(features).shape == whole.transform(features).shape


def test_regularisation_is_a_matter_of_units():
    features, pids, camids = seen(20, 2, seed=8)
    metric = XQDA(regularisation=0.01).fit(features, pids, camids)
    scaled = XQDA(regularisation=1.0).fit(features * 10, pids, camids)
    torch.testing.assert_close(distances(scaled, features * 10), distances(metric, features))


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
        ("<f2", torch.float32),
        (">f4", torch.float32),
        ("<f8", torch.float64),
    ],
)
def test_types(given, answer):
    features, pids, camids = seen(20, 2, seed=9)
    metric = XQDA().fit(features, pids, camids)
    converted = features.numpy().astype(given) if isinstance(given, str) else features.to(given)
    transformed = metric.transform(converted)
    assert transformed.dtype == answer
    torch.testing.assert_close(transformed.double(), metric.transform(features), rtol=0.05, atol=0.3)
    assert XQDA().fit(converted, pids, camids).projection.dtype == torch.float64
    assert metric.transform(converted[:0]).shape == (0, len(metric.eigenvalues))


FEATURES, PIDS, CAMIDS = seen(4, 2, seed=10)
NAN = FEATURES.clone()
NAN[3, 2] = float("nan")


@pytest.mark.parametrize(
    ("features", "pids", "camids", "answer"),
    [
        (FEATURES, PIDS, CAMIDS * 0, "all features are of one camera"),
        (FEATURES, torch.arange(8), CAMIDS, "no person was seen by two cameras"),
        (FEATURES, PIDS * 0, CAMIDS, "no two persons"),
        (NAN, PIDS, CAMIDS, "finite"),
        (FEATURES[:0], PIDS[:0], CAMIDS[:0], r"neither of them 0; got \(0, 12\)"),
        (FEATURES[:, :0], PIDS, CAMIDS, r"got \(8, 0\)"),
        (FEATURES[0], PIDS, CAMIDS, r"got \(12,\)"),
        (FEATURES.long(), PIDS, CAMIDS, "floating tensor or array; got torch.int64"),
        (FEATURES.tolist(), PIDS, CAMIDS, "got list"),
        (FEATURES, PIDS[:3], CAMIDS, r"pids are integers, one for each of 8 features; got int64 \(3,\)"),
        (FEATURES, PIDS, CAMIDS.double(), "camids are integers"),
        (FEATURES, ["a"] * 8, CAMIDS, "pids are integers"),
        (FEATURES, [[1], [1, 2]], CAMIDS, "pids are integers"),
        (FEATURES, None, CAMIDS, "pids are integers"),
        (FEATURES * 1e200, PIDS, CAMIDS, "divide them by a number"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(features, pids, camids, answer):
    with pytest.raises(InputError, match=answer):
        XQDA().fit(features, pids, camids)


def test_a_covariance_without_an_inverse_is_refused():
    features = torch.cat([FEATURES, FEATURES[:, :1]], dim=1)  # a channel twice
    with pytest.raises(InputError, match="larger regularisation"):
        XQDA(regularisation=0).fit(features, PIDS, CAMIDS)


def test_persons_that_cannot_be_told_apart_are_refused():
    features = torch.tensor([[0.0], [1.0], [0.0], [1.0]])  # the difference is the camera's alone
    with pytest.raises(InputError, match="different persons differ more"):
        XQDA().fit(features, [1, 1, 2, 2], [0, 1, 0, 1])


def test_a_failed_fit_changes_nothing():
    metric = XQDA().fit(FEATURES, PIDS, CAMIDS)
    before = metric.transform(FEATURES)
    with pytest.raises(InputError, match="finite"):
        metric.fit(NAN, PIDS, CAMIDS)
    assert torch.equal(metric.transform(FEATURES), before)


@pytest.mark.parametrize(
    ("features", "answer"),
    [(FEATURES[:, :5], r"features are \(rows, 12\); got \(8, 5\)"), (NAN, "finite"), (FEATURES[0], r"got \(12,\)")],
)
def test_transform_refuses_what_it_has_not_learned(features, answer):
    with pytest.raises(InputError, match=answer):
        XQDA().fit(FEATURES, PIDS, CAMIDS).transform(features)


def test_transform_before_fit():
    with pytest.raises(InputError, match=r"call fit\(features, pids, camids\) first"):
        XQDA().transform(FEATURES)


@pytest.mark.parametrize("options", [{"dim": 0}, {"dim": 1.5}, {"regularisation": -1e-3}, {"regularisation": float("inf")}])
def test_options(options):
    with pytest.raises(InputError, match="|".join(options)):
        XQDA(**options)


def test_inputs_stay_what_they_are():
    features, pids, camids = (part.clone() for part in (FEATURES, PIDS, CAMIDS))
    array = features.numpy().copy()
    array.flags.writeable = False
    by_tensor, by_array = XQDA().fit(features, pids, camids), XQDA().fit(array, pids.numpy(), camids.numpy())
    torch.testing.assert_close(distances(by_array, features), distances(by_tensor, features))
    assert torch.equal(features, FEATURES)
    assert torch.equal(pids, PIDS)
