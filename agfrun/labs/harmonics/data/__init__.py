"""What a network is to be invariant to."""
