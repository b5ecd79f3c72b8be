"""Claims of papers about lattice reduction, each put to the test."""
