/* Names for controls that Streamlit names in English or not at all, in the language of the session.
   Streamlit draws them anew as it pleases; so they are looked at whenever the page changes. */

export default function ({ data, parentElement }) {
  const host = parentElement.host ?? parentElement;
  host.names = data.names;
  if (!host.watch) {
    const name = () => {
      host.due = false;
      for (const [selector, said] of Object.entries(host.names)) {
        for (const control of document.querySelectorAll(selector)) {
          if (control.getAttribute("aria-label") !== said) control.setAttribute("aria-label", said);
        }
      }
    };
    host.renew = () => {
      if (host.due) return;
      host.due = true;
      requestAnimationFrame(name);
    };
    host.watch = new MutationObserver(host.renew);
    host.watch.observe(document.body, { childList: true, subtree: true });
  }
  host.renew();
  return () => {
    host.watch.disconnect();
    host.watch = null;
  };
}
