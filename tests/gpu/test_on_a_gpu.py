"""The checks on the GPU of this machine: what `make gpu` does, as a test. Run by `pytest -m gpu`."""

import pytest
import torch

from mammogan.cost import device_tables
from mammogan.train.device_checks.check_outcomes import ended
from mammogan.train.device_checks.supervise import supervise


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: `make gpu DEVICE=cpu` tries the checks")
def test_nothing_fails_on_this_gpu(tmp_path):
    outcomes = ended(supervise(tmp_path / "results.jsonl", "cuda:0", 3.8, lambda outcome: None))
    assert [device_tables.line(outcome) for outcome in outcomes if outcome.status == "failed"] == []
