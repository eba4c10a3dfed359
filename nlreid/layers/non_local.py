"""The non-local block: every position of a clip answers to every other (paper Eq. 1-6; Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlreid.errors import InputError, real_number, unknown_name, whole_number
from nlreid.layers.conv3d import Conv3d
from nlreid.layers.exporting import exporting
from nlreid.layers.pairwise import PAIRWISE
from nlreid.layers.pool import max_pool_frames

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class NonLocalBlock(nn.Module):
    """`x + norm(out(y))`, where `y_i` gathers `g(x_j)` from all positions j, weighted by affinity (paper Eq. 1-2).

    The block starts as the identity, exactly, in train and in eval mode: the scale and shift of its norm start at
    zero. No activation follows. No affinity builds the matrix of all pairs: memory grows with the positions, not their square.

    >>> block = NonLocalBlock(16, pairwise="dot_product")
    >>> x = torch.rand(2, 16, 4, 8, 4)
    >>> torch.equal(block(x), x)
    True

    Args:
        channels: Channels of the feature map, which keeps its shape.
        inner_channels: Channels of theta, phi and g; half of `channels` by default, at least 1.
        pairwise: `"embedded_gaussian"` (Eq. 4), `"gaussian"` (Eq. 3, has neither theta nor phi), `"dot_product"`
            (Eq. 5) or `"concatenation"` (Eq. 6); the last two divide by the number of keys.
        scale: What multiplies the products under the softmax of the first two: 1.0 in the paper, 1/sqrt(inner
            channels) in several published checkpoints.
        subsample: Keys and values are max-pooled by this factor in height and width; 1 keeps all.
        subsample_order: Whether they are pooled `"before"` or `"after"` their 1x1x1 convolution. The two differ, and
            checkpoints need the one that they were trained with.

    Raises:
        UnknownNameError: If `pairwise` or `subsample_order` is not one of those.
        InputError: If a size is less than 1, or a scale is given where there is no softmax.
    """

    theta: nn.Conv3d | None
    phi: nn.Conv3d | None
    concat: nn.Conv3d | None

    def __init__(
        self,
        channels: int,
        inner_channels: int | None = None,
        *,
        pairwise: str = "embedded_gaussian",
        scale: float = 1.0,
        subsample: int = 1,
        subsample_order: str = "before",
    ) -> None:
        super().__init__()
        inner = max(1, channels // 2) if inner_channels is None else inner_channels
        _check_arguments(channels, inner, pairwise, scale, subsample, subsample_order)
        self.channels = channels
        self.inner_channels = inner
        self.pairwise = pairwise
        self.scale = scale
        self.subsample = subsample
        self.subsample_order = subsample_order
        self._affinity = PAIRWISE[pairwise]
        self._pool_first = subsample_order == "before"
        self.theta = _pointwise(channels, inner) if self._affinity.embeds else None
        self.phi = _pointwise(channels, inner) if self._affinity.embeds else None
        self.g = _pointwise(channels, inner)
        self.concat = _pointwise(2 * inner, 1, bias=False) if self._affinity.weighted else None
        self.out = _pointwise(inner, channels)
        self.norm = nn.BatchNorm3d(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again as the identity: the norm at zero, the other layers Kaiming normal with zero bias."""
        for conv in self.modules():
            if isinstance(conv, nn.Conv3d):
                nn.init.kaiming_normal_(conv.weight)
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
        self.norm.reset_running_stats()
        nn.init.zeros_(self.norm.weight)  # the block starts as the identity,
        nn.init.zeros_(self.norm.bias)  # so pretrained features survive its insertion

    if TYPE_CHECKING:  # torch does not say what calling a module gives

        def __call__(self, x: Tensor) -> Tensor:
            """What `forward` gives."""

    def forward(self, x: Tensor) -> Tensor:
        """Let every position gather from all others.

        Args:
            x: Feature map, floating point, `(b, channels, t, h, w)`.

        Returns:
            The same shape.

        Raises:
            InputError: If `x` has another rank, type or channel count, or is smaller than the sub-sampling.
        """
        out: Tensor = x + self.norm(self.out(self._gathered(x)))  # Eq. 2
        return out

    def attention(self, x: Tensor, positions: Tensor | Sequence[tuple[int, int, int]]) -> Tensor:
        """What the asked positions gather from where, for pictures: rows of the affinity as `forward` applies it.

        Args:
            x: Feature map, `(b, channels, t, h, w)`.
            positions: The asked `(t, h, w)` places, counted from 0: p triples, or an integer tensor `(p, 3)`.

        Returns:
            `(b, p, t, h', w')` over the keys, where h' and w' are h and w divided by `subsample`. Softmax affinities
            sum to 1 over the keys; the others are already divided by their number.

        Raises:
            InputError: If `x` does not fit the block, or a position is not inside it.
        """
        self._check(x)
        t, h, w = _checked_positions(positions, x).unbind(1)
        phi = self._pool(_embed(self.phi, self._pool(x, first=True)), first=False)  # b c t h' w'
        theta = _embed(self.theta, x[:, :, t, h, w][..., None, None])  # b c p 1 1: needed at the asked places only
        q, k = (part.flatten(2).transpose(1, 2) for part in (theta, phi))  # b (t h w) c
        rows: Tensor = self._affinity.rows(q, k, **self._options())  # b p (t h' w')
        return rows.reshape(*rows.shape[:2], *phi.shape[2:])

    def extra_repr(self) -> str:
        """The arguments that the children do not show."""
        return (
            f"pairwise={self.pairwise!r}, scale={self.scale:g}, "
            f"subsample={self.subsample}, subsample_order={self.subsample_order!r}"
        )

    def _gathered(self, x: Tensor) -> Tensor:
        """What every position gathers, `(b, inner_channels, t, h, w)` (Eq. 1)."""
        self._check(x)
        source = self._pool(x, first=True)
        theta, phi = _embed(self.theta, x), self._pool(_embed(self.phi, source), first=False)
        g = self._pool(self.g(source), first=False)
        q, k, v = (part.flatten(2).transpose(1, 2) for part in (theta, phi, g))  # b (t h w) c
        y = self._affinity.apply(q, k, v, **self._options())  # b (t h w) inner
        return torch.unflatten(y.transpose(1, 2), 2, x.shape[2:])  # b inner t h w

    def _pool(self, x: Tensor, *, first: bool) -> Tensor:
        """Sub-sample, where this is the place for it; max-pooling and convolution do not commute."""
        if self.subsample == 1 or first != self._pool_first:
            return x
        if exporting():
            return F.max_pool3d(x, (1, self.subsample, self.subsample))
        return max_pool_frames(x, self.subsample)

    def _options(self) -> dict[str, Tensor | float]:
        if self.concat is not None:
            return {"weight": self.concat.weight.flatten()}
        return {"scale": self.scale} if self._affinity.scaled else {}

    def _check(self, x: Tensor) -> None:
        least = (1, self.subsample, self.subsample)
        if x.ndim != 5 or x.shape[1] != self.channels or not x.is_floating_point():
            raise InputError(
                f"a non-local block of {self.channels} channels wants a floating-point feature map "
                f"(b, {self.channels}, t, h, w); got {x.dtype} {tuple(x.shape)}"
            )
        if any(size < wanted for size, wanted in zip(x.shape[2:], least, strict=True)):
            raise InputError(
                f"a non-local block with subsample={self.subsample} wants at least (t, h, w) = {least}; "
                f"got {tuple(x.shape[2:])}: give a larger clip or a smaller subsample"
            )


