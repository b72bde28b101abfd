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
        default=1000, description="Random seed: images, latents, order and augmentation all follow from it."
    )


class Ladder(Settings):
    """The resolutions: `base_px` (height, width) doubled `stages` - 1 times."""

    base_px: tuple[Positive, Positive] = Field(
        default=(5, 4), description="Height and width of the first stage."
    )
    stages: Annotated[int, Field(ge=1, le=12)] = Field(
        description="Number of stages; each doubles the resolution of the one before."
    )


class Network(Settings):
    """The pair of networks, `kind` of `mammogan.nets.networks.NETWORKS`, and its widths.

    Channels at stage s: min(channels_base / 2^s, channels_max), as PGGAN's nf(s) with s counted from 1.
    """

    kind: str = Field(
        default="pggan", description="Pair of networks, by its name in `mammogan.nets.networks.NETWORKS`."
    )
    latent_size: Positive = Field(default=512, description="Length of the latent vector.")
    channels_base: Positive = Field(
        default=8192, description="Sets how fast channels fall with the resolution; see the formula above."
    )
    channels_max: Positive = Field(default=512, description="Most channels of a layer.")
    stddev_group: Positive = Field(
        default=4,
        description="Images that minibatch standard deviation compares; batch and micro_batch must be "
        "multiples of it.",
    )


class Loss(Settings):
    """The adversarial objective, the penalty on the critic's gradients, and their weights.

    PGGAN's are a penalty of 10 towards norm 1 and a drift of 0.001. Any penalty goes with any objective:
    ``two-sided`` penalises gradients between reals and fakes whose norm is not `penalty_target`,
    ``zero-centred`` any gradients there, ``r1`` those at the reals and ``r2`` those at the fakes. A method
    that names none gets ``two-sided`` with ``wgan-gp`` and ``r1`` with the others. `drift_weight` belongs to
    ``wgan-gp``. With `penalty_every` k the penalty is taken at every k-th step, k times as heavy: less work
    for nearly the same training.

    Two more keys save work as well, and change what is learned a little. With `penalty_holds_stddev`
    minibatch standard deviation is a constant inside the penalty, which then needs no pass back through the
    critic: 2 of a step's 18 forward passes' worth of work; the penalty's gradient changes by less than 1 %.
    With `shared_fakes` the generator is updated on the very images that the critic was updated on: 1 more, at
    the cost of holding the generator's activations meanwhile where a rank takes its whole share at once.
    """

    objective: Literal["wgan-gp", "non-saturating", "hinge"] = Field(
        default="wgan-gp",
        description="The adversarial loss of critic and generator.",
    )
    penalty: Literal["two-sided", "zero-centred", "r1", "r2"] = Field(
        default="two-sided",
        description="The penalty on the critic's gradients; a method that names none gets r1 with an "
        "objective other than wgan-gp.",
    )
    penalty_every: Positive = Field(
        default=1,
        description="The gradient penalty is computed at every k-th step, k times as heavy; 1 is every step.",
    )
    penalty_weight: NonNegative = Field(default=10.0, description="Weight of the gradient penalty.")
    penalty_target: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="Gradient norm that the two-sided penalty pulls towards."
    )
    drift_weight: NonNegative = Field(
        default=0.001,
        description="Weight of the drift term of wgan-gp, which keeps the critic's scores near 0.",
    )
    penalty_holds_stddev: bool = Field(
        default=False,
        description="Treat minibatch standard deviation as a constant in the penalty: saves 2 of 18 units of "
        "work.",
    )
    shared_fakes: bool = Field(
        default=False,
        description="Update the generator on the images that the critic just saw: saves 1 of 18 units.",
    )

    @model_validator(mode="before")
    @classmethod
    def _customary_penalty(cls, tree: object) -> object:
        """Name the penalty that the objective has always had here, where the method names none."""
        if isinstance(tree, dict) and "penalty" not in tree and tree.get("objective", "wgan-gp") != "wgan-gp":
            return tree | {"penalty": "r1"}
        return tree


