"""What `make gpu` runs: the checks of `mammogan doctor --gpu`, by whatever Python has torch, offline."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from tests.gpu.needed import REPOSITORY, WHEELS, find


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu")
    parser.add_argument("--device", default="", help="cuda:0, or cpu to try the checks themselves")
    parser.add_argument("--minutes", type=float, default=3.8)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "gpu")
    parser.add_argument("--wheels", type=Path, default=WHEELS)
    parser.add_argument("--write", action="store_true", help="only put what --out has into docs/cost.md")
    given = parser.parse_args()
    folder = find(given.wheels)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(folder), str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    )
    try:
        from mammogan.cli.gpu_command import RESULTS, check_gpu, write_page
        from mammogan.errors import MammoganError

        try:
            if given.write:
                write_page(given.out / RESULTS, REPOSITORY / "docs" / "cost.md")
            else:
                check_gpu(given.out, given.device, given.minutes)
        except MammoganError as error:
            raise SystemExit(f"Error: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
