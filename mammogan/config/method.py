"""What is learned: ladder, networks, loss, supervision, optimiser, schedule, scoring and sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mammogan.config.alarm_settings import Alarms
from mammogan.config.augmentation_settings import Augmentation
from mammogan.config.engine_settings import Engine
from mammogan.config.loss_settings import Loss, Supervision
from mammogan.config.scoring_settings import Assessment, Sampling, Scoring, Selection
from mammogan.config.settings import (
    Fraction,
    GrownSettings,
    NonNegative,
    Positive,
    Settings,
    entry,
    load_named,
    packaged,
)


def _listed(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else (value,)


Rates = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1), BeforeValidator(_listed)]


class About(Settings):
    """Name and purpose of the method, and the seed that everything random follows from."""

    name: str = Field(description="Short name of the method, as given to --method.")
    summary: str = Field(description="One line on what the method is for.")
    seed: Annotated[int, Field(ge=0)] = Field(
        default=1000, description="Random seed, from which everything random follows."
    )


class Ladder(Settings):
    """The resolutions: `base_px` (height, width) doubled `stages` - 1 times."""

    base_px: tuple[Positive, Positive] = Field(
        default=(5, 4), description="Height and width of the first stage."
    )
    stages: Annotated[int, Field(ge=1, le=12)] = Field(
        description="Number of stages; each doubles the resolution."
    )


class Network(GrownSettings):
    """The pair of networks, `kind` of `mammogan.nets.networks.NETWORKS`, and its widths.

    Channels at stage s: min(channels_base / 2^s, channels_max), as PGGAN's nf(s) with s counted from 1, or
    `channels` lists them. ``pggan`` is PGGAN's pair. The generator of ``bilinear-noise`` convolves before it
    doubles, doubles bilinearly and is fed noise: no stripes, and less work; its critic is PGGAN's.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset(
        {"kind", "channels", "critic_mean", "skip_outputs", "black_margin"}
    )

    kind: str = Field(
        default="pggan",
        description="Pair of networks: pggan, bilinear-noise, or your own as package.module:NAME.",
    )
    latent_size: Positive = Field(default=512, description="Length of the latent vector.")
    channels_base: Positive = Field(
        default=8192, description="Sets how fast channels fall with the resolution; see the formula above."
    )
    channels_max: Positive = Field(default=512, description="Most channels of a layer.")
    channels: tuple[Positive, ...] = Field(
        default=(),
        description="Channels of each stage, instead of the formula; the last entry serves all later stages.",
    )
    critic_mean: Literal["after", "between"] = Field(
        default="after",
        description="Where a critic's block takes 2x2 means: after both its convolutions (PGGAN), or between "
        "them, which is less work.",
    )
    skip_outputs: bool = Field(
        default=False,
        description="The image is the sum of what all stages draw; for kind bilinear-noise.",
    )
    black_margin: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="How far below black (-1; white is 1) the networks see what is exactly black, so that "
        "what a generator draws there is black when it is clipped, noise and all.",
    )
    stddev_group: Positive = Field(
        default=4,
        description="Images that minibatch standard deviation compares; batches are multiples of it.",
    )

    def widths(self, stage: int) -> tuple[int, ...]:
        """Return the channels of the stages up to `stage`."""
        most, base, listed = self.channels_max, self.channels_base, self.channels
        return tuple(entry(listed, s) if listed else min(base >> (s + 1), most) for s in range(stage + 1))

    @model_validator(mode="after")
    def _skips(self) -> Self:
        if self.skip_outputs and self.kind == "pggan":
            raise ValueError(
                "skip_outputs is for other kinds than pggan, whose image is the last stage's alone"
            )
        return self


class Optimiser(GrownSettings):
    """Adam of both networks."""

    ADDED: ClassVar[frozenset[str]] = frozenset({"keep_moments", "cosine_decay", "final_rate"})

    learning_rate: Rates = Field(description="One number, or a list with one for each stage.")
    beta1: Fraction = Field(default=0.0, description="Adam's decay of the mean of gradients.")
    beta2: Fraction = Field(default=0.99, description="Adam's decay of the mean of squared gradients.")
    epsilon: Annotated[float, Field(gt=0)] = Field(default=1e-8, description="Adam's epsilon.")
    keep_moments: bool = Field(
        default=False,
        description="Go on with Adam's moments of the stage before, instead of fresh ones when a fade begins "
        "and ends; needs engine.zero_stage 0.",
    )
    cosine_decay: Fraction = Field(
        default=0.0,
        description="Fraction of the last stage, at its end, in which the learning rate falls by half a "
        "cosine; 0 keeps it.",
    )
    final_rate: Fraction = Field(
        default=0.05, description="What the learning rate falls to, as a fraction of itself."
    )


