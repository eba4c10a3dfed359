"""Re-ranking: distances by which neighbours two rows have in common."""

from nlreid.evaluation.reranking.k_reciprocal import rerank as rerank
