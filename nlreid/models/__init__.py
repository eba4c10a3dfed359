"""Models: specs as data, the network, the zoo, and `create_model`."""

from nlreid.models.factory import create_model as create_model
from nlreid.models.network import LoadReport as LoadReport
from nlreid.models.network import VideoReID as VideoReID
from nlreid.models.placement import insert_non_local as insert_non_local
from nlreid.models.pretrained import list_pretrained as list_pretrained
from nlreid.models.spec import ClipSpec as ClipSpec
from nlreid.models.spec import ModelSpec as ModelSpec
from nlreid.models.spec import NonLocalSpec as NonLocalSpec
from nlreid.models.zoo import MODELS as MODELS
from nlreid.models.zoo import list_models as list_models
