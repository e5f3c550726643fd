import type { JSX } from "preact";
import { signIn } from "../api/session.ts";
import { Form } from "../ui/form.tsx";

/** Asks who it is. */
export function SignIn(): JSX.Element {
  return (
    <main class="sign-in">
      <div class="card sign-in-card">
        <img src="/mark.svg" alt="" />
        <h1>Sign in to Delos</h1>
        <p>As a user of the broker that may monitor or administer it.</p>
        <Form
          fields={[
            { name: "user", label: "User", required: true, wide: true },
            { name: "password", label: "Password", kind: "password", wide: true },
          ]}
          action="Sign in"
          onSubmit={({ user = "", password = "" }) => signIn(user, password)}
        />
        <p class="hint">
          A broker without a configuration lets in <code>guest</code> with the password <code>guest</code>, from its own
          machine.
        </p>
      </div>
    </main>
  );
}
