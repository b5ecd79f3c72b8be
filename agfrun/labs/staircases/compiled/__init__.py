"""Step loops of stiff gradient flow and gradient descent as machine code, for networks written out for them."""
