"""Distances between rows: all of two blocks, fast and with a bound on the error, and those of single pairs, exactly."""

from nlreid.evaluation.distances.blocks import Distances as Distances
from nlreid.evaluation.distances.exact import squared_euclidean as squared_euclidean
from nlreid.evaluation.distances.rows import Rows as Rows
