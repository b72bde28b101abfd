"""Writing trials as the table that is read: what simulated readers leave."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mammogan import __version__
from mammogan.files import write
from mammogan.study.analysis.codebook import trial_columns
from mammogan.study.analysis.trials import LEFT, RIGHT, Trials


def write_trials(path: Path, trials: Trials) -> None:
    """Write `trials` as CSV, whole or not at all."""
    stream = io.StringIO()
    table = csv.DictWriter(stream, list(trial_columns()), restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(_rows(trials))
    write(path, stream.getvalue())


def _rows(trials: Trials) -> Iterator[dict[str, object]]:
    for n, reader in enumerate(trials.reader_N.tolist()):
        yield {
            "study_id": trials.study_id,
            "study_version": trials.study_version,
            "participant": trials.readers[reader],
            **{name: answers[reader] for name, answers in trials.answers.items()},
            "trial": int(trials.trial_N[n]),
            "view": str(trials.view_N[n]),
            "real_id": f"r{trials.real_N[n]:04d}",
            "synth_id": f"s{trials.synth_N[n]:04d}",
            "synth_side": LEFT if trials.synth_left_N[n] else RIGHT,
            "answer_side": LEFT if trials.answer_left_N[n] else RIGHT,
            "correct": int(trials.correct[n]),
            "confidence": _written(trials.confidence_N[n]),
            "rt_ms": _written(trials.rt_ms_N[n]),
            "max_zoom_l": _written(trials.zoom_N[n]),
            "max_zoom_r": _written(trials.zoom_N[n]),
            "wl_changes": _written(trials.wl_changes_N[n]),
            "hidden_ms": _written(trials.hidden_ms_N[n]),
            "app_version": __version__,
        }


def _written(value: float) -> str:
    return "" if np.isnan(value) else f"{value:g}" if value % 1 else f"{value:.0f}"
