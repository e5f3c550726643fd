import type { JSX } from "preact";
import type { Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { number, record, type Row, rows, text } from "../api/json.ts";
import { usePolled } from "../api/poll.ts";
import { ask } from "../api/request.ts";
import { bytes, count, named } from "../format.ts";
import { link } from "../route.ts";
import { Icon } from "../ui/icon.tsx";
import { confirm } from "../ui/dialog.tsx";
import { Failure, Loading } from "../ui/parts.tsx";
import { Time } from "../ui/time.tsx";
import { SHOWN_BODY, WHOLE_BODY } from "./body.tsx";
import { MessageView } from "./message.tsx";
import { askMove, askRedrive, runJob } from "./move.tsx";

const SHOWN = 50;
const PREVIEW_BYTES = 160;

/** Which messages of which queue. */
export interface MessagesProps {
  readonly path: string;
  readonly name: string;
  /** Whether they are dead letters, of which one wants to know why and where from. */
  readonly dead?: boolean;
  /** Changes when they are to be read again. */
  readonly again?: Signal<number>;
}

/** What dead letters died of, as the broker and as the page say it. */
const REASONS = [
  ["rejected", "rejected"],
  ["delivery-limit", "delivered too often"],
  ["expired", "expired"],
  ["overflow", "no room"],
] as const;

/** Messages of a queue, which stay as they are until somebody says what becomes of them. */
export function Messages({ path, name, dead = false, again: signalled }: MessagesProps): JSX.Element {
  const [skip, setSkip] = useState(0);
  const [selector, setSelector] = useState("");
  const [reason, setReason] = useState("");
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set());
  const [open, setOpen] = useState<number | undefined>(undefined);
  const polled = usePolled(`${path}/messages`, 0, {
    skip,
    max: SHOWN,
    max_body: PREVIEW_BYTES,
    selector: wantedOf(selector, reason),
  });
  const reply = polled.value.value;
  const messages = rows(reply, "messages");
  const again = (): void => {
    setPicked(new Set());
    polled.again();
  };
  const changes = signalled?.value ?? 0;
  useEffect(() => {
    if (changes > 0) again();
  }, [changes]);
  const toggle = (sequence: number): void => {
    const next = new Set(picked);
    if (!next.delete(sequence)) next.add(sequence);
    setPicked(next);
  };
  const step = (to: number): void => {
    setSkip(Math.max(0, to));
    setPicked(new Set());
    setOpen(undefined);
  };
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
              step(0);
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
          {dead && (
            <select
              class="host-choice"
              aria-label="Reason"
              onChange={(event) => {
                step(0);
                setReason(event.currentTarget.value);
              }}
            >
              <option value="">every reason</option>
              {REASONS.map(([value, title]) => (
                <option key={value} value={value}>
                  {title}
                </option>
              ))}
            </select>
          )}
          {picked.size > 0 && <Picked path={path} name={name} picked={[...picked]} done={again} />}
          <button type="button" class="button small" onClick={again}>
            <Icon name="refresh" size={14} /> Refresh
          </button>
          <span class="count">
            <span role="status">{picked.size > 0 && `${count(picked.size)} picked of `}</span>
            {reply !== undefined && `${count(number(reply, "total_messages"))} in all`}
          </span>
        </div>
        <Failure text={polled.failure.value} />
        <div class="scroll">
          <table class="plain-table message-list">
            <thead>
              <tr>
                <th>
                  <input
                    type="checkbox"
                    aria-label={picked.size > 0 ? "Pick none" : "Pick all of these"}
                    checked={picked.size > 0}
                    onChange={() =>
                      setPicked(new Set(picked.size > 0 ? [] : messages.map((message) => number(message, "sequence"))))
                    }
                  />
                </th>
                <th class="number">Place</th>
                <th>Body</th>
                {dead && <th>Died of</th>}
                {dead && <th>Comes from</th>}
                <th class="when">{dead ? "Died" : "Received"}</th>
                {!dead && <th class="number">Size</th>}
              </tr>
            </thead>
            <tbody>
              {messages.map((message) => {
                const sequence = number(message, "sequence");
                return (
                  <MessageRow
                    key={sequence}
                    message={message}
                    dead={dead}
                    picked={picked.has(sequence)}
                    open={sequence === open}
                    onPick={() => toggle(sequence)}
                    onOpen={() => setOpen(sequence)}
                  />
                );
              })}
            </tbody>
          </table>
          {reply !== undefined && messages.length === 0 && (
            <p class="empty">{selector === "" && reason === "" ? "There are no messages" : "No message matches"}</p>
          )}
          {reply === undefined && polled.failure.value === "" && <Loading />}
        </div>
        <footer class="list-bar">
          <button type="button" class="button small" disabled={skip === 0} onClick={() => step(skip - SHOWN)}>
            Back
          </button>
          <button
            type="button"
            class="button small"
            disabled={reply?.["more"] !== true || messages.length === 0}
            onClick={() => step(skip + SHOWN)}
          >
            Further
          </button>
          {messages.length > 0 && (
            <span class="count">
              {count(skip + 1)} to {count(skip + messages.length)}
            </span>
          )}
        </footer>
      </section>
      {shownOpen === undefined ? (
        <p class="card empty">Choose a message to see what is in it</p>
      ) : (
        <OneMessage
          key={open}
          path={path}
          name={name}
          sequence={number(shownOpen, "sequence")}
          done={again}
          close={() => setOpen(undefined)}
        />
      )}
    </div>
  );
}

