/*
 * Login modules in a stack, with the flags of JAAS (javax.security.auth.login.Configuration):
 *
 *     required     must let in; the others are asked all the same
 *     requisite    must let in; when it refuses, no other is asked
 *     sufficient   need not let in; when it does, and nothing required has refused, no other is asked
 *     optional     need not let in
 *
 * Whoever no required and no requisite module refuses is let in, if at least one module lets in. A module that passes
 * counts for nothing, as one in JAAS whose login() is false.
 */
import type { ModuleSettings } from "../config/security-schema.ts";
import type { Attempt, LoginModule, Subject, Verdict } from "./attempt.ts";

/** A module at its place. */
export interface Placed {
  readonly control: ModuleSettings["control"];
  readonly module: LoginModule;
}

/** What the whole stack says. */
export type Decision =
  /** `guess`: a password was wrong, and nothing that was let in for had one. */
  | { readonly accepted: true; readonly subject: Subject; readonly guess: boolean }
  /** `trouble`: a module that may have let in could not find out, and why. */
  | { readonly accepted: false; readonly text: string; readonly trouble: string | undefined };

const NOBODY_SAYS = "None of the login modules lets anybody in who shows this (security.modules)";

/** Asks the modules. Throws BrokerError("throttled") when one has no time. */
export async function decide(stack: readonly Placed[], attempt: Attempt): Promise<Decision> {
  const asked: { readonly module: LoginModule; readonly verdict: Verdict }[] = [];
  let blocked: string | undefined;
  for (const { control, module } of stack) {
    const answer = module.check(attempt);
    const verdict = answer instanceof Promise ? await answer : answer;
    asked.push({ module, verdict });
    if (verdict.kind === "refused" && (control === "required" || control === "requisite")) {
      blocked ??= verdict.text;
      if (control === "requisite") break;
    }
    if (verdict.kind === "accepted" && control === "sufficient" && blocked === undefined) break;
  }
  if (blocked !== undefined || !asked.some(({ verdict }) => verdict.kind === "accepted")) {
    return refusalOf(
      asked.map(({ verdict }) => verdict),
      blocked,
    );
  }
  const subject = subjectOf(asked, attempt);
  const guess =
    subject.evidence.length === 0 && asked.some(({ verdict }) => verdict.kind === "refused" && verdict.guess);
  return { accepted: true, subject, guess };
}

/** In the words of who looked at something, if anybody did: no certificate is no news to who mistyped a password. */
function refusalOf(verdicts: readonly Verdict[], blocked: string | undefined): Decision {
  const refusals = verdicts.flatMap((verdict) => (verdict.kind === "refused" ? [verdict] : []));
  const troubled = refusals.find((refusal) => refusal.trouble !== undefined);
  const reason = troubled ?? refusals.find((refusal) => refusal.aside !== true) ?? refusals.at(-1);
  const text = troubled?.text ?? blocked ?? reason?.text ?? NOBODY_SAYS;
  return { accepted: false, text, trouble: troubled?.trouble };
}

function subjectOf(
  asked: readonly { readonly module: LoginModule; readonly verdict: Verdict }[],
  attempt: Attempt,
): Subject {
  const subject: Subject = { user: undefined, groups: new Set(), principals: [], expiresAt: undefined, evidence: [] };
  const grants = asked.flatMap(({ verdict }) => (verdict.kind === "accepted" ? [verdict] : []));
  const firm = grants.filter(({ grant }) => grant.fallback !== true);
  const users = (firm.length > 0 ? firm : grants).flatMap(({ grant }) => grant.user ?? []);
  // A client that comes with a certificate and names a user is that user.
  subject.user = users.find((user) => user === attempt.user) ?? users[0];
  for (const { verdict } of asked) {
    if (verdict.kind === "passed") subject.principals.push(...(verdict.principals ?? []));
  }
  for (const { grant, evidence } of firm.length > 0 ? firm : grants) {
    for (const group of grant.groups ?? []) subject.groups.add(group);
    subject.principals.push(...(grant.principals ?? []));
    if (grant.expiresAt !== undefined) {
      subject.expiresAt = Math.min(subject.expiresAt ?? Number.POSITIVE_INFINITY, grant.expiresAt);
    }
    if (evidence !== undefined) subject.evidence.push(evidence);
  }
  for (const { module, verdict } of asked) if (verdict.kind !== "refused") module.complete?.(subject);
  return subject;
}
