/** Why connections are refused whose protocol never had its say: what listeners count them by. */
export const REFUSALS = ["full", "limits", "proxy", "tls", "websocket", "protocol", "timeout"] as const;

/** `full`: nobody more can wait; `limits`: who is told in the words of its protocol is among them. */
export type Refusal = (typeof REFUSALS)[number];

/** Where counting begins. */
export function noneRefused(): Record<Refusal, number> {
  return { full: 0, limits: 0, proxy: 0, tls: 0, websocket: 0, protocol: 0, timeout: 0 };
}
