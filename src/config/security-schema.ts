import { Type } from "typebox";
import { CLOSED, choice, count, duration, flag, names, text } from "./field.ts";

const user = Type.Object(
  {
    password_hash: Type.Optional(
      Type.String({
        writeOnly: true,
        pattern: "^scrypt\\$",
        description: 'The hash of the password, as "delos hash-password" prints it.',
      }),
    ),
    scram_sha_256: Type.Optional(
      Type.String({
        writeOnly: true,
        pattern: "^\\d+\\$",
        description:
          'The keys of the password for logins by SCRAM-SHA-256, as "delos hash-password --scram" prints them. ' +
          "Who is to log in both ways has a password_hash too.",
      }),
    ),
    password: Type.Optional(
      Type.String({
        writeOnly: true,
        minLength: 1,
        description:
          "The password itself, for all ways to log in, for tests only: who reads the configuration knows it.",
      }),
    ),
    groups: names("The groups this user is in."),
    enabled: flag(true, "Whether this user may log in."),
  },
  { ...CLOSED, description: "A user: a password_hash, scram_sha_256 or both, or a password; and groups." },
);

const users = Type.Record(Type.String(), user, { default: {}, description: "Who may log in, by name." });

const guest = Type.Object(
  {
    enabled: flag(true, "Whether a client may log in with these credentials, or with none at all."),
    name: text("guest", "The name a guest logs in with and is called by."),
    password: Type.String({ default: "guest", writeOnly: true, description: "The password a guest logs in with." }),
    loopback_only: flag(true, "Whether guests must come from this machine (127.0.0.0/8 or ::1)."),
  },
  { ...CLOSED, description: "Access for whoever has no account, where there are no modules." },
);

function file(description: string) {
  return Type.String({ default: "", description: `${description} It is read again when it changes.` });
}

const usersModule = Type.Object(
  {
    file: file(
      "The file of the users: YAML like the section users, or name=password lines if it ends in .properties, as Apollo has " +
        "them. Empty: the section users beside these modules.",
    ),
  },
  { ...CLOSED, description: "Users with passwords." },
);

const groupsModule = Type.Object(
  {
    file: file("The file of the groups, as Apollo has it: lines group=one|another."),
    match: choice(
      ["user", "certificate", "address"],
      "user",
      "What the file lists: users, distinguished names of certificates, or addresses.",
    ),
    separator: text("|", "What stands between two of them."),
  },
  { ...CLOSED, description: "Groups of whoever another module has let in. Lets in or refuses nobody." },
);

const certificateModule = Type.Object(
  {
    user: choice(
      ["common_name", "dn", "email", "dns", "uri", "none"],
      "common_name",
      "What of a certificate is the name of its user: of the subject, or the first alternative name of a kind.",
    ),
    allow: names(
      "Distinguished names that are let in, as RFC 4514 writes them, or patterns of them: CN=pump-*,O=Example. None: all " +
        "that tls.ca has signed.",
    ),
    file: file(
      "A file of those that are let in, YAML: distinguished names or patterns, each with its user, or with nothing for the " +
        'one that "user" says.',
    ),
  },
  { ...CLOSED, description: "Certificates that clients show over TLS." },
);

const sourceAddressModule = Type.Object(
  {
    allow: names("Addresses and networks that may log in: 10.0.0.0/8, 192.0.2.7, 2001:db8::/32. None: all."),
    deny: names("Addresses and networks that may not."),
    allow_file: file("A file of such that may, one on a line, as Apollo's white_list_file."),
    deny_file: file("A file of such that may not, as Apollo's black_list_file."),
  },
  { ...CLOSED, description: "Where clients come from. Refuses, or leaves it to the other modules." },
);

const guestModule = Type.Object(
  {
    user: text("guest", "What a guest is called."),
    groups: names("The groups a guest is in."),
    loopback_only: flag(true, "Whether guests must come from this machine (127.0.0.0/8 or ::1)."),
  },
  { ...CLOSED, description: "Whoever shows nothing at all: no user name, no password, no certificate." },
);

const jwtModule = Type.Object(
  {
    jwks_url: Type.String({ default: "", description: "Where the keys are that sign tokens: a JSON Web Key Set." }),
    jwks_file: file("The same as a file."),
    key_file: file("One public key or certificate in PEM."),
    secret: Type.String({
      default: "",
      writeOnly: true,
      description: "A secret of 32 bytes or more, for tokens signed by HS256, HS384 or HS512.",
    }),
    issuer: Type.String({
      default: "",
      description: "Who must have issued a token (iss). Empty: anybody with the key.",
    }),
    audience: names("For whom a token must be (aud), one of these. None: for anybody."),
    user_claim: text("sub", "The claim that is the name of the user; dots lead into it."),
    groups_claim: text(
      "groups",
      "The claim that has the groups: a list, or text with blanks between; dots lead into it, as in realm_access.roles.",
    ),
    clock_tolerance: duration("30s", "How far the issuer's clock may be wrong."),
    max_lifetime: duration("1d", "The longest time that a login by a token lasts, whatever the token says.", 1000),
  },
  { ...CLOSED, description: "JSON Web Tokens as passwords, with their user as user name or none." },
);

