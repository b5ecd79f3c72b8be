"""The studies of this laboratory."""
