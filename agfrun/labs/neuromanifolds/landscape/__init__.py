"""The critical points of a network's quadratic loss: polynomial equations, their solutions, and where training ends."""
