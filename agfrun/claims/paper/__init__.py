"""The claims of the AGF paper, each decided by the smallest experiments that can: one file a network.

Beside each claim that does not hold as stated stands a sharper statement of ours. See `paper_claim` for what a
claim is, `laboratory` for the experiments and docs/claims.md for the verdicts.
"""
