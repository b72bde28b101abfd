"""Images for training, as data sets of ``torch.utils.data`` and as addresses for WebDataset."""

from __future__ import annotations

from mammogan.data.store.image_encoding import webdataset_decoder
from mammogan.datasets.mixed import Mixed
from mammogan.datasets.pool_dataset import Synthetic
from mammogan.datasets.shard_dataset import Shards

__all__ = ["Mixed", "Shards", "Synthetic", "webdataset_decoder"]
