// Shows the bytes of what the reader points at. The picture itself is complete without this.
"use strict";
(() => {
  const details = JSON.parse(document.getElementById("details").textContent);
  const picture = document.getElementById("picture");
  const aside = document.querySelector("aside");
  const targets = [...picture.querySelectorAll("[data-arrow], [data-fold]")];
  const BYTES_PER_LINE = 16;
  let pinned = null;

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

  const hexDump = (base64) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const lines = [];
    for (let offset = 0; offset < bytes.length; offset += BYTES_PER_LINE) {
      const row = [...bytes.slice(offset, offset + BYTES_PER_LINE)];
      const hex = row.map((byte) => byte.toString(16).padStart(2, "0"));
      const cells = [hex.slice(0, 8).join(" "), hex.slice(8).join(" ")].filter((cell) => cell || bytes.length > 8);
      const text = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
      const width = bytes.length > 8 ? 23 : 0;
      lines.push([offset.toString(16).padStart(4, "0"), ...cells.map((cell) => cell.padEnd(width)), text].join("  "));
    }
    return { text: lines.join("\n"), kept: bytes.length };
  };

  const describe = (entry) => {
    const parts = document.createDocumentFragment();
    parts.append(element("h2", `${entry.from} → ${entry.to}`));
    const facts = [`at ${entry.at}`, entry.kind, `connection ${entry.connection}`];
    if (entry.size) facts.push(plural(entry.size, "byte"));
    if (entry.fate) facts.push(entry.fate);
    parts.append(element("p", facts.join(" · ")));
    parts.append(element("div", entry.label));
    if (entry.bytes) {
      const dump = hexDump(entry.bytes);
      parts.append(element("pre", dump.text));
      const missing = entry.size - dump.kept;
      if (missing > 0) parts.append(element("p", `cut here: ${plural(missing, "more byte")}`, "cut"));
    }
    return parts;
  };

  const list = (fold) => {
    const parts = document.createDocumentFragment();
    parts.append(element("h2", fold.text));
    const items = element("ol");
    const chosen = element("div");
    for (const entry of fold.events) {
      const button = element("button");
      button.type = "button";
      button.append(element("span", entry.at), element("span", `${entry.from} → ${entry.to}  ${entry.label}`));
      button.append(element("span", entry.size ? `${entry.size.toLocaleString("en")} B` : ""));
      button.addEventListener("click", () => {
        items.querySelectorAll("[aria-pressed]").forEach((other) => other.removeAttribute("aria-pressed"));
        button.setAttribute("aria-pressed", "true");
        chosen.replaceChildren(describe(entry));
      });
      const item = element("li");
      item.append(button);
      items.append(item);
    }
    parts.append(items);
    const missing = fold.whole - fold.events.length;
    if (missing > 0) parts.append(element("p", `and ${missing.toLocaleString("en")} more, which the trace file has`, "cut"));
    parts.append(chosen);
    return parts;
  };

  const show = (target) => {
    for (const other of targets) other.classList.toggle("chosen", other === target);
    const { arrow, fold } = target.dataset;
    aside.replaceChildren(arrow === undefined ? list(details.folds[fold]) : describe(details.arrows[arrow]));
    aside.hidden = false;
  };

  const targetOf = (event) => event.target.closest?.("[data-arrow], [data-fold]");

  picture.addEventListener("mouseover", (event) => {
    const target = targetOf(event);
    if (target && !pinned) show(target);
  });
  picture.addEventListener("click", (event) => {
    const target = targetOf(event);
    pinned = target === pinned ? null : target;
    if (target) show(target);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { pinned = null; return; }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const here = targets.indexOf(document.activeElement);
    if (!step || here < 0) return;
    event.preventDefault();
    targets[Math.min(Math.max(here + step, 0), targets.length - 1)].focus();
  });

  // Begin where the story ends.
  const last = picture.querySelector(".last");
  if (last && window.matchMedia("(min-width: 1181px)").matches) show(last);

  // With a script, one stop for the Tab key and the arrow keys within: nobody presses Tab two hundred times.
  const stop = (target) => {
    for (const other of targets) other.tabIndex = other === target ? 0 : -1;
  };
  stop(last ?? targets[0]);
  // Heard at the document: Chromium lets the picture as a whole take the focus if it listens itself.
  document.addEventListener("focusin", (event) => {
    const target = targetOf(event);
    if (!target) return;
    stop(target);
    show(target);
  });
})();
