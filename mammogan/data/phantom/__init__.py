"""The phantom cohort: computed mammograms as DICOM files, the data set that can be given to everybody."""

from mammogan.data.phantom.cohort import Cohort, make_cohort
from mammogan.data.phantom.render_view import RenderedView, render

__all__ = ["Cohort", "RenderedView", "make_cohort", "render"]
