// What theme and widgets leave out for keyboards and screen readers.
const named = (element, name) => element.setAttribute("aria-label", name);

addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".caption[role=heading]").forEach((e) => { e.ariaLevel = "2"; });
  named(document.querySelector(".sidebar-drawer"), "Contents");
  named(document.querySelector(".toc-drawer"), "On this page");
  // Names may break after a dot, an underscore or a slash; options stay whole.
  document.querySelectorAll("code .pre").forEach((e) => {
    if (e.textContent.startsWith("-")) e.classList.add("option");
    else e.replaceChildren(...e.textContent.split(/(?<=[._/=(])(?=\w)/).flatMap(
      (part, i) => (i ? [document.createElement("wbr"), part] : [part])));
  });
  document.querySelectorAll("pre, .table-wrapper").forEach((e) => {
    if (e.scrollWidth > e.clientWidth) e.tabIndex = 0;
  });
  // Widgets are drawn later.
  new MutationObserver(() => {
    document.querySelectorAll("img.widget-image").forEach((e) => {
      e.alt = "What the text above says, as a picture";
    });
    document.querySelectorAll(".widget-slider").forEach((e) => {
      const label = e.querySelector(".widget-label"), handle = e.querySelector(".noUi-handle");
      if (handle) named(handle, label.textContent);
    });
  }).observe(document.body, { childList: true, subtree: true });
});
