"""Embeddings in the forms that trackers ask for, and broken tracks joined again; knows no tracker's package."""

from nlreid.trackers.boxmot import BoxmotReID as BoxmotReID
from nlreid.trackers.frames import CropEmbedder as CropEmbedder
from nlreid.trackers.memory import TrackMemory as TrackMemory
from nlreid.trackers.norfair import NorfairReID as NorfairReID
from nlreid.trackers.relink import Link as Link
from nlreid.trackers.relink import Relinked as Relinked
from nlreid.trackers.relink import relink as relink
from nlreid.trackers.threshold import together_threshold as together_threshold
