import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type GroupMember, MessageGroups } from "../../core/queue/message-groups.ts";
import type { Message } from "../../core/message.ts";
import { groupMessage, type Held, Member, type Patience, QueueOfGroups } from "../support/group-queue.ts";

interface Setting {
  readonly maxGroups?: number;
  readonly rebalance?: boolean;
}

/** Groups with some members that want everything, and a count of the times everybody had to look again. */
function groupsOf(names: readonly string[], { maxGroups = 100_000, rebalance = true }: Setting = {}) {
  const counts = { moved: 0 };
  const groups = new MessageGroups<Member, Held>({ maxGroups, rebalance, moved: () => counts.moved++ });
  const members = names.map((name) => new Member(name));
  for (const member of members) groups.join(member);
  return { groups, members, counts };
}

function letters(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `member-${i}`);
}

function owners(groups: MessageGroups<Member, Held>, count: number): (Member | "draining" | undefined)[] {
  return Array.from({ length: count }, (_, i) => groups.owner(groupMessage(`group-${i}`)));
}

/** A group that this member has. */
function groupOf(groups: MessageGroups<Member, Held>, member: Member): string {
  for (let i = 0; i < 10_000; i++) if (groups.owner(groupMessage(`group-${i}`)) === member) return `group-${i}`;
  throw new Error(`${member.name} has no group`);
}

function last(id: string): Message {
  return groupMessage(id, "red", -1);
}

/** Joins newcomers until one takes this group, and returns it. */
function takeover(groups: MessageGroups<Member, Held>, id: string): Member {
  for (let i = 0; i < 1000; i++) {
    const before = groups.owner(groupMessage(id));
    const newcomer = new Member(`newcomer-${i}`);
    groups.join(newcomer);
    if (groups.owner(groupMessage(id)) !== before) return newcomer;
  }
  throw new Error(`nobody took ${id}`);
}

describe("who has a message group", () => {
  it("is nobody while there is nobody", () => {
    const { groups } = groupsOf([]);
    expect(groups.owner(groupMessage("a"))).toBeUndefined();
    expect(groups.count).toBe(0);
  });

  it("is the same member for all of its messages", () => {
    const { groups } = groupsOf(letters(10));
    const first = owners(groups, 500);
    expect(owners(groups, 500)).toEqual(first);
    expect(groups.count).toBe(500);
  });

  it("is the same again in another broker where the same joined", () => {
    const [one, other] = [1, 2].map(() => {
      const all = owners(groupsOf(letters(10)).groups, 500);
      return all.map((owner) => (owner instanceof Member ? owner.name : owner));
    });
    expect(one).toEqual(other);
  });

  it("is each of the members for about its share of the groups", () => {
    const { groups, members } = groupsOf(letters(10));
    const all = owners(groups, 10_000);
    for (const member of members) {
      const share = all.filter((owner) => owner === member).length;
      expect(share, member.name).toBeGreaterThan(400);
      expect(share, member.name).toBeLessThan(2200);
    }
  });

  it("is only a member that wants the message it is asked for", () => {
    const { groups } = groupsOf(["a", "b", "c"]);
    const red = new Member("red", "red");
    groups.join(red);
    for (let i = 0; i < 200; i++) expect(groups.owner(groupMessage(`group-${i}`, "blue"))).not.toBe(red);
  });

  it("is nobody, and nobody is remembered, when none wants the message", () => {
    const { groups } = groupsOf([]);
    groups.join(new Member("red", "red"));
    expect(groups.owner(groupMessage("a", "blue"))).toBeUndefined();
    expect(groups.count).toBe(0);
  });

  it("stays the one who had it first when a message of it goes to another that alone wants it", () => {
    const { groups } = groupsOf([]);
    const red = new Member("red", "red");
    const blue = new Member("blue", "blue");
    groups.join(red);
    groups.join(blue);
    expect(groups.owner(groupMessage("a", "red"))).toBe(red);
    expect(groups.owner(groupMessage("a", "blue"))).toBe(blue);
    expect(groups.owner(groupMessage("a", "red"))).toBe(red);
    expect(groups.count).toBe(1);
  });

  it("is one who wanted its first message, also for what others want that come first on the ring", () => {
    const { groups } = groupsOf([]);
    const red = new Member("red", "red");
    const all = new Member("all");
    groups.join(red);
    groups.join(all);
    for (let i = 0; i < 100; i++) {
      expect(groups.owner(groupMessage(`group-${i}`, "blue"))).toBe(all);
      expect(groups.owner(groupMessage(`group-${i}`, "red"))).toBe(all);
    }
  });

  it("is not one that is gone, even if it has not left yet", () => {
    const { groups, members } = groupsOf(letters(2));
    const [one, two] = members;
    if (one === undefined || two === undefined) throw new Error("unreachable");
    const id = groupOf(groups, one);
    one.gone = true;
    expect(groups.owner(groupMessage(id))).toBe(two);
  });
});