const ldapModule = Type.Object(
  {
    url: Type.String({
      default: "",
      description: 'Where the directory is: "ldap://host:389" or "ldaps://host:636".',
    }),
    start_tls: flag(false, "Whether to begin TLS on a connection of ldap://."),
    ca: file("The certificates to trust there, in PEM. Empty: those that Node trusts."),
    bind_dn: Type.String({ default: "", description: "Who looks for users. Empty: nobody in particular." }),
    bind_password: Type.String({ default: "", writeOnly: true, description: "With which password." }),
    user_dn: Type.String({
      default: "",
      description:
        "The name of a user in the directory, if it need not be looked for: uid={user},ou=people,dc=example.",
    }),
    user_base: Type.String({ default: "", description: "Below what users are looked for." }),
    user_filter: text("(uid={user})", "How they are found."),
    group_base: Type.String({ default: "", description: "Below what groups are looked for. Empty: there are none." }),
    group_filter: text("(member={dn})", "How those of a user are found: {dn} or {user} stands for the user."),
    group_attribute: text("cn", "What of a group is its name."),
    timeout: duration("5s", "How long the directory may take to answer.", 100),
  },
  { ...CLOSED, description: "Users and groups of an LDAP directory." },
);

const module = Type.Object(
  {
    control: Type.Unsafe<"required" | "requisite" | "sufficient" | "optional">({
      type: "string",
      enum: ["required", "requisite", "sufficient", "optional"],
      description:
        "As in JAAS. required: must let the client in. requisite: the same, and when it does not, no other is asked. " +
        "sufficient: when it lets the client in, no other is asked. optional: counts when no required or requisite one does.",
    }),
    users: Type.Optional(usersModule),
    groups: Type.Optional(groupsModule),
    certificate: Type.Optional(certificateModule),
    source_address: Type.Optional(sourceAddressModule),
    guest: Type.Optional(guestModule),
    jwt: Type.Optional(jwtModule),
    ldap: Type.Optional(ldapModule),
  },
  { ...CLOSED, description: "A login module: control, and one of the others." },
);

const modules = Type.Array(module, {
  default: [],
  description: "Login modules, asked in this order. None: the guest, then the users, each sufficient.",
});

const attempts = Type.Object(
  {
    free: count(10, "Failures until the next try has to wait."),
    delay: duration("1s", "How long it has to wait then; twice as long after each further failure."),
    max_delay: duration("1m", "The longest wait."),
    forget_after: duration("10m", "After how long without a failure they are forgotten.", 1000),
    max_tracked: count(10_000, "Addresses and users that are watched at a time, each."),
  },
  {
    ...CLOSED,
    description:
      "Failed logins, counted by address and by user; a delay of 0 lets everybody try. Who logged in from an address " +
      "before is not held up there by the failures of others.",
  },
);

const realm = { users, guest, modules };

/** Who may log in. */
export const security = Type.Object(
  {
    enabled: flag(true, "Whether anybody is asked who they are; false lets everybody in, as nobody in particular."),
    ...realm,
    attempts,
    allow_open: flag(
      false,
      "Whether the broker may start though it lets in whoever comes from other machines, without a password.",
    ),
  },
  { ...CLOSED, description: "Who may log in." },
);

/** The same of one virtual host. */
export const hostSecurity = Type.Object(
  {
    enabled: flag(true, "Whether anybody is asked who they are; false lets everybody in, as nobody in particular."),
    ...realm,
  },
  {
    ...CLOSED,
    description:
      "Who may log in to this virtual host, in place of the section security. Adding or removing it needs a restart.",
  },
);

/** Who may log in to the broker, or to one virtual host. */
export type RealmSettings = Omit<Type.Static<typeof security>, "attempts" | "allow_open">;

/** One module with its control. */
export type ModuleSettings = Type.Static<typeof module>;

/** A user as in the configuration or a file of users. */
export type UserSettings = Type.Static<typeof user>;

/** The schema of a user. */
export const UserSchema = user;

/** What each kind of module can be set. */
export type GroupsSettings = Type.Static<typeof groupsModule>;
export type CertificateSettings = Type.Static<typeof certificateModule>;
export type SourceAddressSettings = Type.Static<typeof sourceAddressModule>;
export type GuestSettings = Type.Static<typeof guestModule>;
export type JwtSettings = Type.Static<typeof jwtModule>;
export type LdapSettings = Type.Static<typeof ldapModule>;
export type AttemptSettings = Type.Static<typeof attempts>;
