"""MammoGAN: synthesis of full-field digital mammograms with a progressively grown GAN on an HPC cluster."""

__version__ = "0.1.0"
