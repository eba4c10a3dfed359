"""The table of models: what each name means, as data."""

from __future__ import annotations

from fnmatch import fnmatchcase

from nlreid.errors import unknown_name
from nlreid.models.spec import ClipSpec, ModelSpec, NonLocalSpec

DEPTHS = (18, 34, 50, 101)
PLANS_OF_SUFFIX = {"": "i3d", "_separable": "separable", "_full": "full"}
SMALL_CLIP = ClipSpec(frames=8, stride=2, size=(96, 48))
TEST_CLIP = ClipSpec(frames=4, stride=1, size=(64, 32))
TEST_NON_LOCAL = NonLocalSpec(blocks=((), (0,), (0,), ()))


def _test(plan: str, non_local: NonLocalSpec | None = None, aggregate: str = "average") -> ModelSpec:
    return ModelSpec("test_resnet", plan, non_local=non_local, aggregate=aggregate, clip=TEST_CLIP)


MODELS: dict[str, ModelSpec] = {
    # The paper's networks: ResNet3D with and without non-local blocks (NL); `_separable` and `_full` read Fig. 3 otherwise.
    **{
        f"r3d{depth}{suffix}{ending}": ModelSpec(f"resnet{depth}", plan, non_local=non_local)
        for depth in DEPTHS
        for suffix, plan in PLANS_OF_SUFFIX.items()
        for ending, non_local in (("", None), ("_nl", NonLocalSpec()))
    },
    # The paper's baselines (Table 2, Fig. 1): frame features, aggregated over time.
    "c2d50": ModelSpec("resnet50", "c2d"),
    "c2d50_max": ModelSpec("resnet50", "c2d", aggregate="max"),
    "c2d50_rnn": ModelSpec("resnet50", "c2d", aggregate="rnn"),
    "c2d50_attention": ModelSpec("resnet50", "c2d", aggregate="attention"),
    # Half the channels, on small pictures: a frame network, inflated, and with non-local blocks; quick on a CPU.
    "c2d18_half": ModelSpec("resnet18d", "c2d", width=0.5, clip=SMALL_CLIP),
    "r3d18_half": ModelSpec("resnet18d", "i3d", width=0.5, clip=SMALL_CLIP),
    "r3d18_half_nl": ModelSpec("resnet18d", "i3d", width=0.5, non_local=NonLocalSpec(), clip=SMALL_CLIP),
    # Published video networks.
    "slow50": ModelSpec("resnet50", "slow"),
    "mc3_18": ModelSpec("resnet18", "mc3"),
    "r2plus1d18": ModelSpec("resnet18", "r2plus1d"),
    # Few channels, one block a stage: for tests.
    "test_r3d": _test("i3d"),
    "test_r3d_nl": _test("i3d", TEST_NON_LOCAL),
    "test_r3d_separable": _test("separable"),
    "test_r3d_separable_nl": _test("separable", TEST_NON_LOCAL),
    "test_r3d_full": _test("full"),
    "test_r3d_full_nl": _test("full", TEST_NON_LOCAL),
    "test_slow": _test("slow"),
    "test_mc3": _test("mc3"),
    "test_r2plus1d": _test("r2plus1d"),
    "test_c2d": _test("c2d"),
    "test_c2d_max": _test("c2d", aggregate="max"),
    "test_c2d_rnn": _test("c2d", aggregate="rnn"),
    "test_c2d_attention": _test("c2d", aggregate="attention"),
}


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models, sorted.

    >>> list_models("c2d50*")
    ['c2d50', 'c2d50_attention', 'c2d50_max', 'c2d50_rnn']

    Args:
        pattern: Shell-style wildcards.
    """
    return sorted(name for name in MODELS if fnmatchcase(name, pattern))


def model_spec(name: str) -> ModelSpec:
    """The spec of a model's name, without a tag.

    Raises:
        UnknownNameError: If there is no such model.
    """
    if name not in MODELS:
        raise unknown_name("model", name, MODELS, "nlreid.list_models() lists all.")
    return MODELS[name]
