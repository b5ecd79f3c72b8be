"""Events of a path: activations, acquisitions, collapses, and its plateaus."""
