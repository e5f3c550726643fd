import { bytes } from "../format.ts";
import { csrf, Problem, problemOf, reach, send, wasGivenUp } from "./request.ts";

/** Bytes that are put together at a time: what is complete a browser may keep on its disk. */
const PIECE_BYTES = 16 * 1024 * 1024;

/** What came so far, and what is to come in all; undefined if that is not known. */
export type Progress = (received: number, total: number | undefined) => void;

/** A file that the broker makes for us. */
export interface Download {
  readonly name: string;
  readonly content: Blob;
}

/** Asks for a file, and takes it in piece by piece. Throws `Problem`. */
export async function download(path: string, progress: Progress, signal: AbortSignal): Promise<Download> {
  const response = await send(path, {
    method: "POST",
    headers: { "x-csrf-token": csrf.value, authprompt: "false" },
    signal,
  });
  if (response.status === 401) reach.value = "signed-out";
  if (!response.ok || response.body === null) throw await problemOf(response);
  const total = Number(response.headers.get("content-length")) || undefined;
  const pieces: Blob[] = [];
  let loose: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  let waiting = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      if (wasGivenUp(error)) throw error;
      throw new Problem(0, "cut", `The connection was lost after ${bytes(received)}`);
    });
    if (done) break;
    loose.push(value);
    received += value.length;
    waiting += value.length;
    progress(received, total);
    if (waiting < PIECE_BYTES) continue;
    pieces.push(new Blob(loose));
    loose = [];
    waiting = 0;
  }
  if (total !== undefined && received !== total) {
    throw new Problem(0, "cut", `Only ${bytes(received)} of ${bytes(total)} came`);
  }
  const [, name = "download"] = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "") ?? [];
  return { name, content: new Blob([...pieces, ...loose]) };
}
