"""How training computes: precision, determinism, memory, and what a GPU does at the same time."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mammogan.config.settings import GrownSettings, Natural, Positive


class Engine(GrownSettings):
    """How the arithmetic is done; lists have one entry a stage, and the last entry serves all later stages.

    ``fp16`` comes with a loss scale. ``cuda-graphs`` and what concerns GPUs alone was not measured; `make
    gpu` does so (docs/cost.md).
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"deterministic", "tf32", "copy_stream", "decode_threads"})

    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        default="fp32",
        description="Arithmetic of the convolutions; all else stays in fp32. auto trains in bf16 where "
        "the device is quick in it (GPUs from Ampere on, CPUs with AMX), else in fp32, and draws in fp32.",
    )
    zero_stage: Literal[0, 1, 2] = Field(
        default=0,
        description="ZeRO: 1 divides Adam's state among ranks, 2 also gradients.",
    )
    micro_batch: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        description="Most images that a rank processes at once; smaller needs less memory."
    )
    recompute: Annotated[tuple[bool, ...], Field(min_length=1)] = Field(
        default=(False,),
        description="Recompute activations in the backward pass: less memory, more work.",
    )
    compile: Literal["off", "default", "cuda-graphs"] = Field(
        default="off", description="Use torch.compile for the generator; needs a C++ compiler in the job."
    )
    overlap_communication: bool = Field(
        default=False,
        description="Reduce gradients during the backward pass and not after it; needs zero_stage 0 or 2.",
    )
    deterministic: bool = Field(
        default=True,
        description="On a GPU train by deterministic algorithms alone, so that a run that is killed and "
        "goes on ends in the same weights bit for bit. Slower; what is drawn and scored is so in any case.",
    )
    tf32: bool = Field(
        default=True,
        description="On a GPU multiply fp32 numbers as TF32, of 10 bits behind the point, in training; "
        "sampling.tf32 is for drawing and scoring.",
    )
    copy_stream: bool = Field(
        default=True,
        description="Copy the next batch to a GPU while a step is computed, on a stream of its own and from "
        "pinned memory that is used again.",
    )
    decode_threads: Natural = Field(
        default=0,
        description="Threads that decode the images of a batch; 0 takes four where a GPU trains, else one.",
    )

    @model_validator(mode="after")
    def _overlaps(self) -> Self:
        if self.overlap_communication and self.zero_stage == 1:
            raise ValueError(
                "overlap_communication needs zero_stage 0 or 2: ZeRO 1 reduces once it has gone back"
            )
        return self
