"""MammoGAN: synthesis of full-field digital mammograms with a progressively grown GAN on an HPC cluster."""

try:
    from mammogan._version import __version__
except ModuleNotFoundError:  # a checkout on the path that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
