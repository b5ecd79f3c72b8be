"""What a run can decide of the theory."""
