import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { live } from "./api/live.ts";
import { me } from "./api/session.ts";
import { PAGES, pageOf } from "./pages.tsx";
import { place } from "./route.ts";
import { Dialogs } from "./ui/dialog.tsx";
import { openJump } from "./ui/jump.tsx";
import { Bar, Side } from "./ui/shell.tsx";
import { Toasts } from "./ui/toast.tsx";
import { SignIn } from "./pages/sign-in.tsx";

/** The whole console. */
export function App(): JSX.Element | null {
  useEffect(() => {
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  const signedIn = me.value !== undefined && me.value !== null;
  useEffect(() => {
    if (!signedIn) return undefined;
    live.start();
    return () => live.stop();
  }, [signedIn]);
  if (me.value === undefined) return null;
  if (me.value === null) return <SignIn />;
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          document.querySelector<HTMLElement>("#content")?.focus();
        }}
      >
        To the content
      </a>
      <div class="shell">
        <Side />
        <div class="stage">
          <Bar />
          <Content />
        </div>
      </div>
      <Dialogs />
      <Toasts />
    </>
  );
}

function Content(): JSX.Element {
  const { path } = place.value;
  const element = useRef<HTMLElement>(null);
  const page = pageOf(path);
  const where = path.join("/");
  const { title } = page;
  useEffect(() => {
    document.title = path.length > 1 ? `${path.at(-1)} - Delos` : `${title} - Delos`;
    // Whoever reads with a keyboard goes on where the new page begins.
    if (document.activeElement?.closest(".side") === null) element.current?.focus({ preventScroll: true });
  }, [where]);
  return (
    <main id="content" class="page" tabIndex={-1} ref={element} key={where}>
      {page.show(path.slice(1))}
    </main>
  );
}

/** `/` goes to the filter, Ctrl+K anywhere. */
function onKey(event: KeyboardEvent): void {
  if (me.peek() === null) return;
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    openJump(PAGES);
    return;
  }
  const { target } = event;
  const typing = target instanceof HTMLElement && target.closest("input, textarea, select, dialog") !== null;
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key !== "/") return;
  const filter = document.querySelector<HTMLInputElement>("[data-filter]");
  if (filter === null) return;
  event.preventDefault();
  filter.focus();
  filter.select();
}