interface MessageRowProps {
  readonly message: Row;
  readonly dead: boolean;
  readonly picked: boolean;
  readonly open: boolean;
  readonly onPick: () => void;
  readonly onOpen: () => void;
}

function MessageRow({ message, dead, picked, open, onPick, onOpen }: MessageRowProps): JSX.Element {
  const sequence = number(message, "sequence");
  const annotations = record(message, "annotations");
  const moment = dead ? number(annotations, "dead_letter_at") : number(message, "received_at");
  return (
    <tr class={open ? "chosen" : ""}>
      <td>
        <input type="checkbox" aria-label={`Pick message ${sequence}`} checked={picked} onChange={onPick} />
      </td>
      <td class="number">
        <button
          type="button"
          class="link"
          aria-label={`Open message ${sequence}`}
          aria-expanded={open}
          onClick={onOpen}
        >
          {count(sequence)}
        </button>
      </td>
      <td class="preview" onClick={onOpen}>
        {previewOf(message)}
      </td>
      {dead && <td class="nowrap">{reasonText(annotations)}</td>}
      {dead && <td class="origin">{originText(annotations)}</td>}
      <td class="quiet nowrap when">
        <Time at={moment} as="clock" />
      </td>
      {!dead && <td class="number nowrap">{bytes(number(message, "bytes"))}</td>}
    </tr>
  );
}

function wantedOf(selector: string, reason: string): string {
  if (reason === "") return selector;
  const died = `dead_letter_reason = '${reason}'`;
  return selector.trim() === "" ? died : `(${selector}) AND ${died}`;
}

function reasonText(annotations: Row): string {
  const given = text(annotations, "dead_letter_reason");
  return REASONS.find(([reason]) => reason === given)?.[1] ?? given;
}

/** The broker says `queue:orders` and `dsub:archive`. */
function originText(annotations: Row): JSX.Element | null {
  const origin = text(annotations, "dead_letter_origin");
  const cut = origin.indexOf(":");
  if (cut < 0) return null;
  const name = origin.slice(cut + 1);
  const kind = origin.startsWith("dsub:") ? "durable-subscriptions" : "queues";
  return (
    <a href={link([kind, name])} title={name}>
      {name}
    </a>
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
          confirm("Delete", `Delete ${many} of ${named(name)}?`, "Delete", async () => {
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
  readonly close: () => void;
}

function OneMessage({ path, name, sequence, done, close }: OneMessageProps): JSX.Element {
  const element = useRef<HTMLElement>(null);
  useEffect(() => {
    const { current } = element;
    // Below the list, where there is no room beside it.
    if (current !== null && current.offsetLeft < current.offsetWidth) current.scrollIntoView({ block: "start" });
  }, []);
  const one = { from: sequence, to: sequence, max: 1 };
  const polled = usePolled(`${path}/messages`, 0, { ...one, ...SHOWN_BODY });
  const loadBody = async (): Promise<Row | undefined> => {
    const whole = await ask(`${path}/messages`, { query: { ...one, ...WHOLE_BODY } });
    return rows(whole, "messages")[0];
  };
  const [message] = rows(polled.value.value, "messages");
  return (
    <section ref={element} class="card opened" aria-label={`Message ${sequence}`}>
      <header>
        <h2>Message {count(sequence)}</h2>
        <button type="button" class="button plain icon small" aria-label="Close the message" onClick={close}>
          <Icon name="close" size={14} />
        </button>
      </header>
      <div class="body stack">
        <Picked path={path} name={name} picked={[sequence]} done={done} />
        <Failure text={polled.failure.value} />
        {message === undefined && polled.value.value !== undefined && <p class="empty">It is not there any more</p>}
        {polled.value.value === undefined && polled.failure.value === "" && <Loading />}
        {message !== undefined && <MessageView message={message} load={loadBody} />}
      </div>
    </section>
  );
}
