"""One progressive stage: its loop, DeepSpeed engines, checkpoints and process group."""
