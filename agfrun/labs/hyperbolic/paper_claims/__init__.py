"""Claims of papers about hyperbolic Delaunay graphs and the score, each put to the test."""
