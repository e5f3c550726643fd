import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { text } from "../api/json.ts";
import { download } from "../api/download.ts";
import { live } from "../api/live.ts";
import { reasonOf, wasGivenUp } from "../api/request.ts";
import { visit } from "../api/session.ts";
import { bytes } from "../format.ts";
import { Icon } from "../ui/icon.tsx";
import { offer } from "../ui/offer.ts";
import { Card, Failure, PageHead } from "../ui/parts.tsx";
import { say } from "../ui/toast.tsx";

interface Copying {
  readonly received: number;
  readonly total: number | undefined;
  readonly abort: AbortController;
}

/** It goes on while one looks at other pages. */
const copying = signal<Copying | undefined>(undefined);
const failure = signal("");

// What one user copies is not for another.
visit.subscribe(() => {
  copying.peek()?.abort.abort();
  failure.value = "";
});

/** A copy of all that is stored. */
export function BackupPage(): JSX.Element {
  const now = copying.value;
  return (
    <>
      <PageHead title="Backup" intro="A copy of all that is stored, as one file, while the broker goes on." />
      <Failure text={failure.value} />
      <div class="grid">
        <Card title="Make a copy">
          <div class="stack">
            <p>
              It has everything that was confirmed before it is begun: every message with its body, queues, bindings,
              durable subscriptions, schedules, users and hashes of their passwords. Keep it as safe as the broker. The
              configuration is not in it. This needs the right <code>config</code> on the broker, and as much room on
              its disk as the store takes.
            </p>
            {now === undefined ? (
              <div>
                <button type="button" class="button primary" onClick={() => void copy()}>
                  <Icon name="download" /> Copy and download
                </button>
              </div>
            ) : (
              <Running copying={now} />
            )}
          </div>
        </Card>
        <Card title="Put a copy in place">
          <div class="stack">
            <p>
              The broker {text(live.broker.value, "name")} must not run while that is done, so it is done on its machine
              and not here:
            </p>
            <pre class="source" tabIndex={0}>
              {"delos restore FILE --config delos.yaml"}
            </pre>
            <p class="quiet">
              With <code>--force</code> also over a store that is there, which is kept in a folder beside it. From a
              script, <code>delos backup FILE</code> makes the same copy as this page.
            </p>
          </div>
        </Card>
      </div>
    </>
  );
}

function Running({ copying: { received, total, abort } }: { readonly copying: Copying }): JSX.Element {
  return (
    <div class="stack">
      <progress aria-label="Received" max={total ?? 1} {...(received === 0 ? {} : { value: received })} />
      <p role="status">
        {received === 0
          ? "The broker makes the copy"
          : `${bytes(received)}${total === undefined ? "" : ` of ${bytes(total)}`}`}
      </p>
      <div>
        <button type="button" class="button" onClick={() => abort.abort()}>
          Stop
        </button>
      </div>
    </div>
  );
}

async function copy(): Promise<void> {
  const abort = new AbortController();
  failure.value = "";
  copying.value = { received: 0, total: undefined, abort };
  let told = 0;
  const progress = (received: number, total: number | undefined): void => {
    // As often as one can see it.
    if (received !== total && performance.now() - told < 100) return;
    told = performance.now();
    copying.value = { received, total, abort };
  };
  try {
    const { name, content } = await download("/backup", progress, abort.signal);
    offer(content, name);
    say(`${name} is copied: ${bytes(content.size)}`);
  } catch (error) {
    if (!wasGivenUp(error)) failure.value = reasonOf(error);
  } finally {
    copying.value = undefined;
  }
}
