"""The files of a run's folder and of a sweep's: written atomically, read safely."""
