"""Attention that pools over space pools over time in the same way: as if the frames lay one under the other in a picture."""

import pytest
import torch
from einops import rearrange
from timm.layers import eca, global_context, squeeze_excite
from timm.models import senet

from nlreid.inflation.rules import Site

ATTENTION = {
    "squeeze": squeeze_excite.SEModule(16),
    "squeeze by mean and maximum": squeeze_excite.SEModule(16, add_maxpool=True),
    "effective squeeze": squeeze_excite.EffectiveSEModule(16),
    "effective squeeze by mean and maximum": squeeze_excite.EffectiveSEModule(16, add_maxpool=True),
    "legacy squeeze": senet.SEModule(16, 4),
    "efficient": eca.EcaModule(16),
    "circular": eca.CecaModule(16),
    "context that scales": global_context.GlobalContext(16),
    "context that is added": global_context.GlobalContext(16, fuse_add=True, fuse_scale=False),
    "context by mean": global_context.GlobalContext(16, use_attn=False, fuse_add=True),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_over_a_clip_is_that_over_its_frames_in_one_picture(name):
    module, generator = ATTENTION[name].eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    inflated = Site("attention", {}).convert(module)
    inflated.load_state_dict(
        {key: value.unsqueeze(2) if value.ndim == 4 else value for key, value in module.state_dict().items()}
    )
    clip = torch.randn(2, 16, 3, 4, 5, generator=generator)
    with torch.inference_mode():
        expected = module(rearrange(clip, "b c t h w -> b c (t h) w"))
        answer = inflated(clip)
    assert not torch.allclose(answer, clip, rtol=0.1)
    torch.testing.assert_close(rearrange(answer, "b c t h w -> b c (t h) w"), expected, rtol=1e-5, atol=1e-5)
