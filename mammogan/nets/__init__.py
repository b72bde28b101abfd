"""Generator and critic, grown a resolution at a time, after PGGAN (Karras et al. 2018)."""

from mammogan.nets.critic import Critic
from mammogan.nets.generator import Generator

__all__ = ["Critic", "Generator"]
