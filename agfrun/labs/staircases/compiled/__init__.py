"""The step loop of stiff gradient flow as machine code, for the networks whose flow is written out for it."""
