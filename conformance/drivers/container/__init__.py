"""Run the probe of a container image through the image's own entrypoint."""
