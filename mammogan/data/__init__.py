"""From folders of DICOM files to shards, and from shards to batches."""
