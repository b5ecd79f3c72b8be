# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tour of agfrun
#
# Twenty minutes with the library: run a network and its prediction, look at the tables and figures, change the
# scale, train many seeds at once, compare the two variants of the prediction, and add a network of your own.
#
# No files are written here; `run(config, output_dir="...")` would write what the command line writes.

# %%
# %config InlineBackend.figure_formats = ["retina"]
# %matplotlib inline
from dataclasses import dataclass, replace
from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from agfrun import ModelConfig, SampleNetwork, Samples, load_config, register, run, run_seeds

# %% [markdown]
# ## Run
#
# `load_config` takes what the command line takes. A diagonal linear network has two parameters for each
# coefficient of a linear regression; this one learns five of them from a scale of 1e-16.

# %%
config = load_config(["experiment=diagonal_5d"])
result = run(config, progress=False)
print(result.summary())

# %% [markdown]
# Nothing was fitted between the two columns of times: both clocks are gradient-flow time.
#
# ## Look
#
# The tables are those that a run writes as CSV.

# %%
tables = result.tables()
{name: len(table) for name, table in tables.items()}

# %%
measured = tables["events"].query("source == 'training'")
measured[["kind", "time", "feature", "loss_before", "loss_after"]].round(3)

# %% [markdown]
# The figures are those of `plots/`, drawn from these tables.

# %%
figures = result.figures()
list(figures)

# %%
figures["staircase"]

# %%
figures["neurons"]

# %% [markdown]
# A trajectory is a set of plain arrays, for figures of your own. Here are the norms of the five neurons along
# AGF's path: straight lines on a logarithmic scale, with a new slope whenever another neuron has changed the
# residual.

# %%
path = result.prediction.trajectory
figure = Figure(figsize=(5, 2.6), layout="constrained")
axes = figure.add_subplot(xlabel="gradient-flow time", ylabel="log10 of the norm")
axes.plot(path.times, path.log_norms / 2.302585, label=path.feature_names)
axes.legend(title="coefficient")
figure

# %% [markdown]
# ## Change the scale
#
# Times grow like log(1/scale). What remains of the difference between training and prediction shrinks like its
# inverse: the last column is nearly constant from 1e-4 on.

# %%
rows = []
for exponent in (-2, -4, -8, -16, -32):
    at_scale = replace(config, init=replace(config.init, scale=10.0**exponent))
    first = next(row for row in run(at_scale, progress=False).comparison if row["kind"] == "acquisition")
    error = first["time_training"] / first["time_predicted"] - 1
    rows.append({"scale": 10.0**exponent, "predicted": first["time_predicted"], "measured": first["time_training"],
                 "error x log(1/scale)": -error * exponent * 2.302585})
pd.DataFrame(rows)

# %% [markdown]
# ## Many seeds
#
# Many seeds are trained as one tensor program. Each member is the run that its seed alone would make. On the command
# line `ensemble.seeds=8` does the same as a sweep, with files.

# %%
members = run_seeds(load_config(["model=linear_attention", "init.scale=1e-3"]), 8, progress=False)
pd.DataFrame([
    {"seed": member.config.seed, "in order": member.order_agrees, "worst time error":
     member.result.verdict["worst_time_error"]} for member in members])

# %%
pd.DataFrame([
    {"seed": member.config.seed, **{f"eigenvector {row['feature']}": row["time_training"]
                             for row in member.result.main_rows if row["kind"] == "acquisition"}}
    for member in members]).round(1)

# %% [markdown]
# The order is the same for all; the times are not, because at homogeneity degree 3 the initial direction of a
# head counts.
#
# ## Two variants of the prediction
#
# The published algorithm lets cost phases take no time. On modular addition that is the idealization that
# matters: the active neurons slide down a valley without a minimum while the next ones grow.

# %%
addition = ["model=quadratic_modadd", "data.p=7", "data.frequencies=[1,2]", "data.amplitudes=[4.0,2.0]",
            "model.width=12"]
variants = {name: run(load_config([*addition, f"agf={name}"]), progress=False) for name in ("paper", "decoupled")}
variants["paper"].figures()["staircase"]

# %%
variants["decoupled"].figures()["staircase"]

# %% [markdown]
# ## Claims
#
# Every run checks what the paper claims of its network, as far as this run can decide it. A claim has a
# statement, what is expected, what was measured, and the largest difference at which it holds.

# %%
claims = variants["decoupled"].tables()["claims"]
print(claims["statement"].iloc[0])
claims.groupby(["claim", "holds"]).size()

# %% [markdown]
# ## A network of your own
#
# A network is a neuron: its parameters and its output. Everything else - gradients, training, prediction,
# comparison, figures - follows. Two linear maps that gate one another, of homogeneity degree 3:

# %%
class Bilinear(SampleNetwork):
    name = "tour_bilinear"
    homogeneity_degree = 3

    def parameter_shapes(self, input_dimension: int, output_dimension: int) -> dict[str, tuple[int, ...]]:
        return {"w": (input_dimension,), "g": (input_dimension,), "a": (output_dimension,)}

    def neuron(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return parameters["a"] * (parameters["w"] @ x) * (parameters["g"] @ x)


@register("model")
@dataclass
class BilinearConfig(ModelConfig):
    name: str = "tour_bilinear"
    width: int = 3

    data_type: ClassVar[type] = Samples

    def build(self, data: Samples) -> Bilinear:
        return Bilinear(data, self.width)


teacher = load_config(["model=monomial", "data=teacher_student", "data.activation=monomial", "data.samples=60",
                       "data.input_dimension=4", "init.scale=0.02", "agf.loss_tolerance=1e-2"])
own = replace(teacher, model=BilinearConfig())
own_result = run(own, progress=False)
own_result.figures()["staircase"]

# %% [markdown]
# To use it from the command line, put the class in a file and name it with `--import`; see "Add a network or a
# data set" in the documentation.
#
# ## Another study
#
# A comparison of training with AGF is one study of several. `agfrun.execute` does any of them; here the exact dimension
# of the functions that a polynomial network can be, where counting its parameters promises one more.

# %%
from agfrun import execute

done = execute(load_config(["study=dimension", "model.widths=[3,5,1]", "model.degree=4"]))
print(done.summary())
