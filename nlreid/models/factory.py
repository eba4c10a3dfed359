"""`create_model`: from a name to a network with weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from nlreid.errors import InputError, NLReIDError, WeightsError, unknown_name, whole_number
from nlreid.hub.fetching.fetch import fetch, fetch_hub
from nlreid.hub.table.config import PERSONS, Config
from nlreid.hub.table.manifest import Entry, entries_of
from nlreid.inflation.weights import check_init
from nlreid.layers.heads import HEADS
from nlreid.models.assembly import assemble, shapes_of
from nlreid.models.backbone2d import check_backbone, create_pretrained_2d, origin, statistics
from nlreid.models.checkpoint import Checkpoint
from nlreid.models.load import check_finite, check_fit, fresh, load_checkpoint
from nlreid.models.network import LoadReport, VideoReID
from nlreid.models.pretrained import Source, resolve_source
from nlreid.models.read import read_checkpoint
from nlreid.models.spec import ModelSpec
from nlreid.models.variants import check_config, spec_of
from nlreid.models.zoo import MODELS, model_spec

logger = logging.getLogger(__name__)


def create_model(
    name: str,
    pretrained: bool | str | Path | None = None,
    *,
    num_classes: int = 0,
    head: str | None = None,
    **overrides: Any,
) -> VideoReID:
    """Make a model of the zoo.

    >>> import torch
    >>> model = create_model("test_r3d_nl", num_classes=10)
    >>> out = model.eval()(torch.zeros(2, 3, 4, 64, 32))
    >>> out.embedding.shape, out.logits.shape
    (torch.Size([2, 512]), torch.Size([2, 10]))

    Args:
        name: A name of `list_models()`, or one with a tag of `list_pretrained()`: the tag selects the variant of the model that
            this checkpoint needs, with or without its weights.
        pretrained: `None` for random weights; `True` for the tag in the name; a tag, or the alias of a model's default one
            (`"kinetics"`; `"imagenet"`: timm's 2D weights for the backbone, inflated), whose variant comes with it;
            `"hf-hub:org/name@revision"`; or the path of a file or folder: what `nlreid.save_pretrained` writes, a state dict of
            this model, 2D weights of its backbone in the layout of timm, torchreid or fast-reid, which are inflated, and, where
            the name has the tag, the upstream file as it was published.
        num_classes: Outputs of the classifier; 0 is none.
        head: `"linear"`, `"bottleneck"`, `"bnneck"` or `"none"`; by default the head that the weights bring, and where they
            bring none, no head without classes and the paper's bottleneck with. The classifier of a checkpoint that was trained
            for actions is kept where `head="linear"` and `num_classes` is its own, and dropped otherwise.
        **overrides: Fields of the model's spec, see `nlreid.models.ModelSpec`; they are applied last.

    Returns:
        The network, in training mode; `model.loaded` says what its weights came from.

    Raises:
        UnknownNameError: If a name (model, tag, head, override, plan, …) does not exist; it gives the nearest that does.
        InputError: If a value does not fit.
        InflationError: If the backbone cannot be inflated.
        WeightsError: If weights cannot be found, read or loaded; `DownloadError` and `ChecksumError` are kinds of it.
    """
    if not isinstance(name, str):
        raise InputError(f"the name of a model is a string; got {name!r}")
    num_classes = whole_number("num_classes", num_classes, least=0)
    base, dot, tag = name.partition(".")
    if dot and not tag:
        raise unknown_name("model", name, MODELS, "nlreid.list_models() lists all.")
    asked = model_spec(base).override(overrides)
    check_backbone(asked.backbone, asked.width)
    check_init(asked.init)
    _check_head(head, num_classes)
    source = resolve_source(base, asked, tag, pretrained)
    checkpoint, config, place = _given(base, source)
    kind = _head_kind(head, num_classes, checkpoint, config)
    own = _spec(base, config, place, whole=config is not None and (kind, num_classes) == (config.head, config.num_classes))
    spec = _told_by(checkpoint, own.override(overrides)).override(overrides)  # which have the last word
    model_name = source.entry.name if source.entry else config.name if config else name
    if source.kind == "timm":
        return _inherited(model_name, spec, kind, num_classes, overrides)
    if source.kind == "random":
        return assemble(model_name, spec, kind, num_classes)
    differs = config is None or "non_local" in overrides
    model = _assembled(model_name, spec, kind, num_classes, differs, place if config and not overrides else "")
    blocks = _blocks(own, model, differs) if config is not None else frozenset()
    if source.kind == "entry" and source.entry is not None:
        checkpoint, place = _fetched(model, source.entry, blocks)
    if checkpoint is not None:
        if source.entry is None and not {"plan", "non_local"} & overrides.keys():
            _warn_of_variants(base, checkpoint)
        model.loaded = replace(load_checkpoint(model, checkpoint, spec.init, blocks=blocks), source=place)
    return model


def _check_head(head: str | None, num_classes: int) -> None:
    if head is not None and head not in (*HEADS, "none"):
        raise unknown_name("head", head, (*HEADS, "none"))
    if head == "none" and num_classes:
        raise InputError(
            f"head='none' has no classifier, but num_classes={num_classes}; ask for head='linear' or num_classes=0"
        )


def _given(base: str, source: Source) -> tuple[Checkpoint | None, Config | None, str]:
    """What can be known before the network is made: the checkpoint of a file or repository, its config, and its place."""
    checkpoint, place = None, source.place
    if source.kind == "hub":
        fetched = fetch_hub(source.place)
        checkpoint, place = read_checkpoint(fetched.path, source.entry, fetched.config, fetched.sha256), fetched.source
    elif source.kind == "path":
        checkpoint = read_checkpoint(Path(source.place), source.entry)
    config = checkpoint.config if checkpoint is not None else None
    if config is not None and config.architecture != base:
        raise WeightsError(
            f"{place}: a checkpoint of {config.architecture!r}, and {base!r} was asked for; "
            f"create_model({config.architecture!r}, pretrained=…) takes it, with overrides where it shall differ"
        )
    return checkpoint, config or (source.entry.config() if source.entry else None), place


def _warn_of_variants(base: str, checkpoint: Checkpoint) -> None:
    """A state dict alone does not say which network it is of, where several have tensors of the same names and shapes."""
    variants = [entry.name for entry in entries_of(base).values() if entry.overrides]
    if variants and checkpoint.config is None and not checkpoint.is_2d:
        logger.warning(
            "%s: a state dict does not say which variant of %r it is of; taken as %r itself, not as %s; name the one it is of, "
            "or save with nlreid.save_pretrained, which says it",
            *(checkpoint.path, base, base, " or ".join(variants)),
        )


def _head_kind(head: str | None, num_classes: int, checkpoint: Checkpoint | None, config: Config | None) -> str:
    brought = checkpoint.head if checkpoint else config.head if config and config.task == PERSONS else None
    return head or brought or ("bottleneck" if num_classes else "none")


def _spec(base: str, config: Config | None, place: str, *, whole: bool) -> ModelSpec:
    """The spec that a checkpoint needs; where its classifier of actions is not kept, pictures have the shape of a person."""
    if config is None:
        return model_spec(base)
    spec = spec_of(config, place)
    if config.task != PERSONS and not whole:
        spec = replace(spec, clip=replace(spec.clip, size=model_spec(base).clip.size))
    return spec


def _told_by(checkpoint: Checkpoint | None, spec: ModelSpec) -> ModelSpec:
    """What a file's tensors alone say: the size of the embedding; of 2D weights, the pictures they were trained on."""
    if checkpoint is None or checkpoint.config is not None:
        return spec
    if checkpoint.is_2d:
        mean, std = statistics(spec.backbone)
        return replace(spec, clip=replace(spec.clip, mean=mean, std=std))
    return replace(spec, embedding_dim=checkpoint.embedding_dim or spec.embedding_dim)


def _inherited(name: str, spec: ModelSpec, head: str, num_classes: int, overrides: Mapping[str, Any]) -> VideoReID:
    model2d = create_pretrained_2d(spec.backbone)
    mean, std = statistics(model2d)
    spec = replace(spec, clip=replace(spec.clip, mean=mean, std=std)).override(overrides)
    model = assemble(name, spec, head, num_classes, model2d)
    model.loaded = LoadReport(f"timm, {origin(model2d)}", tuple(sorted(fresh(model))))
    return model


def _assembled(name: str, spec: ModelSpec, head: str, num_classes: int, fresh_blocks: bool, place: str) -> VideoReID:
    try:
        return assemble(name, spec, head, num_classes, "awaited", fresh_blocks=fresh_blocks)
    except (NLReIDError, RuntimeError) as error:  # torch's, where a config asks for more memory than there is
        if not place:
            raise
        raise WeightsError(f"{place}: its config describes no network that can be built here: {error}") from error


def _blocks(own: ModelSpec, model: VideoReID, differs: bool) -> frozenset[str]:
    """Names of the non-local tensors that a checkpoint must have: those of its own spec, whatever the overrides add."""
    names = shapes_of(own) if differs else model.state_dict()
    return frozenset(name for name in names if ".non_local_" in name)


def _fetched(model: VideoReID, entry: Entry, blocks: frozenset[str]) -> tuple[Checkpoint, str]:
    def check(tensors: Mapping[str, Tensor]) -> None:  # before the library's copy of an upstream file is kept
        candidate = Checkpoint(Path(entry.name), tensors, entry.config())
        check_config(candidate, entry)
        check_fit(model, candidate, blocks=blocks)
        check_finite(tensors)

    fetched = fetch(entry, check)
    checkpoint = read_checkpoint(fetched.path, entry, fetched.config, fetched.sha256)
    if checkpoint.config is None or _kind_of(checkpoint.config) != _kind_of(entry.config()):
        raise WeightsError(
            f"{fetched.source}: not {entry.name} as it was published: its classifier, task or clips are others; "
            "give its path as pretrained=, or remove it"
        )
    return checkpoint, f"{fetched.source} ({entry.name})"


def _kind_of(config: Config) -> tuple[object, ...]:
    return config.task, config.head, config.num_classes, spec_of(config, config.name).clip
