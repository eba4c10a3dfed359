"""The network: made, started from an earlier one, scored, and described when it is done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

import nlreid
from nlreid.data.split import JUNK, Split, unanswered
from nlreid.errors import InputError, WeightsError
from nlreid.inflation.weights import load_inflated
from nlreid.layers.modes import evaluating
from nlreid.models.read import read_checkpoint
from training.arguments import fixed_options

METRICS = ("rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP")
TRAPEZOID = "mAP, trapezoid"  # the kind of the official code of MARS
FIGURES = (*METRICS, TRAPEZOID)
_NORMS = {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"}


def make_model(arguments: argparse.Namespace, num_classes: int) -> nlreid.VideoReID:
    """The network with its start values."""
    overrides = dict(arguments.set)
    clip = {name: value for name in ("frames", "stride", "size") if (value := getattr(arguments, name))}
    if clip:
        overrides["clip"] = {**overrides.get("clip", {}), **clip}
    if arguments.pretrained and arguments.init_from:
        raise InputError("give --pretrained or --init-from, not both: each fills the network")
    pretrained = arguments.pretrained or ("." in arguments.model)  # a tag in the name means its weights
    model = nlreid.create_model(arguments.model, pretrained, num_classes=num_classes, head=arguments.head, **overrides)
    if arguments.init_from:
        start_from(model, arguments.init_from)
    return model


def start_from(model: nlreid.VideoReID, path: Path) -> None:
    """Take start values from a network of another shape: a `c2d` one is inflated, non-local blocks may be new.

    `--pretrained` takes a saved network of the same name; this is for the stages before, as in Table 3 of the paper: frames
    first, then clips. The head comes along where it has the same shapes.

    Raises:
        WeightsError: If the backbone of one is not that of the other, in frames or in clips.
        InputError: If it was trained on pictures that were normalised otherwise.
    """
    checkpoint = read_checkpoint(path)
    tensors = dict(checkpoint.tensors)
    source = {name.removeprefix("backbone."): t for name, t in tensors.items() if name.startswith("backbone.")}
    if not source:
        raise WeightsError(f"{path}: no network of nlreid; for 2D weights of a backbone there is --pretrained")
    for name, own in (("mean", model.clip_spec.mean), ("std", model.clip_spec.std)):
        before = tuple(checkpoint.config.clip[name]) if checkpoint.config else own
        if before != own:
            raise InputError(f"{path}: was trained with {name} {before}; give --set 'clip={{\"{name}\": {list(before)}}}'")
    backbone = model.backbone.state_dict()
    taken = {name for name, t in source.items() if name in backbone and backbone[name].shape == t.shape}
    new = {name for name in backbone if name not in taken}
    if all(".non_local_" in name for name in new) and len(taken) == len(source):
        model.backbone.load_state_dict({**backbone, **source})
        how = "as it is"
    else:
        load_inflated(model.backbone, _flat(source, path), model.spec.init)
        new = {name for name in backbone if ".non_local_" in name}
        how = "inflated"
    head = {name.removeprefix("head."): t for name, t in tensors.items() if name.startswith("head.")}
    own = model.head.state_dict()
    same = {name: t for name, t in head.items() if name in own and own[name].shape == t.shape}
    model.head.load_state_dict({**own, **same})
    print(f"started from {path}: backbone {how}, {len(new)} tensors of it new; {len(same)} of {len(own)} tensors of the head")


def _flat(source: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of a network on frames as those of its 2D source: kernels lose their time axis of length one."""
    kernels = {name: t for name, t in source.items() if t.ndim == 5}
    if any(t.shape[2] != 1 for t in kernels.values()):
        raise WeightsError(f"{path}: has kernels over time that are not those of the model; a c2d network has none")
    return {**source, **{name: t.squeeze(2) for name, t in kernels.items()}}


def choose_precision(asked: str, model: nlreid.VideoReID) -> torch.dtype | None:
    """The type of mixed precision, None for none; `auto` is bfloat16 where the device is made for it and computes it well."""
    if asked != "auto":
        return None if asked == "float32" else getattr(torch, asked)
    device = next(model.parameters()).device
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    # by their private names, since they have no public ones; with less than these, bfloat16 is slower than float32
    fast = device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    wrong = wrong_convolutions(model, torch.bfloat16) if fast else []
    if wrong:
        print(f"float32: this machine gets {len(wrong)} convolutions wrong in bfloat16, such as {wrong[0]}", file=sys.stderr)
    return torch.bfloat16 if fast and not wrong else None


