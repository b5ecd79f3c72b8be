"""The networks: each family in a folder with its settings, Jacobian and theory."""
