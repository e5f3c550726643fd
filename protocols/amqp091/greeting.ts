import type { Credentials } from "../../core/access.ts";
