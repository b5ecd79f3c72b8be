"""Worlds: what the agent sees and does."""
