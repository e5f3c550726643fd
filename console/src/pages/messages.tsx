import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { number, type Row, rows, text } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { bytes, clock, count } from "../format.ts";
import { Icon } from "../ui/icon.tsx";
import { confirm } from "../ui/dialog.tsx";
import { Failure } from "../ui/parts.tsx";
import { MessageView } from "./message.tsx";
import { askMove, askRedrive, runJob } from "./move.tsx";

const SHOWN = 50;
const PREVIEW_BYTES = 160;
const WHOLE_BYTES = 1024 * 1024;

/** Which messages of which queue. */
export interface MessagesProps {
  readonly path: string;
  readonly kind: "queues" | "durable-subscriptions";
  readonly name: string;
}

/** Messages of a queue, which stay as they are until somebody says what becomes of them. */
export function Messages({ path, name }: MessagesProps): JSX.Element {
  const [starts, setStarts] = useState<readonly number[]>([0]);
  const [selector, setSelector] = useState("");
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set());
  const [open, setOpen] = useState<number | undefined>(undefined);
  const from = starts.at(-1) ?? 0;
  const polled = usePolled(`${path}/messages`, 0, { from, max: SHOWN, max_body: PREVIEW_BYTES, selector });
  const reply = polled.value.value;
  const messages = rows(reply, "messages");
  const again = (): void => {
    setPicked(new Set());
    polled.again();
  };
  const toggle = (sequence: number): void => {
    const next = new Set(picked);
    if (!next.delete(sequence)) next.add(sequence);
    setPicked(next);
  };
  const step = (to: readonly number[]): void => {
    setStarts(to);
    setPicked(new Set());
    setOpen(undefined);
  };
  const last = messages.at(-1);
  const shownOpen = messages.find((message) => number(message, "sequence") === open);
  return (
    <div class="browser">
      <section class="card" aria-label="Messages">
        <div class="list-bar">
          <form
            class="search"
            onSubmit={(event) => {
              event.preventDefault();
              const typed = new FormData(event.currentTarget).get("selector");
              step([0]);
              setSelector(typeof typed === "string" ? typed : "");
            }}
          >
            <Icon name="search" />
            <input
              class="input"
              name="selector"
              data-filter=""
              aria-label="Selector"
              placeholder="Selector over properties: colour = 'blue'"
              spellcheck={false}
            />
          </form>
          {picked.size > 0 && <Picked path={path} name={name} picked={[...picked]} done={again} />}
          <button type="button" class="button small" onClick={again}>
            <Icon name="refresh" size={14} /> Refresh
          </button>
          <span class="count">{count(number(reply, "total_messages"))} in all</span>
        </div>
        <Failure text={polled.failure.value} />
        <div class="scroll">
          <table class="plain-table message-list">
            <thead>
              <tr>
                <th aria-label="Picked" />
                <th class="number">Place</th>
                <th>Body</th>
                <th>Received</th>
                <th class="number">Size</th>
              </tr>
            </thead>
            <tbody>
              {messages.map((message) => {
                const sequence = number(message, "sequence");
                return (
                  <MessageRow
                    key={sequence}
                    message={message}
                    picked={picked.has(sequence)}
                    open={sequence === open}
                    onPick={() => toggle(sequence)}
                    onOpen={() => setOpen(sequence)}
                  />
                );
              })}
            </tbody>
          </table>
          {reply !== undefined && messages.length === 0 && <p class="empty">No messages to show</p>}
        </div>
        <footer class="list-bar">
          <button
            type="button"
            class="button small"
            disabled={starts.length === 1}
            onClick={() => step(starts.slice(0, -1))}
          >
            Back
          </button>
          <button
            type="button"
            class="button small"
            disabled={reply?.["more"] !== true || last === undefined}
            onClick={() => step([...starts, number(last, "sequence") + 1])}
          >
            Further
          </button>
        </footer>
      </section>
      {shownOpen === undefined ? (
        <p class="card empty">Choose a message to see what is in it</p>
      ) : (
        <OneMessage key={open} path={path} name={name} sequence={number(shownOpen, "sequence")} done={again} />
      )}
    </div>
  );
}

