import type { ComponentChildren, JSX } from "preact";
import { useEffect, useErrorBoundary } from "preact/hooks";
import { live } from "./api/live.ts";
import { reasonOf } from "./api/request.ts";
import { locked, me, visit } from "./api/session.ts";
import { PAGES, pageOf } from "./pages.tsx";
import { link, place } from "./route.ts";
import { Dialogs } from "./ui/dialog.tsx";
import { openJump } from "./ui/jump.tsx";
import { PageHead } from "./ui/parts.tsx";
import { Bar, Side } from "./ui/shell.tsx";
import { Toasts } from "./ui/toast.tsx";
import { SignIn, SignInAgain } from "./pages/sign-in.tsx";

/** The whole console. */
export function App(): JSX.Element | null {
  useEffect(() => {
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  const isOver = locked.value;
  const isIn = me.value !== undefined && me.value !== null && !isOver;
  const whose = visit.value;
  useEffect(() => {
    if (!isIn) return undefined;
    live.start();
    return () => live.stop();
  }, [isIn, whose]);
  if (me.value === undefined) return null;
  if (me.value === null) return <SignIn />;
  return (
    <>
      <div class="behind" key={whose} inert={isOver}>
        <Shell />
      </div>
      {isOver && <SignInAgain />}
    </>
  );
}

function Shell(): JSX.Element {
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
  const page = pageOf(path);
  const where = path.join("/");
  const { title } = page ?? NOWHERE;
  useEffect(() => {
    document.title = path.length > 1 ? `${path.at(-1)} - Delos` : `${title} - Delos`;
    const active = document.activeElement;
    // Whoever reads with a keyboard goes on where the new page begins; the list of pages stays where it is if it is seen.
    const stays = active?.closest(".side") !== null && active?.checkVisibility({ visibilityProperty: true }) === true;
    if (!stays) document.querySelector<HTMLElement>("#content")?.focus({ preventScroll: true });
  }, [where]);
  return (
    <main id="content" class="page" tabIndex={-1} aria-label={title} key={where}>
      <Guarded>{page === undefined ? <NOWHERE.Page /> : page.show(path.slice(1))}</Guarded>
    </main>
  );
}

const NOWHERE = {
  title: "Nothing here",
  Page: (): JSX.Element => (
    <>
      <PageHead title="Nothing here" intro="The console has no page of this address." />
      <p class="card empty">
        <a href={link([])}>To the overview</a>
      </p>
    </>
  ),
};

/** Shows a page, or that it could not be shown: one that fails takes no other along. */
function Guarded({ children }: { readonly children: ComponentChildren }): JSX.Element {
  const [failure, forget] = useErrorBoundary();
  if (failure === undefined || failure === null) return <>{children}</>;
  return (
    <div class="card empty stack" role="alert">
      <p>This page cannot be shown: {reasonOf(failure)}</p>
      <p>
        <button type="button" class="button" onClick={forget}>
          Try again
        </button>
      </p>
    </div>
  );
}

/** `/` goes to the filter, Ctrl+K anywhere. */
function onKey(event: KeyboardEvent): void {
  if (me.peek() === null || locked.peek()) return;
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
