// Links in mail: each says where it goes, and says so loudly when its text names another place or its domain may look
// like another one.

const HOST = /^(?:https?:\/\/)?(?:[^\s/@]+@)?((?:[\p{L}\p{N}-]+\.)+[\p{L}]{2,})(?=[:/?#]|$)/iu;

const bare = (host) => host.toLowerCase().replace(/^www\./, "");

/** What is odd about a link; "" when nothing is. */
export function oddity(text, href) {
  let target;
  try {
    target = new URL(href);
  } catch {
    return "";
  }
  if (!target.protocol.startsWith("http")) return "";
  if (target.username || target.password) return `really goes to ${target.hostname}`;
  const named = HOST.exec(text.trim());
  if (named && !text.trim().includes(" ")) {
    let host = named[1];
    try {
      host = new URL(`http://${host}`).hostname;
    } catch {
      return `really goes to ${target.hostname}`;
    }
    const [said, real] = [bare(host), bare(target.hostname)];
    if (said !== real && !real.endsWith(`.${said}`)) return `really goes to ${target.hostname}`;
  }
  if (/(^|\.)xn--/.test(target.hostname)) return `its letters may look like others: ${target.hostname}`;
  return "";
}

export function markLinks(root) {
  for (const link of root.querySelectorAll("a[href]")) {
    if (link.dataset.marked) continue;
    link.dataset.marked = "1";
    link.title = link.href;
    const odd = oddity(link.textContent, link.href);
    if (!odd) continue;
    const mark = root.ownerDocument.createElement("strong");
    mark.className = "link-warning";
    mark.textContent = ` (⚠ ${odd})`;
    link.append(mark);
  }
}
