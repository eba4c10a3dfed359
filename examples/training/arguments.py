"""The command line of `train.py`, with the paper's values as defaults (arXiv 1807.05073, Sec. 4.2)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nlreid.data.datasets.table import DATASETS

SYNTHETIC = "synthetic"
ALL = "all"  # splits
# what may change when a run is resumed: none of it changes what is learnt
FREE = ("root", "output", "device", "cpu", "workers", "evaluate_every", "save_every", "time_limit", "licence")
FREE += ("figures", "compiled")


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a network of nlreid on a data set.", formatter_class=Help)
    data = add_data(parser)
    data.add_argument("--split", type=split, default=0, help=f"of data sets with ten splits, which, or {ALL}: one by one")
    add_model(parser.add_argument_group("model"))
    add_recipe(parser.add_argument_group("recipe"))
    run = parser.add_argument_group("run")
    add_loop(run)
    add_run(run)
    arguments = parser.parse_args(argv)
    check_data(parser, arguments)
    settle_length(arguments)
    return arguments


def add_data(parser: argparse.ArgumentParser) -> Any:
    """Add what is trained on, and where the run is kept; the group of what is read."""
    parser.add_argument("dataset", choices=list(DATASETS), help="what to train on")
    parser.add_argument("root", nargs="?", type=Path, help=f"where it lies; {SYNTHETIC} needs no place")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run; one that is there is resumed")
    data = parser.add_argument_group("data")
    add_reading(data)
    _add_synthetic(parser.add_argument_group(f"data, {SYNTHETIC}"))
    return data


def check_data(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End the program where the data set, its place and its split do not fit together."""
    if (arguments.root is None) != (arguments.dataset == SYNTHETIC):
        parser.error(f"{arguments.dataset} {'needs no place' if arguments.root else 'needs a place: give ROOT'}")
    if arguments.split == ALL and DATASETS[arguments.dataset].splits == 1:
        parser.error(f"{arguments.dataset} has one split; leave --split {ALL} out")


def settle_length(arguments: argparse.Namespace) -> None:
    """300 epochs, where neither epochs nor steps are given."""
    if arguments.steps is None and arguments.epochs is None:
        arguments.epochs = 300


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults are shown where there are some."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        shown = action.default is not None and action.default is not False and action.default != []
        return super()._get_help_string(action) if shown else action.help


def fixed_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that a run keeps when it is resumed, in plain values."""
    options = {name: value for name, value in vars(arguments).items() if name not in FREE}
    return json.loads(json.dumps(options, default=str))


def add_reading(group: Any) -> None:
    """Add what may be missing of a data set, and what is done to its pictures."""
    group.add_argument("--partial", action="store_true", help="take what is there of an incomplete data set")
    group.add_argument("--erasing", type=number(float, 0, 1), default=0.0, help="probability of random erasing")


def _add_synthetic(group: Any) -> None:
    group.add_argument("--identities", type=number(int, 2), default=750, help="people to train on")
    group.add_argument("--tracklets", type=number(int, 1), default=8, help="drawn walks of each")
    group.add_argument("--rendered-frames", type=number(int, 1), default=16, help="pictures of a walk")
    group.add_argument("--rendered-size", type=number(int, 8), nargs=2, default=(128, 64), metavar=("H", "W"), help="in pixels")
    rate = "change of the gait's phase from picture to picture, in radians, least and greatest"
    group.add_argument("--rate", type=number(float, 0), nargs=2, default=(0.55, 0.65), metavar=("LEAST", "MOST"), help=rate)
    group.add_argument("--lookalikes", type=number(float, 0, 1), default=0.5, help="share of people who are like others")
    group.add_argument("--strength", type=number(float, 0, 1), default=0.35, help="how much the colours of cameras differ")
    group.add_argument("--test-identities", type=number(int, 2), default=50, help="other people, to test on in two cameras")
    group.add_argument("--data-seed", type=number(int, 0), default=0, help="which people")
    group.add_argument("--figures", type=Path, help="folder to keep the drawn walks in (default: that of the run)")
    group.add_argument("--compiled", action="store_true", help="compile what draws them: half a minute, then faster")


def add_model(group: Any) -> None:
    """Add the network and its start values."""
    group.add_argument("--model", default="r3d50_nl", help="a name of `nlreid models`")
    group.add_argument("--pretrained", help="its weights: a tag such as kinetics or imagenet, a path, or hf-hub:org/name")
    group.add_argument("--init-from", type=Path, help="start from a saved network of another shape, such as a c2d one")
    group.add_argument("--head", choices=("linear", "bottleneck", "bnneck"), help="(default: the paper's bottleneck)")
    add_clip(group)
    group.add_argument(
        "--set", type=setting, action="append", default=[], metavar="FIELD=JSON", help="another field of its spec: dropout=0.2"
    )


def add_clip(group: Any) -> None:
    """Add the shape of a clip, which by default is the model's own."""
    group.add_argument("--frames", type=number(int, 1), help="frames of a clip")
    group.add_argument("--stride", type=number(int, 1), help="from one frame of a clip to the next")
    group.add_argument("--size", type=number(int, 1), nargs=2, metavar=("HEIGHT", "WIDTH"), help="of a frame, in pixels")


