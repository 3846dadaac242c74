(() => {
  // Plays the picture above, which has every frame of every film.
  const film = FILM, box = document.currentScript.parentElement;
  const make = (tag, parent, set = {}) => parent.appendChild(Object.assign(document.createElement(tag), set));
  const above = () => [...document.images].filter((image) =>
    image.naturalWidth === film.width && image.naturalHeight === film.height &&
    image.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1);
  const begin = (tries) => {  // the picture may still be on its way
    const still = above();
    if (still) player(still);
    else if (tries) setTimeout(begin, 100, tries - 1);
    else whenSeen();
  };
  const whenSeen = () => new IntersectionObserver(([entry], observer) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    begin(50);
  }).observe(box);
  const player = (still) => {
    let t = 0, seen = false, playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const screens = make("div", box), controls = make("div", box);
    screens.style.cssText = controls.style.cssText = "display:flex;flex-wrap:wrap;gap:.5em 1em;align-items:center;margin:.4em 0";
    const canvases = film.names.map((name) => {
      const figure = make("figure", screens), canvas = make("canvas", figure, { width: film.w, height: film.h });
      figure.style.margin = "0";
      if (film.names.length > 1) figure.style.maxWidth = "calc(50% - .5em)";  // two in a row on a phone
      canvas.style.cssText = `display:block;width:${film.shown}px;max-width:100%;image-rendering:pixelated`;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${name}: ${still.alt || "a film"}`);
      make("figcaption", figure, { textContent: name });
      return canvas;
    });
    const button = (textContent, onclick) => {
      const made = make("button", controls, { type: "button", textContent, onclick });
      made.style.cssText = "font:inherit;min-height:2em;padding:0 .6em";  // for fingers
      return made;
    };
    const show = (next) => {
      t = (next + film.frames) % film.frames;
      canvases.forEach((canvas, i) => canvas.getContext("2d").drawImage(still, (t % film.across) * film.w,
        film.tops[i] + Math.floor(t / film.across) * film.h, film.w, film.h, 0, 0, film.w, film.h));
      slider.value = t;
      said.textContent = `frame ${t} (0 to ${film.frames - 1})`;
    };
    const turn = (on) => { playing = on; toggle.textContent = on ? "Pause" : "Play"; };
    const step = (by) => { turn(false); show(t + by); };
    const toggle = button("Play", () => {
      if (!playing && !loop.checked && t === film.frames - 1) show(0);
      turn(!playing);
    });
    button("Back", () => step(-1));
    button("Next", () => step(1));
    const slider = make("input", make("label", controls, { textContent: "frame " }),
      { type: "range", min: 0, max: film.frames - 1, oninput: () => step(slider.value - t) });
    const loop = make("input", make("label", controls, { textContent: "loop " }), { type: "checkbox", checked: true });
    const all = button("Show all frames", () => {
      const hidden = still.style.display === "none";
      still.style.display = hidden ? "" : "none";
      all.textContent = hidden ? "Hide all frames" : "Show all frames";
    });
    const said = make("span", controls);
    still.style.display = "none";
    turn(playing);
    show(0);
    new IntersectionObserver(([entry]) => { seen = entry.isIntersecting; }).observe(screens);
    setInterval(() => {
      if (!playing || !seen) return;
      if (t === film.frames - 1 && !loop.checked) turn(false);
      else show(t + 1);
    }, 1000 / film.fps);
  };
  box.style.minHeight = "1px";
  begin(50);
})();
