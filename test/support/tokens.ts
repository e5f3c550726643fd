import { createHmac } from "node:crypto";

export const JWT_SECRET = "0123456789abcdef0123456789abcdef";

/** A JSON Web Token with these claims, signed by the secret. */
export function hmacToken(claims: object): string {
  const signed = `${encoded({ alg: "HS256", typ: "JWT" })}.${encoded(claims)}`;
  return `${signed}.${createHmac("sha256", JWT_SECRET).update(signed).digest("base64url")}`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
