"""Invented people: names, numbers, dates and UIDs, so that what must be removed is there to be removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from mammogan.data.phantom.anatomy import Woman

_FAMILY = (
    "Aldermoor Brankovar Castellune Dunmarrow Eskerholt Fennwick Galvorn Hartlebrae Isenmoor Jorvander "
    "Kestrelby Lindqvar Marchetane Norvelli Ostrander Pellwyn Quillermo Ravensholt Sandovane Thistlecote "
    "Ulvestad Varnholm Wexbury Yarrowmont Zelenka"
)
_GIVEN = (
    "Adela Benedikta Carlota Dagny Elspeth Fiorella Greta Hedvig Ilse Jovana Katinka Leonie Marit Nuria "
    "Ottilie Petra Rosalind Signe Tamsin Ursula Verena Wilma Ysolde Zora"
)
_SITES = ("St. Odile Breast Centre", "Harbour Imaging Clinic", "Lindenfeld General Hospital")


@dataclass(frozen=True)
class Identity:
    """Who was examined, where and when; none of it exists."""

    name: str
    patient_id: str
    birth: date
    exam: date
    seconds: int  # of the day, at the first exposure
    accession: str
    institution: str
    referrer: str
    operator: str
    serial: str


def invent(seed: int, patient: int, woman: Woman) -> Identity:
    """Invent a person; patients of one cohort never share a number."""
    rng = np.random.default_rng([seed, patient, 99])
    exam = date(2015, 1, 5) + timedelta(days=int(rng.integers(0, 3000)))
    birth = exam - timedelta(days=int(365.25 * woman.age_years + rng.integers(0, 360)))
    site = int(rng.integers(len(_SITES)))

    def someone() -> str:
        return f"{rng.choice(_FAMILY.split())}^{rng.choice(_GIVEN.split())}"

    # Odd multipliers prime to ten: numbers that look random and cannot meet.
    number = (patient * 7_368_787 + seed * 104_729 + 1_234_567) % 10_000_000
    return Identity(
        name=someone(),
        patient_id=f"M{number:07d}",
        birth=birth,
        exam=exam,
        seconds=int(rng.integers(8 * 3600, 17 * 3600)),
        accession=f"A{number * 3 % 10_000_000:07d}",
        institution=_SITES[site],
        referrer=someone(),
        operator=someone(),
        serial=f"SN{1000 + 7 * site}{woman.vendor[0]}",
    )
