"""How training moves in time: steppers, step control, gradient flow, gradient descent."""
