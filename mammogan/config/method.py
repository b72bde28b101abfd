"""What is learned: ladder, networks, loss, supervision, optimiser, schedule, scoring and sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mammogan.config.alarm_settings import Alarms
from mammogan.config.augmentation_settings import Augmentation
from mammogan.config.label_fields import CLASSES
from mammogan.config.settings import Fraction, Positive, Settings, load_named, packaged

NonNegative = Annotated[float, Field(ge=0)]


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


class Network(Settings):
    """Channels at stage s: min(channels_base / 2^s, channels_max), as PGGAN's nf(s) with s counted from 1."""

    latent_size: Positive = Field(default=512, description="Length of the latent vector.")
    channels_base: Positive = Field(
        default=8192, description="Sets how fast channels fall with the resolution; see the formula above."
    )
    channels_max: Positive = Field(default=512, description="Most channels of a layer.")
    stddev_group: Positive = Field(
        default=4,
        description="Images that minibatch standard deviation compares; batches are multiples of it.",
    )


class Loss(Settings):
    """The adversarial objective and its weights (PGGAN: penalty 10 towards norm 1, drift 0.001).

    ``wgan-gp`` penalises gradients between real and synthetic images, the other two gradients at the real
    ones (R1), without target and drift. The last two keys save work and change slightly what is learned:
    with `penalty_holds_stddev` the penalty's gradient changes by less than 1 %; `shared_fakes` keeps the
    generator's activations in memory meanwhile where a rank takes its whole share at once.
    """

    objective: Literal["wgan-gp", "non-saturating", "hinge"] = Field(
        default="wgan-gp",
        description="The adversarial loss; the last two come with R1.",
    )
    penalty_every: Positive = Field(
        default=1,
        description="Compute the penalty at every k-th step, k times as heavy.",
    )
    penalty_weight: NonNegative = Field(default=10.0, description="Weight of the gradient penalty.")
    penalty_target: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="Gradient norm that wgan-gp aims at."
    )
    drift_weight: NonNegative = Field(
        default=0.001,
        description="Weight of the drift term, which keeps scores near 0.",
    )
    penalty_holds_stddev: bool = Field(
        default=False,
        description="Minibatch standard deviation is constant in the penalty: saves 2 of 18 units.",
    )
    shared_fakes: bool = Field(
        default=False,
        description="Update both networks on the same images: saves 1 of 18 units.",
    )


class Supervision(Settings):
    """The labels that generator and critic know, and how; an unknown label has no influence.

    ``auxiliary`` is AC-GAN, as in PGGAN; ``projection`` is that of Miyato and Koyama 2018.
    """

    kind: Literal["auxiliary", "projection", "none"] = Field(
        default="auxiliary",
        description="The critic also predicts the labels, is given them, or there are none.",
    )
    fields: Annotated[tuple[Literal["view", "density", "age_band", "vendor"], ...], Field(min_length=1)] = (
        Field(default=("view",), description="The labels that both networks know.")
    )
    weight: NonNegative = Field(default=1.0, description="Weight of the label loss of kind auxiliary.")

    @property
    def classes(self) -> tuple[int, ...]:
        """Count the classes of each field that the networks know; none without supervision."""
        return () if self.kind == "none" else tuple(len(CLASSES[field]) for field in self.fields)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.fields)) < len(self.fields):
            raise ValueError(f"fields names one label twice: {', '.join(self.fields)}")
        return self


class Optimiser(Settings):
    """Adam of both networks."""

    learning_rate: Rates = Field(description="One number, or a list with one for each stage.")
    beta1: Fraction = Field(default=0.0, description="Adam's decay of the mean of gradients.")
    beta2: Fraction = Field(default=0.99, description="Adam's decay of the mean of squared gradients.")
    epsilon: Annotated[float, Field(gt=0)] = Field(default=1e-8, description="Adam's epsilon.")


class Schedule(Settings):
    """How long each stage lasts; lists have one entry a stage, and the last entry serves all later stages."""

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


class Ema(Settings):
    """The averaged generator, which is scored and drawn with."""

    decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.999,
        description="Decay of the exponential moving average, for each step.",
    )


class Engine(Settings):
    """How the arithmetic is done; lists have one entry a stage, and the last entry serves all later stages.

    ``fp16`` comes with a loss scale. ``cuda-graphs`` and `overlap_communication` are for GPUs and were not
    measured.
    """

    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="fp32", description="Arithmetic of the convolutions; everything else stays in fp32."
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
        default=False, description="Reduce gradients during the backward pass; needs zero_stage 2."
    )

    @model_validator(mode="after")
    def _overlaps(self) -> Self:
        if self.overlap_communication and self.zero_stage != 2:
            raise ValueError(
                "overlap_communication needs zero_stage 2: only ZeRO 2 reduces while it goes back"
            )
        return self


class Scoring(Settings):
    """Sliced Wasserstein distance: how many images (half of each view) and checkpoints, how it is drawn."""

    images: Positive = Field(default=16384, description="Images compared for one score, half of each view.")
    checkpoints: Annotated[int, Field(ge=1)] = Field(
        default=4, description="Checkpoints scored in each stage."
    )
    checkpoints_per_task: Positive = Field(default=1, description="Checkpoints that one array task scores.")
    patches_per_image: Positive = Field(default=128, description="Patches taken from each image and level.")
    directions: Positive = Field(default=128, description="Random directions of one projection.")
    repeats: Positive = Field(default=4, description="Projections of each set of patches.")
    seeds: Positive = Field(
        default=5,
        description="Independent draws; their spread is the score's deviation.",
    )
    kept: Annotated[int, Field(ge=1)] = Field(
        default=3, description="Best checkpoints of each stage that are kept."
    )


class Selection(Settings):
    """Which checkpoint of the last stage is chosen: that of the lowest mean distance above the floor."""

    rule: Literal["lowest-swd"] = Field(default="lowest-swd", description="The rule of the selection.")
    tie_sd: NonNegative = Field(
        default=2.0,
        description="Scores within so many deviations of the lowest tie; of a tie the latest is chosen.",
    )


class Sampling(Settings):
    """The pool that a finished run draws from its chosen checkpoint."""

    images_per_view: Positive = Field(default=1000, description="Images of each view in the pool.")
    images_per_task: Positive = Field(default=500, description="Images that one array task draws.")


class Assessment(Settings):
    """How many images the report measures, and how precisely."""

    images_per_view: Positive = Field(default=5000, description="Most images of each view and source.")
    images_per_task: Positive = Field(default=1000, description="Images that one array task measures.")
    pairs: Positive = Field(default=2000, description="Pairs of images that are compared for diversity.")
    bootstraps: Annotated[int, Field(ge=20)] = Field(
        default=2000, description="Resamples behind each 95 % interval."
    )
    splits: Annotated[int, Field(ge=5)] = Field(
        default=200,
        description="Random halvings of the real patients, from which reals beside reals are measured.",
    )


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
    def _flips_known_views(self) -> Self:
        told = self.supervision.fields if self.supervision.kind != "none" else ()
        if self.augmentation.flip_cc and "view" not in told:
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
