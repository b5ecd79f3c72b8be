"""Two-layer networks on sequences of elements of a finite group."""
