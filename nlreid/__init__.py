"""Video-based person re-identification: 3D networks with non-local attention, inflated from any timm ResNet."""

import typing as _typing
from importlib import import_module as _import_module
from importlib.metadata import version as _version

from nlreid.data.tracklet import Tracklet as Tracklet
from nlreid.embedding import Embeddings as Embeddings
from nlreid.embedding import embed as embed
from nlreid.evaluation import evaluate as evaluate
from nlreid.evaluation import rerank as rerank
from nlreid.inflation import inflate as inflate
from nlreid.layers.heads import ReIDOutput as ReIDOutput
from nlreid.layers.non_local import NonLocalBlock as NonLocalBlock
from nlreid.losses import BatchHardTripletLoss as BatchHardTripletLoss
from nlreid.losses import LabelSmoothingCrossEntropy as LabelSmoothingCrossEntropy
from nlreid.losses import VideoReIDLoss as VideoReIDLoss
from nlreid.models import VideoReID as VideoReID
from nlreid.models import create_model as create_model
from nlreid.models import list_models as list_models
from nlreid.models import list_pretrained as list_pretrained
from nlreid.optimize import optimize_for_inference as optimize_for_inference
from nlreid.publish import push_to_hub as push_to_hub
from nlreid.publish import save_pretrained as save_pretrained

__version__ = _version("nlreid")

if _typing.TYPE_CHECKING:
    from nlreid import export as export
    from nlreid import trackers as trackers
    from nlreid import visualize as visualize
else:

    def __getattr__(name: str) -> object:
        """`nlreid.export`, `trackers` and `visualize`, which few need, are imported when they are first asked for."""
        if name in ("export", "trackers", "visualize"):
            return _import_module(f"nlreid.{name}")
        raise AttributeError(f"module 'nlreid' has no attribute {name!r}")
