"""`optimize_for_inference`: a copy of a model that answers the same, sooner."""

from __future__ import annotations

import copy
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from nlreid.errors import InputError
from nlreid.inflation.backbone import Backbone3d
from nlreid.models.network import VideoReID
from nlreid.models.placement import non_local_blocks
from nlreid.optimize.folding import fold_norms
from nlreid.optimize.fusing import fuse
from nlreid.optimize.running import FastBackbone

Model = TypeVar("Model", VideoReID, Backbone3d)
AUTOTUNED = "max-autotune"
DTYPES = (None, torch.float32, torch.bfloat16, torch.float16)


@torch.inference_mode(mode=False)  # of tensors of inference mode nobody knows when they change
def optimize_for_inference(
    model: Model,
    *,
    dtype: torch.dtype | None = None,
    compile: bool | Literal["max-autotune"] = False,  # noqa: A002 - torch's word
) -> Model:
    """A copy of a model for inference alone, with the same answers.

    Batch norms are folded into the convolutions and linear layers before them (in residual, separable and non-local blocks, and
    in heads) wherever nothing else reads what these compute. ReLUs, and the sums that timm's residual blocks and non-local
    blocks end in, are computed by the convolutions before them, in the same pass over memory, where there is a kernel for that:
    oneDNN's on x86 processors (float32, and bfloat16 where it has it), ours in Triton on NVIDIA GPUs of data centres (16 bits).
    In float32 embeddings agree with the model's to about 1e-6 of their size.

    >>> import nlreid
    >>> model = nlreid.create_model("test_r3d_nl", num_classes=3).eval()
    >>> fast = optimize_for_inference(model)
    >>> clip = torch.rand(2, 3, 4, 64, 32)
    >>> torch.allclose(fast(clip).embedding, model(clip).embedding, atol=1e-5)
    True

    Args:
        model: A model of `nlreid.create_model`, or a backbone of `nlreid.inflate`; it is left as it is, in whichever mode.
        dtype: `torch.bfloat16` or `torch.float16` has the backbone compute in half precision, for clips of that type; what it
            gives, the aggregation over time and the head are float32. By default the type that the model has.
        compile: Whether `torch.compile` builds the network, at its first batch of each shape: with constant folding and
            prepacked kernels on a CPU (needs a C++ compiler), as CUDA graphs on a GPU. Pays off where many batches have
            one shape. `"max-autotune"` has it try several kernels for each product and keep the fastest, which takes minutes.

    Returns:
        The copy, in evaluation mode and without gradients. It embeds; it is not for training, and cannot be saved. On a CPU it
        keeps its kernels twice, as they are and as oneDNN wants them, from the first batch on. Compiled for a GPU, it gives
        each answer in the same memory: copy one that is to outlive the next call, as `embed` does.

    Raises:
        InputError: If `model`, `dtype` or `compile` is something else.
    """
    if not isinstance(model, VideoReID | Backbone3d):
        raise InputError(f"optimize_for_inference takes a model of nlreid.create_model or nlreid.inflate; got {type(model)}")
    if dtype not in DTYPES:
        raise InputError(f"dtype is torch.bfloat16, torch.float16, torch.float32 or None; got {dtype!r}")
    if compile not in (False, True, AUTOTUNED):
        raise InputError(f"compile is False, True or {AUTOTUNED!r}; got {compile!r}")
    fast: Model = copy.deepcopy(model)
    fast.eval().requires_grad_(False)
    backbone = fast.backbone if isinstance(fast, VideoReID) else fast
    side = backbone.stride * max([1, *(block.subsample for block in non_local_blocks(fast).values())])
    clip = torch.empty((1, backbone.in_channels, backbone.min_frames, side, side), device="meta", dtype=backbone.dtype)
    fold_norms(fast, clip)
    fuse(fast, clip)
    if type(backbone) is Backbone3d:  # a class of its own has a pass of its own
        wrapped = FastBackbone(backbone)
        if isinstance(fast, VideoReID):
            fast.backbone = backbone = wrapped
        else:
            fast = backbone = wrapped
    if dtype is not None:
        fast.float()
    if dtype in (torch.bfloat16, torch.float16):
        backbone.to(dtype)
        backbone.add_module("to_float32", _ToFloat32())
    for parameter in fast.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    if compile:
        tuned = compile == AUTOTUNED
        if next(fast.parameters()).device.type == "cpu":
            fast.compile(options={"freezing": True, "max_autotune": tuned})
        else:
            fast.compile(mode=AUTOTUNED if tuned else "reduce-overhead")
    return fast


class _ToFloat32(nn.Module):
    """Behind the last layer of half precision."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float()