def _pointwise(channels: int, outputs: int, *, bias: bool = True) -> nn.Conv3d:
    """A 1x1x1 convolution without values: those that torch draws would be drawn again."""
    here = torch.empty(0).device  # torch 2.6 does not tell get_default_device() of `with torch.device(…)`
    return Conv3d(channels, outputs, 1, bias=bias, device="meta").to_empty(device=here)


def _embed(conv: nn.Conv3d | None, x: Tensor) -> Tensor:
    return x if conv is None else conv(x)


def _check_arguments(channels: int, inner: int, pairwise: str, scale: float, subsample: int, subsample_order: str) -> None:
    if not isinstance(pairwise, str) or pairwise not in PAIRWISE:
        raise unknown_name("pairwise function", pairwise, PAIRWISE)
    if subsample_order not in ("before", "after"):
        raise unknown_name("subsample order", subsample_order, ("before", "after"))
    for name, size in (("channels", channels), ("inner_channels", inner), ("subsample", subsample)):
        whole_number(name, size)
    if real_number("scale", scale) <= 0:
        raise InputError(f"scale must be a positive, finite number; got {scale}")
    if scale != 1 and not PAIRWISE[pairwise].scaled:
        raise InputError(
            f"scale multiplies softmax affinities, and {pairwise!r} has none: leave it at 1.0 (got {scale}), "
            "or choose pairwise='embedded_gaussian' or 'gaussian'"
        )


def _checked_positions(positions: Tensor | Sequence[tuple[int, int, int]], x: Tensor) -> Tensor:
    places = torch.as_tensor(positions, device=x.device)
    if places.ndim != 2 or places.shape[1] != 3 or places.dtype not in _INTEGERS:
        raise InputError(
            f"positions must be (t, h, w) triples of whole numbers, (p, 3); got {places.dtype} {tuple(places.shape)}"
        )
    size = torch.tensor(x.shape[2:], device=x.device)
    outside = ((places < 0) | (places >= size)).any(dim=1)
    if outside.any():
        raise InputError(
            f"position {tuple(places[outside][0].tolist())} is outside the feature map; "
            f"(t, h, w) must be from (0, 0, 0) to below {tuple(x.shape[2:])}"
        )
    return places.long()
