"""From stored values to a training image: VOI window, orientation, size, background."""
