"""The figures of the AGF paper."""
