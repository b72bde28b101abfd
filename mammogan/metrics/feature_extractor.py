"""A user's own feature network, as TorchScript: whatever it was trained on, nothing is downloaded for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mammogan.errors import ConfigError
from mammogan.metrics.histogram_moments import WHITE

CHANNELS = (1, 3)


class UserNetwork:
    """A module that takes float images (N, 1 or 3, H, W), 0 black .. 1 white, and gives N rows of features.

    Which of both it takes is found out with a picture of `size_px`; three channels are the same grey. What
    it needs beside, as another size, it must do by itself.

    Raises
    ------
    ConfigError
        If the file is no TorchScript module, or does not take such images, or gives no features of them.
    """

    def __init__(self, path: Path, size_px: tuple[int, int]) -> None:
        self.path = path
        if not path.is_file():
            raise ConfigError(f"--weights '{path}': there is no such file. Give a TorchScript module.")
        try:
            self._module: Any = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigError(
                f"--weights '{path}' is no TorchScript module ({_first_line(error)}). Make one with: "
                "torch.jit.trace(network, torch.zeros(1, 3, height, width)).save(FILE)"
            ) from None
        grey = np.tile(np.linspace(0, WHITE, size_px[1]).astype(np.uint16), (size_px[0], 1))
        why = []
        for self._channels in CHANNELS:
            try:
                features_F = self.features(grey)
            except (RuntimeError, TypeError, ValueError, AttributeError) as error:
                why.append(f"{self._channels} x {size_px[0]} x {size_px[1]}: {_first_line(error)}")
                continue
            if features_F.size < 2 or not np.isfinite(features_F).all():
                why.append(f"{self._channels} x {size_px[0]} x {size_px[1]}: it gives no finite features")
                continue
            return
        raise ConfigError(
            f"--weights '{path}' takes no images of this run ({'; '.join(why)}). Allowed are modules that "
            "take N x 1 x H x W or N x 3 x H x W from 0 to 1, and give N rows of features."
        )

    def features(self, image_HW: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Give the features of one image: (F,); maps that it gives are laid flat."""
        picture = torch.from_numpy(image_HW.astype(np.float32) / WHITE)
        with torch.inference_mode():
            found = self._module(picture.expand(1, self._channels, *picture.shape))
        return np.asarray(found.reshape(-1).to(torch.float32).numpy(), np.float32)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
