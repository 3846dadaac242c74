(() => {
  // A video as one row of numbered cells, and what the network takes for its frames.
  const data = DATA, box = document.currentScript.parentElement, [T, C, H, W] = data.sizes;
  const plane = H * W, still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const tints = ["#ffb3a8", "#a9dfa5", "#b3c8ff"], shades = ["#f0796b", "#5fbf5a", "#7f9dff"];
  const make = (tag, parent, set = {}, css = "") => {
    const element = Object.assign(document.createElement(tag), set);
    element.style.cssText = css;
    return parent.appendChild(element);
  };
  const where = (at) => ({ t: Math.floor(at / plane / C), c: Math.floor(at / plane) % C });
  const place = (at) => `frame ${where(at).t} ${data.colours[where(at).c]}`;
  const colour = (at) => (where(at).t % 2 ? shades : tints)[where(at).c];
  const flex = "display:flex;flex-wrap:wrap;gap:.5em .7em;align-items:flex-end;margin:.3em 0 .8em";
  const square = "box-sizing:border-box;width:1.9em;height:1.9em;min-width:0;margin:0;padding:0;border:1px solid #333;border-radius:0;font:600 .8em/1 sans-serif;color:#000;cursor:pointer;position:relative;outline-offset:-3px;";
  box.replaceChildren();
  box.style.cssText = "margin:.5em 0;line-height:1.3;font-size:16px";

  // The choice
  const choice = make("fieldset", box, {}, "border:0;margin:0 0 .6em;padding:0;display:flex;flex-wrap:wrap;gap:.3em 1.2em");
  make("legend", choice, { textContent: "The model's input is made with" }, "padding:0;margin-bottom:.3em");
  const group = `way-${Math.random()}`;
  const radios = data.ways.map(({ name }, number) => {
    const label = make("label", choice, {}, "cursor:pointer;padding:.2em 0;font-weight:600");
    const radio = make("input", label, { type: "radio", name: group, checked: !number }, "margin:0 .4em 0 0;width:1.1em;height:1.1em;vertical-align:-.15em");
    label.append(name);
    radio.addEventListener("change", () => choose(number));
    return radio;
  });

  // The row
  make("div", box, { textContent: `One row of memory, cells 0 to ${data.values.length - 1}, one after the other:` });
  const row = make("div", box, {}, flex), cells = [], readAs = [];
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "row of memory");
  for (let first = 0; first < data.values.length; first += plane) {
    const part = make("div", row);
    make("div", part, { textContent: place(first) }, "font-size:.85em");
    const line = make("div", part, {}, "display:flex");
    for (let at = first; at < first + plane; at++)
      cells.push(make("button", line, { type: "button", textContent: at }, `${square}background:${colour(at)}`));
    readAs.push(make("div", part, {}, "font-size:.78em;white-space:nowrap"));
  }

  // What is said of them: here, where a phone shows it beside either
  const text = make("p", box, {}, "min-height:4em;margin:.2em 0 .8em");
  text.setAttribute("role", "status");

  // The frames
  make("div", box, { textContent: "What the network takes for the frames:" });
  const frames = make("div", box, {}, flex.replace(".5em .7em", ".8em 2em")), titles = [], pictures = [], pixels = [];
  for (let t = 0; t < T; t++) {
    const part = make("div", frames);
    part.setAttribute("role", "group");
    part.setAttribute("aria-label", `frame ${t}`);
    const head = make("div", part, {}, "display:flex;gap:.6em;align-items:center;margin-bottom:.4em");
    titles.push(make("button", head, { type: "button", textContent: `Read frame ${t}` }, "font:inherit;padding:.15em .6em;cursor:pointer"));
    const line = make("div", part, {}, "display:flex;flex-wrap:wrap;gap:.6em;align-items:flex-end");
    const picture = make("div", head, {}, `display:grid;grid-template-columns:repeat(${W},1.6em);border:1px solid #333;width:max-content`);
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `frame ${t} in its colours`);
    pictures.push(Array.from({ length: plane }, () => make("div", picture, {}, "width:1.6em;height:1.6em")));
    for (let c = 0; c < C; c++) {
      const colour = make("div", line);
      make("div", colour, { textContent: data.colours[c] }, "font-size:.85em");
      const grid = make("div", colour, {}, `display:grid;grid-template-columns:repeat(${W},max-content)`);
      for (let i = 0; i < plane; i++) pixels.push(make("button", grid, { type: "button" }, square));
    }
  }
  // What is marked, and what is said of it
  let way = data.ways[0], timer;
  const mark = (lit, said) => {
    cells.forEach((cell, at) => paint(cell, lit, at));
    pixels.forEach((pixel, i) => paint(pixel, lit, way.reads[i]));
    if (said) text.textContent = said;
  };
  const paint = (button, lit, at) => {
    const marked = Boolean(lit?.includes(at)), alone = marked && lit.length === 1;
    button.toggleAttribute("data-marked", marked);
    button.style.outline = marked ? "3px solid #000" : "none";
    button.style.boxShadow = alone ? "0 0 0 5px #ffd400" : "none";
    button.style.transform = alone ? "scale(1.2)" : "none";
    button.style.zIndex = alone ? 1 : 0;
  };
  const choose = (number) => {
    clearInterval(timer);
    way = data.ways[number];
    pixels.forEach((pixel, i) => {
      const at = way.reads[i];
      pixel.textContent = at;
      pixel.style.background = colour(at);
      pixel.setAttribute("aria-label", way.pixels[i]);
    });
    cells.forEach((cell, at) => cell.setAttribute("aria-label", way.cells[at]));
    readAs.forEach((said, number) => {
      const as = [...new Set(Array.from({ length: plane }, (_, i) => place(way.reads.indexOf(number * plane + i))))].join(" and ");
      said.textContent = `${as === place(number * plane) ? "=" : "≠"} read as ${as}`;
      said.style.fontWeight = as === place(number * plane) ? "" : "bold";
    });
    pictures.forEach((picture, t) => picture.forEach((pixel, i) => {
      const rgb = data.colours.map((_, c) => data.values[way.reads[(t * C + c) * plane + i]]);
      pixel.style.background = `rgb(${rgb})`;
    }));
    mark(null, way.way);
  };
  const read = (t) => {  // one number after the other, as the network gets them
    clearInterval(timer);
    const all = way.reads.slice(t * C * plane, (t + 1) * C * plane);
    if (still) return mark(all, way.frames[t]);
    let count = 0;
    mark([], way.frames[t]);
    timer = setInterval(() => {
      mark(all.slice(0, ++count));
      if (count === all.length) clearInterval(timer);
    }, 120);
  };
  const point = (at, said) => {
    clearInterval(timer);
    mark([at], said);
  };

  // By mouse, finger and keyboard
  const walk = (buttons, wide, pointed) => buttons.forEach((button, i) => {
    button.tabIndex = i ? -1 : 0;
    const here = () => {
      buttons.forEach((other) => { other.tabIndex = -1; });
      button.tabIndex = 0;
      pointed(i);
    };
    button.addEventListener("focus", here);
    button.addEventListener("click", () => { button.focus(); here(); });
    button.addEventListener("pointerenter", ({ pointerType }) => pointerType === "mouse" && pointed(i));
    button.step = (key) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, ArrowDown: i + wide, ArrowUp: i - wide, Home: 0, End: buttons.length - 1 }[key];
      buttons[to]?.focus();
    };
  });
  walk(cells, plane, (at) => point(at, way.cells[at]));
  walk(pixels, W, (i) => point(way.reads[i], way.pixels[i]));
  titles.forEach((title, t) => title.addEventListener("click", () => read(t)));
  // Before JupyterLab, which takes the arrows for itself.
  window.addEventListener("keydown", function heard(event) {
    if (!box.isConnected) return window.removeEventListener("keydown", heard, true);
    if (!box.contains(event.target) || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const ours = /^(Arrow.*|Home|End)$/.test(event.key);
    if (ours || event.key === "Enter" || event.key === " ") event.stopPropagation();
    if (ours && event.target.step) {
      event.preventDefault();
      event.target.step(event.key);
    }
  }, true);
  choose(0);
})();