describe("a member that joins", () => {
  it("gets about its share of the groups, and no group goes to anybody else", () => {
    const { groups } = groupsOf(letters(9));
    const before = owners(groups, 10_000);
    const newcomer = new Member("newcomer");
    groups.join(newcomer);
    const after = owners(groups, 10_000);
    const moved = after.filter((owner, i) => owner !== before[i]);
    expect(new Set(moved)).toEqual(new Set([newcomer]));
    expect(moved.length).toBeGreaterThan(400);
    expect(moved.length).toBeLessThan(2200);
  });

  it("gets only new groups without rebalancing", () => {
    const { groups } = groupsOf(letters(3), { rebalance: false });
    const before = owners(groups, 1000);
    const newcomer = new Member("newcomer");
    groups.join(newcomer);
    expect(owners(groups, 1000)).toEqual(before);
    expect(owners(groups, 2000)).toContain(newcomer);
  });

  it("gets a group only when its owner holds nothing of it any more", () => {
    const { groups, members } = groupsOf(letters(1));
    const [old] = members;
    if (old === undefined) throw new Error("unreachable");
    const id = groupOf(groups, old);
    const held: Held[] = [{ index: 0 }, { index: 1 }];
    for (const key of held) groups.given(groupMessage(id), old, key);
    // Many, so that the group is one of those that move.
    const newcomers = letters(100).map((name) => new Member(name));
    for (const newcomer of newcomers) groups.join(newcomer);
    expect(groups.owner(groupMessage(id))).toBe("draining");
    expect(groups.settled(held[0] ?? {})).toBe(false);
    expect(groups.owner(groupMessage(id))).toBe("draining");
    expect(groups.settled(held[1] ?? {})).toBe(true);
    expect(newcomers).toContain(groups.owner(groupMessage(id)));
  });

  it("that leaves before a group came to it leaves the group where it was", () => {
    const { groups, members, counts } = groupsOf(letters(1));
    const [old] = members;
    if (old === undefined) throw new Error("unreachable");
    const id = groupOf(groups, old);
    const key = { index: 0 };
    groups.given(groupMessage(id), old, key);
    const newcomer = takeover(groups, id);
    expect(groups.owner(groupMessage(id))).toBe("draining");
    groups.leave(newcomer);
    expect(counts.moved, "its old owner passed what was draining").toBe(1);
    expect([old, "draining"]).toContain(groups.owner(groupMessage(id)));
    groups.settled(key);
    expect(groups.owner(groupMessage(id))).not.toBe(newcomer);
  });

  it("makes nobody look again: it is the only one that gains", () => {
    const { groups, counts } = groupsOf(letters(3));
    owners(groups, 1000);
    groups.join(new Member("newcomer"));
    owners(groups, 1000);
    expect(counts.moved).toBe(0);
  });

  it("makes others look again when it takes a group that its owner had kept from them", () => {
    const { groups, counts } = groupsOf([]);
    const red = new Member("red", "red");
    const all = new Member("all");
    groups.join(red);
    groups.join(all);
    const ids = Array.from({ length: 100 }, (_, i) => `group-${i}`);
    for (const id of ids) groups.owner(groupMessage(id, "blue"));
    const blue = new Member("blue", "blue");
    groups.join(blue);
    const taken = ids.filter((id) => groups.owner(groupMessage(id, "blue")) === blue);
    expect(taken.length).toBeGreaterThan(0);
    // What is red in them went to `all` before; `red` has passed it, and now has it where it comes first.
    expect(taken.map((id) => groups.owner(groupMessage(id, "red")))).toContain(red);
    expect(counts.moved).toBeGreaterThan(0);
  });
});

