"""A compiled generator trains as the one that was written; needs a C++ compiler, and a minute."""

import shutil

import pytest
import torch

from tests.train.test_gan_step import new_batch, new_gan_step


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pggan", "bilinear-noise"])
@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_a_compiled_generator_ends_in_the_same_weights_and_is_compiled_once_for_all_fades(kind):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    weights = {}
    for how in ("off", "default"):
        gan_step = new_gan_step(f"engine.compile={how}", "loss.shared_fakes=true", f"network.kind={kind}")
        for number, fade in enumerate((0.25, 0.5, 0.75, 1.0, 1.0)):
            gan_step.step(new_batch(gan_step, number), fade, number)
        weights[how] = gan_step.generator.state_dict()
    assert weights["off"].keys() == weights["default"].keys()
    for name, weight in weights["off"].items():
        torch.testing.assert_close(weights["default"][name], weight, rtol=1e-3, atol=1e-5, msg=name)
    frames = torch._dynamo.utils.counters["frames"]
    assert frames["ok"] == frames["total"] > 0
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
