"use strict";
// Draws the pattern of the report again, so that one can look closer. Without scripts, and on
// paper, the figure in the page stands in its place.
(() => {
  const source = document.getElementById("curves");
  const picture = document.getElementById("pattern");
  if (!source || !picture) return;

  const floats = (text) =>
    new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const data = JSON.parse(source.textContent);
  const x = floats(data.x);
  const observed = floats(data.observed);
  const calculated = floats(data.calculated);
  const background = floats(data.background);
  const phases = data.phases.map((phase) => ({
    ...phase,
    profile: floats(phase.profile),
    ticks: floats(phase.ticks),
    missing: floats(phase.missing),
  }));

  const ROW = 15, LEFT = 64, RIGHT = 12, MAIN = 380, DIFFERENCE = 90, FOOT = 40, MOST_LABELS = 8;
  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const canvas = document.createElement("canvas");
  const readout = document.createElement("p");
  readout.className = "small readout";
  const HINT = "Drag across the pattern to look closer; double-click for all of it.";
  readout.textContent = HINT;
  picture.after(canvas, readout);
  picture.classList.add("replaced");
  const pen = canvas.getContext("2d");

  let range = [x[0], x[x.length - 1]];
  let drag = null;
  let width = 0, legendRows = 1;

  const top = () => 8 + 20 * legendRows;
  const tickTop = () => top() + MAIN + 8;
  const differenceTop = () => tickTop() + ROW * phases.length + 8;
  const height = () => differenceTop() + DIFFERENCE + FOOT;
  const toX = (value) =>
    LEFT + ((value - range[0]) / (range[1] - range[0])) * (width - LEFT - RIGHT);
  const fromX = (pixel) =>
    range[0] + ((pixel - LEFT) / (width - LEFT - RIGHT)) * (range[1] - range[0]);

  // First index with x >= value, by bisection.
  const indexOf = (value) => {
    let low = 0, high = x.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const niceStep = (span, count) => {
    const rough = span / count, power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((f) => f * power).find((step) => step >= rough);
  };

  const line = (from, to, value) => {
    pen.beginPath();
    for (let i = from; i < to; i++) pen.lineTo(toX(x[i]), value(i));
    pen.stroke();
  };

  // A label that is wider than the canvas goes on in the next row, so that it stays whole.
  const labelLines = (label) => {
    const lines = [""];
    for (const word of label.split(" ")) {
      const longer = `${lines.at(-1)} ${word}`.trim();
      const fits = LEFT + 20 + pen.measureText(longer).width <= width;
      if (fits || !lines.at(-1)) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines;
  };

  const drawLegend = () => {
    let left = LEFT, row = 0;
    pen.font = "14px system-ui, sans-serif";
    pen.textAlign = "left";
    for (const phase of phases) {
      const lines = labelLines(phase.label);
      const wide = 34 + Math.max(...lines.map((text) => pen.measureText(text).width));
      if (left > LEFT && (left + wide > width || lines.length > 1)) { left = LEFT; row += 1; }
      pen.fillStyle = phase.colour;
      pen.fillRect(left, 6 + 20 * row, 14, 10);
      pen.fillStyle = colour("--ink");
      for (const text of lines) pen.fillText(text, left + 20, 15 + 20 * row++);
      row -= 1;
      left = lines.length > 1 ? width : left + wide;
    }
    return row + 1;
  };

  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    width = canvas.parentElement.clientWidth;
    canvas.style.height = `${height()}px`;
    canvas.width = width * ratio;
    canvas.height = height() * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const rows = drawLegend();
    if (rows !== legendRows) { legendRows = rows; draw(); return; }

    const from = Math.max(0, indexOf(range[0]) - 1);
    const to = Math.min(x.length, indexOf(range[1]) + 1);
    let floor = Infinity, highest = -Infinity, worst = 1e-9;
    const misfit = (i) => (observed[i] - calculated[i]) / Math.sqrt(Math.max(observed[i], data.least));
    for (let i = from; i < to; i++) {
      floor = Math.min(floor, observed[i], background[i]);
      highest = Math.max(highest, observed[i], calculated[i]);
      worst = Math.max(worst, Math.abs(misfit(i)));
    }
    if (!(highest > floor)) highest = floor + 1;
    const root = Math.sqrt(1.15 * (highest - floor));
    const toY = (value) => top() + MAIN * (1 - Math.sqrt(Math.max(0, value - floor)) / root);

    pen.save();
    pen.beginPath();
    pen.rect(LEFT, 0, width - LEFT - RIGHT, height());
    pen.clip();
    drawPattern(from, to, toY);
    drawTicks();
    const middle = differenceTop() + DIFFERENCE / 2;
    pen.lineWidth = 0.8;
    pen.strokeStyle = colour("--muted");
    line(from, to, (i) => middle - (misfit(i) / worst) * (DIFFERENCE / 2 - 4));
    if (drag) {
      pen.fillStyle = colour("--bar");
      pen.globalAlpha = 0.2;
      pen.fillRect(toX(drag[0]), top(), toX(drag[1]) - toX(drag[0]), MAIN);
    }
    pen.restore();
    drawAxes(floor, highest, toY, worst);
  };

  const drawPattern = (from, to, toY) => {
    for (const phase of phases) {
      if (!phase.profile.length) continue;
      pen.fillStyle = phase.colour;
      pen.globalAlpha = 0.4;
      pen.beginPath();
      for (let i = from; i < to; i++) pen.lineTo(toX(x[i]), toY(background[i] + phase.profile[i]));
      for (let i = to - 1; i >= from; i--) pen.lineTo(toX(x[i]), toY(background[i]));
      pen.fill();
      pen.globalAlpha = 1;
    }
    const size = to - from < 600 ? 3 : 2;
    pen.fillStyle = colour("--muted");
    for (let i = from; i < to; i++)
      pen.fillRect(toX(x[i]) - size / 2, toY(observed[i]) - size / 2, size, size);
    pen.lineWidth = 1.1;
    pen.strokeStyle = colour("--ink");
    line(from, to, (i) => toY(calculated[i]));
    pen.lineWidth = 0.8;
    pen.strokeStyle = colour("--muted");
    pen.setLineDash([4, 3]);
    line(from, to, (i) => toY(background[i]));
    pen.setLineDash([]);
    pen.fillStyle = pen.strokeStyle = colour("--alarm");
    pen.font = "11px system-ui, sans-serif";
    const inView = data.unexplained.filter(([position]) => position >= range[0] && position <= range[1]);
    inView.forEach(([position, d], rank) => {
      const at = toX(position), tip = toY(observed[Math.min(indexOf(position), x.length - 1)]) - 5;
      pen.beginPath();
      pen.moveTo(at, tip);
      pen.lineTo(at - 4, tip - 8);
      pen.lineTo(at + 4, tip - 8);
      pen.fill();
      if (rank >= MOST_LABELS) return; // the clearest come first
      pen.save();
      pen.translate(at + 4, tip - 12);
      pen.rotate(-Math.PI / 2);
      pen.fillText(`${d.toFixed(3)} Å`, 0, 0);
      pen.restore();
    });
  };

  const drawTicks = () => {
    phases.forEach((phase, row) => {
      const y = tickTop() + ROW * row;
      pen.fillStyle = phase.colour;
      for (const at of phase.ticks) pen.fillRect(toX(at) - 0.75, y, 1.5, ROW - 4);
      pen.strokeStyle = colour("--alarm");
      pen.lineWidth = 1.6;
      for (const at of phase.missing) {
        const [cx, cy] = [toX(at), y + ROW / 2 - 2];
        pen.beginPath();
        pen.moveTo(cx - 4, cy - 4);
        pen.lineTo(cx + 4, cy + 4);
        pen.moveTo(cx - 4, cy + 4);
        pen.lineTo(cx + 4, cy - 4);
        pen.stroke();
      }
    });
  };

  const drawAxes = (floor, highest, toY, worst) => {
    pen.fillStyle = colour("--muted");
    pen.strokeStyle = colour("--rule");
    pen.lineWidth = 1;
    pen.font = "12px system-ui, sans-serif";
    pen.strokeRect(LEFT, top(), width - LEFT - RIGHT, MAIN);
    pen.textAlign = "right";
    const yStep = niceStep(highest - floor, 5);
    let last = Infinity;
    for (let value = Math.ceil(floor / yStep) * yStep; value <= highest; value += yStep) {
      if (last - toY(value) < 14) continue;
      last = toY(value);
      pen.fillText(`${+value.toPrecision(6)}`, LEFT - 6, last + 4);
    }
    pen.fillText("Δ/√obs", LEFT - 6, differenceTop() + DIFFERENCE / 2 + 4);
    pen.fillText(`±${+worst.toPrecision(2)}`, LEFT - 6, differenceTop() + 12);
    pen.textAlign = "center";
    const foot = differenceTop() + DIFFERENCE, xStep = niceStep(range[1] - range[0], 9);
    const decimals = Math.max(0, -Math.floor(Math.log10(xStep) + 1e-9));
    for (let value = Math.ceil(range[0] / xStep) * xStep; value <= range[1]; value += xStep)
      pen.fillText(value.toFixed(decimals), toX(value), foot + 16);
    pen.fillText("2θ (°)", (LEFT + width - RIGHT) / 2, foot + 34);
  };

  const clamp = (value) => Math.min(range[1], Math.max(range[0], value));
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drag = [clamp(fromX(event.offsetX)), clamp(fromX(event.offsetX))];
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = clamp(fromX(event.offsetX));
    const i = Math.min(indexOf(at), x.length - 1);
    const sine = Math.sin((at * Math.PI) / 360);
    const d = data.wavelength ? `, d ${(data.wavelength / (2 * sine)).toFixed(4)} Å` : "";
    readout.textContent =
      `2θ ${at.toFixed(3)}°${d}: observed ${observed[i].toPrecision(5)}, ` +
      `calculated ${calculated[i].toPrecision(5)}. ${HINT}`;
    if (drag) { drag[1] = at; draw(); }
  });
  canvas.addEventListener("pointerup", () => {
    if (!drag) return;
    const [low, high] = [Math.min(...drag), Math.max(...drag)];
    drag = null;
    if (indexOf(high) - indexOf(low) > 5) range = [low, high];
    draw();
  });
  canvas.addEventListener("dblclick", () => {
    range = [x[0], x[x.length - 1]];
    draw();
  });
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
