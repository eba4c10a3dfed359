"""One rule per exact 2D module type: how it is rebuilt in 3D; unknown types are refused.

Rules decide structure only. The tensors follow by name, in `nlreid.inflation.weights`, for live networks and files alike.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from nlreid.errors import InflationError
from nlreid.inflation.layouts import Frames


@dataclass(frozen=True)
class Site:
    """The place of a 2D module in its network, as a rule sees it.

    Args:
        name: Dotted name of the module.
        plan: The frames of every layer that the plan names.
    """

    name: str
    plan: Mapping[str, Frames]

    @property
    def frames(self) -> Frames:
        """What the plan gives this module."""
        return self.plan.get(self.name, Frames())

    def rebuild(self, module: nn.Module, as_type: type[nn.Module] | None = None) -> nn.Module:
        """A copy of `module` with its children in 3D, for modules whose own code fits both.

        Args:
            module: The 2D module.
            as_type: A subclass of the module's type that overrides the code that does not fit.
        """
        children: dict[int, object] = {}
        for name, child in module.named_children():
            place = f"{self.name}.{name}" if self.name else name
            children[id(child)] = Site(place, self.plan).convert(child)
        rebuilt = copy.deepcopy(module, memo=children)  # which takes what its memo holds for granted: every child in 3D
        if as_type is not None:
            rebuilt.__class__ = as_type
        return rebuilt

    def convert(self, module: nn.Module) -> nn.Module:
        """`module` in 3D, by the rule of its exact type.

        Raises:
            InflationError: If its type has no rule.
        """
        rule = RULES.get(type(module))
        if rule is None:
            kind = f"{type(module).__module__}.{type(module).__qualname__}"
            raise InflationError(
                f"no 3D rule for {kind} (at {self.name!r}); register one with "
                f"nlreid.inflation.register_rule({type(module).__qualname__}, rule), rule(module, site) -> nn.Module"
            )
        return rule(module, self)


Rule = Callable[[Any, Site], nn.Module]
RULES: dict[type[nn.Module], Rule] = {}


def register_rule(module_type: type[nn.Module], rule: Rule) -> None:
    """Say how a 2D module type is rebuilt in 3D.

    The rule is called as `rule(module, site)` and returns a new module; it must leave `module` as it is. Tensors that keep
    their name and shape, and convolution kernels that gain a time axis, are filled in afterwards; for anything else see
    `nlreid.inflation.register_weights`. A rule registered for a type that has one replaces it.

    >>> class Scale(nn.Module): ...
    >>> register_rule(Scale, lambda module, site: site.rebuild(module))

    Args:
        module_type: The exact type; subclasses need rules of their own, since they may behave differently.
        rule: Builds the 3D module.

    Raises:
        InflationError: If `module_type` is no module type.
    """
    if not (isinstance(module_type, type) and issubclass(module_type, nn.Module)):
        raise InflationError(f"a rule is for a type of nn.Module; got {module_type!r}")
    RULES[module_type] = rule


def keep(module: nn.Module, site: Site) -> nn.Module:
    """The rule of modules whose code does not care how many axes there are."""
    return site.rebuild(module)