describe("a draining group that goes to a later newcomer than it was to", () => {
  it("makes everybody look again: what the later one does not want may be another's", () => {
    const { groups, members, counts } = groupsOf(letters(1));
    const [old] = members;
    if (old === undefined) throw new Error("unreachable");
    const ids = Array.from({ length: 300 }, (_, i) => `group-${i}`);
    for (const [index, id] of ids.entries()) {
      groups.owner(groupMessage(id));
      groups.given(groupMessage(id), old, { index });
    }
    const blue = new Member("blue", "blue");
    groups.join(blue);
    groups.join(new Member("all"));
    for (const id of ids) groups.owner(groupMessage(id, "red"));
    const before = ids.map((id) => groups.heir(groupMessage(id, "blue")));
    expect(before).not.toContain(blue);
    expect(counts.moved).toBe(0);
    groups.join(new Member("red", "red"));
    for (const id of ids) groups.owner(groupMessage(id, "red"));
    const after = ids.map((id, i) => (before[i] === undefined ? undefined : groups.heir(groupMessage(id, "blue"))));
    expect(after).toContain(blue);
    expect(counts.moved).toBeGreaterThan(0);
  });
});

describe("a member that leaves", () => {
  it("leaves its groups to the others, and no other group moves", () => {
    const { groups, members } = groupsOf(letters(10));
    const [leaver] = members;
    if (leaver === undefined) throw new Error("unreachable");
    const before = owners(groups, 5000);
    groups.leave(leaver);
    const after = owners(groups, 5000);
    expect(after).not.toContain(leaver);
    for (const [i, owner] of before.entries()) if (owner !== leaver) expect(after[i]).toBe(owner);
    const heirs = new Set(after.filter((_, i) => before[i] === leaver));
    expect(heirs.size, "shared among several").toBeGreaterThan(2);
  });

  it("makes everybody look again, once", () => {
    const { groups, members, counts } = groupsOf(letters(4));
    owners(groups, 100);
    const [one, two] = members;
    if (one === undefined || two === undefined) throw new Error("unreachable");
    groups.leave(one);
    groups.leave(two);
    expect(counts.moved, "nobody was answered in between").toBe(1);
    owners(groups, 100);
    expect(counts.moved).toBe(1);
  });

  it("makes nobody look again if no answer depended on it", () => {
    const { groups, counts } = groupsOf(letters(2));
    const red = new Member("red", "red");
    groups.join(red);
    for (let i = 0; i < 100; i++) groups.owner(groupMessage(`group-${i}`, "blue"));
    groups.leave(red);
    expect(counts.moved).toBe(0);
  });

  it("as the last one leaves nothing to remember", () => {
    const { groups, members, counts } = groupsOf(letters(1));
    owners(groups, 100);
    for (const member of members) groups.leave(member);
    expect(groups.count).toBe(0);
    expect(groups.members).toBe(0);
    expect(counts.moved).toBe(0);
  });
});

describe("the first message of a group", () => {
  it("is told from the later ones", () => {
    const { groups, members } = groupsOf(letters(1));
    const [only] = members;
    if (only === undefined) throw new Error("unreachable");
    const give = (id: string): boolean => {
      expect(groups.owner(groupMessage(id))).toBe(only);
      return groups.given(groupMessage(id), only, undefined);
    };
    expect([give("a"), give("a"), give("b"), give("a")]).toEqual([true, false, true, false]);
  });

  it("is told again to the next member that has the group", () => {
    const { groups, members } = groupsOf(letters(2));
    const [one, two] = members;
    if (one === undefined || two === undefined) throw new Error("unreachable");
    const id = groupOf(groups, one);
    expect(groups.given(groupMessage(id), one, undefined)).toBe(true);
    groups.leave(one);
    expect(groups.owner(groupMessage(id))).toBe(two);
    expect(groups.given(groupMessage(id), two, undefined)).toBe(true);
    expect(groups.given(groupMessage(id), two, undefined)).toBe(false);
  });

  it("is not one that goes to another because the group's owner does not want it", () => {
    const { groups } = groupsOf([]);
    const red = new Member("red", "red");
    const blue = new Member("blue", "blue");
    groups.join(red);
    groups.join(blue);
    groups.owner(groupMessage("a", "red"));
    expect(groups.given(groupMessage("a", "red"), red, undefined)).toBe(true);
    expect(groups.given(groupMessage("a", "blue"), blue, undefined)).toBe(false);
  });
});

