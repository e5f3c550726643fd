import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { doToEach } from "../api/each.ts";
import { flag, type Json, type Row, rows, text, texts } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask, at } from "../api/request.ts";
import { count, named } from "../format.ts";
import { askFor, confirm, openDialog } from "../ui/dialog.tsx";
import type { Filled } from "../ui/form.tsx";
import { Icon } from "../ui/icon.tsx";
import { Badge, Failure, PageHead, Tabs, tabNow } from "../ui/parts.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { say } from "../ui/toast.tsx";

/** What the list of users shows. */
const USER_COLUMNS: readonly Column[] = [
  { field: "name", title: "User", width: "minmax(180px, 1.4fr)" },
  {
    field: "groups",
    title: "Groups",
    ordered: false,
    width: "minmax(180px, 1.6fr)",
    show: (row) => texts(row, "groups").join(", "),
  },
  {
    field: "enabled",
    title: "May log in",
    width: "120px",
    show: (row) => (flag(row, "enabled") ? "yes" : <Badge tone="warn">no</Badge>),
  },
  { field: "has_password", title: "Password", kind: "yes", width: "110px" },
  { field: "origin", title: "Kept in", show: (row) => (isManaged(row) ? "the store" : "the configuration") },
];

const TABS = [
  ["users", "Users"],
  ["groups", "Groups"],
  ["keys", "API keys"],
] as const;
const again = signal(0);

/** Who may log in. */
export function UsersPage(): JSX.Element {
  const tab = tabNow(TABS);
  return (
    <>
      <PageHead
        title="Users"
        intro="Those the broker itself knows. What is in the configuration is changed there; users made here are kept in the store."
      >
        {tab === "keys" ? (
          <button type="button" class="button primary" onClick={newKey}>
            <Icon name="plus" /> New key
          </button>
        ) : (
          <button type="button" class="button primary" onClick={() => edit(undefined)}>
            <Icon name="plus" /> New user
          </button>
        )}
      </PageHead>
      <Tabs tabs={TABS} />
      {tab === "users" && <Users />}
      {tab === "groups" && <Groups />}
      {tab === "keys" && <Keys />}
    </>
  );
}

function Users(): JSX.Element {
  return (
    <Table
      label="Users"
      path="/users"
      columns={USER_COLUMNS}
      name="name"
      onOpen={edit}
      empty="The broker itself knows no users"
      again={again}
      picked={(names, done) => (
        <button
          type="button"
          class="button small danger"
          onClick={() =>
            confirm(
              "Delete",
              `Delete ${names.length === 1 ? named(names[0] ?? "") : `${count(names.length)} users`}? Their connections are closed.`,
              "Delete",
              async () => {
                await doToEach(names, (name) => ask(at("users", name), { method: "DELETE" }));
                done();
              },
              names,
            )
          }
        >
          Delete
        </button>
      )}
    />
  );
}

function Groups(): JSX.Element {
  const polled = usePolled("/groups", 0);
  return (
    <section class="card scroll" aria-label="Groups">
      <Failure text={polled.failure.value} />
      <table class="plain-table">
        <thead>
          <tr>
            <th>Group</th>
            <th>Users</th>
            <th>API keys</th>
          </tr>
        </thead>
        <tbody>
          {rows(polled.value.value, "value").map((group) => (
            <tr key={text(group, "name")}>
              <td>{text(group, "name")}</td>
              <td class="break">{texts(group, "users").join(", ")}</td>
              <td class="break">{texts(group, "api_keys").join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Keys(): JSX.Element {
  const polled = usePolled("/api-keys", 0);
  const list = rows(polled.value.value, "value");
  const changes = again.value;
  useEffect(() => {
    if (changes > 0) polled.again();
  }, [changes]);
  return (
    <section class="card scroll" aria-label="API keys">
      <Failure text={polled.failure.value} />
      <table class="plain-table">
        <thead>
          <tr>
            <th>Key</th>
            <th>Groups</th>
            <th>Kept in</th>
            <th aria-label="Actions" />
          </tr>
        </thead>
        <tbody>
          {list.map((key) => (
            <tr key={text(key, "name")}>
              <td>{text(key, "name")}</td>
              <td>{texts(key, "groups").join(", ")}</td>
              <td>{isManaged(key) ? "the store" : "the configuration"}</td>
              <td class="number">
                <button
                  type="button"
                  class="button small danger"
                  disabled={!isManaged(key)}
                  onClick={() => removeKey(text(key, "name"), polled.again)}
                >
                  Delete
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {polled.value.value !== undefined && list.length === 0 && <p class="empty">There are no keys</p>}
    </section>
  );
}

function removeKey(name: string, done: () => void): void {
  confirm(
    "Delete",
    `Delete the key ${named(name)}? Programs that show it are refused from now on.`,
    "Delete",
    async () => {
      await ask(at("api-keys", name), { method: "DELETE" });
      done();
    },
  );
}

function isManaged(row: Row): boolean {
  return text(row, "origin") === "managed";
}

function edit(user: Row | undefined): void {
  const name = text(user, "name");
  if (user !== undefined && !isManaged(user)) {
    openDialog(
      name,
      () => (
        <div class="dialog-body padded">
          This user is one of the configuration (<code>security.users.{name}</code>). Change it there and have the
          configuration read again.
        </div>
      ),
      true,
    );
    return;
  }
  askFor({
    title: user === undefined ? "New user" : name,
    fields: [
      ...(user === undefined ? [{ name: "name", label: "Name", required: true }] : []),
      {
        name: "password",
        label: "Password",
        kind: "password",
        autocomplete: "new-password",
        required: user === undefined,
        hint: user === undefined ? "" : "Empty: it stays as it is",
      },
      { name: "groups", label: "Groups", value: texts(user, "groups").join(", "), hint: "Separated by commas" },
      {
        name: "enabled",
        label: "May log in",
        kind: "check",
        value: String(user === undefined || flag(user, "enabled")),
        hint: "otherwise its connections are closed",
      },
    ],
    action: user === undefined ? "Create" : "Save",
    run: async (filled) => {
      const { name: given = name } = filled;
      await ask(at("users", given), { method: "PUT", body: userOf(filled) });
      say(`The user ${given} is saved`);
      again.value++;
    },
  });
}

function userOf({ password = "", groups = "", enabled }: Filled): Json {
  return { groups: listOf(groups), enabled: enabled === "true", ...(password === "" ? {} : { password }) };
}

function listOf(written: string): readonly string[] {
  return written
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);
}

function newKey(): void {
  askFor({
    title: "New API key",
    intro: "For programs: they show it instead of a password. Access rules know it as the user of its name.",
    fields: [
      { name: "name", label: "Name", required: true },
      { name: "groups", label: "Groups", hint: "Separated by commas" },
    ],
    action: "Create",
    run: async ({ name = "", groups = "" }) => {
      const made = await ask("/api-keys", { method: "POST", body: { name, groups: listOf(groups) } });
      again.value++;
      // After this form has closed.
      window.setTimeout(() => showKey(name, text(made, "key")));
    },
  });
}

function showKey(name: string, key: string): void {
  openDialog(`The key ${name}`, () => (
    <div class="dialog-body padded stack">
      <p>It is told this once; the broker keeps no more than its hash.</p>
      <pre class="source" tabIndex={0}>
        {key}
      </pre>
      <p class="quiet">Authorization: Bearer {key.slice(0, 12)}...</p>
    </div>
  ));
}
