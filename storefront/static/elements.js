// Makes elements of the page. Text is always set as text, never read as HTML.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  return filled(made, attributes, children);
}

export function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  return filled(made, attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Replaces children only where they differ. The focus stays on what has the same id, else goes to the region around: a
// list that is drawn again does not throw a keyboard's or a screen reader's user out.
export function show(parent, ...children) {
  const next = element("div", {}, ...children);
  if (parent.innerHTML === next.innerHTML) return;
  const focused = parent.contains(document.activeElement) ? document.activeElement.id : null;
  parent.replaceChildren(...next.childNodes);
  if (focused === null) return;
  const same = focused && document.getElementById(focused);
  (same || parent.closest('[tabindex="-1"]'))?.focus({ preventScroll: true });
}