def wrong_convolutions(model: nlreid.VideoReID, precision: torch.dtype) -> list[str]:
    """Names of the convolutions that a CPU gets wrong in mixed precision, forwards or backwards, on the model's clips.

    oneDNN's bfloat16 kernels leave parts of some results unwritten (seen in torch 2.14): forwards where the output of a
    strided convolution is one pixel wide, and the gradients of many kernels on processors without AMX.
    """
    inputs: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _, args, __, name=name: inputs.update({name: args[0]}))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv3d)
    ]
    spec, generator = model.clip_spec, torch.Generator().manual_seed(0)
    with evaluating(model), torch.no_grad():
        model.forward_features(torch.randn(2, 3, spec.frames, *spec.size, generator=generator))
    for hook in hooks:
        hook.remove()
    return [name for name, x in inputs.items() if not _is_right(model.get_submodule(name), x, precision)]


def _is_right(conv: nn.Module, x: Tensor, precision: torch.dtype) -> bool:
    x = torch.randn_like(x).contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    exact, rounded = [], []
    for enabled, answers in ((False, exact), (True, rounded)):
        with torch.autocast("cpu", precision, enabled=enabled):
            output = conv(x)
        answers += [output, *torch.autograd.grad(output.float().square().mean(), (x, conv.weight))]
    return all(bool((b - a).norm() < a.norm() / 10) for a, b in zip(exact, rounded, strict=True))


def lay_out(model: nlreid.VideoReID, layout: torch.memory_format) -> None:
    """Order the kernels in memory as the clips are."""
    for parameter in model.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=layout)


def share_norms(model: nn.Module) -> None:
    """Have the batch norms see the batches of all processes, which PyTorch can on GPUs.

    Raises:
        InputError: If some do more than to normalise: torch would put plain norms in their place.
    """
    odd = {type(m).__name__ for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)} - _NORMS
    if odd:
        raise InputError(f"the norms {', '.join(sorted(odd))} cannot be shared by processes; train on one GPU")
    nn.SyncBatchNorm.convert_sync_batchnorm(model)


def score(
    model: nlreid.VideoReID, split: Split, embed: Callable[..., nlreid.Embeddings] = nlreid.embed, *, share: bool = False
) -> dict[str, float]:
    """Rank-1, 5, 10, 20, mAP of both kinds and mINP on the test part, as fractions of 1; none where nothing can be scored."""
    alone = set(map(id, unanswered(split.query, split.gallery)))
    if all(id(tracklet) in alone or tracklet.pid == JUNK for tracklet in split.query):
        return {}
    people = {tracklet.name: tracklet for tracklet in (*split.query, *split.gallery)}  # of which some are in both
    embedded = embed(model, list(people.values()))
    rows = {track.name: row for row, track in enumerate(embedded.tracks)}
    query, gallery = (embedded.select([rows[t.name] for t in part]) for part in (split.query, split.gallery))
    scores = nlreid.evaluate(query, gallery, share=share).as_dict()
    figures = {name: value for name, value in scores.items() if isinstance(value, float)}
    return figures | {TRAPEZOID: nlreid.evaluate(query, gallery, ap="trapezoid", share=share).mAP}


def publish(
    model: nlreid.VideoReID,
    folder: Path,
    arguments: argparse.Namespace,
    split: Split,
    last: Mapping[str, float],
    script: str = "train.py",
) -> None:
    """Save the network with a card that says how it was trained and what it scored."""
    measured = {"dataset": split.name, "by": "measured here, in float32"}
    options = ", ".join(f"{name}={value}" for name, value in fixed_options(arguments).items() if value not in (None, []))
    length = f"{last['step']:,} steps in {last['seconds'] / 60:.0f} minutes"
    card = {
        "licence": arguments.licence,
        "summary": f"Trained by `examples/{script}`, {length}, with {options}.",
        "training_data": f"{split.name}: {model.num_classes} persons.",
        "scores": [{**measured, "metric": name, "value": last[name]} for name in METRICS if name in last],
    }
    nlreid.save_pretrained(model, folder, card=card)
