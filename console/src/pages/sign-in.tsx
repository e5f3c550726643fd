import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Row, text } from "../api/json.ts";
import { me, signIn } from "../api/session.ts";
import { Form } from "../ui/form.tsx";

/** Asks who it is. */
export function SignIn(): JSX.Element {
  useEffect(() => {
    document.title = "Sign in - Delos";
  }, []);
  return (
    <main class="sign-in">
      <div class="card sign-in-card">
        <img src="/mark.svg" alt="" />
        <h1>Sign in to Delos</h1>
        <p>As a user of the broker that may monitor or administer it.</p>
        <SignInForm session={undefined} />
        <p class="hint">
          A broker without a configuration lets in <code>guest</code> with the password <code>guest</code>, from its own
          machine.
        </p>
      </div>
    </main>
  );
}

/** Asks again whose session is over, before everything that waits for it. */
export function SignInAgain(): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    element.current?.querySelector<HTMLElement>("input[type=password]")?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={element}
      class="sign-in again"
      aria-labelledby="sign-in-again"
      onKeyDown={(event) => {
        if (event.key === "Escape") event.preventDefault();
      }}
      onCancel={(event) => event.preventDefault()}
      // A browser closes it at the second try all the same.
      onClose={() => element.current?.showModal()}
    >
      <div class="card sign-in-card">
        <img src="/mark.svg" alt="" />
        <h1 id="sign-in-again">Sign in to Delos</h1>
        <p role="status">
          Your session is over: nobody used it for a while, or it was ended elsewhere. What you were doing is still here
          when you sign in again.
        </p>
        <SignInForm session={me.peek() ?? undefined} />
      </div>
    </dialog>
  );
}

function SignInForm({ session }: { readonly session: Row | undefined }): JSX.Element {
  const user = text(session, "user");
  return (
    <Form
      fields={[
        { name: "user", label: "User", value: user, required: true, wide: true, autocomplete: "username" },
        { name: "password", label: "Password", kind: "password", wide: true, autocomplete: "current-password" },
        {
          name: "host",
          label: "Virtual host",
          value: text(session, "host"),
          placeholder: "none",
          hint: "Only for users of a virtual host that has users of its own",
          wide: true,
        },
      ]}
      action="Sign in"
      onSubmit={({ user: given = "", password = "", host = "" }) => signIn(given, password, host.trim())}
    />
  );
}
