"""`nlreid models`: what there is."""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase
from typing import Any

from nlreid.errors import unknown_name
from nlreid.inflation.plans import resolve_plan
from nlreid.models import MODELS, ModelSpec, list_models
from nlreid.models.pretrained import tags


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "models",
        help="list the models",
        description="List the models and the weights that each can load.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "pattern", nargs="?", default="*", help="a name, or shell-style wildcards as in '*_nl' or '*.imagenet' (default: all)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each model whose name, with or without a tag, matches."""
    names = [name for name in list_models() if _matches(name, arguments.pattern)]
    if not names:
        raise unknown_name("model", arguments.pattern, MODELS, "'nlreid models' lists all.")
    print(f"{'model':24} {'backbone':14} {'plan':10} {'non-local':10} {'aggregate':10} weights")
    for name in names:
        spec = MODELS[name]
        non_local = spec.non_local.pairwise.replace("embedded_gaussian", "yes") if spec.non_local else "-"
        plan = resolve_plan(spec.plan).name
        print(
            f"{name:24} {_backbone(spec):14} {plan:10} {non_local:10} {spec.aggregate:10} {', '.join(tags(name, spec)) or '-'}"
        )


def _backbone(spec: ModelSpec) -> str:
    return spec.backbone if spec.width == 1 else f"{spec.backbone}*{spec.width:g}"


def _matches(name: str, pattern: str) -> bool:
    return any(fnmatchcase(full, pattern) for full in (name, *(f"{name}.{tag}" for tag in tags(name, MODELS[name]))))
