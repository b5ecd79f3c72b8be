"""Linear attention on in-context regression."""
