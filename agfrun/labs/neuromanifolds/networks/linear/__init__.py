"""Linear networks: matrices of bounded rank."""
