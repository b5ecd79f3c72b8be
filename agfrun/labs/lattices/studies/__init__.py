"""What is done with lattices: one file a study."""
