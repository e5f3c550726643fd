import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, signInAs, useConsole } from "../support/console-pages.ts";

describe.skipIf(BROWSER_MISSING !== "")(`signing in to the console${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("asks who it is, says why it is refused, and is remembered until one signs out", async () => {
    const { page } = await open({ signIn: false });
    await page.getByLabel("User").fill("admin");
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    await signInAs(page, "admin", "secret");
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in to Delos" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Sign in to Delos" }).waitFor();
  });

  it("is asked for again when the broker does not know the session any more", async () => {
    const { page, go } = await open();
    await page.context().clearCookies();
    await go("queues");
    await page.getByRole("heading", { name: "Sign in to Delos" }).waitFor();
  });

  it("runs and styles nothing but its own files", async () => {
    const { page, management } = await open({ signIn: false });
    const { headers, body } = await management.get("/", { as: null });
    expect(headers.get("content-security-policy")).toMatch(/default-src 'none'; script-src 'self'; style-src 'self'/);
    expect(body).not.toMatch(/<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=/);
    // Neither a script made of text nor markup made of text: there is no way to either.
    for (const way of [
      "const made = document.createElement('script'); made.textContent = text; document.body.append(made)",
      "document.body.innerHTML = '<img src=x onerror=\"' + text + '\">'",
      "document.body.setAttribute('onclick', text); document.body.click()",
    ]) {
      const title = await page.evaluate(`(() => {
        const text = "document.title = 'not this'";
        try { ${way} } catch {}
        return document.title;
      })()`);
      expect(title, way).not.toBe("not this");
    }
  });

  it("keeps files named by their content for good, and asks for the page each time", async () => {
    const { management } = await open({ signIn: false });
    const page = await management.get("/", { as: null });
    expect(page.headers.get("cache-control")).toBe("no-cache");
    const [, script = ""] = /src="(\/assets\/[^"]+)"/.exec(String(page.body)) ?? [];
    const asset = await management.get(script, { as: null });
    expect(asset.status).toBe(200);
    expect(asset.headers.get("cache-control")).toContain("immutable");
    const tag = page.headers.get("etag") ?? "";
    const again = await management.get("/", { as: null, headers: { "if-none-match": tag } });
    expect(again.status).toBe(304);
    expect((await management.get("/assets/..%2f..%2fpackage.json", { as: null })).status).toBe(404);
  });
});
