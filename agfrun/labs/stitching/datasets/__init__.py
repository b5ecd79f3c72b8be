"""What networks are trained on and stitched over: the choices of the slot `data`."""
