import { count } from "../format.ts";
import { Problem, reasonOf } from "./request.ts";

/** How many are done something to at a time. */
const TOGETHER = 4;

/** Does something to each of them; one that fails keeps the others from nothing. What is not there any more is done with. */
export async function doToEach(names: readonly string[], work: (name: string) => Promise<unknown>): Promise<void> {
  const failures: string[] = [];
  const rest = names.values();
  const some = async (): Promise<void> => {
    for (const name of rest) {
      try {
        await work(name);
      } catch (error) {
        if (!(error instanceof Problem && error.status === 404)) failures.push(reasonOf(error));
      }
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, some));
  const [first] = failures;
  if (first === undefined) return;
  if (names.length === 1) throw new Error(first);
  const done = count(names.length - failures.length);
  throw new Error(`${done} of ${count(names.length)} are done. ${[...new Set(failures)].slice(0, 3).join("; ")}`);
}
