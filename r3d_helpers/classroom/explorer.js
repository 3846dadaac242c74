(() => {
  // An explorer whose states were all computed before.
  const data = DATA, box = document.currentScript.parentElement, sheet = box.querySelector("img");
  const make = (tag, parent, set = {}) => parent.appendChild(Object.assign(document.createElement(tag), set));
  const [w, h] = data.size, controls = make("div", box);
  controls.style.cssText = "display:flex;flex-wrap:wrap;gap:.5em 1.5em;align-items:center";
  const inputs = data.controls.map(([name, values], i) => {
    const label = make("label", controls, { textContent: `${name} ` });
    const menu = !values.every((value) => isFinite(value));
    const input = make(menu ? "select" : "input", label);
    if (menu) values.forEach((value, at) => make("option", input, { value: at, textContent: value }));
    else Object.assign(input, { type: "range", min: 0, max: values.length - 1 });
    const said = menu ? null : make("span", label);
    input.value = data.start[i];
    input.addEventListener("input", () => show());
    return { input, values, said };
  });
  const text = make("p", box), canvas = make("canvas", box);
  text.setAttribute("role", "status");
  canvas.setAttribute("role", "img");
  canvas.style.maxWidth = "100%";
  const show = () => {
    let state = 0;
    inputs.forEach(({ input, values, said }) => {
      state = state * values.length + Number(input.value);
      if (!said) return;
      said.textContent = ` ${values[input.value]}`;
      input.setAttribute("aria-valuetext", values[input.value]);
    });
    const [words, tiles] = data.states[state];
    text.innerHTML = words;
    canvas.setAttribute("aria-label", text.innerText);
    canvas.hidden = !tiles.length;
    canvas.width = Math.min(tiles.length, data.across) * w;
    canvas.height = Math.ceil(tiles.length / data.across) * h;
    tiles.forEach((tile, i) => canvas.getContext("2d").drawImage(sheet, (tile % data.across) * w,
      Math.floor(tile / data.across) * h, w, h, (i % data.across) * w, Math.floor(i / data.across) * h, w, h));
  };
  sheet.style.display = "none";
  sheet.decode().then(show);
})();
