// Plays recorded runs of EM. What is computed was computed before: this file shows frames, and asks for further starts.
"use strict";

(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const K = data.nComponents, A = data.axes.length, flat = A === 1;
  const by = (id) => document.getElementById(id);
  const still = matchMedia("(prefers-reduced-motion: reduce)"), dark = matchMedia("(prefers-color-scheme: dark)");
  // Okabe & Ito's colours, which colour-blind readers can tell apart; numbers at the means tell more than seven apart.
  const LIGHT = [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [176, 124, 0], [86, 180, 233], [70, 70, 70]];
  const DARK = [[86, 170, 240], [240, 130, 50], [40, 190, 145], [225, 150, 195], [230, 175, 40], [150, 215, 255], [200, 200, 200]];
  const LEVELS = [[1.3863, 2.6], [5.9915, 1.1]]; // squared radii that hold 50 and 95 % of a component, and line widths
  const ROUND = 72;
  const state = { start: data.first, run: 0, frame: 0, playing: false, speed: 1, shown: data.shown.slice(), climb: "height" };
  const font = getComputedStyle(document.body).fontFamily;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // ------------------------------------------------------------------------------------------------ numbers

  async function unpack(text, Numbers) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Numbers(await new Response(stream).arrayBuffer());
  }

  async function open(run) {
    if (run.opened) return run;
    const [weights, means, covariances, responsibilities] = await Promise.all([
      unpack(run.weights, Float64Array), unpack(run.means, Float64Array),
      unpack(run.covariances, Float64Array), unpack(run.responsibilities, Uint8Array)]);
    return Object.assign(run, { weights, means, covariances, responsibilities, opened: true });
  }

  const rows = await unpack(data.rows, Float64Array), n = data.nDrawn;
  const sizes = data.sizes ? await unpack(data.sizes, Float32Array) : null;
  const number = (value, digits) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const small = (value) => (value === 0 ? "0" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6 ? value.toExponential(1) : number(value, 3));
  const rose = (what, value, scale) => (Math.abs(value) < 1e-12 * Math.max(1, Math.abs(scale)) ? `${what} stayed, but for rounding` : `${what} rose by ${small(value)}`);
  const height = (value) => (value === null ? "none" : number(value, 3));
  const plural = (count, noun) => `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
  const start = () => data.starts[state.start];
  const run = () => start().runs[state.run];
  const name = (index) => (index ? data.method : "plain EM");

  function component(k, at = run().at[state.frame], r = run()) {
    const [i, j] = flat ? [0, 0] : state.shown, base = (at * K + k) * A, c = (at * K + k) * A * A;
    return {
      weight: r.weights[at * K + k], mean: [r.means[base + i], r.means[base + j]],
      a: r.covariances[c + i * A + i], b: r.covariances[c + i * A + j], c: r.covariances[c + j * A + j],
    };
  }

  function ellipse({ mean, a, b, c }, squared) {
    const l11 = Math.sqrt(Math.max(a, 0)), l21 = l11 > 0 ? b / l11 : 0, l22 = Math.sqrt(Math.max(c - l21 * l21, 0));
    const radius = Math.sqrt(squared);
    return Array.from({ length: ROUND + 1 }, (_, t) => {
      const u = radius * Math.cos((2 * Math.PI * t) / ROUND), v = radius * Math.sin((2 * Math.PI * t) / ROUND);
      return [mean[0] + l11 * u, mean[1] + l21 * u + l22 * v];
    });
  }

  // ----------------------------------------------------------------------------------------------- colours

  let palette = dark.matches ? DARK : LIGHT, names = new Map();
  const colour = (k) => `rgb(${palette[k % 7].join(",")})`;

  function mixed(shares, row) {
    let red = 0, green = 0, blue = 0, total = 0;
    for (let k = 0; k < K; k++) {
      const share = shares[row * K + k], [r, g, b] = palette[k % 7];
      red += share * r; green += share * g; blue += share * b; total += share;
    }
    const key = ((red / total) >> 2 << 12) | ((green / total) >> 2 << 6) | ((blue / total) >> 2);
    if (!names.has(key)) names.set(key, `rgb(${(key >> 12) * 4 + 2},${((key >> 6) & 63) * 4 + 2},${(key & 63) * 4 + 2})`);
    return names.get(key);
  }

  function sharesAt(frame) {
    const number = run().shares[frame];
    return number < 0 ? null : run().responsibilities.subarray(number * n * K, (number + 1) * n * K);
  }

  // ------------------------------------------------------------------------------------------------- plane

  const charts = Object.fromEntries(["plane", "close", "climb"].map((id) => [id, echarts.init(by(id), null, { renderer: "canvas" })]));
  let places = [];

  function axis(at, more = {}) {
    const { low, high, name } = data.axes[at], room = 0.07 * (high - low || 1);
    return {
      type: "value", name: cut(name, 34), nameLocation: "middle", nameGap: 28, min: low - room, max: high + room,
      axisLabel: { color: css("--soft"), showMinLabel: false, showMaxLabel: false, hideOverlap: true }, nameTextStyle: { color: css("--ink"), fontSize: 14, fontFamily: font },
      splitLine: { show: false }, axisLine: { show: true, onZero: false, lineStyle: { color: css("--line") } }, axisTick: { show: false }, ...more,
    };
  }

  const cut = (text, width) => (text.length <= width ? text : `${text.slice(0, width / 2)}…${text.slice(1 - width / 2)}`);

  function setUpPlane() {
    const [i, j] = state.shown;
    const tallest = flat ? tall() : 0;
    places = Array.from({ length: n }, (_, row) => [rows[row * A + i], flat ? -tallest * (0.03 + 0.06 * ((row * 0.618034) % 1)) : rows[row * A + j]]);
    const dot = n < 400 ? 8 : n < 1500 ? 6 : 4;
    const series = [{
      id: "rows", type: "scatter", data: places, animation: false, z: 3, progressive: 0, emphasis: { disabled: true }, stateAnimation: { duration: 0 },
      symbolSize: sizes ? (_, at) => Math.min(Math.max(dot * sizes[at.dataIndex], 2), 4 * dot) : dot,
    }];
    for (let k = 0; k < K; k++) {
      const line = { type: "line", symbol: "none", silent: true, z: 4, clip: true, emphasis: { disabled: true }, data: [] };
      if (flat) series.push({ ...line, id: `line${k}`, lineStyle: { color: colour(k), width: 2.4 } });
      else LEVELS.forEach(([, width], level) => series.push({ ...line, id: `line${k}-${level}`, lineStyle: { color: colour(k), width } }));
    }
    if (flat) {
      const bars = data.bins.edges.map((edge, bin) => [edge, data.bins.heights[bin] ?? 0]);
      series.push({ id: "bins", type: "line", step: "end", data: [[bars[0][0], 0], ...bars], symbol: "none", silent: true, animation: false, z: 1,
        lineStyle: { color: css("--point"), width: 1 }, areaStyle: { color: css("--point"), opacity: 0.22 } });
      series.push({ id: "sum", type: "line", data: [], symbol: "none", silent: true, z: 3, lineStyle: { color: css("--ink"), width: 1.4, type: "dashed" } });
    }
    series.push({ id: "means", type: "scatter", data: [], z: 6, symbolSize: 23, silent: true,
      label: { show: true, color: css("--ground"), fontWeight: "bold", fontSize: 13, formatter: (at) => String(at.dataIndex) } });
    charts.plane.setOption({
      animation: true, animationDuration: 0, aria: { enabled: false }, textStyle: { fontFamily: font },
      grid: { left: 52, right: 14, top: 12, bottom: 46, containLabel: false },
      xAxis: axis(i), yAxis: flat ? axis(0, { name: "density", nameGap: 34, min: -0.1 * tallest, max: tallest, axisLabel: { show: false } }) : axis(j, { nameGap: 36 }),
      tooltip: { renderMode: "richText", confine: true, formatter: told, backgroundColor: css("--panel"), textStyle: { color: css("--ink") }, borderColor: css("--line") },
      series,
    }, { notMerge: true });
  }

  // The highest bar, and the highest density at the end of the run, unless that is a spike.
  function tall() {
    const bars = Math.max(...data.bins.heights), end = Array.from({ length: K }, (_, k) => component(k, run().at.at(-1)));
    return 1.1 * Math.max(bars, Math.min(2.5 * bars, Math.max(...densities(end)[1].map(([, y]) => y))));
  }

  function told(at) {
    const shares = sharesAt(state.frame);
    const where = state.shown.map((axis) => `${cut(data.axes[axis].name, 24)} ${Number(rows[at.dataIndex * A + axis].toPrecision(5))}`).join("\n");
    if (!shares) return where;
    const parts = Array.from({ length: K }, (_, k) => [shares[at.dataIndex * K + k], k]).filter(([share]) => share > 0);
    return `${where}\n${parts.sort((a, b) => b[0] - a[0]).map(([share, k]) => `component ${k}: ${share} %`).join("\n")}`;
  }

  function densities(all) {
    const { low, high } = data.axes[0], room = 0.07 * (high - low || 1);
    const across = Array.from({ length: 241 }, (_, t) => low - room + (t / 240) * (high - low + 2 * room));
    const curves = all.map(({ weight, mean, a }) => across.map((x) => [x, (weight * Math.exp((-0.5 * (x - mean[0]) ** 2) / a)) / Math.sqrt(2 * Math.PI * a)]));
    return [curves, across.map((x, t) => [x, curves.reduce((sum, curve) => sum + curve[t][1], 0)])];
  }

  function drawPlane(moves) {
    const shares = sharesAt(state.frame), all = Array.from({ length: K }, (_, k) => component(k)), grey = css("--point");
    const painted = shares && Array.from({ length: n }, (_, row) => mixed(shares, row));
    const series = [{ id: "rows", data: places, itemStyle: { opacity: shares ? 0.8 : 0.55, color: painted ? (at) => painted[at.dataIndex] : grey } }];
    const means = all.map(({ mean }, k) => ({ value: flat ? [mean[0], 0] : mean, itemStyle: { color: colour(k), borderColor: css("--ground"), borderWidth: 2, opacity: 1 } }));
    if (flat) {
      const [curves, sum] = densities(all);
      curves.forEach((curve, k) => series.push({ id: `line${k}`, data: curve }));
      series.push({ id: "sum", data: sum });
    } else all.forEach((one, k) => LEVELS.forEach(([squared], level) => series.push({ id: `line${k}-${level}`, data: ellipse(one, squared) })));
    series.push({ id: "means", data: means });
    charts.plane.setOption({ animationDurationUpdate: moves, animationEasingUpdate: "cubicInOut", series });
    drawHandles(all);
  }

  // A mean is moved by a ring around it; there are none where nothing can be run, and none while the page plays.
  function drawHandles(all) {
    if (!data.served) return;
    const elements = all.map(({ mean }, k) => {
      const [x, y] = charts.plane.convertToPixel({ gridIndex: 0 }, flat ? [mean[0], 0] : mean);
      return { id: `handle${k}`, type: "circle", shape: { r: 18 }, x, y, z: 100, draggable: flat ? "horizontal" : true, cursor: "grab",
        ignore: state.playing, style: { fill: "rgba(0,0,0,0)", stroke: colour(k), lineWidth: 2, lineDash: [4, 3] },
        ondrag: (event) => dragged(k, event.target), ondragend: (event) => dropped(k, event.target) };
    });
    charts.plane.setOption({ graphic: elements });
  }

  const under = (target) => charts.plane.convertFromPixel({ gridIndex: 0 }, [target.x, target.y]);

  function dragged(k, target) {
    const place = under(target), one = component(k), moved = { ...one, mean: place };
    const means = Array.from({ length: K }, (_, other) => ({ ...component(other), mean: other === k ? place : component(other).mean }));
    const series = [{ id: "means", data: means.map(({ mean }, other) => ({ value: flat ? [mean[0], 0] : mean, itemStyle: { color: colour(other), borderColor: css("--ground"), borderWidth: 2, opacity: 1 } })) }];
    if (flat) series.push({ id: `line${k}`, data: densities([moved])[0][0] });
    else LEVELS.forEach(([squared], level) => series.push({ id: `line${k}-${level}`, data: ellipse(moved, squared) }));
    charts.plane.setOption({ animationDurationUpdate: 0, series });
  }

  function dropped(k, target) {
    const place = under(target);
    runFrom(Array.from({ length: K }, (_, other) => (other === k ? place : component(other).mean)));
  }

  // ------------------------------------------------------------------------------------------------ charts

  const plain = (more) => ({ axisLabel: { color: css("--soft"), hideOverlap: true }, axisLine: { lineStyle: { color: css("--line") } }, axisTick: { show: false },
    nameTextStyle: { color: css("--soft") }, splitLine: { lineStyle: { color: css("--line"), opacity: 0.5 } }, ...more });

  function drawClose() {
    const r = run(), from = Math.max(0, state.frame - 6), now = r.loglik[state.frame] ?? start().runs[0].objective;
    const frames = Array.from({ length: state.frame - from + 1 }, (_, t) => from + t);
    const rel = (value) => (value === null ? null : value - now);
    const label = (frame) => ({ s: "start", E: `E ${r.iteration[frame]}`, M: `M ${r.iteration[frame]}`, L: "leap", R: "refused" })[r.kinds[frame]];
    const upper = frames.map((frame) => (r.kinds[frame] === "R" ? null : rel(r.loglik[frame]))), lower = frames.map((frame) => rel(r.bound[frame]));
    const gap = frames.map((_, t) => (upper[t] === null || lower[t] === null ? null : Math.max(upper[t] - lower[t], 0)));
    charts.close.setOption({
      animation: false, grid: { left: 64, right: 16, top: 30, bottom: 28 }, textStyle: { fontFamily: font },
      legend: { top: 0, right: 0, textStyle: { color: css("--soft") }, data: ["log-likelihood", "bound F"], selectedMode: false },
      xAxis: plain({ type: "category", data: frames.map(label), boundaryGap: true }),
      yAxis: plain({ type: "value", scale: true, name: "from now, in nats", nameLocation: "end", nameTextStyle: { color: css("--soft"), align: "left", padding: [0, 0, 0, -56] },
        axisLabel: { color: css("--soft"), formatter: (value) => (value === 0 ? "0" : String(Number(value.toPrecision(3)))) } }),
      series: [
        { type: "line", data: lower, stack: "gap", stackStrategy: "all", symbol: "none", lineStyle: { opacity: 0 }, silent: true },
        { type: "line", data: gap, stack: "gap", stackStrategy: "all", symbol: "none", lineStyle: { opacity: 0 }, areaStyle: { color: css("--gap"), opacity: 0.3 }, silent: true },
        { name: "log-likelihood", type: "line", data: upper, symbolSize: 8, symbol: "circle", connectNulls: true, color: css("--loglik"), lineStyle: { width: 2 }, silent: true },
        { name: "bound F", type: "line", data: lower, symbolSize: 6, symbol: "circle", connectNulls: true, color: css("--bound"), lineStyle: { width: 2, type: "dashed" }, silent: true, z: 5 },
      ],
    }, { notMerge: true });
  }

  function drawClimb() {
    const top = Math.max(...data.starts.flatMap((one) => one.runs.map((r) => r.objective))), left = state.climb === "left";
    const shown = (r, value) => (value === null ? null : left ? (r.objective - value > 1e-7 ? r.objective - value : null) : value);
    const points = (r) => [...r.kinds].flatMap((kind, frame) => (kind === "E" ? [[r.passes[frame], shown(r, r.loglik[frame])]] : []));
    // Other starts may begin far below: this one has the room.
    const heights = start().runs.flatMap((r) => r.loglik.filter((value, frame) => value !== null && r.kinds[frame] !== "R")), lowest = Math.min(...heights) - 0.04 * (top - Math.min(...heights));
    const line = (more) => ({ type: "line", clip: true, symbol: "none", silent: true, connectNulls: false, ...more });
    const others = data.starts.filter((one) => one !== start()).map((one) => line({ data: points(one.runs[0]), lineStyle: { color: css("--point"), width: 1, opacity: 0.6 }, z: 1 }));
    const looks = [{ color: css("--loglik"), width: 2.4 }, { color: css("--gap"), width: 2.4, type: "dashed" }];
    const both = start().runs.map((r, index) => line({ name: `${name(index)}: ${plural(r.nPasses, "pass")}`.replace(/passs$/, "passes"), data: points(r), lineStyle: looks[index], color: looks[index].color, z: 3 }));
    charts.climb.setOption({
      animation: false, grid: { left: 64, right: 18, top: 30, bottom: 42 }, textStyle: { fontFamily: font },
      legend: { top: 0, right: 0, textStyle: { color: css("--soft") }, data: both.map((one) => one.name), selectedMode: false },
      xAxis: plain({ type: left ? "value" : "log", min: left ? 0 : 1, name: "passes over the data", nameLocation: "middle", nameGap: 26, max: "dataMax", splitLine: { show: false } }),
      yAxis: plain(left ? { type: "log", axisLabel: { color: css("--soft"), formatter: (value) => (value >= 0.01 && value < 1e4 ? String(Number(value.toPrecision(2))) : value.toExponential(0)) } } : { type: "value", scale: true, min: lowest, axisLabel: { color: css("--soft"), hideOverlap: true, showMinLabel: false } }),
      series: [...others, ...both, { id: "cursor", type: "scatter", data: [], symbolSize: 12, z: 6, silent: true }],
    }, { notMerge: true });
    charts.climb.shown = shown;
    drawCursor();
  }

  function drawCursor() {
    const r = run(), frame = state.frame, at = r.passes[frame] + ("sML".includes(r.kinds[frame]) ? 1 : 0);
    const value = r.kinds[frame] === "R" ? null : charts.climb.shown(r, r.loglik[frame]);
    charts.climb.setOption({ series: [{ id: "cursor", data: value === null ? [] : [[at, value]], itemStyle: { color: state.run ? css("--gap") : css("--loglik"), borderColor: css("--panel"), borderWidth: 2 } }] });
  }

  // ------------------------------------------------------------------------------------------------- words

  const WORDS = {
    s: ["Start: a first guess", "Every component has a mean, a spread and a share of the whole, and no point belongs to any of them yet. The log-likelihood says how well such a mixture explains the points; EM climbs it.", ""],
    E: ["E-step: share out the points", "The components stay. Each point is divided among them, in proportion to how likely each of them made it: these are the responsibilities, mixed here as colours.",
      "No other division brings the bound F higher: it now touches the log-likelihood."],
    M: ["M-step: move the components", "The colours stay. Each component moves to the weighted mean of its points, takes their weighted spread, and its share of them as its weight.",
      "Nothing else brings F higher for these colours, so F cannot fall. F had touched the log-likelihood and is never above it, so the log-likelihood rose at least as far. The gap is what the old colours now miss."],
    L: ["Leap: further the same way", "The last steps pointed one way, so this one goes on beyond the M-step. Such a point is taken only if the log-likelihood there is no lower.", "It was no lower: taken. The bound of the old colours may fall, since this is no M-step."],
    R: ["A leap that is not taken", "Going on beyond the M-step would have led here, where the log-likelihood is lower or does not exist.", "It cost one pass over the data; the plain step follows."],
  };

  const KINDS = { kmeans: "clusters of k-means", "k-means++": "seeds of k-means++", random: "random parts of a few rows", random_from_data: "random rows",
    adaptive: "seeds in a metric that follows the clusters", hierarchical: "Ward's hierarchical clusters", local: "clusters of rows near rows" };

  function changed() {
    const r = run(), frame = state.frame, kind = r.kinds[frame], before = frame ? frame - 1 : 0;
    const last = frame < r.kinds.length - 1 ? "" : r.converged ? " Converged: nothing worth having is left to gain." : ` The run ends here: ${r.ended}.`;
    if (kind === "s") return `${plural(K, "component")}: ${KINDS[start().kind] ?? start().kind}.`;
    if (kind === "R") return r.loglik[frame] === null ? "There is no density there." : `The log-likelihood there: ${height(r.loglik[frame])}.`;
    if (kind === "E") {
      const rise = r.bound[before] === null ? null : r.bound[frame] - r.bound[before];
      if (r.shares[before] < 0 || rise === null) return "Every point has its colours for the first time." + last;
      const moved = r.changed[frame];
      return `${moved ? plural(moved, "point") : "No point"} changed ${moved === 1 ? "its" : moved ? "their" : "its"} main component. ${rose("F", rise, r.bound[frame])}, and the gap is closed.${last}`;
    }
    const grown = r.bound[frame] === null || r.bound[before] === null ? null : r.bound[frame] - r.bound[before];
    let far = 0, who = 0;
    for (let k = 0; k < K; k++) {
      const here = component(k), there = component(k, r.at[before]), dx = here.mean[0] - there.mean[0], dy = here.mean[1] - there.mean[1];
      const l11 = Math.sqrt(there.a), u = dx / l11, l21 = there.b / l11, v = flat ? 0 : (dy - l21 * u) / Math.sqrt(Math.max(there.c - l21 * l21, 1e-300));
      if (Math.hypot(u, v) > far) [far, who] = [Math.hypot(u, v), k];
    }
    const rise = r.loglik[frame] === null || r.loglik[before] === null ? null : r.loglik[frame] - r.loglik[before];
    const words = kind === "M" && grown !== null ? `${rose("F", grown, r.bound[frame])}, ${rose("the log-likelihood", rise, r.bound[frame])}.` : `${rose("The log-likelihood", rise ?? 0, r.loglik[frame] ?? 1)}.`;
    return `${words} Component ${who} moved most, by ${small(far)} of its standard deviations.`;
  }

  function drawWords() {
    const r = run(), frame = state.frame, kind = r.kinds[frame], [title, does, why] = WORDS[kind];
    const skipped = frame && r.iteration[frame] - r.iteration[frame - 1] > 1 ? `, ${plural(r.iteration[frame] - r.iteration[frame - 1] - 1, "step")} before it not kept` : "";
    by("where").textContent = `start ${state.start + 1}, ${name(state.run)}: step ${r.iteration[frame]} of ${r.nIter}${skipped}`;
    by("title").textContent = title; by("does").textContent = does; by("why").textContent = why;
    by("now").textContent = changed();
    by("loglik").textContent = height(r.loglik[frame]);
    by("bound").textContent = r.bound[frame] === null ? (kind === "s" ? "none yet" : "none") : height(r.bound[frame]);
    by("gap").textContent = r.bound[frame] === null || r.loglik[frame] === null ? "–" : small(Math.max(r.loglik[frame] - r.bound[frame], 0));
    for (let k = 0; k < K; k++) by("components").children[k].lastChild.textContent = `${number(100 * component(k).weight, 1)} %`;
    if (!state.playing) by("say").textContent = `${title}. ${by("now").textContent} Log-likelihood ${by("loglik").textContent}, gap ${by("gap").textContent}.`;
    by("plane").setAttribute("aria-label", `${plural(n, "point")} and ${plural(K, "component")}: ` + Array.from({ length: K }, (_, k) => {
      const { mean, weight } = component(k);
      return `component ${k} at ${(flat ? mean.slice(0, 1) : mean).map((value) => Number(value.toPrecision(4))).join(", ")} with ${number(100 * weight, 0)} %`;
    }).join("; "));
  }

  // ------------------------------------------------------------------------------------------------ frames

  let drawn = 0, read = 0;

  function draw(moves = 0) {
    drawPlane(moves);
    // At thirty half steps a second nobody reads on: the plane comes first, and the rest ten times a second.
    const now = performance.now();
    if (!(state.playing && state.speed > 10 && now - read < 100)) {
      drawWords(); drawClose(); drawCursor();
      read = now;
    }
    by("slider").value = state.frame;
    by("slider").setAttribute("aria-valuetext", `${by("title").textContent}, step ${run().iteration[state.frame]}`);
    document.documentElement.dataset.drawn = ++drawn;
    document.documentElement.dataset.frame = state.frame;
  }

  function go(frame, smoothly = true) {
    const last = run().kinds.length - 1, before = state.frame;
    state.frame = Math.min(Math.max(frame, 0), last);
    const next = smoothly && Math.abs(state.frame - before) === 1 && !still.matches;
    draw(next ? (state.playing ? (state.speed > 5 ? 0 : Math.min(450, 500 / state.speed)) : 300) : 0);
    if (!state.playing) drawNumbers();
  }

  function play(wanted) {
    if (wanted && state.frame === run().kinds.length - 1) state.frame = 0;
    state.playing = wanted;
    by("play-word").textContent = wanted ? "Pause" : "Play";
    by("play-sign").textContent = wanted ? "❚❚" : "▶";
    if (wanted) { due = performance.now() + 1000 / state.speed; requestAnimationFrame(tick); }
    go(state.frame);
  }

  let due = 0;

  function tick(now) {
    if (!state.playing) return;
    if (now >= due - 4) {
      // Where drawing is slow, frames come later, and none is left out.
      due = Math.max(due + 1000 / state.speed, now);
      go(state.frame + 1);
      if (state.frame === run().kinds.length - 1) return play(false);
    }
    requestAnimationFrame(tick);
  }

  async function choose(index, method = state.run, frame = 0) {
    const chosen = await open(data.starts[index].runs[method]);
    Object.assign(state, { start: index, run: method, frame: Math.min(frame, chosen.kinds.length - 1) });
    by("slider").max = chosen.kinds.length - 1;
    if (flat) setUpPlane();
    drawMethods(); drawStarts(); drawClimb(); drawNumbers(); draw();
  }

  // -------------------------------------------------------------------------------------------- what to see

  const element = (tag, text = "", more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);

  function drawMethods() {
    by("method").replaceChildren(...start().runs.map((r, index) => {
      const label = element("label"), input = element("input", "", { type: "radio", name: "method", checked: index === state.run });
      input.addEventListener("change", () => choose(state.start, index));
      const leaps = index ? `, ${r.accepted} of ${plural(r.tried, "leap")} taken` : "";
      label.append(input, `${index ? "accelerated: " + data.method : "plain EM"} (${r.nPasses} passes${leaps})`);
      return label;
    }));
  }

  function drawStarts() {
    const top = Math.max(...data.starts.flatMap((one) => one.runs).filter((r) => !r.faults.length).map((r) => r.objective));
    const tag = (r) => element("span", r.faults.length ? "collapsed" : top - r.objective < 1e-3 ? "best here" : `${small(top - r.objective)} lower`, { className: "tag", title: r.faults.join("; ") });
    const elsewhere = [];
    by("starts").replaceChildren(...data.starts.map((one, index) => {
      const row = element("tr"), [first, second] = one.runs;
      const ends = element("td", number(first.objective, 3), { className: "number" });
      ends.append(tag(first));
      const fast = element("td", `${second.nIter} steps, ${second.nPasses} passes`, { className: "number" });
      if (Math.abs(second.objective - first.objective) > 1e-3) {
        elsewhere.push(index + 1);
        fast.append(element("br"), number(second.objective, 3), tag(second));
      }
      const button = element("button", String(index + 1), { ariaLabel: `Watch start ${index + 1}`, title: "Watch this start" });
      button.setAttribute("aria-pressed", index === state.start);
      button.addEventListener("click", async () => { play(false); await choose(index); });
      const place = element("td");
      place.append(button);
      row.className = index === state.start ? "chosen" : "";
      row.append(place, element("td", one.kind), ends,
        element("td", `${first.nIter} steps`, { className: "number" }), fast);
      return row;
    }));
    const ends = data.starts.map((one) => one.runs[0].objective), optima = [];
    for (const end of ends) if (!optima.some((other) => Math.abs(other - end) < 1e-3 * Math.max(1, 1e-6 * Math.abs(end)))) optima.push(end);
    by("starts-words").textContent = optima.length > 1
      ? `${plural(ends.length, "start")} end at ${optima.length} different heights: EM climbs to the nearest top, not to the highest.`
      : ends.length > 1 ? `All of these ${plural(ends.length, "start")} end at the same height.` : "";
    if (elsewhere.length) by("starts-words").textContent += ` From ${elsewhere.length > 1 ? "starts" : "start"} ${elsewhere.join(", ")}, acceleration leads to another top.`;
  }

  function drawNumbers() {
    if (!data.served) return;
    const axes = flat ? [0] : state.shown, inputs = [];
    for (let k = 0; k < K; k++) axes.forEach((at, side) => {
      const label = element("label", `component ${k}, ${cut(data.axes[at].name, 20)}`), value = component(k).mean[side];
      label.append(element("input", "", { type: "number", step: "any", required: true, value: Number(value.toPrecision(6)) }));
      inputs.push(label);
    });
    by("places").replaceChildren(...inputs, element("button", "Run from here"));
  }

  // ------------------------------------------------------------------------------------------------ server

  async function ask(body) {
    by("trouble").textContent = "";
    by("say").textContent = "EM is running.";
    document.body.setAttribute("aria-busy", "true");
    const patience = setTimeout(() => { by("trouble").textContent = "EM is running …"; }, 500);
    try {
      const answer = await fetch("run", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
      const found = await answer.json();
      clearTimeout(patience);
      if (!answer.ok) throw new Error(found.error);
      by("trouble").textContent = "";
      data.starts.push(found);
      await choose(data.starts.length - 1, state.run);
      play(true);
    } catch (error) {
      clearTimeout(patience);
      const gone = error instanceof TypeError;
      by("trouble").textContent = gone ? "The server has ended: run jensen watch again." : `Not run: ${error.message}`;
      draw();
    } finally {
      document.body.removeAttribute("aria-busy");
    }
  }

  function runFrom(means) {
    const axes = flat ? [0] : state.shown;
    return ask({ start: start().number, accelerated: state.run === 1, frame: state.frame, axes, means: means.map((mean) => mean.slice(0, axes.length)) });
  }

  // ------------------------------------------------------------------------------------------------- begin

  function paint() {
    palette = dark.matches ? DARK : LIGHT;
    names = new Map();
    [...by("components").children].forEach((item, k) => { item.firstChild.style.background = colour(k); });
    setUpPlane(); drawClimb(); draw();
  }

  by("about").textContent = `${plural(data.nRows, "row")} of ${plural(data.nColumns, "column")}; ${plural(K, "Gaussian component")}, ${data.shape} covariances. ` +
    (flat ? "Curves are the components, the dashed one their sum." : "Ellipses hold 50 and 95 % of each component.");
  by("method-name").textContent = `accelerated: ${data.method}`;
  by("components").replaceChildren(...Array.from({ length: K }, (_, k) => {
    const item = element("li");
    item.append(element("span", String(k), { className: "chip" }), element("span"));
    return item;
  }));
  by("notes").replaceChildren(...data.notes.map((words) => element("li", words)));
  if (data.served) {
    document.body.classList.add("served");
    by("numbers").hidden = false;
    const more = element("button", "Draw another start");
    more.addEventListener("click", () => { play(false); ask({ draw: true }); });
    by("more").append(more, " Or drag the number of a component to another place: EM starts anew from there.");
    by("places").addEventListener("submit", (event) => {
      event.preventDefault();
      const axes = flat ? 1 : 2, values = [...by("places").querySelectorAll("input")].map((input) => input.valueAsNumber);
      runFrom(Array.from({ length: K }, (_, k) => values.slice(k * axes, (k + 1) * axes)));
    });
  } else by("more").textContent = "In this file the starts are fixed. Run jensen watch on the data to move them.";
  if (!flat && A > 2) {
    by("axes").hidden = false;
    [by("across"), by("up")].forEach((select, side) => {
      select.replaceChildren(...data.axes.map((one, at) => element("option", cut(one.name, 40), { value: at, selected: at === state.shown[side] })));
      select.addEventListener("change", () => {
        const wanted = Number(select.value), other = state.shown[1 - side];
        // The same axis twice would show nothing: they change places.
        state.shown[1 - side] = wanted === other ? state.shown[side] : other;
        state.shown[side] = wanted;
        [by("across"), by("up")].forEach((one, at) => { one.value = state.shown[at]; });
        setUpPlane(); draw(); drawNumbers();
      });
    });
  }
  const moves = { first: () => go(0), back: () => go(state.frame - 1), forward: () => go(state.frame + 1), last: () => go(Infinity) };
  for (const [id, move] of Object.entries(moves)) by(id).addEventListener("click", () => { if (state.playing) play(false); move(); });
  by("play").addEventListener("click", () => play(!state.playing));
  by("slider").addEventListener("input", () => { if (state.playing) play(false); go(Number(by("slider").value)); });
  by("speed").addEventListener("change", () => { state.speed = Number(by("speed").value); due = 0; });
  for (const input of document.getElementsByName("climb")) input.addEventListener("change", () => { state.climb = input.value; drawClimb(); });

  function faster(by_) {
    const select = by("speed");
    select.selectedIndex = Math.min(Math.max(select.selectedIndex + by_, 0), select.options.length - 1);
    select.dispatchEvent(new Event("change"));
  }

  const keys = {
    " ": () => play(!state.playing), ArrowLeft: moves.back, ArrowRight: moves.forward, Home: moves.first, End: moves.last,
    "-": () => faster(-1), "+": () => faster(1), "=": () => faster(1),
    a: () => choose(state.start, 1 - state.run), n: () => { play(false); choose((state.start + 1) % data.starts.length); },
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target.tagName, move = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const own = ["SELECT", "TEXTAREA", "SUMMARY"].includes(target) || (target === "INPUT" && event.target.type !== "radio") || (event.key === " " && target === "BUTTON") || (target === "INPUT" && event.key.startsWith("Arrow"));
    if (!move || own || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (state.playing && event.key.length > 1) play(false);
    move();
  });
  dark.addEventListener("change", paint);
  let resizing = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(() => { for (const chart of Object.values(charts)) chart.resize(); draw(); });
  });

  await open(run());
  by("slider").max = run().kinds.length - 1;
  drawMethods(); drawStarts(); paint(); drawNumbers();
  document.documentElement.dataset.ready = "yes";
  performance.mark("ready");
})();