describe("a group that was closed", () => {
  it("is forgotten at once when nothing of it is held", () => {
    const { groups, members } = groupsOf(letters(1));
    const [only] = members;
    if (only === undefined) throw new Error("unreachable");
    groups.owner(last("a"));
    groups.given(last("a"), only, undefined);
    expect(groups.count).toBe(0);
    groups.owner(groupMessage("a"));
    expect(groups.given(groupMessage("a"), only, undefined)).toBe(true);
  });

  it("is forgotten when the last that is held of it is settled", () => {
    const { groups, members } = groupsOf(letters(1));
    const [only] = members;
    if (only === undefined) throw new Error("unreachable");
    const key = { index: 0 };
    groups.owner(last("a"));
    groups.given(last("a"), only, key);
    expect(groups.count).toBe(1);
    expect(groups.settled(key)).toBe(false);
    expect(groups.count).toBe(0);
  });

  it("begins anew at the same member while that one still holds some of it", () => {
    const { groups, members } = groupsOf(letters(1));
    const [only] = members;
    if (only === undefined) throw new Error("unreachable");
    groups.owner(last("a"));
    groups.given(last("a"), only, { index: 0 });
    expect(groups.owner(groupMessage("a"))).toBe(only);
    expect(groups.given(groupMessage("a"), only, { index: 1 })).toBe(true);
    expect(groups.given(groupMessage("a"), only, { index: 2 })).toBe(false);
  });

  it("goes to another only when nothing of it is held, and everybody is told", () => {
    for (const holds of [true, false]) {
      const { groups, members, counts } = groupsOf(letters(1), { rebalance: false });
      const [old] = members;
      if (old === undefined) throw new Error("unreachable");
      groups.owner(groupMessage("a"));
      for (const name of letters(100)) groups.join(new Member(name));
      expect(groups.owner(last("a"))).toBe(old);
      const key = { index: 0 };
      groups.given(last("a"), old, holds ? key : undefined);
      if (holds) {
        expect(groups.owner(groupMessage("a"))).toBe("draining");
        expect(groups.heir(groupMessage("a"))).toBeInstanceOf(Member);
        expect(groups.settled(key)).toBe(true);
      }
      expect(groups.owner(groupMessage("a"))).not.toBe(old);
      expect(counts.moved).toBe(1);
    }
  });
});

describe("a group that was closed and goes to one who has passed messages of it", () => {
  it("makes everybody look again, though its owner was the first for it", () => {
    const { groups, counts } = groupsOf([]);
    const red = new Member("red", "red");
    const all = new Member("all");
    groups.join(red);
    groups.join(all);
    const id = groupOf(groups, red);
    const key = { index: 0 };
    groups.given(last(id), red, key);
    expect(groups.owner(groupMessage(id, "blue"))).toBe("draining");
    expect(groups.heir(groupMessage(id, "red"))).toBe(all);
    expect(counts.moved).toBe(1);
    expect(groups.settled(key)).toBe(true);
    expect(groups.owner(groupMessage(id, "red"))).toBe(all);
  });
});

describe("more groups than may be remembered", () => {
  it("are not remembered", () => {
    const { groups, counts } = groupsOf(letters(5), { maxGroups: 100 });
    const first = owners(groups, 1000);
    expect(groups.count).toBe(100);
    expect(owners(groups, 1000), "where the ring has them").toEqual(first);
    expect(counts.moved, "they were there before").toBe(0);
  });

  it("push out those that were not asked for lately", () => {
    const { groups, members } = groupsOf(letters(1), { maxGroups: 64 });
    const [only] = members;
    if (only === undefined) throw new Error("unreachable");
    groups.owner(groupMessage("often"));
    groups.given(groupMessage("often"), only, undefined);
    for (let i = 0; i < 1000; i++) {
      groups.owner(groupMessage(`group-${i}`));
      groups.owner(groupMessage("often"));
      expect(groups.given(groupMessage("often"), only, undefined), `after ${i} others`).toBe(false);
    }
  });

  it("never push out one that holds something", () => {
    const { groups, members } = groupsOf(letters(1), { maxGroups: 10 });
    const [old] = members;
    if (old === undefined) throw new Error("unreachable");
    const keys = Array.from({ length: 30 }, (_, index) => ({ index }));
    for (const key of keys) {
      const message = groupMessage(`held-${key.index}`);
      expect(groups.owner(message)).toBe(old);
      groups.given(message, old, key);
    }
    owners(groups, 1000);
    expect(groups.count, "beyond the limit, for as long as they hold something").toBe(30);
    for (const name of letters(200)) groups.join(new Member(name));
    for (const key of keys) expect(groups.owner(groupMessage(`held-${key.index}`))).toBe("draining");
    for (const key of keys) expect(groups.settled(key)).toBe(true);
    owners(groups, 1000);
    expect(groups.count).toBeLessThanOrEqual(30);
  });

  it("make everybody look again, now and then, when they push out such as the ring has elsewhere", () => {
    const { groups, members, counts } = groupsOf(letters(1), { maxGroups: 50, rebalance: false });
    const [old] = members;
    if (old === undefined) throw new Error("unreachable");
    owners(groups, 50);
    for (const name of letters(200)) groups.join(new Member(name));
    owners(groups, 50);
    const ask = (): void => {
      for (let i = 0; i < 500; i++) groups.owner(groupMessage(`fresh-${i}`));
    };
    ask();
    expect(counts.moved, "or those who look again would never be through").toBe(0);
    for (let i = 0; i < 50; i++) groups.given(groupMessage(`fresh-${i}`), old, undefined);
    ask();
    expect(counts.moved).toBe(1);
    expect(groups.owner(groupMessage("group-0"))).not.toBe(old);
  });
});

