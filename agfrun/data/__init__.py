"""Data sets, as the moments or tensors that an architecture needs."""
