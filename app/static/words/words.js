/* What Streamlit's own controls lack: names in the language of the session, for screen readers, and
   words for files that the browser refused, which the server never hears of. Streamlit draws its
   controls anew as it pleases; so they are looked at whenever the page changes. */

const NEW_LOT_MS = 2000;

export default function ({ data, parentElement }) {
  const root = parentElement;
  root.said = data;
  if (!root.watch) {
    root.look = () => {
      root.due = false;
      name(root.said.names);
      tell(root);
    };
    root.renew = () => {
      if (root.due) return;
      root.due = true;
      requestAnimationFrame(root.look);
    };
    root.watch = new MutationObserver(root.renew);
    root.watch.observe(document.body, { childList: true, subtree: true });
  }
  root.renew();
  return () => {
    root.watch.disconnect();
    root.watch = null;
  };
}

function name(names) {
  for (const [selector, said] of Object.entries(names)) {
    for (const control of document.querySelectorAll(selector)) {
      if (control.getAttribute("aria-label") !== said) control.setAttribute("aria-label", said);
    }
  }
}

/* A refused file is gone as soon as another one of the same lot was taken: its words stay. */
function tell(root) {
  const { refused } = root.said;
  if (!refused) return;
  const list = root.querySelector("ul");
  for (const chip of document.querySelectorAll(refused.selector)) {
    if (chip.told) continue;
    chip.told = true;
    if (Date.now() - (root.toldAt ?? 0) > NEW_LOT_MS) list.replaceChildren();
    root.toldAt = Date.now();
    const item = document.createElement("li");
    item.textContent = `${chip.textContent}: ${refused.said}`;
    list.append(item);
  }
  const close = root.querySelector("button");
  close.textContent = refused.close;
  close.onclick = () => {
    list.replaceChildren();
    root.querySelector(".sl-oversize").hidden = true;
  };
  root.querySelector(".sl-oversize").hidden = list.childElementCount === 0;
}
