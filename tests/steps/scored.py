"""Scores as the step writes them, for tests of what reads them."""

import numpy as np

from mammogan.run_records import Choice, Score


def part(swd, sd=1.0, floor=5.0):
    """Make what a score says of one part of the images: two levels."""
    level = {"height_px": 40, "width_px": 32, "swd": swd, "sd": sd, "floor": floor}
    levels = [level, level | {"height_px": 20, "width_px": 16}]
    return {"swd": swd, "sd": sd, "floor": floor, "levels": levels}


def measure(off, error=0.02):
    """Make a measure whose error is known, and deviates by itself."""
    halves = np.random.default_rng(int(1000 * off)).normal(0, error, 16).tolist()
    return {"value": off, "null": 0.05, "off": off, "error": error, "halves": halves}


def score(images, swd, sd=1.0, **changes):
    """Make the score of a checkpoint, the floor being 5 everywhere."""
    views = {"CC": part(swd - 1, sd), "MLO": part(swd + 1, sd)}
    facts = {
        "stage": 3,
        "height_px": 40,
        "width_px": 32,
        "images": images,
        "kimg": images / 1000,
        "compared": 64,
        "checkpoint": f"digest-{images}",
        "reals": "some",
        **part(swd, sd),
        "above_floor": swd - 5.0,
        "above_floor_sd": sd,
        "views": views,
        "breast": {**part(swd + 10, sd), "views": views},
    }
    return Score.model_validate(facts | changes)


def choice(chosen, **changes):
    """Make the choice of a checkpoint among others."""
    facts = chosen.model_dump(exclude={"views", "measures"})
    facts |= {"rule": "lowest-swd", "tie_sd": 2.0, "tie": False, "ties": [chosen.images], "rivals": []}
    facts |= {"lowest": chosen.images, "second": None, "margin": None, "margin_sd": None}
    return Choice.model_validate(facts | changes)
