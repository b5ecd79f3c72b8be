"""The networks: each family in a folder with its data, coordinates and theory."""
