import { describe, expect, it } from "vitest";
import { systemClock, systemRandom } from "../src/clock.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("the end of a turn", () => {
  it("runs all tasks in order, and those they add in the same pass", async () => {
    const done: string[] = [];
    systemClock.endOfTurn(() => {
      done.push("a");
      systemClock.endOfTurn(() => done.push("c"));
    });
    systemClock.endOfTurn(() => done.push("b"));
    expect(done).toEqual([]);
    await turn();
    expect(done).toEqual(["a", "b", "c"]);
  });

  it("lets input have its turn when tasks add tasks without end", async () => {
    let runs = 0;
    let goOn = true;
    const again = () => {
      runs++;
      if (goOn) systemClock.endOfTurn(again);
    };
    systemClock.endOfTurn(again);
    await turn();
    const first = runs;
    await turn();
    goOn = false;
    await turn();
    expect(first).toBeGreaterThan(1);
    expect(runs).toBeGreaterThan(first);
  });

  it("runs the other tasks although one has thrown", async () => {
    const done: string[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const thrown = new Promise<unknown>((resolve) => process.once("uncaughtException", resolve));
    systemClock.endOfTurn(() => {
      throw new Error("odd");
    });
    systemClock.endOfTurn(() => done.push("b"));
    expect(await thrown).toMatchObject({ message: "odd" });
    await turn();
    for (const listener of listeners) process.on("uncaughtException", listener);
    expect(done).toEqual(["b"]);
  });
});

describe("a timer", () => {
  it("fires once, also with a delay of less than nothing", async () => {
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      const keepAlive = setInterval(() => {}, 1000);
      systemClock.after(-5, () => order.push("first"));
      systemClock.after(20, () => {
        order.push("second");
        clearInterval(keepAlive);
        resolve();
      });
    });
    expect(order).toEqual(["first", "second"]);
  });

  it("does not fire when it was cancelled, or while its delay is longer than a timeout can be", async () => {
    let fired = false;
    const fire = () => {
      fired = true;
    };
    systemClock.after(1, fire).cancel();
    const long = systemClock.after(2 ** 31 + 5, fire);
    const endless = systemClock.after(Number.POSITIVE_INFINITY, fire);
    await new Promise((resolve) => setTimeout(resolve, 20));
    long.cancel();
    endless.cancel();
    expect(fired).toBe(false);
  });
});

it("a token has 32 lower-case letters and digits and does not come again", () => {
  const tokens = Array.from({ length: 1000 }, () => systemRandom.token());
  expect(new Set(tokens).size).toBe(1000);
  for (const token of tokens) expect(token).toMatch(/^[a-z2-7]{32}$/);
});
