"""What `mammogan doctor` runs in place of training: all ranks of a job join, and add numbers up.

``python -m mammogan.cluster.collective_check FOLDER DEVICE``, in every rank. Each leaves
``FOLDER/begun-<n>``. One that fails says so in ``FOLDER/rank-<n>.json``; rank 0 says there how long it took.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mammogan.cluster import rank_environment
from mammogan.errors import MammoganError
from mammogan.files import write

PATIENCE_S = 120.0
"""How long ranks wait for each other; torch itself would wait for half an hour."""
SIZE_MB = 64
"""As the gradients of a network of 16 million parameters."""


def main(folder: Path, device: str) -> None:
    """Join the group of this job, and time an all-reduce; never returns to a rank that waits for others."""
    os.environ.update(rank_environment.variables(os.environ))
    note = folder / f"rank-{os.environ['RANK']}.json"
    (folder / f"begun-{os.environ['RANK']}").touch()
    state = {"at": "start"}
    begin = time.monotonic()

    def late() -> None:
        _write(note, state, error=f"it waited {PATIENCE_S:g} s for the other ranks")
        os._exit(1)

    try:
        import torch

        from mammogan.train import accelerator, device_choice
        from mammogan.train.distributed import join

        os.environ[device_choice.VARIABLE] = device
        state["imported_s"] = f"{time.monotonic() - begin:.1f}"
        timer = threading.Timer(PATIENCE_S, late)
        timer.daemon = True
        timer.start()
        begin = time.monotonic()
        state["at"] = "gloo"
        group = join()
        group.barrier()
        joined_s = time.monotonic() - begin
        state["at"] = accelerator.collectives()
        numbers = torch.ones(SIZE_MB * 2**18, device=accelerator.local_device())
        mean = float(group.all_reduce_mean(numbers)[0])  # the first call also connects the devices
        begin = time.monotonic()
        float(group.all_reduce_mean(numbers)[0])
        seconds = time.monotonic() - begin
        group.barrier()
        timer.cancel()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what doctor shall tell
        words = str(error) if isinstance(error, MammoganError) else f"{type(error).__name__}: {error}"
        _write(note, state, error=words)
        sys.stdout.flush()
        os._exit(2 if isinstance(error, MammoganError) else 1)  # an ordinary exit may wait for the others
    if group.is_main:
        _write(note, state, joined_s=joined_s, seconds=seconds, right=mean == 1.0)


def _write(path: Path, state: dict[str, str], **values: Any) -> None:
    interface = os.environ.get("GLOO_SOCKET_IFNAME", "")
    write(path, json.dumps({"host": socket.gethostname(), "interface": interface, **state, **values}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