interface MessageRowProps {
  readonly message: Row;
  readonly picked: boolean;
  readonly open: boolean;
  readonly onPick: () => void;
  readonly onOpen: () => void;
}

function MessageRow({ message, picked, open, onPick, onOpen }: MessageRowProps): JSX.Element {
  const sequence = number(message, "sequence");
  return (
    <tr class={open ? "chosen" : ""} aria-selected={open}>
      <td>
        <input type="checkbox" aria-label={`Pick message ${sequence}`} checked={picked} onChange={onPick} />
      </td>
      <td class="number">
        <button type="button" class="link" aria-label={`Open message ${sequence}`} onClick={onOpen}>
          {count(sequence)}
        </button>
      </td>
      <td class="preview" onClick={onOpen}>
        {previewOf(message)}
      </td>
      <td class="quiet nowrap">{clock(number(message, "received_at"))}</td>
      <td class="number nowrap">{bytes(number(message, "bytes"))}</td>
    </tr>
  );
}

function previewOf(message: Row): JSX.Element {
  if (number(message, "body_bytes") === 0) return <span class="quiet">empty</span>;
  if (text(message, "body_encoding") === "base64") {
    return <Decoded base64={text(message, "body")} size={number(message, "body_bytes")} />;
  }
  const { body } = message;
  return <code>{typeof body === "string" ? body : JSON.stringify(body)}</code>;
}

/** Clients that say nothing of what they send mostly send text. */
function Decoded({ base64, size }: { readonly base64: string; readonly size: number }): JSX.Element {
  const raw = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const decoded = new TextDecoder().decode(raw, { stream: true });
  // Control characters tell bytes from text.
  const isText = !/[^\P{Cc}\s]|\uFFFD/u.test(decoded);
  return isText ? <code>{decoded}</code> : <span class="quiet">{bytes(size)} of binary data</span>;
}

interface PickedProps {
  readonly path: string;
  readonly name: string;
  readonly picked: readonly number[];
  readonly done: () => void;
}

function Picked({ path, name, picked, done }: PickedProps): JSX.Element {
  const many = picked.length === 1 ? "1 message" : `${picked.length} messages`;
  return (
    <div class="actions">
      <button type="button" class="button small" onClick={() => askMove(path, picked, done)}>
        Move or copy
      </button>
      <button type="button" class="button small" onClick={() => askRedrive(path, picked, done)}>
        Redrive
      </button>
      <button
        type="button"
        class="button small danger"
        onClick={() =>
          confirm("Delete", `Delete ${many} of ${name}?`, "Delete", async () => {
            await runJob(path, "purge", { sequences: picked });
            done();
          })
        }
      >
        <Icon name="trash" size={14} /> Delete
      </button>
    </div>
  );
}

interface OneMessageProps {
  readonly path: string;
  readonly name: string;
  readonly sequence: number;
  readonly done: () => void;
}

function OneMessage({ path, name, sequence, done }: OneMessageProps): JSX.Element {
  const query = { from: sequence, to: sequence, max: 1, max_body: WHOLE_BYTES, body: "base64" };
  const polled = usePolled(`${path}/messages`, 0, query);
  const [message] = rows(polled.value.value, "messages");
  return (
    <section class="card" aria-label={`Message ${sequence}`}>
      <header>
        <h2>Message {count(sequence)}</h2>
        <Picked path={path} name={name} picked={[sequence]} done={done} />
      </header>
      <div class="body stack">
        <Failure text={polled.failure.value} />
        {message === undefined && polled.value.value !== undefined && <p class="empty">It is not there any more</p>}
        {message !== undefined && <MessageView message={message} />}
      </div>
    </section>
  );
}
