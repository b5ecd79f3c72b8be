"""Neuromanifolds: the spaces of functions that a network architecture parametrizes, measured in exact arithmetic.

A network with a polynomial activation parametrizes a semi-algebraic set of functions, its neuromanifold. Its
dimension is the generic rank of the parametrization's Jacobian, an integer that arithmetic modulo a prime settles
without rounding (Marchetti, Shahverdi, Mereta, Trager & Kohn, "Algebra Unveils Deep Learning", arXiv:2501.18915).
"""

QUESTION = "what functions can a network be? Dimensions of function spaces, exactly"
FIRST_COMMAND = "agfrun study=dimension 'model.widths=[2,2,1]' model.degree=2"

