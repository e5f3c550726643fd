import { join } from "node:path";
import { defineConfig } from "vite";

const ROOT = join(import.meta.dirname, "..");

/** Where `vite` sends what is not a file of the console while somebody works on it. */
const BROKER = "http://127.0.0.1:61680";

export default defineConfig({
  root: import.meta.dirname,
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: { proxy: { "/api": BROKER } },
  build: {
    outDir: join(ROOT, "dist/console"),
    emptyOutDir: true,
    target: "esnext",
    // Nothing inline: the content security policy of the broker lets no page run or style itself with what is in it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
