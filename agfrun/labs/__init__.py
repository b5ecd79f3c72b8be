"""The laboratories, one folder each; none knows another."""
