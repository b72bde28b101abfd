"""What the networks minimise: objectives times penalties, and the supervision by labels; one table each."""

from mammogan.losses.acgan import SUPERVISIONS
from mammogan.losses.objectives import OBJECTIVES, Objective, PairedObjective, objective_of
from mammogan.losses.penalties import PENALTIES, Penalty

__all__ = [
    "OBJECTIVES",
    "PENALTIES",
    "SUPERVISIONS",
    "Objective",
    "PairedObjective",
    "Penalty",
    "objective_of",
]
