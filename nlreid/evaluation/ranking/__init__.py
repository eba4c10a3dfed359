"""Scores of rankings: CMC, mAP and mINP, and how far to trust them."""

from nlreid.evaluation.ranking.scores import RankingScores as RankingScores
from nlreid.evaluation.ranking.scores import evaluate as evaluate
from nlreid.evaluation.ranking.scores import evaluate_distances as evaluate_distances
from nlreid.evaluation.ranking.statistics import CameraMatrix as CameraMatrix
from nlreid.evaluation.ranking.statistics import camera_matrix as camera_matrix
from nlreid.evaluation.ranking.statistics import confidence_interval as confidence_interval
from nlreid.evaluation.ranking.statistics import over_splits as over_splits
