"""Hyperbolic geometry: models, distances, Delaunay graphs and what is read off them."""
