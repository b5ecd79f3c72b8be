"""Two-layer networks with an activation, on samples."""
