"""agfrun's plugins for Hydra, which looks for them in this namespace. What they do lies in `agfrun.sweep`."""
