import { rows, texts } from "./json.ts";
import { ask } from "./request.ts";

/** The groups of a user; none of one that the broker itself does not know, for whom somebody else vouches. */
export async function groupsOf(user: string): Promise<readonly string[]> {
  if (user === "") return [];
  const found = await ask("/users", { query: { q: `name = '${user.replaceAll("'", "''")}'`, f: "groups" } });
  return rows(found, "items").flatMap((row) => texts(row, "groups"));
}
