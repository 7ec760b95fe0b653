/* The picture beside its heat-map. Opacity, zoom and place are the browser's alone: nothing is asked of
   the server. Called anew with every change of `data`; what the user set stays. */

const LARGEST = 12;
const STEP = 1.5;
const PACE = 0.12;

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".viewer");
  const viewer = (root.viewer ??= begin(root));
  viewer.show(data);
}

function begin(root) {
  const find = (name) => root.querySelector(name);
  const stages = [...root.querySelectorAll(".stage")];
  const fingers = new Map();
  let zoom = 1, x = 0, y = 0, opacity = 60, asSeen = false, shown = null, words = {};

  /* x and y say where the picture's corner lies, in shares of the stage: 0 to 1 - zoom. */
  function place(nextZoom, nextX, nextY, smooth = false) {
    zoom = Math.min(LARGEST, Math.max(1, nextZoom));
    x = Math.min(0, Math.max(1 - zoom, nextX));
    y = Math.min(0, Math.max(1 - zoom, nextY));
    root.style.setProperty("--zoom", zoom);
    root.style.setProperty("--x", x);
    root.style.setProperty("--y", y);
    root.classList.toggle("zoomed", zoom > 1);
    root.classList.toggle("stepping", smooth);
    find(".zoom output").textContent = words.percent?.replace("0", Math.round(zoom * 100)) ?? "";
    find(".out").setAttribute("aria-disabled", zoom <= 1);
    find(".whole").setAttribute("aria-disabled", zoom <= 1);
    find(".in").setAttribute("aria-disabled", zoom >= LARGEST);
  }

  /* Zoom so that the point (px, py) of the stage, in shares of it, stays where it is. */
  function zoomAt(factor, px = 0.5, py = 0.5, smooth = true) {
    const next = Math.min(LARGEST, Math.max(1, zoom * factor));
    place(next, px - ((px - x) * next) / zoom, py - ((py - y) * next) / zoom, smooth);
  }

  function spot(stage, event) {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  const whole = () => place(1, 0, 0, true);
  const keys = {
    "+": () => zoomAt(STEP),
    "=": () => zoomAt(STEP),
    "-": () => zoomAt(1 / STEP),
    "0": whole,
    ArrowLeft: () => place(zoom, x + PACE, y, true),
    ArrowRight: () => place(zoom, x - PACE, y, true),
    ArrowUp: () => place(zoom, x, y + PACE, true),
    ArrowDown: () => place(zoom, x, y - PACE, true),
  };

  for (const stage of stages) {
    stage.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      // Arrows scroll the page as long as there is nothing to move here.
      if (event.key.startsWith("Arrow") && zoom === 1) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    });
    // The wheel scrolls the page, unless the user is at work in the picture.
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && zoom === 1 && !stage.matches(":focus")) return;
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY / 300), ...spot(stage, event), false);
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => {
      if (zoom > 1) whole();
      else zoomAt(3, ...spot(stage, event));
    });
    stage.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event);
      stage.setPointerCapture(event.pointerId);
      stage.classList.add("held");
    });
    stage.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const box = stage.getBoundingClientRect();
      if (fingers.size === 2) {
        const [other] = [...fingers.values()].filter((each) => each.pointerId !== event.pointerId);
        const span = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        if (span(before) > 0) zoomAt(span(event) / span(before), ...spot(stage, event), false);
      } else {
        place(zoom, x + (event.clientX - before.clientX) / box.width, y + (event.clientY - before.clientY) / box.height);
      }
      fingers.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => {
        fingers.delete(event.pointerId);
        stage.classList.remove("held");
      });
    }
  }

  find(".in").onclick = () => zoomAt(STEP);
  find(".out").onclick = () => zoomAt(1 / STEP);
  find(".whole").onclick = whole;
  find(".opacity input").oninput = (event) => {
    opacity = Number(event.target.value);
    fade();
  };
  find(".view").onclick = () => {
    asSeen = !asSeen;
    draw();
  };
  find(".full").onclick = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else root.requestFullscreen?.();
  };
  if (!document.fullscreenEnabled) find(".full").hidden = true;
  root.addEventListener("fullscreenchange", () => label());

  function fade() {
    root.style.setProperty("--opacity", opacity / 100);
    find(".opacity input").value = opacity;
    const said = words.percent?.replace("0", opacity) ?? "";
    find(".opacity output").textContent = said;
    find(".opacity input").setAttribute("aria-valuetext", said);
  }

  function label() {
    const full = root.matches(":fullscreen");
    find(".full").textContent = full ? words.leave_full : words.full;
  }

  function draw() {
    const data = shown;
    const seen = asSeen && data.view !== null;
    root.classList.toggle("as-seen", seen);
    root.style.setProperty("--aspect", seen ? data.view_aspect : data.aspect);
    for (const picture of root.querySelectorAll(".picture")) {
      picture.src = seen ? data.view : data.picture;
      picture.alt = seen ? words.view_alt : words.picture_alt;
    }
    const heat = find(".heat");
    const [left, top, width, height] = seen ? [0, 0, 1, 1] : data.placement;
    Object.assign(heat.style, {
      left: `${left * 100}%`, top: `${top * 100}%`, width: `${width * 100}%`, height: `${height * 100}%`,
    });
    if (data.heat !== null) heat.src = data.heat;
    heat.alt = words.heat_alt;
    find(".view").setAttribute("aria-pressed", seen);
    find(".plain figcaption").textContent = seen ? words.view_caption : words.picture_caption;
    find(".warm figcaption").textContent = words.heat_caption;
  }

  function show(data) {
    const another = shown === null || shown.id !== data.id;
    shown = data;
    words = data.words;
    root.classList.toggle("single", data.heat === null);
    find(".opacity span").textContent = words.opacity;
    find(".zoom").setAttribute("aria-label", words.zoom);
    find(".in").setAttribute("aria-label", words.zoom_in);
    find(".out").setAttribute("aria-label", words.zoom_out);
    find(".whole").textContent = words.whole;
    find(".view").textContent = words.view;
    find(".hint").textContent = words.hint;
    find(".little").textContent = words.little;
    find(".much").textContent = words.much;
    find(".ramp").style.background = `linear-gradient(90deg, ${data.legend.join(", ")})`;
    stages.forEach((stage) => stage.setAttribute("aria-label", words.stage));
    label();
    fade();
    draw();
    // Another picture begins whole; another class of the same one is looked at where one was.
    if (another) place(1, 0, 0);
    else place(zoom, x, y);
  }

  return { show };
}
