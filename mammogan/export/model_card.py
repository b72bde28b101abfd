"""The model card: what a model is, what it learned from, on what terms, how good it is and what it cost.

It says what is known, and of the rest that it is not. Its head is what the Hugging Face Hub reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mammogan import __version__
from mammogan.errors import DataError, MammoganError
from mammogan.export.release_terms import forbidding
from mammogan.files import sha256
from mammogan.run_folder import RunFolder

if TYPE_CHECKING:
    from mammogan.config.run_config import Run
    from mammogan.export.exported_model import ExportedModel
    from mammogan.study.review.artefact_rates import Rate
    from mammogan.study.review.review_results import Results

CARD = "README.md"
"""The file that it stands in."""
HEAD = """---
license: other
license_name: see-terms
license_link: TERMS.txt
library_name: pytorch
pipeline_tag: unconditional-image-generation
tags: [mammography, medical-imaging, gan, synthetic-data, mammogan]
---
"""
INTENDED = """## Intended use

Research: augmentation of training data, teaching, tests of software and of readers' perception, and studies
of synthetic images.

**Not for diagnosis,** nor as evidence about any patient. Images must not be passed off as real ones: whoever
hands them on says that they are synthetic. A finding in a synthetic image means nothing. A model shows what
its training images had too much or too little of (vendors, densities, ages, countries), and can repeat
single training images: look at the copies in the measures below before you release any.
"""
PAPERS = """- T. Karras et al., Progressive Growing of GANs for Improved Quality, Stability, and Variation,
  ICLR 2018
- D. Korkinof et al., High-Resolution Mammogram Synthesis using Progressive Generative Adversarial Networks,
  arXiv:1807.03401 (2018)
