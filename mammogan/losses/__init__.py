"""What the networks minimise: tables of objectives and of supervisions, each a function of the critic."""

from mammogan.losses.supervision import SUPERVISIONS
from mammogan.losses.wgan_gp import WganGp

OBJECTIVES = {"wgan-gp": WganGp}

__all__ = ["OBJECTIVES", "SUPERVISIONS", "WganGp"]
