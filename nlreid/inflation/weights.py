"""From the tensors of a 2D network to those of its inflated form, by name: the same for live networks and for files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nlreid.errors import InputError, WeightsError, some_of, unknown_name
from nlreid.inflation.leaves import StandardisedConv3d
from nlreid.layers.conv_pairs import SeparableConv3d

Init = Literal["mean", "center"]
INITS = ("mean", "center")
Tensors = Mapping[str, Tensor]
Recipe = Callable[[Any, Tensors, Init], dict[str, Tensor]]

RECIPES: dict[type[nn.Module], Recipe] = {}


def register_weights(module_type: type[nn.Module], recipe: Recipe) -> None:
    """Say how a 3D module that a rule builds takes its tensors from its 2D source.

    Only for modules whose tensors are not simply the source's by name, with a time axis where kernels gained one.

    Args:
        module_type: The exact type of the 3D module.
        recipe: Called as `recipe(module, tensors, init)` with the source's tensors by their name inside the module, children
            included; returns the 3D module's by theirs.
    """
    RECIPES[module_type] = recipe


def inflate_kernel(kernel: Tensor, frames: int, init: Init = "mean") -> Tensor:
    """A 2D convolution kernel with a time axis.

    `mean` divides it over the frames (Carreira & Zisserman 2017), so that the slices sum to it; `center` puts it into the
    middle frame, so that on a clip of one repeated frame every frame answers as the 2D network does.

    >>> inflate_kernel(torch.ones(1, 1, 1, 1), 3, "center").flatten()
    tensor([0., 1., 0.])

    Args:
        kernel: `(out, in, h, w)`.
        frames: The size of the time axis.
        init: `mean` or `center`.

    Returns:
        `(out, in, frames, h, w)`.
    """
    check_init(init)
    if init == "mean":
        return (kernel / frames).unsqueeze(2).repeat(1, 1, frames, 1, 1)
    inflated = kernel.new_zeros(*kernel.shape[:2], frames, *kernel.shape[2:])
    inflated[:, :, frames // 2] = kernel
    return inflated


def standardise_kernel(kernel: Tensor, eps: float) -> Tensor:
    """Weight standardisation (Qiao et al. 2019): each output channel's kernel with mean zero and variance one.

    Args:
        kernel: `(out, in, h, w)`.
        eps: Added to the variance.
    """
    variance, mean = torch.var_mean(kernel, dim=(1, 2, 3), keepdim=True, correction=0)
    return (kernel - mean) / (variance + eps).sqrt()


def check_init(init: str) -> None:
    """Refuse an initialisation that does not exist.

    Raises:
        UnknownNameError: If `init` is neither `mean` nor `center`.
    """
    if init not in INITS:
        raise unknown_name("init", init, INITS)


def inflate_state_dict(state_dict: Tensors, backbone: nn.Module, init: Init = "mean") -> dict[str, Tensor]:
    """The tensors of a 2D network, inflated to fit a 3D one; the 2D network itself is not needed.

    Args:
        state_dict: The tensors of the 2D network under timm's names. Those of its pooling and classifier are dropped;
            counters of batch norms (`num_batches_tracked`) may be missing and then stay what they are in `backbone`.
        backbone: The inflated network, with any values, as `nlreid.inflate` or `create_model(…).backbone` give it; non-local
            blocks in it keep their own tensors.
        init: `mean` or `center`, see `inflate_kernel`.

    Returns:
        A complete state dict for `backbone`.

    Raises:
        InputError: If `backbone` is no inflated network.
        WeightsError: If tensors are missing, left over, or do not fit; it names them.
    """
    source = _checked_source(state_dict, backbone, init)
    return {**backbone.state_dict(), **dict(_inflate(backbone, "", source, init))}


def load_inflated(backbone: nn.Module, state_dict: Tensors, init: Init = "mean") -> None:
    """Fill a 3D network from the tensors of a 2D one, a tensor at a time, so that no second copy is held.

    Args:
        backbone: As in `inflate_state_dict`; it is changed only if everything fits.
        state_dict: As in `inflate_state_dict`.
        init: As in `inflate_state_dict`.

    Raises:
        InputError: As in `inflate_state_dict`.
        WeightsError: As in `inflate_state_dict`.
    """
    source = _checked_source(state_dict, backbone, init)
    own = backbone.state_dict()
    with torch.no_grad():
        for name, tensor in _inflate(backbone, "", source, init):
            own[name].copy_(tensor)


def _checked_source(state_dict: Tensors, backbone: nn.Module, init: Init) -> dict[str, Tensor]:
    check_init(init)
    head = getattr(backbone, "dropped", None)
    if head is None:
        raise InputError(f"state dicts are inflated to fit a network of nlreid.inflate; got {type(backbone).__qualname__}")
    source = {name: tensor for name, tensor in state_dict.items() if name.split(".")[0] not in head}
    shapes = {name: tensor.to("meta") for name, tensor in source.items()}
    inflated = {name: tensor.shape for name, tensor in _inflate(backbone, "", shapes, init)}
    own = {name: tensor.shape for name, tensor in backbone.state_dict().items()}
    may_stay = {name for name in own if ".non_local_" in name or name.endswith("num_batches_tracked")}
    problems = {
        "missing": own.keys() - inflated.keys() - may_stay,
        "left over": inflated.keys() - own.keys(),
        "of another shape": {name for name in inflated.keys() & own.keys() if inflated[name] != own[name]},
    }
    if any(problems.values()):
        named = (f"{len(names)} {what} ({some_of(names)})" for what, names in problems.items() if names)
        raise WeightsError("the 2D tensors are not those of this network's source: " + "; ".join(named))
    return source


def _inflate(module: nn.Module, prefix: str, source: Tensors, init: Init) -> Iterator[tuple[str, Tensor]]:
    recipe = RECIPES.get(type(module))
    if recipe is not None:
        local = {name.removeprefix(prefix): tensor for name, tensor in source.items() if name.startswith(prefix)}
        yield from ((prefix + name, tensor) for name, tensor in recipe(module, local, init).items())
        return
    children = dict(module.named_children())
    inside = tuple(f"{prefix}{child}." for child in children)
    own = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
    for name, tensor in source.items():
        if name.startswith(prefix) and not name.startswith(inside):
            yield name, _with_time(tensor, own.get(name.removeprefix(prefix)), init)
    for child, submodule in children.items():
        below = {name: tensor for name, tensor in source.items() if name.startswith(f"{prefix}{child}.")}
        yield from _inflate(submodule, f"{prefix}{child}.", below, init)


def _with_time(tensor: Tensor, target: Tensor | None, init: Init) -> Tensor:
    if target is not None and target.ndim == 5 and tensor.ndim == 4:
        return inflate_kernel(tensor, target.shape[2], init)
    return tensor


def _standardised(conv: StandardisedConv3d, tensors: Tensors, init: Init) -> dict[str, Tensor]:
    inflated = dict(tensors)
    if "weight" in tensors:
        inflated["weight"] = inflate_kernel(standardise_kernel(tensors["weight"], conv.eps), conv.kernel_size[0], init)
    return inflated


def _separable(pair: SeparableConv3d, tensors: Tensors, init: Init) -> dict[str, Tensor]:
    # The temporal half spreads each channel over the frames, the spatial half is the 2D kernel: together the inflation.
    inflated = {f"spatial.{name}": tensor for name, tensor in tensors.items()}
    if "weight" not in tensors:
        return inflated
    identity = torch.eye(pair.temporal.in_channels, device=tensors["weight"].device)[:, :, None, None]
    inflated["spatial.weight"] = tensors["weight"].unsqueeze(2)
    return inflated | {"temporal.weight": inflate_kernel(identity, pair.temporal.kernel_size[0], init)}


register_weights(StandardisedConv3d, _standardised)
register_weights(SeparableConv3d, _separable)