"""


def card(exported: ExportedModel, use: str, permission: str = "", review: Results | None = None) -> str:
    """Write the card as Markdown.

    Parameters
    ----------
    exported
        The model; of its run come recipes, measures and hours.
    use
        How the files beside the card are loaded, as Markdown.
    permission
        Who permitted to pass on a model that the terms forbid to, and when.
    review
        What reviewers found of artefacts.
    """
    about = exported.model.method.method
    height, width = exported.model.size_px
    parts = [
        f"# Synthetic mammograms: {about.name}, {height} x {width} pixels",
        f"A generator of single mammograms of {height} x {width} pixels and 16 bits, exported with MammoGAN "
        f"{__version__}. Method: {about.summary}",
        use,
        INTENDED.rstrip(),
        "## Training data\n\n" + "\n".join(_data(exported)),
        "## Training\n\n" + "\n".join(_training(exported)),
        "## Measures\n\n" + "\n".join(_measures(exported)),
        "## Artefacts\n\n" + "\n".join(_artefacts(review)),
        "## Environmental cost\n\n" + _cost(exported),
        "## Terms\n\n" + "\n".join(_terms(exported.terms, permission)),
        "## Citation\n\n" + "\n".join(_citations(exported)) + PAPERS.rstrip(),
    ]
    return HEAD + "\n\n".join(part.rstrip() for part in parts) + "\n"


def check_reviewed(exported: ExportedModel, review: Results | None) -> None:
    """Refuse a review of another model.

    Raises
    ------
    DataError
        With both, by the start of the SHA-256 of their weights.
    """
    from mammogan.train.export_model import weights_of

    digest = sha256(weights_of(exported.folder))
    if review is not None and not digest.startswith(review.review.model_id):
        raise DataError(
            f"The review is of the model '{review.review.model_id}', and '{exported.folder}' is "
            f"'{digest[:12]}' (the start of the SHA-256 of its weights): give the review of this model."
        )


def _data(exported: ExportedModel) -> Iterator[str]:
    from mammogan.config.label_fields import UNKNOWN

    run, table = _run(exported), exported.model.table
    for recipe in run.recipes if run else ():
        yield f"- {recipe.dataset.title} (`{recipe.dataset.name}`), licence: {recipe.dataset.licence}"
    if run is None:
        yield "- the data sets of the terms below"
    yield f"- {int(table.counts_K.sum())} images to learn from, in the split `train`; patients: unknown"
    columns = table.combinations_KF.unbind(dim=1)
    for (name, classes), numbers_K in zip(exported.labels.items(), columns, strict=False):
        counts = {
            each: int(table.counts_K[numbers_K == number].sum())
            for number, each in [*enumerate(classes), (UNKNOWN, "unknown")]
        }
        shown = ", ".join(f"{each} {count}" for each, count in counts.items() if count)
        yield f"- images by {name}: {shown}"


def _training(exported: ExportedModel) -> Iterator[str]:
    from mammogan import schedule
    from mammogan.run_records import Choice

    method, run = exported.model.method, _run(exported)
    yield f"- method `{method.method.name}`, networks `{method.network.kind}`, seed {method.method.seed}"
    before = schedule.plan(method)[-1].images_before / 1000
    yield f"- {before:g} kimg (thousand images shown) before the last stage"
    if run:
        yield f"- run `{run.run_id}`, launched with MammoGAN {run.mammogan}"
    choice = Choice.read_if_sound(RunFolder(exported.run).choice) if exported.run else None
    if choice:
        yield f"- chosen by {', '.join(choice.measures)} from the last stage's checkpoints: the one after"
        yield f"  {choice.images / 1000:g} kimg of it, SHA-256 `{choice.checkpoint}`"


def _measures(exported: ExportedModel) -> Iterator[str]:
    from mammogan.report.interval_plot import format_number
    from mammogan.report.measure_labels import headlines, load_labels
    from mammogan.steps.report_measures import JSON, read

    report = RunFolder(exported.run).report if exported.run else None
    if report is None or not (report / JSON).exists():
        yield "Unknown: the report of its run was not there when it was exported."
        return
    tree, labels = read(report), load_labels()
    yield f"Of the run's report, against held-out reals (split `{tree['held_out']}`). Intervals hold 95 % of "
    yield "resampled sets; beside each stands the same of two halves of the reals.\n"
    yield "| view | measure | of | value | interval | reals to reals | images, reals |"
    yield "|---|---|---|---|---|---|---|"
    for measure in headlines(tree["measures"]):
        of = labels.quantities.get(measure["of"], measure["of"])
        spans = [_span(measure["ci"]), _span(measure["null"])]
        cells = [measure["view"], labels.of(measure).name, of, format_number(measure["value"]), *spans]
        yield f"| {' | '.join(cells)} | {measure['images']}, {measure['reals']} |"
    for reason in tree["skipped"]:
        yield f"\nNot measured: {reason}"


def _span(span: Mapping[str, float | None] | None) -> str:
    """Spell an interval; where there was too little to draw from, it has no ends."""
    from mammogan.report.interval_plot import format_number

    if span is None or span["low"] is None or span["high"] is None:
        return ""
    return f"{format_number(span['low'])} to {format_number(span['high'])}"


def _artefacts(review: Results | None) -> Iterator[str]:
    if review is None:
        yield "Unknown: no artefact review was given."
        return
    state = "" if review.is_complete else " (not all reviewers have ended)"
    yield f"Blinded review by {len(review.reviewers)} reviewers{state}: images with an artefact, in percent,"
    yield "with intervals of 95 %.\n"
    yield "| | synthetic | real |"
    yield "|---|---|---|"
    for row in (*review.views, *review.kinds):
        yield f"| {row.name} | {_share(row.synthetic)} | {_share(row.real)} |"


def _share(rate: Rate) -> str:
    if not rate.of:
        return "none looked at"
    low, high = rate.interval
    return f"{100 * rate.value:.1f} ({100 * low:.1f} to {100 * high:.1f}; {rate.hits} of {rate.of})"


def _cost(exported: ExportedModel) -> str:
    """Say what the run took, by accounting or by what its jobs noted."""
    from mammogan.cluster.job_usage import NOTHING, usage
    from mammogan.cluster.run_state import Watcher

    unknown = "Unknown: nobody noted how long its run took."
    if exported.run is None:
        return unknown
    try:
        watcher = Watcher(exported.run)
        used = usage(exported.run, watcher.read(), ask=not watcher.silence)
    except MammoganError:  # whose text names folders of this machine, and the card travels
        return "Unknown: where it was exported, its run's shard set was no longer to be read."
    whole = sum(used.values(), start=NOTHING)
    if whole.began is None and not (whole.cpu_hours or whole.gpu_hours):
        return unknown
    more = f" {whole.unknown} tasks more ran, nobody noted how long." if whole.unknown else ""
    return (
        f"{whole.gpu_hours:.2f} GPU-hours and {whole.cpu_hours:.2f} CPU-hours, all steps of the run together."
        f"{more} Energy and carbon: unknown."
    )


def _terms(terms: str, permission: str) -> Iterator[str]:
    yield "The images that it learned from came on these terms; they go with all that it draws:\n"
    yield from (f"> {line}\n>" for line in terms.splitlines())
    if forbidding(terms):
        yield f"\nPassed on by permission, as who exported it says: {permission}"


def _citations(exported: ExportedModel) -> Iterator[str]:
    run = _run(exported)
    for recipe in run.recipes if run else ():
        yield f"- {recipe.dataset.citation or recipe.dataset.title}"
    yield f"- MammoGAN developers, MammoGAN {__version__}: synthesis of full-field digital mammograms.\n"


def _run(exported: ExportedModel) -> Run | None:
    from mammogan.config.run_config import Run

    return Run.load(exported.run) if exported.run else None
