"""The figures of this laboratory."""
