"""Metrics learned from labelled features."""

from nlreid.evaluation.metric_learning.xqda import XQDA as XQDA
