"""Synthetics held against reals, family by family: each module gives measures of one view's sets."""
