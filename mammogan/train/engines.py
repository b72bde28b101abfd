"""DeepSpeed engines of a stage; the one place that writes DeepSpeed's configuration."""

from __future__ import annotations

from typing import Any

from torch import nn

from mammogan.config.method import Method
from mammogan.schedule import Stage
from mammogan.train.adam import SkipNonFiniteAdam


def start_engine(module: nn.Module, method: Method, stage: Stage, micro_batch: int, world_size: int) -> Any:
    """Hand `module` to DeepSpeed with Adam.

    Gradients of any number of `engine.backward` add up until `engine.step` reduces them over the ranks.
    """
    import deepspeed

    settings, zero = method.optimiser, method.engine.zero_stage
    adam = SkipNonFiniteAdam(
        module.parameters(),
        lr=stage.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        scaled=method.engine.precision == "fp16",
        partitioned=zero > 0,
    )
    config = {
        "train_batch_size": micro_batch * world_size,
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": 1,
        # A step goes back several times, and not always as often: real, fake, and the penalty when it is due.
        "managed_gradient_accumulation": False,
        "zero_optimization": {"stage": zero, "overlap_comm": method.engine.overlap_communication},
        "zero_allow_untested_optimizer": True,
        "gradient_clipping": 0.0,  # DeepSpeed clips to a norm of 1 if it isn't told not to
        "steps_per_print": 2**62,
    }
    engine, *_ = deepspeed.initialize(model=module, optimizer=adam, config=config, dist_init_required=False)
    if (
        world_size == 1 and zero == 0
    ):  # else all gradients are copied to a buffer and back, for nobody to add to
        engine.enable_backward_allreduce = False
    return engine
