import { describe, expect, it } from "vitest";
import { stored } from "./fake-core.ts";

describe("the content of a STOMP message", () => {
  it("has its own fields and everything else as properties", () => {
    const { content } = stored(
      "message-id:m\ndestination:/queue/a\ncorrelation-id:c\\c1\nreply-to:/topic/r.s\ntype:t\ncontent-type:text/plain\n" +
        "content-encoding:gzip\nJMSXGroupID:g\nJMSXGroupSeq:7\npersistent:true\nretain:set\nfoo:a\\nb\nfoo:second\nn:1",
    );
    expect(content).toMatchObject({
      messageId: "m",
      correlationId: "c:1",
      subject: "t",
      contentType: "text/plain",
      contentEncoding: "gzip",
      groupId: "g",
      groupSequence: 7,
      userId: undefined,
    });
    expect([content.replyTo?.kind, content.replyTo?.name]).toEqual(["topic", "r.s"]);
    expect([...content.properties]).toEqual([
      ["foo", "a\nb"],
      ["n", "1"],
    ]);
  });

  it("keeps a reply-to that is no destination as a property", () => {
    const { content } = stored("message-id:m\nreply-to:/mail/box\nmessage_group:g");
    expect(content.replyTo).toBeUndefined();
    expect(content.properties.get("reply-to")).toBe("/mail/box");
    expect(content.groupId).toBe("g");
  });

  it.each([
    ["foo:bar", "text", "text"],
    ["foo:bar", "", "text"],
    ["foo:bar", Buffer.from([0xff, 0xfe]), "bytes"],
    ["content-length:4", "text", "text"],
    ["content-type:text/plain", "text", "text"],
    ["content-type:text/plain", Buffer.from([0xff]), "bytes"],
    ["content-type:application/json", "{}", "text"],
    ["content-type:application/vnd.x+json", "{}", "text"],
    ["content-type:application/x;charset=utf-8", "x", "text"],
    ["content-type:application/octet-stream", "x", "bytes"],
    ["content-type:image/png", "x", "bytes"],
    ["amq-msg-type:text\ncontent-type:image/png", "x", "text"],
    ["amq-msg-type:bytes\ncontent-type:text/plain", "x", "bytes"],
  ])("with %j and body %o is %s", (headers, body, kind) => {
    expect(stored(`message-id:m\n${headers}`, body).content.bodyKind).toBe(kind);
  });
});
