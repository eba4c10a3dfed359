"""Who in a gallery is nearest, and when nobody is."""

from nlreid.evaluation.search.answers import Neighbours as Neighbours
from nlreid.evaluation.search.answers import Threshold as Threshold
from nlreid.evaluation.search.neighbours import nearest as nearest
from nlreid.evaluation.search.threshold import calibrate as calibrate
