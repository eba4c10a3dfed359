"""k-reciprocal re-ranking (Zhong et al., CVPR 2017, arXiv 1701.08398) as it is usually written: N x N matrices, a loop a row.

It is what the fast one must agree with and is measured against; nothing else uses it. N = q + g.
"""

import numpy as np


def squared_distances(features):
    """Squared Euclidean distances, `(n, n)`: differences one row at a time, so that equal rows are at equal distances."""
    return np.stack([((features - row) ** 2).sum(1) for row in features])


def squared_distances_by_product(features):
    """The same by one matrix product: faster, and rounded differently from column to column."""
    squares = (features**2).sum(1)
    return np.maximum(squares[:, None] + squares[None, :] - 2 * features @ features.T, 0)


def naive_rerank(squared, query_count, k1=20, k2=6, lambda_value=0.3):
    """Re-ranked distances `(q, g)` from all squared distances `(N, N)`, of which the first `query_count` rows are queries."""
    farthest = squared.max(axis=0)
    original = (squared / np.where(farthest == 0, 1, farthest)).T  # only where all rows coincide is there a 0
    ranks = np.argsort(original, axis=1, kind="stable")
    encoded = encode(original, ranks, k1)
    if k2 != 1:
        encoded = np.stack([encoded[ranks[i, :k2]].mean(axis=0) for i in range(len(ranks))])
    jaccard = jaccard_distances(encoded, query_count)
    return ((1 - lambda_value) * jaccard + lambda_value * original[:query_count])[:, query_count:]


def reciprocal_neighbours(ranks, i, k):
    """R(i, k), Eq. 3: of the k nearest rows of i, and i itself, those that have i among theirs."""
    forward = ranks[i, : k + 1]
    backward = ranks[forward, : k + 1]
    return forward[np.where(backward == i)[0]]


def encode(original, ranks, k1):
    """The k-reciprocal features V, `(N, N)`, Eq. 4 to 7."""
    features = np.zeros_like(original)
    for i in range(len(ranks)):
        reciprocal = reciprocal_neighbours(ranks, i, k1)
        expanded = reciprocal
        for candidate in reciprocal:
            others = reciprocal_neighbours(ranks, candidate, int(np.around(k1 / 2)))
            if len(np.intersect1d(others, reciprocal)) > 2 / 3 * len(others):
                expanded = np.append(expanded, others)
        expanded = np.unique(expanded)
        weights = np.exp(-original[i, expanded])
        features[i, expanded] = weights / weights.sum()
    return features


def jaccard_distances(encoded, query_count):
    """Eq. 10 between the queries and all rows, `(q, N)`, over the inverted index: only what is not zero is looked at."""
    holders = [np.where(column != 0)[0] for column in encoded.T]
    distances = np.zeros((query_count, len(encoded)), dtype=encoded.dtype)
    for i in range(query_count):
        shared = np.zeros(len(encoded), dtype=encoded.dtype)
        for j in np.where(encoded[i] != 0)[0]:
            shared[holders[j]] += np.minimum(encoded[i, j], encoded[holders[j], j])
        distances[i] = 1 - shared / (2 - shared)
    return distances
