import type { Accounts } from "./accounts.ts";
import {
  type Attempt,
  aside,
  evidenceOf,
  type LoginModule,
  refused,
  type Verdict,
  WRONG_PASSWORD,
  wrongPassword,
} from "./attempt.ts";

/** Users with passwords. */
export class UsersModule implements LoginModule {
  readonly accounts: () => Accounts;
  private readonly source: string;

  /** `accounts` are those of now; `place` says where they come from. */
  constructor(accounts: () => Accounts, place: string) {
    this.accounts = accounts;
    this.source = `users ${place}`;
  }

  async check(attempt: Attempt): Promise<Verdict> {
    const { user, password } = attempt;
    if (attempt.evidence !== undefined) return this.checkAgain(attempt);
    if (user === "") return aside(password === "" ? "No user name and password were given" : WRONG_PASSWORD);
    const accounts = this.accounts();
    const matches = await accounts.matches(user, password, attempt.mayTry);
    return matches ? this.verdict(user, accounts) : wrongPassword();
  }

  /** Somebody has proven in another way to know the password of a user. */
  vouch(user: string): Verdict {
    return this.verdict(user, this.accounts());
  }

  private checkAgain(attempt: Attempt): Verdict {
    const before = evidenceOf(attempt, this.source);
    if (before === undefined) return aside("No password was given");
    const { user = "" } = before.grant;
    const now = this.verdict(user, this.accounts());
    if (now.kind === "accepted" && now.evidence?.mark === before.mark) return now;
    return refused(`User ${user} may not log in any more, or has another password`);
  }

  private verdict(user: string, accounts: Accounts): Verdict {
    const account = accounts.find(user);
    if (account === undefined) return refused(WRONG_PASSWORD);
    const grant = { user, groups: account.groups };
    return { kind: "accepted", grant, evidence: { source: this.source, mark: account.mark, grant } };
  }
}
