"""Seconds and memory of the report at full size: `python -m tests.bench.assess [IMAGES [COUNT]]`.

Images of 1280x1024 are synthesised, and measured as a task does; the comparison is of 5,000 synthetics, 5,000
held-out reals and 5,000 training reals of each view, whose measurements are made up from those few.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mammogan.config.label_fields import VIEWS
from mammogan.steps import feature_parts
from mammogan.steps.assess_images import assess
from mammogan.steps.compare_sets import compare
from mammogan.steps.comparison_sets import SOURCES, Subjects
from tests.metrics.noise import picture
from tests.steps import assessed

SIZE = (1280, 1024)
PAIRS = 16


def memory_gb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def made(folder, images):
    """Make a run of as many images of each source and view."""
    dice = np.random.default_rng(0)

    def some():
        return {view: np.stack([picture(*SIZE, dice) for _ in range(images)]) for view in VIEWS}

    shards = assessed.make_shards(folder / "set", {"train": some(), "validation": some()})
    return assessed.make_run(folder / "run", shards, some(), f"assessment.pairs={PAIRS}")


def slice_of_a_task(run):
    """Measure a run's images; give seconds an image, seconds a pair, and the peak of memory in GB."""
    subjects, seconds = assessed.subjects(run), {"images": 0.0, "pairs": 0.0}
    counts = dict.fromkeys(seconds, 0)
    parts = subjects.parts
    for number, part in enumerate(parts):
        begin = time.monotonic()
        assess(subjects, number, len(parts))
        seconds[part.kind] += time.monotonic() - begin
        counts[part.kind] += len(part.numbers)
    return *(seconds[kind] / counts[kind] for kind in seconds), memory_gb()


class Large(Subjects):
    """As if each source and view had `count` images: positions, keys and patients are made up."""

    count = 5000

    def positions(self, source, view):
        return np.arange(self.count)


def fill(subjects, folder):
    """Make up the parts of so many images from the few that were measured: their rows, with noise."""
    dice = np.random.default_rng(0)
    for part in subjects.parts:
        pattern = f"{part.kind}-{part.source}-{part.view.lower()}-0000.npz"
        with np.load(folder / pattern) as few:
            rows = {name: few[name] for name in few.files if name != "key"}
        if part.kind == "pairs":
            pairs = subjects.pairs(part.source, part.view)[part.numbers.start : part.numbers.stop]
            found = {"pairs": pairs, "ms_ssim": dice.uniform(0.2, 0.6, len(pairs))}
        else:
            chosen = dice.integers(0, len(rows["quantities"]), len(part.numbers))
            found = {}
            for name, values in rows.items():
                if name.startswith("planted"):
                    if part.numbers.start == 0:
                        found[name] = np.resize(values, (64, *values.shape[1:]))
                    continue
                picked = values[chosen].astype(np.float64)
                spread = np.nanstd(values.astype(np.float64), axis=0) + 1e-9
                noisy = picked + dice.normal(0, 0.7, picked.shape) * spread
                noisy = np.abs(noisy) if name == "power" else noisy
                integer = values.dtype == np.uint16
                found[name] = (noisy.clip(0, 65535) if integer else noisy).astype(values.dtype)
        feature_parts.save(subjects.path(part), subjects.key, found)


def comparison(run, count):
    """Compare sets of `count` images each; give seconds and the peak of memory in GB."""
    import mammogan.data.shards.sample_facts as patients
    from mammogan.config.run_config import Run

    settings = Run.load(run)
    method = settings.method.model_copy(
        update={
            "sampling": settings.method.sampling.model_copy(update={"images_per_view": count}),
            "assessment": type(settings.method.assessment)(),
        }
    )
    subjects = Large(run, settings.model_copy(update={"method": method}))
    subjects.count = count
    for reader in subjects.readers.values():
        reader.keys = lambda positions: [str(position) for position in positions]
    small, known = run / "small", patients.patients
    (run / "assess").rename(small)
    fill(subjects, small)
    patients.patients = lambda shardset, split, keys: [number // 2 for number, _ in enumerate(keys)]
    try:
        begin = time.monotonic()
        compare(subjects)
        return time.monotonic() - begin, memory_gb()
    finally:
        patients.patients = known


def said(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(images, count):
    with tempfile.TemporaryDirectory() as folder:
        run = made(Path(folder), images)
        image_s, pair_s, peak = slice_of_a_task(run)
        said(f"measuring: {image_s:.3f} s an image, {pair_s:.3f} s a pair, peak {peak:.2f} GB")
        whole = image_s * count * len(SOURCES) * len(VIEWS) + pair_s * 2000 * 2 * len(VIEWS)
        said(f"so {count:,} of each source and view, 2,000 pairs: {whole / 3600:.1f} core hours")
        seconds, peak = comparison(run, count)
        said(f"comparing {count:,} of each source and view: {seconds:.0f} s, peak {peak:.2f} GB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12, int(sys.argv[2]) if len(sys.argv) > 2 else 5000)
