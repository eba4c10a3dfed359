"""Who is measured against whom: the reference, our network as it comes, and optimised; all with the same weights."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torchvision
from benchmarks.measure import Step
from benchmarks.reference import as_if_trained, reference_of
from torch import Tensor, nn

import nlreid
from nlreid.hub.convert import RECIPES
from nlreid.inflation.plans import resolve_plan

REFERENCE, PLAIN, OPTIMISED = "reference", "plain", "optimised"
REFERENCE_HALF, PLAIN_HALF, OPTIMISED_HALF = "reference, bfloat16", "plain, bfloat16", "optimised, bfloat16"
COMPILED, AUTOTUNED = "optimised and compiled, bfloat16", "the same with max-autotune, bfloat16"
HALF_WEIGHTS = (OPTIMISED_HALF, COMPILED, AUTOTUNED)
TOLERANCE = {
    **dict.fromkeys((REFERENCE, PLAIN, OPTIMISED), 1e-5),
    **dict.fromkeys((REFERENCE_HALF, PLAIN_HALF, OPTIMISED_HALF, COMPILED, AUTOTUNED), 0.1),
}
"""How far from the reference's float32 answer a contender's may lie, relative to its length."""
Answers = dict[str, Callable[[Tensor], Tensor]]

UPSTREAM = {
    "r3d18.torchvision": torchvision.models.video.r3d_18,
    "r2plus1d18.torchvision": torchvision.models.video.r2plus1d_18,
}


@functools.lru_cache(maxsize=1)
def ours_and_theirs(name: str) -> tuple[nn.Module, nn.Module]:
    """A model of ours in evaluation mode and what stands for what people use today, with the same weights."""
    torch.manual_seed(0)
    if name not in UPSTREAM:
        model = as_if_trained(nlreid.create_model(name).eval())
        return model, reference_of(model)
    theirs = as_if_trained(UPSTREAM[name](weights=None).eval())
    model = nlreid.create_model(name, num_classes=400, head="linear").eval()
    model.load_state_dict(RECIPES["torchvision"].convert(theirs.state_dict()).tensors, strict=True)
    return model, theirs


@functools.lru_cache(maxsize=1)
def inference(name: str) -> Answers:
    """The contenders of a model, float32 clips to what they answer."""
    model, theirs = ours_and_theirs(name)
    return {
        REFERENCE: answering(theirs),
        PLAIN: answering(model),
        OPTIMISED: answering(nlreid.optimize_for_inference(model)),
        REFERENCE_HALF: autocast(answering(theirs)),
        OPTIMISED_HALF: answering(nlreid.optimize_for_inference(model, dtype=torch.bfloat16)),
    }


def pairs_bytes(name: str, clip: tuple[int, ...]) -> float:
    """About what the reference's widest non-local block takes for all pairs: the products, their softmax, a copy."""
    spec = nlreid.create_model(name).spec
    if spec.non_local is None:
        return 0
    clips, _, frames, height, width = clip
    positions = frames // resolve_plan(spec.plan).pool_after_first_stage * (height // 8) * (width // 8)
    return 3 * 4 * clips * positions**2 / spec.non_local.subsample**2


def steps(contenders: Answers, clip: Tensor) -> tuple[dict[str, Step], dict[str, str]]:
    """What to run for each contender that answers right, and by how much the others do not; each has run once then.

    Args:
        contenders: The first one says what is right.
        clip: Float32; those whose weights are bfloat16 get it as such.
    """
    expected: Tensor | None = None
    right: dict[str, Step] = {}
    wrong: dict[str, str] = {}
    for label, contender in contenders.items():
        clips = clip.bfloat16() if label in HALF_WEIGHTS else clip
        answer = contender(clips).float()
        expected = answer if expected is None else expected
        error = float((answer - expected).norm() / expected.norm())
        if error <= TOLERANCE[label]:
            right[label] = _step(contender, clips)
        else:
            wrong[label] = f"wrong by {error:.1e}"
    return right, wrong


def answering(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """A network as a function of a clip, in inference mode: to the logits where it has a classifier, else the embedding."""

    @torch.inference_mode()
    def answer(clip: Tensor) -> Tensor:
        output = network(clip)
        if isinstance(output, Tensor):
            return output
        return output.embedding if output.logits is None else output.logits

    return answer


def autocast(answer: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The same under bfloat16 autocast."""

    def answer_in_half(clip: Tensor) -> Tensor:
        with torch.autocast(clip.device.type, torch.bfloat16):
            return answer(clip)

    return answer_in_half


def _step(contender: Callable[[Tensor], Tensor], clip: Tensor) -> Step:
    return lambda: contender(clip)
