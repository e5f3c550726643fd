/** How long a browser may take to begin with what it is offered. */
const KEPT_MS = 60_000;

/** Gives the browser something to be saved as a file. */
export function offer(content: Blob, name: string): void {
  const href = URL.createObjectURL(content);
  const anchor = document.createElement("a");
  anchor.href = href;
  anchor.download = name;
  anchor.click();
  window.setTimeout(() => URL.revokeObjectURL(href), KEPT_MS);
}
