"""Images for training, as data sets of ``torch.utils.data`` and as addresses for WebDataset."""

from __future__ import annotations

from mammogan.data.shards.shard_dataset import Shards
from mammogan.data.store.image_encoding import webdataset_decoder
from mammogan.data.synthetic.mixed_dataset import Mixed
from mammogan.data.synthetic.pool_dataset import Synthetic

__all__ = ["Mixed", "Shards", "Synthetic", "webdataset_decoder"]
