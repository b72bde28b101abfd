"""DeepSpeed engines of a stage; the one place that writes DeepSpeed's configuration."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mammogan.config.method import Method
from mammogan.schedule import Stage
from mammogan.train.adam import SkipNonFiniteAdam
from mammogan.train.gradient_reduction import GradientReduction


def start_engine(module: nn.Module, method: Method, stage: Stage, micro_batch: int, world_size: int) -> Any:
    """Hand `module` to DeepSpeed with Adam.

    Gradients of any number of `engine.backward` add up until `adam.take_step` reduces them over the ranks.
    """
    import deepspeed

    zero = method.engine.zero_stage
    adam = _adam(module, method, stage, partitioned=zero > 0)
    config = {
        "train_batch_size": micro_batch * world_size,
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": 1,
        # A step goes back several times, and not always as often: real, fake, and the penalty when it is due.
        "managed_gradient_accumulation": False,
        "zero_optimization": {
            "stage": zero,
            "overlap_comm": bool(zero and method.engine.overlap_communication),
        },
        "zero_allow_untested_optimizer": True,
        "gradient_clipping": 0.0,  # DeepSpeed clips to a norm of 1 if it isn't told not to
        "steps_per_print": 2**62,
        "timers": {"throughput": {"enabled": False}},  # else it waits for the device twice a step
    }
    engine, *_ = deepspeed.initialize(model=module, optimizer=adam, config=config, dist_init_required=False)
    engine.gradient_reduction = None
    if zero == 0 and world_size > 1 and method.engine.overlap_communication:
        engine.gradient_reduction = GradientReduction(module.parameters())
    if zero == 0 and (world_size == 1 or engine.gradient_reduction):
        # Else all gradients are copied to a buffer and back, for nobody to add to.
        engine.enable_backward_allreduce = False
    return engine


class BareEngine:
    """What a step asks of an engine, by torch alone and for one rank: DeepSpeed is held against it."""

    def __init__(
        self, module: nn.Module, method: Method, stage: Stage, micro_batch: int, world_size: int
    ) -> None:
        assert world_size == 1 and not method.engine.zero_stage
        self.module, self.optimizer = module, _adam(module, method, stage, partitioned=False)

    def __call__(self, *inputs: object) -> Any:
        """Run the module."""
        return self.module(*inputs)

    def backward(self, loss: Tensor) -> None:
        """Add up gradients."""
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """Update the weights."""
        self.optimizer.step()
        self.optimizer.zero_grad()


def _adam(module: nn.Module, method: Method, stage: Stage, *, partitioned: bool) -> SkipNonFiniteAdam:
    settings = method.optimiser
    return SkipNonFiniteAdam(
        module.parameters(),
        lr=stage.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        scaled=method.engine.precision == "fp16",
        partitioned=partitioned,
    )


def begin_last_pass(engine: Any) -> None:
    """Say that the engine's next `backward` is the last before its step, where that matters."""
    if reduction := getattr(engine, "gradient_reduction", None):
        reduction.begin_last_pass()
