"""The losses of the paper (arXiv 1807.05073, Eq. 7-10), and the two that they are made of."""

from nlreid.losses.smoothing import LabelSmoothingCrossEntropy as LabelSmoothingCrossEntropy
from nlreid.losses.total import LossParts as LossParts
from nlreid.losses.total import VideoReIDLoss as VideoReIDLoss
from nlreid.losses.triplet import BatchHardTripletLoss as BatchHardTripletLoss
