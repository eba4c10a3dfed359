"""Building blocks that know nothing of timm or files: convolutions, non-local blocks, aggregators, heads."""

from nlreid.layers.aggregate import AGGREGATES as AGGREGATES
from nlreid.layers.aggregate import Aggregate as Aggregate
from nlreid.layers.aggregate import TemporalAttention as TemporalAttention
from nlreid.layers.aggregate import TemporalAverage as TemporalAverage
from nlreid.layers.aggregate import TemporalMax as TemporalMax
from nlreid.layers.aggregate import TemporalRNN as TemporalRNN
from nlreid.layers.aggregate import create_aggregate as create_aggregate
from nlreid.layers.conv3d import Conv3d as Conv3d
from nlreid.layers.conv_pairs import FactorisedConv3d as FactorisedConv3d
from nlreid.layers.conv_pairs import SeparableConv3d as SeparableConv3d
from nlreid.layers.heads import HEADS as HEADS
from nlreid.layers.heads import BNNeckHead as BNNeckHead
from nlreid.layers.heads import BottleneckHead as BottleneckHead
from nlreid.layers.heads import Head as Head
from nlreid.layers.heads import LinearHead as LinearHead
from nlreid.layers.heads import ReIDOutput as ReIDOutput
from nlreid.layers.non_local import NonLocalBlock as NonLocalBlock
