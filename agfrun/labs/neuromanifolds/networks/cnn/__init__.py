"""One-dimensional convolutional networks with one channel and polynomial activations."""
