"""Closed forms: loss levels, feature order, jump times and bounds."""
