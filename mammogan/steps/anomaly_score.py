"""How far a new mammogram is from what a run has learned, as ranks among held-out reals.

Shape suffixes: N reals, K measures.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.config.settings import canonical_json
from mammogan.files import sha256, write
from mammogan.run_folder import RunFolder
from mammogan.steps.select_checkpoint import read_choice

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from mammogan.data.shards.shard_reader import ImageReader
    from mammogan.train.critic_score import Judge
    from mammogan.train.draw_images import Model
    from mammogan.train.gan_inversion import Inverted, Search

MEASURES = ("critic", "reconstruction")
FORMAT = 1  # raise it when the same settings give other values


@dataclass(frozen=True)
class Score:
    """An image's critic score and reconstruction error, and the rank of each among held-out reals.

    A p-value is the share of reals and the image that are at least as strange; `p` is of both together. Both
    ends are strange: a critic may score what it has never seen above the reals, and an image that is nearly
    black is drawn better than any real.
    """

    critic: float
    reconstruction: float
    p_critic: float
    p_reconstruction: float
    p: float


class Gauge:
    """Measures images of one run's size against its critic, its generator and its held-out reals.

    Critic and reconstruction error as in Schlegl et al. (2017), AnoGAN, but each as a rank: their scales
    have nothing in common. What the reals measure is kept in the run's folder `outliers`, one by one, so
    that it is worked out once and goes on where it was stopped.

    Parameters
    ----------
    folder
        The run, with its chosen checkpoint and its shard set.
    model
        Its chosen generator.
    reals
        The most validation reals of a view that images are ranked among.

    Raises
    ------
    DataError
        If checkpoint or shard set are missing or damaged, or the set has no validation split.
    """

    def __init__(self, folder: Path, model: Model, search: Search, reals: int) -> None:
        from mammogan.data.shards.shard_reader import ShardSet
        from mammogan.train import checkpoint

        self.folder, self.model, self.search, self.most = folder, model, search, reals
        self.run, choice = Run.load(folder), read_choice(folder)
        self.stage = schedule.plan(self.run.method)[choice.stage]
        self.source = checkpoint.verified(checkpoint.at(folder, self.stage.index, choice.images))
        self.shardset = ShardSet(Path(self.run.shards))
        self._judges: dict[int, Judge] = {}
        self._reals: dict[int, np.ndarray] = {}

    def count(self, view: int) -> int:
        """Say among how many reals an image of the view is ranked."""
        return len(_places(self._validation, view)[: self.most])

    @property
    def facts(self) -> dict[str, Any]:
        """Tell what images are ranked by: checkpoint, search, and the reals of each view measured so far."""
        reals = {VIEWS[view]: len(values_NK) for view, values_NK in sorted(self._reals.items())}
        settings = {name: value for name, value in self._settings(0).items() if name != "view"}
        return {"run": self.run.run_id, **settings, "validation_reals": reals}

    def measure(self, image_HW: np.ndarray, view: int) -> tuple[float, float]:
        """Give critic score and reconstruction error of an image, uint16 of the model's size."""
        critic = next(self._judge(view).scores([image_HW]))
        return critic, self.invert(image_HW, view).error

    def invert(self, image_HW: np.ndarray, view: int) -> Inverted:
        """Find the latent that draws an image best."""
        from mammogan.train.gan_inversion import invert

        return invert(self.model, image_HW, view, self.search)

    def reals(self, view: int, on_progress: Callable[[], None] = lambda: None) -> np.ndarray:
        """Measure the held-out reals of a view, (N, K), but for those that were measured before."""
        import numpy as np

        if view in self._reals:
            return self._reals[view]
        settings = self._settings(view)
        key = hashlib.sha256(canonical_json(settings).encode()).hexdigest()[:16]
        path = RunFolder(self.folder).anomaly_scores / f"{VIEWS[view].lower()}-{key}.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))["values"]
        except (FileNotFoundError, ValueError, KeyError):
            values = []
        places = _places(self._validation, view)[: self.most]
        for number, place in enumerate(places):
            if number >= len(values):
                values.append(self.measure(self._validation.read(np.array([place]))[0], view))
                write(path, json.dumps({**settings, "values": values}, indent=1))
            on_progress()
        self._reals[view] = np.array(values[: len(places)])
        return self._reals[view]

    def score(self, image_HW: np.ndarray, view: int) -> Score:
        """Rank an image among the held-out reals of its view."""
        import numpy as np

        from mammogan.metrics.conformal import strangeness

        values = self.measure(image_HW, view)
        (p_critic, p_reconstruction), p = strangeness(np.array(values), self.reals(view))
        return Score(*values, float(p_critic), float(p_reconstruction), p)

    @cached_property
    def _validation(self) -> ImageReader:
        return self.shardset.reader(self.stage.height_px, self.stage.width_px, "validation")

    def _judge(self, view: int) -> Judge:
        from mammogan.train.critic_score import Judge

        if view not in self._judges:
            training = self.shardset.reader(self.stage.height_px, self.stage.width_px, "train")
            companions = _places(training, view)[: self.run.method.network.stddev_group - 1]
            device = next(self.model.generator.parameters()).device
            self._judges[view] = Judge(self.run.method, self.source, training.read(companions), view, device)
        return self._judges[view]

    def _settings(self, view: int) -> dict[str, Any]:
        """Give all that decides about the values of the reals."""
        critic = sha256(self.source.folder / "critic.safetensors")
        return {
            "format": FORMAT,
            "checkpoint": self.source.digest,
            "critic": critic,
            "shards": self.shardset.identity,
            "view": VIEWS[view],
            "search": asdict(self.search),
            "measures": MEASURES,
        }


def _places(reader: ImageReader, view: int) -> np.ndarray:
    import numpy as np

    return np.flatnonzero(reader.views_N == view)
