// A report in place: a page of its own in a frame where no script runs, and that may ask for nothing.

const policy = globalThis.trustedTypes?.createPolicy("tagapi-report", { createHTML: (text) => text }) ?? {
  createHTML: (text) => text,
};
const ACTIVE = "script, style, iframe, object, embed, link, meta, base, form, template";

/** Put a report into a frame that is empty. The frame inherits this page's policy: its styles come as a sheet of their own. */
export function put(frame, text) {
  const inside = frame.contentDocument;
  if (!inside || frame.dataset.full) return;
  frame.dataset.full = "yes";
  const styles = [];
  const plain = text.replace(/<style\b[^>]*>([^]*?)<\/style>/gi, (_, style) => (styles.push(style), ""));
  const read = new DOMParser().parseFromString(policy.createHTML(plain), "text/html");
  const sheet = new frame.contentWindow.CSSStyleSheet();
  sheet.replaceSync(styles.join("\n"));
  for (const element of read.querySelectorAll(ACTIVE)) element.remove();
  inside.documentElement.lang = read.documentElement.lang;
  inside.adoptedStyleSheets = [sheet];
  inside.body.replaceWith(inside.adoptNode(read.body));
}
