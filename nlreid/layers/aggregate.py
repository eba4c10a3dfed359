"""From the feature map of a clip to one feature vector: average, max, RNN and attention over time (paper Fig. 1)."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlreid.errors import InputError, unknown_name
from nlreid.layers.conv3d import Conv3d
from nlreid.layers.exporting import exporting
from nlreid.layers.recurrence import stepped


class Aggregate(nn.Module, ABC):
    """What every aggregator is: a feature map of any size in, `num_features` numbers a clip out.

    Args:
        channels: Channels of the feature map.
        num_features: Length of the feature vector.
    """

    def __init__(self, channels: int, num_features: int) -> None:
        super().__init__()
        self.channels = channels
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        """Turn a feature map into one vector a clip.

        Args:
            x: `(b, channels, t, h, w)`.

        Returns:
            `(b, num_features)`.

        Raises:
            InputError: If `x` has another rank or channel count, or an empty axis in time or space.
        """
        if x.ndim != 5 or x.shape[1] != self.channels or 0 in x.shape[2:]:
            raise InputError(
                f"{type(self).__name__} wants a feature map (b, {self.channels}, t, h, w) with no empty axis; "
                f"got {tuple(x.shape)}"
            )
        return self._aggregate(x)

    @abstractmethod
    def _aggregate(self, x: Tensor) -> Tensor:
        """The same, for a map that has been checked."""


class TemporalAverage(Aggregate):
    """The mean over time and space, as the paper's 3D networks end.

    Args:
        channels: Channels of the feature map, and length of the result.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def _aggregate(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3, 4))


class TemporalMax(Aggregate):
    """The maximum over time of the frames' features, each averaged over space (paper Fig. 1a).

    Args:
        channels: Channels of the feature map, and length of the result.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def _aggregate(self, x: Tensor) -> Tensor:
        return x.mean(dim=(3, 4)).amax(dim=2)


class TemporalRNN(Aggregate):
    """A recurrent network over the frames' features, each averaged over space (paper Fig. 1b).

    The cell is stepped frame by frame: clips are short, and the whole-sequence modules of PyTorch cannot be captured
    by `torch.compile(fullgraph=True)`.

    Args:
        channels: Channels of the feature map.
        hidden: Size of the cell's state, and length of the result.
        cell: `"lstm"` or `"gru"`.
        output: `"mean"` of the outputs over time, or the `"last"` one.

    Raises:
        UnknownNameError: If `cell` or `output` is not one of those.
    """

    def __init__(self, channels: int, hidden: int = 512, cell: str = "lstm", output: str = "mean") -> None:
        if cell not in _CELLS:
            raise unknown_name("recurrent cell", cell, _CELLS)
        if output not in ("mean", "last"):
            raise unknown_name("output of the recurrent network", output, ("mean", "last"))
        super().__init__(channels, hidden)
        self.rnn = _CELLS[cell](channels, hidden)
        self._last_only = output == "last"

    def extra_repr(self) -> str:
        """What its cell does not show."""
        return f"output={'last' if self._last_only else 'mean'}"

    def _aggregate(self, x: Tensor) -> Tensor:
        return stepped(self.rnn, x.mean(dim=(3, 4)), last_only=self._last_only)


class TemporalAttention(Aggregate):
    """A weighted mean of the frames' features, the weights from a spatial convolution (paper Fig. 1c).

    "Spatial conv + FC" of Gao and Nevatia 2018: a 3 x 3 convolution and ReLU a frame, averaged over space, a score a
    frame, softmax of the scores over time.

    Args:
        channels: Channels of the feature map, and length of the result.
        inner: Channels of the spatial convolution.
    """

    def __init__(self, channels: int, inner: int = 256) -> None:
        super().__init__(channels, channels)
        self.conv = Conv3d(channels, inner, (1, 3, 3), padding=(0, 1, 1))
        self.fc = nn.Linear(inner, 1, bias=False)  # softmax would cancel a bias
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def _aggregate(self, x: Tensor) -> Tensor:
        seen = torch.relu(self.conv(x)).mean(dim=(3, 4))  # b inner t
        weights = self._scores(seen).softmax(dim=2)  # b 1 t
        frames = x.mean(dim=(3, 4))  # b c t
        weighted: Tensor = frames * weights
        return weighted.sum(dim=2)

    def _scores(self, seen: Tensor) -> Tensor:
        if exporting():  # of a product, the graph would hold for more than one frame, or for one
            return F.conv1d(seen, self.fc.weight.unsqueeze(2))
        scores: Tensor = self.fc(seen.transpose(1, 2))  # b t 1
        return scores.transpose(1, 2)


_CELLS: dict[str, Callable[[int, int], nn.LSTMCell | nn.GRUCell]] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}

AGGREGATES: dict[str, Callable[..., Aggregate]] = {
    "average": TemporalAverage,
    "max": TemporalMax,
    "rnn": TemporalRNN,
    "attention": TemporalAttention,
}


def create_aggregate(name: str, channels: int, **options: object) -> Aggregate:
    """An aggregator by its name.

    >>> create_aggregate("rnn", 2048, hidden=256, cell="gru").num_features
    256

    Args:
        name: One of `AGGREGATES`.
        channels: Channels of the feature map.
        options: Further arguments of that aggregator.

    Raises:
        UnknownNameError: If there is no such aggregator, or it has no such option.
    """
    if name not in AGGREGATES:
        raise unknown_name("aggregate", name, AGGREGATES)
    kind = AGGREGATES[name]
    allowed = list(inspect.signature(kind).parameters)[1:]  # the first is channels
    for option in options:
        if option not in allowed:
            hint = "" if allowed else "It has no options."
            raise unknown_name(f"option of the {name!r} aggregate", option, allowed, hint)
    return kind(channels, **options)
