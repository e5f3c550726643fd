import type { Band } from "./band.ts";
import type { Departures } from "./departures.ts";
import { type Entry, NOWHERE } from "./entry.ts";
import type { Message, PropertyValue } from "../message.ts";
import { type Reader, readerOf } from "../selector/property.ts";

/** Of which message of a queue each value of one property is the newest. */
export class LastValues {
  private readonly departures: Departures;
  private readonly read: Reader;
  private readonly newest = new Map<PropertyValue, Entry>();
  private readonly values = new Map<Entry, PropertyValue>();

  /** Read back, though a newer message of their value is there. */
  private readonly outdatedRead: Entry[] = [];
  /** Bands of which not everything was read. */
  private readonly unread = new Set<Band>();

  /** `key` is the property's name, as in selectors. */
  constructor(departures: Departures, key: string) {
    this.departures = departures;
    this.read = readerOf(key);
  }

  /** What a new message would replace; nothing if a consumer has that. */
  older(message: Message): Entry | undefined {
    const value = this.read(message) ?? undefined;
    const older = value === undefined ? undefined : this.newest.get(value);
    return older?.holder?.subscription === undefined ? older : undefined;
  }

  /** Notes a new message; returns the one it replaces, unless a consumer has that. */
  replaced(entry: Entry, message: Message): Entry | undefined {
    const value = this.read(message) ?? undefined;
    if (value === undefined) return undefined;
    const older = this.newest.get(value);
    this.newest.set(value, entry);
    this.values.set(entry, value);
    return older?.holder?.subscription === undefined ? older : undefined;
  }

  /** Notes a message that was read back, in whatever order; returns the older one, if there are two of its value. */
  note(entry: Entry, message: Message): Entry | undefined {
    const value = this.read(message) ?? undefined;
    if (value === undefined || this.values.has(entry)) return undefined;
    this.values.set(entry, value);
    const known = this.newest.get(value);
    if (known !== undefined && known.sequence > entry.sequence) return entry;
    this.newest.set(value, entry);
    return known;
  }

  /** Reads what a band has in the store: all of it has to be known. */
  readAll(band: Band): void {
    // What is read back at once says so while it is being asked for.
    this.unread.delete(band);
    if (!band.backlog.loadAll()) this.unread.add(band);
  }

  /** A message was read back from the store. */
  readBack(entry: Entry, message: Message): void {
    const older = this.note(entry, message);
    if (older !== undefined) this.outdatedRead.push(older);
  }

  /** A part of what is in the store was read back. */
  loaded(): void {
    // Not while they were being read: the list was being changed then.
    for (const older of this.outdatedRead.splice(0)) {
      if (older.holder?.subscription === undefined && older.next !== NOWHERE) this.departures.replace(older);
    }
    if (this.unread.size > 0) for (const band of Array.from(this.unread)) this.readAll(band);
  }

  /** True when a newer message has come for its value. */
  outdated(entry: Entry): boolean {
    const value = this.values.get(entry);
    return value !== undefined && this.newest.get(value) !== entry;
  }

  /** The entry has left the queue. */
  forget(entry: Entry): void {
    const value = this.values.get(entry);
    if (value === undefined) return;
    this.values.delete(entry);
    if (this.newest.get(value) === entry) this.newest.delete(value);
  }

  clear(): void {
    this.newest.clear();
    this.values.clear();
  }
}
