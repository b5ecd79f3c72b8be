"""Sweeps: many jobs planned in one folder, run by an engine, and gathered into tables."""
