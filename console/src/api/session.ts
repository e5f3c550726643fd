import { batch, computed, effect, signal } from "@preact/signals";
import { type Row, text, texts } from "./json.ts";
import { ask, csrf, reach, renewBy } from "./request.ts";

/** That somebody signed in; who, the broker knows by a cookie that no script can read. */
const SIGNED_IN = "delos.signed-in";

/** Who is signed in: undefined until that is known, null for nobody. */
export const me = signal<Row | null | undefined>(undefined);

/** Whether the session is over that somebody had here: what is shown waits, unseen, until the same one signs in again. */
export const locked = signal(false);

/** Grows when somebody else signs in, for whom nothing stays of what was shown. */
export const visit = signal(0);

/** The broker as a whole. */
export const broker = signal<Row>({});

/** Its virtual hosts. */
export const hosts = computed(() => texts(broker.value, "hosts"));

const chosen = signal(stored("delos.host"));

/** The virtual host whose things are shown. */
export const host = computed(() => {
  if (hosts.value.includes(chosen.value)) return chosen.value;
  return hosts.value.includes("default") ? "default" : (hosts.value[0] ?? "default");
});

/** Shows another virtual host from now on. */
export function chooseHost(name: string): void {
  chosen.value = name;
  store("delos.host", name);
}

/** Finds out whether somebody is signed in already. */
export async function resume(): Promise<void> {
  try {
    if (stored(SIGNED_IN) === "") throw new Error("Nobody has signed in with this browser");
    await entered(await ask("/session"));
  } catch {
    me.value = null;
  }
}

/** Somebody who signs out: the end of that must not end the session of whoever signs in next. */
let leaving: Promise<unknown> = Promise.resolve();

/** Signs in, as a user of the broker or, if `of` names one, of a virtual host. Throws `Problem`. */
export async function signIn(user: string, password: string, of: string): Promise<void> {
  await leaving;
  const body = { user, password, ...(of === "" ? {} : { host: of }) };
  await entered(await ask("/session", { method: "POST", body }));
}

/** Signs out; whatever the broker says to it, nobody is signed in here any more. */
export async function signOut(): Promise<void> {
  leaving = ask("/session", { method: "DELETE" }).catch(() => undefined);
  await leaving;
  left();
}

/** Signs out of all browsers. Throws `Problem`. */
export async function signOutEverywhere(): Promise<void> {
  await ask("/session", { method: "DELETE", query: { everywhere: true } });
  left();
}

function left(): void {
  store(SIGNED_IN, "");
  batch(() => {
    visit.value++;
    locked.value = false;
    me.value = null;
  });
}

/** How the console looks: as the system wants it, or as somebody chose. */
export const theme = signal<"system" | "light" | "dark">(themeOf(stored("delos.theme")));

/** Keeps what somebody chose for the next time. */
export function chooseTheme(to: "system" | "light" | "dark"): void {
  theme.value = to;
  store("delos.theme", to);
}

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme.value;
});

effect(() => {
  if (reach.value !== "signed-out") return;
  if (me.peek()) locked.value = true;
});

renewBy(async () => {
  const session = await ask("/session");
  if (!isSame(me.peek() ?? undefined, session)) return false;
  csrf.value = text(session, "csrf");
  return true;
});

async function entered(session: Row): Promise<void> {
  csrf.value = text(session, "csrf");
  store(SIGNED_IN, "yes");
  // Not everybody who may sign in may look at the broker as a whole.
  const known = await ask("/broker").catch((): Row => ({ hosts: texts(session, "hosts") }));
  batch(() => {
    broker.value = known;
    if (!isSame(me.peek() ?? undefined, session)) visit.value++;
    me.value = session;
    locked.value = false;
  });
}

function isSame(one: Row | undefined, other: Row): boolean {
  return text(one, "user") === text(other, "user") && text(one, "host") === text(other, "host");
}

function themeOf(name: string): "system" | "light" | "dark" {
  return name === "light" || name === "dark" ? name : "system";
}

function stored(name: string): string {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

function store(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // A browser that keeps nothing shows the same things again the next time.
  }
}
