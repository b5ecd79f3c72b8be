"""The tables of `study=critical_points`."""

from __future__ import annotations

from agfrun.study.table import Column, Schema

COUNTS = Schema("counts.csv", (
    Column("question", "text", "degree; or critical points: generic, identity, bombieri (inner products), samples, "
           "data (this data set); monodromy: generic ones by numerical continuation, certified"),
    Column("samples", "integer", "random samples that the loss is made of; empty: it is given otherwise"),
    Column("solutions", "integer", "complex solutions of the equations, with multiplicity"),
    Column("count", "integer", "complex functions: solutions divided by the weights that one function has"),
    Column("verdict", "text", "finite, infinite, not finished, at least (the time was up), or closed form"),
    Column("expected", "integer", "by a closed form; empty: none is known"),
    Column("note", "text", "source of the closed form, why there is no count, or how monodromy went"),
), "degree and numbers of complex critical points")
POINTS = Schema("points.csv", (
    Column("point", "integer", "number, by the loss"),
    Column("index", "integer", "negative eigenvalues of the Hessian in the chart; empty: one could not be told from 0"),
    Column("kind", "text", "minimum, saddle, maximum or degenerate"),
    Column("loss", "number", "sum of squared errors there"),
    Column("pure", "flag", "whether the function is critical among all functions; otherwise only the weights are: it "
           "is spurious"),
    Column("at_zero", "flag", "whether the function is 0"),
    Column("subnetwork", "text", "in what way it is a smaller network; empty: it is none"),
    Column("reached", "integer", "random starts whose gradient flow ended there"),
    Column("first", "number", "arctan of the first free weight, in degrees"),
    Column("second", "number", "arctan of the second, in degrees"),
    Column("weights", "text", "the free weights, to 17 digits"),
), "all real critical points of this data set, certified")
REAL_COUNTS = Schema("real_counts.csv", (
    Column("dataset", "integer", "number of the data set; 0 is this one"),
    Column("real", "integer", "real critical points in all"),
    Column("nonzero", "integer", "of them those of a function that is no smaller network's, and not 0"),
    Column("minima", "integer", "minima"),
    Column("saddles", "integer", "others of a certain index"),
    Column("at_zero", "integer", "at the function 0"),
    Column("spurious", "integer", "that are critical for the weights alone"),
    Column("spurious_minima", "integer", "of them those that are minima"),
    Column("alternating_sum", "integer", "sum of (-1)^index; empty: an index is not certain, or points were left out"),
), "real critical points of random data sets")
DESCENTS = Schema("descents.csv", (
    Column("start", "integer", "number of the random start"),
    Column("loss", "number", "where gradient flow ended"),
    Column("gradient", "number", "length of the gradient there, for the loss in units of that at the function 0"),
    Column("end", "text", "point; zero: the function 0, also where all inner weights vanish; subnetwork: another "
           "one, at rest where the Jacobian has lost rank; none of these"),
    Column("point", "integer", "critical point with that function; empty: none"),
), "gradient flow of all weights from random starts")
SURFACE = Schema("surface.csv", (
    Column("first", "number", "arctan of the first inner weight, in degrees"),
    Column("second", "number", "arctan of the second, in degrees; 0: there is none"),
    Column("loss", "number", "least loss over the weights of the last layer"),
), "the loss over the inner weights", in_sweeps="none")
