"""What people look at: sheets of images, curves, and the report."""