class Schedule(GrownSettings):
    """How long each stage lasts; lists have one entry a stage, and the last entry serves all later stages.

    With `minutes` a launch measures how fast training is, and puts in so many images, and so many between
    ticks, as fill that time; the run keeps them. Else they are as given.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"minutes", "shares", "fade_shares"})

    fade_kimg: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = Field(
        description="Images while new layers fade in."
    )
    stable_kimg: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        description="Images of a stage after the fade."
    )
    batch: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        description="Images of one step, all ranks together."
    )
    tick_kimg: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        description="Images between two ticks: numbers are logged, a checkpoint is saved, alarms are checked."
    )
    minutes: NonNegative = Field(
        default=0.0, description="Minutes of training to fill, all stages together; 0 is no such limit."
    )
    shares: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        default=(1.0,), description="With minutes: the part of them that each stage gets."
    )
    fade_shares: Annotated[tuple[Fraction, ...], Field(min_length=1)] = Field(
        default=(0.3,), description="With minutes: the part of a stage's images in which it fades in."
    )


class Ema(GrownSettings):
    """The averaged generator, which is scored and drawn with.

    Its span is counted in steps, by `decay`, or in images, by `half_life_kimg`, the same whatever the batch.
    A half-life begins at 0 with each stage and grows with `ramp` of the images since: else the average of a
    short stage would be that of images which the generator has long left behind, and look veiled.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"half_life_kimg", "ramp"})

    decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.999,
        description="Decay of the exponential moving average, a step, where half_life_kimg is 0.",
    )
    half_life_kimg: NonNegative = Field(
        default=0.0,
        description="Thousands of images after which weights count half in the average; 0 goes by decay.",
    )
    ramp: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.05,
        description="Largest half-life as a fraction of the images since the stage began.",
    )

    def weight(self, batch: int, images: int) -> float:
        """Return the newest weights' part in the average, after `images` of a stage in steps of `batch`."""
        if not self.half_life_kimg:
            return 1 - self.decay
        half_life = min(1000 * self.half_life_kimg, self.ramp * images)
        return 1 - float(0.5 ** (batch / half_life)) if half_life else 1.0


class Method(Settings):
    """Everything that decides what is learned; with the dataset it identifies a run."""

    method: About
    ladder: Ladder
    network: Network = Network()
    loss: Loss = Loss()
    supervision: Supervision = Supervision()
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser
    schedule: Schedule
    ema: Ema = Ema()
    engine: Engine
    alarms: Alarms = Alarms()
    scoring: Scoring = Scoring()
    selection: Selection = Selection()
    sampling: Sampling = Sampling()
    assessment: Assessment = Assessment()

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        group = self.network.stddev_group
        for table, key in (("schedule", "batch"), ("engine", "micro_batch")):
            for value in getattr(getattr(self, table), key):
                if value % group:
                    raise ValueError(
                        f"{table}.{key} {value} is not a multiple of network.stddev_group {group}: a group "
                        "split between ranks would make the result depend on their number"
                    )
        return self

    @model_validator(mode="after")
    def _keeps_whole_moments(self) -> Self:
        if self.optimiser.keep_moments and self.engine.zero_stage:
            raise ValueError(
                "optimiser.keep_moments needs engine.zero_stage 0: what ZeRO divides has one count of steps, "
                "and new layers begin theirs anew"
            )
        return self

    @model_validator(mode="after")
    def _flips_known_views(self) -> Self:
        known = self.supervision.fields if self.supervision.kind != "none" else ()
        if self.augmentation.flip_cc and "view" not in known:
            raise ValueError(
                "augmentation.flip_cc needs to know a fake's view: name it in supervision.fields"
            )
        return self


def methods() -> dict[str, Path]:
    """Find the methods that come with the package, by name."""
    return {path.stem: path for path in packaged("methods", "*.toml")}


def load_method(name: str, overrides: tuple[str, ...] = ()) -> Method:
    """Load a method by its name, or from the user's own TOML file.

    Raises
    ------
    ConfigError
        If there is no such method, or it holds a wrong key or value.
    """
    return load_named(Method, "method", name, methods(), overrides)