class Supervision(Settings):
    """The labels that generator and critic are told of, and how.

    ``auxiliary``: the critic tells the classes too, and is judged by them with `weight` (AC-GAN, as in
    PGGAN). ``projection``: the critic is told the classes (Miyato and Koyama 2018). `fields` are those that
    the shards know of each image; of an image whose class is unknown nothing is told and nothing asked.
    """

    kind: Literal["auxiliary", "projection", "none"] = Field(
        default="auxiliary",
        description="auxiliary: the critic also predicts the labels (AC-GAN); projection: it is given them; "
        "none: no labels.",
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
    """Adam of both networks; `learning_rate` is one for all stages, or a list of one a stage."""

    learning_rate: Rates = Field(
        description="Adam's learning rate: one number, or a list with one for each stage."
    )
    beta1: Fraction = Field(default=0.0, description="Adam's decay of the mean of gradients.")
    beta2: Fraction = Field(default=0.99, description="Adam's decay of the mean of squared gradients.")
    epsilon: Annotated[float, Field(gt=0)] = Field(
        default=1e-8, description="Adam's constant that keeps the division finite."
    )


class Schedule(Settings):
    """How long each stage lasts, in thousands of real images shown to the critic, and its global batch.

    Lists have one entry a stage; the last entry serves all later stages.
    """

    fade_kimg: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = Field(
        description="Images of a stage during which its new layers fade in."
    )
    stable_kimg: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        description="Images of a stage after the fade."
    )
    batch: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        description="Images of one step over all ranks together (global batch)."
    )
    tick_kimg: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        description="Images between two ticks: numbers are logged, a checkpoint is saved, alarms are checked."
    )


class Ema(Settings):
    """The averaged generator that is scored and sampled: weights decay by `decay` a critic step."""

    decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.999,
        description="Decay of the exponential moving average of the generator's weights, for each step.",
    )


class Engine(Settings):
    """How the arithmetic is done; lists have one entry a stage, and the last entry serves all later stages.

    Convolutions run in `precision`; weights, averages, statistics, scores and losses stay fp32, and ``fp16``
    comes with a loss scale. `micro_batch` is the most images that a rank takes at once. `recompute` holds no
    activations of the blocks but computes them again: less memory, more work. `compile` hands the generator
    to torch.compile, which needs a C++ compiler where the job runs; ``cuda-graphs`` and
    `overlap_communication` (ZeRO 2) are for GPUs, and were not measured.
    """

    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="fp32", description="Arithmetic of the convolutions; everything else stays in fp32."
    )
    zero_stage: Literal[0, 1, 2] = Field(
        default=0,
        description="DeepSpeed ZeRO: 1 divides the optimiser's state among ranks, 2 the gradients too.",
    )
    micro_batch: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        description="Most images that a rank processes at once; smaller needs less memory."
    )
    recompute: Annotated[tuple[bool, ...], Field(min_length=1)] = Field(
        default=(False,),
        description="Recompute activations in the backward pass instead of storing them: less memory, more "
        "work.",
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

    images: Positive = Field(
        default=16384, description="Images that are compared for one score, half of each view."
    )
    checkpoints: Annotated[int, Field(ge=1)] = Field(
        default=4, description="Checkpoints of each stage that are scored."
    )
    checkpoints_per_task: Positive = Field(default=1, description="Checkpoints that one array task scores.")
    patches_per_image: Positive = Field(
        default=128, description="Patches that are taken from each image and level."
    )
    directions: Positive = Field(default=128, description="Random directions of one projection.")
    repeats: Positive = Field(default=4, description="Projections of each set of patches.")
    seeds: Positive = Field(
        default=5,
        description="Independent draws of patches and directions; their spread is the score's deviation.",
    )
    kept: Annotated[int, Field(ge=1)] = Field(
        default=3, description="Best checkpoints of each stage that are kept after the selection."
    )


class Selection(Settings):
    """Which scored checkpoint of the last stage is chosen.

    ``lowest-swd``: the lowest SWD above the floor, in the mean over levels and both views; whoever is within
    `tie_sd` deviations from seed to seed of it ties with it, and of a tie the latest is chosen.
    """

    rule: Literal["lowest-swd"] = Field(default="lowest-swd", description="The rule of the selection.")
    tie_sd: NonNegative = Field(
        default=2.0,
        description="Checkpoints within so many deviations of the lowest score tie with it; of a tie the "
        "latest is chosen.",
    )


class Sampling(Settings):
    """The pool that a finished run draws from its chosen checkpoint."""

    images_per_view: Positive = Field(default=1000, description="Images of each view in the pool.")
    images_per_task: Positive = Field(default=500, description="Images that one array task draws.")


class Assessment(Settings):
    """What the report's measures are taken from, and how closely: at most so many images of each view.

    As many synthetics, held-out reals and training reals are looked at; `pairs` are compared for diversity.
    Intervals come of `bootstraps`, and what reals are to each other of `splits` into halves of the patients.
    """

    images_per_view: Positive = Field(
        default=5000, description="Most images of each view and source that are measured."
    )
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
