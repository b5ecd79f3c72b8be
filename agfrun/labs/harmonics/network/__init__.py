"""The power-spectral network, its losses, and how it is trained."""
