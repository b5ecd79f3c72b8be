"""Studies that belong to no laboratory: each asks all of them."""
