"""`inflate`: a 2D network of timm in, the 3D backbone out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from nlreid.errors import InflationError
from nlreid.inflation.backbone import Backbone3d, insert_after
from nlreid.inflation.layouts import assign_frames, layout_of
from nlreid.inflation.plans import TemporalPlan, resolve_plan
from nlreid.inflation.rules import Site
from nlreid.inflation.weights import Init, check_init, load_inflated
from nlreid.layers.conv_pairs import SeparableConv3d
from nlreid.layers.pool import TemporalMaxPool


def inflate(model2d: nn.Module, plan: str | TemporalPlan | Mapping[str, Any] = "i3d", init: Init = "mean") -> Backbone3d:
    """Inflate a 2D network to a 3D backbone (paper Sec. 3.1; Carreira & Zisserman 2017).

    Every convolution that the plan names gains a temporal kernel; attention that pools over space pools over space and time;
    the classifier and its pooling are dropped. With `mean` and zero temporal padding, a clip of one repeated frame gets the 2D
    network's answer only at frames whose receptive field stays inside the clip; with `center`, everywhere.

    >>> import timm
    >>> inflate(timm.create_model("test_resnet"), plan="i3d").num_features
    96

    Args:
        model2d: A network of timm's `ResNet`, `SENet`, `ResNetV2`, `RegNet` or `ByobNet` class; it is left as it is.
        plan: Name of a temporal plan, a `TemporalPlan`, or a mapping of its changed fields.
        init: `mean` (every slice is the 2D kernel divided by the frames) or `center` (the 2D kernel in the middle slice).

    Returns:
        The backbone `(b, 3, t, h, w) -> (b, num_features, t', h', w')`, on the same device, each module in the mode of its
        source. Hooks are not promised to carry over.

    Raises:
        InflationError: If the network's class, or the type of one of its modules, has no rule, or the plan cannot inherit 2D
            weights.
        UnknownNameError: If there is no such plan or init.
    """
    check_init(init)
    plan = resolve_plan(plan)
    if not plan.inherits:
        raise InflationError(
            f"plan {plan.name!r} cannot inherit 2D weights ({plan.source}); "
            "nlreid.create_model builds its networks and loads their own checkpoints"
        )
    backbone = build_3d(model2d, plan)
    load_inflated(backbone, model2d.state_dict(), init)
    trained = dict(model2d.named_parameters())
    for name, parameter in backbone.named_parameters():
        source = name.replace(".spatial.", ".").replace(".temporal.", ".")  # both halves of a pair follow their kernel
        given = trained.get(name, trained.get(source))
        parameter.requires_grad_(given is None or given.requires_grad)
    return backbone


def build_3d(model2d: nn.Module, plan: TemporalPlan) -> Backbone3d:
    """The structure of the 3D network; kernels are left without values, everything else is the 2D network's."""
    layout = layout_of(model2d)
    frames = assign_frames(model2d, layout, plan)
    children = {name: Site(name, frames).convert(model2d.get_submodule(name)) for name in layout.children()}
    stages = layout.stage_names(model2d)
    pooled = plan.stem_pool or not layout.stem_pool
    backbone = Backbone3d(
        children,
        plan,
        num_features=int(model2d.num_features),  # type: ignore[arg-type]
        stage_names=stages,
        block_holders=layout.block_holders(model2d),
        dropped=layout.head,
        in_channels=next(module.in_channels for module in model2d.modules() if isinstance(module, nn.Conv2d)),
        stride=int(model2d.feature_info[-1]["reduction"]) // (1 if pooled else 2),  # type: ignore[index]
    )
    if not pooled:
        backbone.set_submodule(layout.stem_pool, nn.Identity())
    if plan.pool_after_first_stage > 1:
        insert_after(backbone, stages[0], "temporal_pool", TemporalMaxPool(plan.pool_after_first_stage))
    modes = {name: module.training for name, module in model2d.named_modules()}
    for name, module in backbone.named_modules():
        module.training = modes.get(name, model2d.training)
    return backbone


def draw_kernels(backbone: Backbone3d, source: Mapping[str, Tensor]) -> None:
    """Draw fresh kernels (Kaiming normal, fan out), for networks that start from nothing.

    Kernels that are zero in the 2D network, so that its blocks start as identities, stay zero.

    Args:
        backbone: As `build_3d` made it.
        source: The state dict of its freshly made 2D network; of its kernels the first row alone is looked at.
    """
    own_start = {id(module.temporal) for module in backbone.modules() if isinstance(module, SeparableConv3d)}
    for name, module in backbone.named_modules():
        if not isinstance(module, nn.Conv3d) or id(module) in own_start:
            continue
        kernel = source.get(f"{name}.weight")
        if kernel is not None and not kernel.is_meta and not kernel[:1].any():  # no row of drawn ones is
            nn.init.zeros_(module.weight)
        else:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
