"""Loss staircases: training from a small initialization beside its prediction by Alternating Gradient Flows."""
