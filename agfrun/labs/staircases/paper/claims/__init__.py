"""The claims of the AGF paper, by network."""
