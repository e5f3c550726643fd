import { Type } from "typebox";
import { CLOSED, choice, count, size, text } from "./field.ts";

/** Who did what. */
export const audit = Type.Object(
  {
    to: choice(
      ["log", "file", "nowhere"],
      "log",
      'Where it is written: among the lines of the log, to a file of its own, or nowhere. The last ones ("kept") can be ' +
        "had from management in any case.",
    ),
    file: text(
      "./audit.ndjson",
      'The file, where "to" says so: one line of JSON for each event. A relative path counts as that of store.directory ' +
        "does.",
    ),
    max_file_bytes: size("16m", "Bytes of the file; then it is renamed to file.1, file.1 to file.2, and so on.", 1024),
    max_files: count(10, "Files in all; the oldest one goes when there are more."),
    logins: choice(["all", "refused"], "all", "Which logins are written down."),
    kept: count(1000, "Events kept in memory: so many logins, and so many others.", 0),
    repeats_per_minute: count(
      10,
      "How often the same refusal or login is written down in a minute, of one user and address, before it is only counted.",
    ),
  },
  { ...CLOSED, description: "Who did what: logins, what was refused, what was declared, deleted, purged and changed." },
);
