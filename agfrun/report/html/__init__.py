"""The page report.html of a run, ensemble, study or sweep: one file that needs no network."""
