"""Stacks of self-attention layers, without normalization or with softmax, without residuals."""
