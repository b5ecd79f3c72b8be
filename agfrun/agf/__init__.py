"""Alternating Gradient Flows: the prediction. Never looks at a training trajectory."""
