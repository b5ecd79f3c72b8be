"""Plateaus of real training, labelled: which subnetwork is active, which ranks and curvature its critical point has."""
