"""A user's own network: taken in both forms, and explained where it can't be."""

import numpy as np
import pytest
import torch

from mammogan.errors import ConfigError
from mammogan.metrics.feature_extractor import UserNetwork

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


def saved(path, channels, size=(40, 32)):
    network = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten()
    )
    torch.jit.trace(network.eval(), torch.zeros(1, channels, *size)).save(str(path))
    return network


@pytest.mark.parametrize("channels", [1, 3])
def test_images_go_in_from_0_to_1_with_as_many_channels_as_it_takes(tmp_path, channels):
    network = saved(tmp_path / "n.pt", channels)
    image = np.random.default_rng(0).integers(0, 65536, (40, 32), dtype=np.uint16)
    picture = torch.from_numpy(image.astype(np.float32) / 65535).expand(1, channels, 40, 32)
    features = UserNetwork(tmp_path / "n.pt", (40, 32)).features(image)
    assert features.shape == (16,)
    np.testing.assert_allclose(features, network(picture)[0].detach().numpy(), rtol=1e-5)


def test_what_is_no_network_or_takes_no_such_images_is_explained(tmp_path):
    with pytest.raises(ConfigError, match=r"--weights '.*none.pt': there is no such file"):
        UserNetwork(tmp_path / "none.pt", (40, 32))
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(ConfigError, match=r"is no TorchScript module .*torch.jit.trace"):
        UserNetwork(tmp_path / "text.pt", (40, 32))
    saved(tmp_path / "five.pt", 5)
    with pytest.raises(
        ConfigError, match=r"takes no images of this run \(1 x 40 x 32: .*3 x 40 x 32: .* N x 1 x H x W"
    ):
        UserNetwork(tmp_path / "five.pt", (40, 32))
    torch.jit.trace(lambda images: images * float("nan"), torch.zeros(1, 1, 40, 32)).save(
        str(tmp_path / "nan.pt")
    )
    with pytest.raises(ConfigError, match="it gives no finite features"):
        UserNetwork(tmp_path / "nan.pt", (40, 32))
