"""A network for a GPU is one graph to `torch.compile`, convolutions in Triton included: traced on shapes alone."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import nlreid
from nlreid.optimize import gpu

if not gpu.triton_takes_them():
    pytest.skip("no triton, or too old a one; torch brings it on Linux", allow_module_level=True)
RELEASE = tuple(int(part) for part in torch.__version__.split(".")[:2])
pytestmark = pytest.mark.skipif(RELEASE < (2, 11), reason="older releases want a driver even for shapes on a GPU")


def onto_gpu(network):
    """Weights of the same shapes there."""
    for module in network.modules():
        for name, tensor in list(module._parameters.items()):
            if tensor is not None:
                there = torch.empty_like(tensor, device="cuda")
                module._parameters[name] = nn.Parameter(there, requires_grad=False)
        for name, tensor in list(module._buffers.items()):
            if tensor is not None:
                module._buffers[name] = torch.empty_like(tensor, device="cuda")


@pytest.mark.parametrize("name", ["test_r3d_nl", "test_r3d_separable_nl", "test_r2plus1d"])
def test_one_graph(name, monkeypatch):
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: True)
    monkeypatch.setattr(gpu, "available", lambda _device: True)
    gpu.load()
    torch.compiler.reset()
    fast = nlreid.optimize_for_inference(nlreid.create_model(name).eval(), dtype=torch.bfloat16)
    graphs = []

    def backend(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        onto_gpu(fast)
        clip = torch.empty((2, 3, 8, 64, 64), device="cuda", dtype=torch.bfloat16)
        torch.compile(fast, backend=backend, fullgraph=True)(clip)
    torch.compiler.reset()
    assert len(graphs) == 1
    assert sum("triton" in str(node.target) for node in graphs[0].graph.nodes) > 5
