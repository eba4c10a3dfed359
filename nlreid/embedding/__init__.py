"""People in, embeddings out: what one does with a model."""

from nlreid.embedding.embeddings import Embeddings as Embeddings
from nlreid.embedding.extract import embed as embed
from nlreid.embedding.track import TrackInfo as TrackInfo
