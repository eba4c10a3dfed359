"""What `evaluate` answers, as slow loops over whole rankings."""

from types import SimpleNamespace

import numpy as np


def side(features, pids, camids):
    """Anything with features, pids and camids."""
    return SimpleNamespace(features=features, pids=pids, camids=camids)


def distance(q, g, metric):
    """Between two rows of numbers, in float64."""
    q, g = np.asarray(q, dtype=np.float64), np.asarray(g, dtype=np.float64)
    if metric == "euclidean":
        return float(np.sqrt(((q - g) ** 2).sum()))
    squares = (q**2).sum() * (g**2).sum()
    return 1 - float((q * g).sum() / np.sqrt(squares) if squares else 0.0)


def rankings(query, gallery, metric="euclidean"):
    """Of each query, whether its answers are right, nearest first; answers that do not count are not in it."""
    for q, pid, camid in zip(query.features, query.pids, query.camids, strict=True):
        ranked = sorted((distance(q, g, metric), row) for row, g in enumerate(gallery.features))
        kept = [
            row for _, row in ranked if gallery.pids[row] != -1 and (gallery.pids[row], gallery.camids[row]) != (pid, camid)
        ]
        yield [bool(gallery.pids[row] == pid != -1) for row in kept]


def average_precision(right, kind):
    """Of one ranking that has a right answer."""
    precision = [sum(right[: n + 1]) / (n + 1) for n in range(len(right))]
    before = [1.0, *precision]
    hits = [p if kind == "average_precision" else (p + before[n]) / 2 for n, p in enumerate(precision) if right[n]]
    return sum(hits) / len(hits)


def scores(query, gallery, metric="euclidean", kind="average_precision", max_rank=50):
    """CMC, mAP, mINP, and how many queries are valid and invalid."""
    found = list(rankings(query, gallery, metric))
    valid = [right for right in found if any(right)]
    cmc = [sum(any(right[: k + 1]) for right in valid) / len(valid) for k in range(max_rank)]
    mean = sum(average_precision(right, kind) for right in valid) / len(valid)
    penalty = sum(sum(right) / (len(right) - right[::-1].index(True)) for right in valid) / len(valid)
    return cmc, mean, penalty, len(valid), len(found) - len(valid)
