"""What runs for every lattice of a batch, as machine code."""