def add_recipe(group: Any) -> None:
    """Add what decides how is learnt."""
    length = group.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=number(int, 1), help="epochs of all identities (default: 300)")
    length.add_argument("--steps", type=number(int, 1), help="steps of the optimiser, instead")
    group.add_argument("-P", "--p", type=number(int, 2), default=32, help="identities of a batch, of all processes together")
    group.add_argument("-K", "--k", type=number(int, 2), default=4, help="tracklets of an identity in a batch")
    group.add_argument("--optimiser", choices=("adam", "adamw"), default="adam", help="what takes the steps")
    group.add_argument("--lr", type=number(float, 0), default=3e-4, help="learning rate")
    group.add_argument("--weight-decay", type=number(float, 0), default=5e-4, help="of kernels; norms and biases have none")
    group.add_argument("--decay-start", type=number(float, 0, 1), default=0.5, help="share of the steps before the decay")
    group.add_argument("--warmup", type=number(int, 0), default=0, help="steps in which the learning rate rises from 0")
    group.add_argument("--margin", type=margin, default=0.3, help="of the triplet loss; or soft")
    group.add_argument("--smoothing", type=number(float, 0, 1), default=0.1, help="of the labels")
    group.add_argument("--seed", type=number(int, 0), default=0, help="of everything that is drawn")


def add_loop(group: Any) -> None:
    """Add what the loop of `train.py` does itself."""
    group.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="auto: bfloat16 where the device is fast in it and right, else float32",
    )
    group.add_argument("--device", help="(default: cuda if there is one, else cpu)")
    group.add_argument("--evaluate-every", type=number(int, 0), default=0, metavar="EPOCHS", help="0: only at the end")
    group.add_argument("--save-every", type=number(float, 0), default=10, metavar="MINUTES", help="0: behind each step")
    group.add_argument("--time-limit", type=number(float, 0), metavar="MINUTES", help="save and stop then, to be resumed")


def add_run(group: Any) -> None:
    """Add what changes nothing that is learnt."""
    group.add_argument("--workers", type=number(int, 0), default=2, help="processes that read clips, for each that trains")
    group.add_argument("--licence", default="CC-BY-NC-4.0", help="of the weights; ask the terms of the data set")


def number(kind: type[int] | type[float], least: float, most: float = float("inf")) -> Callable[[str], float]:
    """An argument type for numbers in a range."""

    def parse(text: str) -> float:
        value = kind(text)
        if not least <= value <= most or value == float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a number from {least}" + (f" to {most}" if most < 1e9 else ""))
        return value

    parse.__name__ = kind.__name__  # argparse shows it: invalid int value
    return parse


def split(text: str) -> int | str:
    """A split by its number, or all."""
    return text if text == ALL else int(number(int, 0)(text))


def margin(text: str) -> float | str:
    """The margin of the triplet loss."""
    return text if text == "soft" else number(float, 0)(text)


def setting(text: str) -> tuple[str, Any]:
    """A field of the model's spec and its value: JSON, or a plain word."""
    field, _, value = text.partition("=")
    try:
        return field, json.loads(value)
    except json.JSONDecodeError:
        return field, value
