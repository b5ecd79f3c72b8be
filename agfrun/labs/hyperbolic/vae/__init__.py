"""A variational autoencoder whose latents are points of hyperbolic space, trained on noisy binary trees."""
