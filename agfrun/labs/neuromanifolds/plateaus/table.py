"""The table of labelled plateaus, and the words in it."""

from __future__ import annotations

from agfrun.study.table import Column, Schema

MINIMUM, STRICT_SADDLE, DEGENERATE_SADDLE = "minimum", "strict saddle", "degenerate saddle"
UNDECIDED = "undecided"
VERDICTS = (MINIMUM, STRICT_SADDLE, DEGENERATE_SADDLE, UNDECIDED)
PURE, SPURIOUS = "pure", "spurious"

PLATEAUS = Schema("plateaus.csv", (
    Column("plateau", "integer", "number of the plateau, from 0"),
    Column("start", "number", "gradient-flow time of the drop before; of the first row for the first plateau"),
    Column("end", "number", "time of the drop after; of the last row for the last plateau"),
    Column("loss", "number", "loss at the critical point"),
    Column("loss_trained", "number", "loss of the weights that training had on the plateau"),
    Column("active", "integer", "active neurons"),
    Column("dead", "integer", "neurons that are zero at the critical point"),
    Column("strict", "integer", "those of them of which training had all weight vectors small, not one side alone"),
    Column("redundant", "integer", "active neurons whose incoming weights are proportional to those of another"),
    Column("neurons", "text", "the active neurons; of a network with interchangeable neurons, mixtures of them"),
    Column("moved", "number", "distance from training's weights to the critical point, the dead set to zero"),
    Column("gradient", "number", "norm of the gradient that is left at the critical point"),
    Column("rank", "integer", "rank of the derivative of the function's values by the weights, at the critical point"),
    Column("gap", "number", "by how many digits the next singular value is smaller; empty at rank 0"),
    Column("subnetwork_rank", "integer", "generic rank of the network of the active neurons alone, exactly"),
    Column("generic_rank", "integer", "generic rank of the whole network, exactly"),
    Column("negative", "integer", "negative eigenvalues of the Hessian"),
    Column("zero", "integer", "its eigenvalues that are zero"),
    Column("positive", "integer", "its positive eigenvalues"),
    Column("negative_dead", "integer", "negative eigenvalues in the blocks of dead neurons"),
    Column("zero_dead", "integer", "zeros in the blocks of dead neurons"),
    Column("symmetry_zeros", "integer", "zeros of the active block that the subnetwork's own symmetries explain"),
    Column("utility", "number", "largest utility of a dead neuron whose weight vectors have norm 1; empty: none is "
           "dead"),
    Column("verdict", "text", ", ".join(VERDICTS)),
    Column("purity", "text", "pure: critical on the space of functions; spurious: only in the weights; undecided"),
    Column("exposed_dimension", "integer", "dimension of the targets that have a critical point in the subnetwork's "
           "stratum; empty where that takes long"),
    Column("span", "integer", "dimension of the span of all functions"),
), "each plateau and the critical point that it is near")
