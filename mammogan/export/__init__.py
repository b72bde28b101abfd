"""Models in the forms that other tools load, each with its card and the terms of the images."""
