"""The measurements, each a function of a `Bench` and its sizes. Which options set them is in `__main__.py`."""
