"""What holds on the CPU holds on a CUDA device: answers, gradients, memory, every fast path. Skipped where there is none."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import nlreid
from nlreid.evaluation import nearest
from nlreid.layers import Conv3d
from nlreid.optimize.fused_conv import FusedConv3d

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
TINY = nlreid.list_models("test_*")


@pytest.fixture(autouse=True)
def _exact_products():
    """Without TensorFloat-32, whose products have 10 bits."""
    kept = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = kept


def made(name, **options):
    torch.manual_seed(0)
    model = nlreid.create_model(name, num_classes=5, **options).eval()
    for block in model.modules():
        if isinstance(block, nlreid.NonLocalBlock):
            torch.nn.init.ones_(block.norm.weight)  # else it is the identity
    return model


def clips_for(model, count=2):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, max(8, model.backbone.min_frames), 64, 64, generator=generator)


@pytest.mark.parametrize("name", TINY)
def test_answers_and_gradients_are_those_of_the_cpu(name):
    ours = made(name).double()
    there = copy.deepcopy(ours).cuda()
    clips = clips_for(ours).double()
    for model, given in ((ours, clips), (there, clips.cuda())):
        output = model(given)
        (output.logits.square().mean() + output.embedding.square().mean()).backward()
    torch.testing.assert_close(there(clips.cuda()).embedding.cpu(), ours(clips).embedding, rtol=1e-9, atol=1e-9)
    for (key, expected), found in zip(ours.named_parameters(), there.parameters(), strict=True):
        scale = float(expected.grad.abs().max()) if expected.grad is not None else 0.0
        torch.testing.assert_close(found.grad.cpu(), expected.grad, rtol=1e-6, atol=1e-9 + 1e-6 * scale, msg=key)


@pytest.mark.parametrize("name", TINY)
def test_half_precision_is_near(name):
    model = made(name)
    clips = clips_for(model)
    expected = model(clips).embedding.detach()
    fast = nlreid.optimize_for_inference(copy.deepcopy(model).cuda(), dtype=torch.bfloat16)
    found = fast(clips.cuda().bfloat16()).embedding
    assert found.dtype == torch.float32
    assert float((found.cpu() - expected).norm() / expected.norm()) < 0.05
    plain = copy.deepcopy(model).cuda()
    with torch.autocast("cuda", torch.bfloat16):
        found = plain(clips.cuda()).embedding.detach()
    assert float((found.float().cpu() - expected).norm() / expected.norm()) < 0.05


@pytest.mark.parametrize("name", ["test_r3d_nl", "test_r3d_separable_nl"])
def test_folded_norms_change_no_answer(name):
    model = made(name).cuda()
    clips = clips_for(model).cuda()
    fast = nlreid.optimize_for_inference(model)
    torch.testing.assert_close(fast(clips).embedding, model(clips).embedding, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of some releases' own compiler, when it is loaded
@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores:UserWarning")  # it would rather round more
@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty:UserWarning")  # torch's own first one, on purpose
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)], ids=str)
def test_compiled_as_cuda_graphs_it_answers_the_same_again_and_again(dtype, allowed):
    model = made("test_r3d_nl").cuda()
    fast = nlreid.optimize_for_inference(model, dtype=dtype, compile=True)
    for seed in range(4):
        clips = torch.rand(2, 3, 8, 64, 64, generator=torch.Generator().manual_seed(seed)).cuda()
        found, wanted = fast(clips.to(dtype)).embedding.clone(), model(clips).embedding
        assert float((found - wanted).norm() / wanted.norm()) < allowed


CONVOLUTIONS = {  # channels, outputs, kernel, stride, padding
    "stem": (3, 64, (5, 7, 7), (1, 2, 2), (2, 3, 3)),
    "1x1x1": (64, 256, (1, 1, 1), (1, 1, 1), (0, 0, 0)),
    "3x1x1": (64, 72, (3, 1, 1), (1, 1, 1), (1, 0, 0)),
    "1x3x3": (128, 128, (1, 3, 3), (1, 2, 2), (0, 1, 1)),
    "3x3x3": (256, 512, (3, 3, 3), (1, 1, 1), (1, 1, 1)),
}


@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)], ids=str)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_fused_convolution_is_rounded_once(name, dtype, allowed, adds):
    channels, outputs, *geometry = CONVOLUTIONS[name]
    torch.manual_seed(0)
    conv = Conv3d(channels, outputs, *geometry).requires_grad_(False).to("cuda", dtype)
    x = torch.randn(2, channels, 6, 18, 20, device="cuda").to(dtype)
    wanted = F.conv3d(x.double(), conv.weight.double(), conv.bias.double(), *geometry[1:])
    onto = torch.randn(wanted.shape, device="cuda").to(dtype) if adds else None
    wanted = (wanted + onto.double() if adds else wanted).relu()
    found = FusedConv3d(conv, relu=True)(x, onto=onto)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    assert ((found.double() - wanted).abs() <= allowed * wanted.abs() + 1e-4).all()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two devices")
def test_a_network_computes_where_it_is():
    fast = nlreid.optimize_for_inference(made("test_r3d_nl").to("cuda:1"), dtype=torch.bfloat16)
    clips = clips_for(fast).to("cuda:1", torch.bfloat16)
    with torch.cuda.device(1):
        wanted = fast(clips).embedding
    torch.testing.assert_close(fast(clips).embedding, wanted)


@pytest.mark.parametrize("recompute", ["all", "cheap"])
def test_recomputation_changes_no_gradient(recompute):
    plain = made("test_r3d_nl").double().cuda().train()
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing(recompute=recompute)
    clips = clips_for(plain).double().cuda()
    for model in (plain, saving):
        torch.manual_seed(0)
        model(clips).logits.square().mean().backward()
    for expected, found in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


def test_no_matrix_of_all_pairs_is_built_in_either_direction():
    block = nlreid.NonLocalBlock(64).cuda().bfloat16()
    torch.nn.init.ones_(block.norm.weight)
    x = torch.randn(1, 64, 16, 32, 32, device="cuda", dtype=torch.bfloat16, requires_grad=True)  # 16,384 positions
    block(x[:, :, :2]).sum().backward()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    block(x).sum().backward()
    torch.cuda.synchronize()
    assert torch.cuda.max_memory_allocated() - before < 16384**2 * 2 / 4  # a quarter of one such matrix


@pytest.mark.parametrize("gpu_clips", [1, 5])
def test_embed_answers_as_on_the_cpu(gpu_clips):
    model = made("test_r3d_nl")
    generator = np.random.default_rng(0)
    people = [
        nlreid.Tracklet(str(number), list(generator.integers(0, 256, (9 + number, 40, 24, 3), dtype=np.uint8)))
        for number in range(6)
    ]
    expected = nlreid.embed(model, people, progress=False)
    found = nlreid.embed(model.cuda(), people, batch_size=gpu_clips, progress=False)
    torch.testing.assert_close(torch.as_tensor(found.features), torch.as_tensor(expected.features), rtol=0, atol=1e-5)


def test_the_loss_is_the_same():
    torch.manual_seed(0)
    embedding, logits, pids = torch.randn(8, 16), torch.randn(8, 4), torch.arange(8) // 2
    outputs = [nlreid.ReIDOutput(embedding.to(device), logits.to(device)) for device in ("cpu", "cuda")]
    here, there = (nlreid.VideoReIDLoss()(output, pids.to(output.logits.device)).total for output in outputs)
    torch.testing.assert_close(there.cpu(), here)


def test_a_search_is_exact_there():
    torch.manual_seed(0)
    query, gallery = torch.randn(20, 32), torch.randn(500, 32)
    gallery[100:120] = gallery[:20]  # ties
    expected, found = nearest(query, gallery, top=7), nearest(query.cuda(), gallery.cuda(), top=7)
    assert torch.equal(found.rows, expected.rows)
    assert torch.equal(found.distances, expected.distances)
