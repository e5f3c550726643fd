import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { broker, chooseHost, chooseTheme, host, hosts, me, signOut, signOutEverywhere, theme } from "../api/session.ts";
import { reach } from "../api/request.ts";
import { number, type Row, text, texts } from "../api/json.ts";
import { PAGES, type Page } from "../pages.tsx";
import { go, link, place } from "../route.ts";
import { confirm, openDialog } from "./dialog.tsx";
import { Icon } from "./icon.tsx";
import { openJump } from "./jump.tsx";
import { Facts } from "./parts.tsx";
import { Time } from "./time.tsx";

const menuOpen = signal(false);

/** The way to every page. */
export function Side(): JSX.Element {
  const { path } = place.value;
  const current = path[0] ?? "overview";
  const element = useRef<HTMLElement>(null);
  const isOpen = menuOpen.value;
  useEffect(() => {
    if (!menuOpen.peek()) return;
    menuOpen.value = false;
    document.querySelector<HTMLElement>("#content")?.focus({ preventScroll: true });
  }, [path.join("/")]);
  useEffect(() => {
    if (isOpen) element.current?.querySelector<HTMLElement>("a")?.focus();
  }, [isOpen]);
  const groups = Map.groupBy(
    PAGES.filter(({ hidden }) => hidden !== true),
    ({ group }) => group,
  );
  return (
    <>
      {isOpen && <div class="scrim" onClick={closeMenu} />}
      <nav
        ref={element}
        id="pages"
        class={isOpen ? "side open" : "side"}
        aria-label="Pages"
        onKeyDown={(event) => {
          if (event.key === "Escape" && isOpen) closeMenu();
        }}
      >
        <a class="brand" href={link(["overview"])}>
          <img src="/mark.svg" alt="" />
          Delos
          <small>{text(broker.value, "version")}</small>
        </a>
        {Array.from(groups, ([group, pages]) => (
          <Group key={group} name={group} pages={pages} current={current} />
        ))}
        <div class="side-foot">
          {text(broker.value, "name")}
          <br />
          <kbd>/</kbd> filter <kbd>Ctrl K</kbd> go to
        </div>
      </nav>
    </>
  );
}

function closeMenu(): void {
  menuOpen.value = false;
  document.querySelector<HTMLElement>(".menu-button")?.focus();
}

interface GroupProps {
  readonly name: string;
  readonly pages: readonly Page[];
  readonly current: string;
}

function Group({ name, pages, current }: GroupProps): JSX.Element {
  return (
    <>
      {name !== "" && <h2>{name}</h2>}
      <ul>
        {pages.map(({ id, title, icon }) => (
          <li key={id}>
            <a href={link([id])} aria-current={id === current ? "page" : undefined}>
              <Icon name={icon} />
              {title}
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}

/** What is above every page. */
export function Bar(): JSX.Element {
  const away = reach.value === "away";
  return (
    <header class="bar">
      <button
        type="button"
        class="button plain icon menu-button"
        aria-label="Pages"
        aria-controls="pages"
        aria-expanded={menuOpen.value}
        onClick={() => {
          menuOpen.value = !menuOpen.value;
        }}
      >
        <Icon name="menu" />
      </button>
      <button type="button" class="jump" onClick={() => openJump(PAGES)}>
        <Icon name="search" /> <span>Go to a page, a queue, a topic</span>
        <kbd>Ctrl K</kbd>
      </button>
      <span class="spring" />
      <span class="live" role="status">
        <span class={away ? "dot bad" : "dot good"} />
        <span>{away ? "No answer from the broker" : "Connected"}</span>
      </span>
      {hosts.value.length > 1 && <HostChoice />}
      <ThemeButton />
      <UserButton />
      <button type="button" class="button plain" onClick={() => void signOut()}>
        <Icon name="leave" /> Sign out
      </button>
    </header>
  );
}

function UserButton(): JSX.Element {
  const session = me.value ?? undefined;
  const user = text(session, "user");
  return (
    <button
      type="button"
      class="button plain user"
      aria-label={`Signed in as ${user}`}
      onClick={() => openDialog("Signed in", (close) => <WhoAmI session={session} close={close} />, true)}
    >
      <Icon name="users" /> <span>{user}</span>
    </button>
  );
}

function WhoAmI({ session, close }: { readonly session: Row | undefined; readonly close: () => void }): JSX.Element {
  return (
    <>
      <div class="dialog-body padded">
        <Facts
          facts={[
            ["User", <bdi key="user">{text(session, "user")}</bdi>],
            ["Of the virtual host", text(session, "host")],
            ["Groups", texts(session, "groups").join(", ")],
            ["Until", <Time key="until" at={number(session, "expires_at")} />],
          ]}
        />
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          Close
        </button>
        <button
          type="button"
          class="button danger"
          onClick={() =>
            confirm(
              "Sign out everywhere",
              "Sign out here and in every other browser in which you are signed in?",
              "Sign out everywhere",
              signOutEverywhere,
            )
          }
        >
          Sign out everywhere
        </button>
      </footer>
    </>
  );
}

function HostChoice(): JSX.Element {
  return (
    <select
      class="host-choice"
      aria-label="Virtual host"
      value={host.value}
      onChange={(event) => {
        chooseHost(event.currentTarget.value);
        // What is looked at is of the other one.
        const [page, ...about] = place.peek().path;
        if (page !== undefined && about.length > 0) go([page]);
      }}
    >
      {hosts.value.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

const NEXT = { system: "light", light: "dark", dark: "system" } as const;
const THEME_ICONS = { system: "system", light: "sun", dark: "moon" } as const;

function ThemeButton(): JSX.Element {
  const now = theme.value;
  const name = `Colours: ${now}; change to ${NEXT[now]}`;
  return (
    <button
      type="button"
      class="button plain icon"
      aria-label={name}
      title={name}
      onClick={() => chooseTheme(NEXT[now])}
    >
      <Icon name={THEME_ICONS[now]} />
    </button>
  );
}
