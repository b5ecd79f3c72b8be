(function () {
  "use strict";
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);

  // Columns as the page holds them -> the rows that Vega wants.
  function rowsOf(columns) {
    const names = Object.keys(columns);
    const plain = names.map((name) => {
      const column = columns[name];
      return Array.isArray(column) ? column : column.codes.map((code) => (code < 0 ? null : column.texts[code]));
    });
    const length = plain.length ? plain[0].length : 0;
    return Array.from({ length }, (_, row) => Object.fromEntries(names.map((name, place) => [name, plain[place][row]])));
  }

  // The text of a run is never taken for HTML.
  function showTip(handler, event, item, value) {
    tip.replaceChildren();
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    const list = document.createElement("dl");
    for (const [name, content] of Object.entries(value)) {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = content;
      list.append(term, text);
    }
    tip.append(list);
    const width = document.documentElement.clientWidth;
    const left = Math.min(event.pageX + 14, window.scrollX + width - tip.offsetWidth - 8);
    tip.style.left = Math.max(window.scrollX + 4, left) + "px";
    tip.style.top = event.pageY + 16 + "px";
  }

  function zoomBy(view, fields, factor) {
    ["x", "y"].forEach((axis, place) => {
      const signal = "zoom_" + fields[place];
      if (factor === 0) {
        view.signal(signal, null);
        return;
      }
      const scale = view.scale(axis);
      const logarithmic = scale.type === "log";
      const ends = scale.domain().map((end) => (logarithmic ? Math.log(end) : end));
      const middle = (ends[0] + ends[1]) / 2;
      const zoomed = ends.map((end) => middle + (end - middle) * factor);
      view.signal(signal, zoomed.map((end) => (logarithmic ? Math.exp(end) : end)));
    });
    view.runAsync();
  }

  function connect(figure, chart, view) {
    const controls = figure.querySelector(".controls");
    if (!controls) return;
    controls.hidden = false;
    for (const button of controls.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => zoomBy(view, chart.zoom, Number(button.dataset.zoom)));
    }
    for (const button of controls.querySelectorAll(".toggle")) {
      button.addEventListener("click", () => {
        const shown = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(shown));
        view.signal(button.dataset.parameter, shown).runAsync();
      });
    }
    for (const menu of controls.querySelectorAll("select")) {
      menu.addEventListener("change", () => view.signal(menu.dataset.parameter, menu.value).runAsync());
    }
  }

  async function draw(chart) {
    const figure = document.querySelector('[data-chart="' + CSS.escape(chart.name) + '"]');
    const plot = figure.querySelector(".plot");
    const tables = Object.entries(chart.tables).map(([name, columns]) => [name, rowsOf(columns)]);
    const spec = Object.assign({}, chart.spec, { datasets: Object.fromEntries(tables) });
    const own = document.createElement("div");
    plot.append(own);
    if (plot.clientWidth < 500) spec.height = Math.min(spec.height, 300);
    try {
      // The interpreter (ast) needs no evaluation of text as code, which the page's policy forbids.
      const drawn = await window.vegaEmbed(own, spec, {
        renderer: "svg", ast: true, actions: false, defaultStyle: false, tooltip: showTip,
      });
      plot.querySelectorAll(".static").forEach((part) => part.remove());
      plot.classList.add("drawn");
      connect(figure, chart, drawn.view);
    } catch (error) {
      own.remove();
      console.error(chart.name + ": " + error);
    }
  }

  const charts = JSON.parse(document.getElementById("charts").textContent);
  Promise.all(charts.map(draw)).then(() => document.body.classList.add("ready"));
})();
