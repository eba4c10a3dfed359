"""Features and labels in, rankings, scores and neighbours out; knows no network and no disk."""

from nlreid.evaluation.labelled import JUNK as JUNK
from nlreid.evaluation.labelled import Labelled as Labelled
from nlreid.evaluation.metric_learning import XQDA as XQDA
from nlreid.evaluation.ranking import CameraMatrix as CameraMatrix
from nlreid.evaluation.ranking import RankingScores as RankingScores
from nlreid.evaluation.ranking import camera_matrix as camera_matrix
from nlreid.evaluation.ranking import confidence_interval as confidence_interval
from nlreid.evaluation.ranking import evaluate as evaluate
from nlreid.evaluation.ranking import evaluate_distances as evaluate_distances
from nlreid.evaluation.ranking import over_splits as over_splits
from nlreid.evaluation.reranking import rerank as rerank
from nlreid.evaluation.search import Neighbours as Neighbours
from nlreid.evaluation.search import Threshold as Threshold
from nlreid.evaluation.search import calibrate as calibrate
from nlreid.evaluation.search import nearest as nearest
from nlreid.evaluation.stacked import Stacked as Stacked
