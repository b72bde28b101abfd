"""Pools of synthetic images: records, writing, DICOM export, and data sets mixed with reals."""
