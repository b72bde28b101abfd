"""How good images are at equal CPU time, by a judge of its own: `python -m tests.bench.quality`.

Nothing in `judge`, `swd`, `neighbours`, `features` and `spectra` is imported from mammogan: a product that
was tuned by its own metrics is not to be judged by them. Those files need numpy, scipy and torch only.
"""