const colour = fc.constantFrom("red", "blue");
const joining = fc.record({
  do: fc.constant("join"),
  wants: fc.constantFrom(undefined, "red", "blue"),
  settles: fc.boolean(),
});
const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("publish"), group: fc.nat(5), colour, closes: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("look"), member: fc.nat(9), credit: fc.nat(4) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("settle"), member: fc.nat(9), count: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("putBack"), member: fc.nat(9) }) },
  { weight: 2, arbitrary: joining },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave"), member: fc.nat(9), early: fc.boolean() }) },
);

/** `byGroup`: a selector takes all of a group or nothing, so that no message goes past the owner of its group. */
function runQueues(byGroup: boolean): void {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      fc.constantFrom<Patience>("nobody waits", "everybody waits", "the heir waits"),
      fc.array(joining, { maxLength: 4 }),
      fc.array(command, { minLength: 5, maxLength: 80, size: "max" }),
      (maxGroups, rebalance, patience, early, commands) => {
        const queue = new QueueOfGroups({ maxGroups, rebalance, exclusive: byGroup, patience });
        for (const next of [...early, ...commands]) {
          if ("group" in next) {
            const shade = byGroup ? (["red", "blue"][next.group % 2] ?? "red") : next.colour;
            queue.publish(`group-${next.group}`, shade, next.closes && next.group < 2 ? -1 : 1);
          } else if ("wants" in next) queue.join(next.wants, next.settles);
          else if ("credit" in next) queue.look(next.member, next.credit);
          else if ("count" in next) queue.settle(next.member, next.count);
          else if ("early" in next) queue.leave(next.member, next.early);
          else queue.putBack(next.member);
        }
        expect(queue.finish(), "messages that somebody wants and nobody was given").toEqual([]);
      },
    ),
    { numRuns: 3000 },
  );
}

describe("members that go along a queue each by itself", () => {
  it("leave no message behind, and only one at a time holds messages of a group", () => runQueues(true));

  it("leave no message behind when their selectors divide groups", () => runQueues(false));
});

describe("whatever members come and go", () => {
  const step = fc.oneof(fc.constant("join" as const), fc.nat(20));

  it("a join moves groups to the newcomer alone, a leave those of the leaver alone, and nothing else moves any", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const { groups } = groupsOf([]);
        const present: Member[] = [];
        let before = owners(groups, 60);
        for (const next of steps) {
          const concerned = next === "join" ? new Member("newcomer") : present[next % Math.max(present.length, 1)];
          if (concerned === undefined) continue;
          if (next === "join") {
            groups.join(concerned);
            present.push(concerned);
          } else {
            groups.leave(concerned);
            present.splice(present.indexOf(concerned), 1);
          }
          const after = owners(groups, 60);
          for (const [i, owner] of after.entries()) {
            if (owner === before[i] || before[i] === undefined) continue;
            expect(next === "join" ? owner : before[i]).toBe(concerned);
          }
          expect(owners(groups, 60)).toEqual(after);
          before = after;
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("very many members", () => {
  it("may join one by one while groups are asked for", () => {
    let asked = 0;
    const groups = new MessageGroups<GroupMember, Held>({ maxGroups: 100, rebalance: true, moved: () => {} });
    for (let i = 0; i < 1000; i++) {
      groups.join({ gone: false, wants: () => ++asked > 0 });
      groups.owner(groupMessage(`group-${i % 50}`));
    }
    expect(groups.members).toBe(1000);
    expect(asked, "a member is not asked for each of its points").toBeLessThan(5000);
  });
});
