"""People in, embeddings out: what one does with a model."""

from nlreid.embedding.embeddings import Embeddings as Embeddings
from nlreid.embedding.embeddings import TrackInfo as TrackInfo
from nlreid.embedding.extract import embed as embed
