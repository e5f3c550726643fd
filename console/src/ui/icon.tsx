import type { JSX } from "preact";

const PATHS = {
  overview: "M3 12l9-8 9 8M5 10v10h5v-6h4v6h5V10",
  queue: "M4 6h16M4 12h16M4 18h10",
  topic:
    "M12 12m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M7.8 16.2a6 6 0 0 1 0-8.4M16.2 7.8a6 6 0 0 1 0 8.4M4.9 19.1a10 10 0 0 1 0-14.2M19.1 4.9a10 10 0 0 1 0 14.2",
  durable: "M6 3h12v18l-6-5-6 5z",
  exchange: "M7 4L3 8l4 4M3 8h14M17 12l4 4-4 4M21 16H7",
  dead: "M12 3l9 17H3zM12 10v4M12 17v.5",
  schedule: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18M12 7v5l3 2",
  retained: "M9 4h6l-1 6 4 4H6l4-4zM12 14v6",
  connection: "M9 7V3M15 7V3M6 7h12v4a6 6 0 0 1-12 0zM12 17v4",
  session: "M3 5h18v11H3zM8 20h8M12 16v4",
  users:
    "M9 11a3.5 3.5 0 1 0 0-7a3.5 3.5 0 0 0 0 7M3 20c0-3.5 2.5-6 6-6s6 2.5 6 6M16 5a3 3 0 0 1 0 6M17.5 14.5c2.2.7 3.5 2.8 3.5 5.5",
  rules: "M12 3l8 3v6c0 5-3.5 8-8 9c-4.5-1-8-4-8-9V6zM9 12l2 2 4-4",
  audit: "M6 3h9l4 4v14H6zM9 12h6M9 16h6M9 8h3",
  limits: "M4 18a8.5 8.5 0 1 1 16 0M12 14l4-5",
  configuration:
    "M4 7h10M18 7h2M4 17h2M10 17h10M16 7m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M8 17m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
  listeners: "M4 5h16v5H4zM4 14h16v5H4zM8 7.5v.1M8 16.5v.1",
  try: "M5 4l14 8-14 8z",
  jobs: "M4 6h4v4H4zM4 14h4v4H4zM12 8h8M12 16h8",
  explain: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18M9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.4-1 .9-1 1.7M12 16.5v.1",
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14M16 16l4.5 4.5",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  refresh: "M20 11a8 8 0 0 0-14-4.5L4 9M4 4v5h5M4 13a8 8 0 0 0 14 4.5L20 15M20 20v-5h-5",
  sun: "M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8M12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  system: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  menu: "M4 6h16M4 12h16M4 18h16",
  leave: "M14 4H5v16h9M10 12h11M17 8l4 4-4 4",
  send: "M3 11l18-8-8 18-2.5-7.5z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  pause: "M8 5v14M16 5v14",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
} as const;

/** What an icon shows. */
export type IconName = keyof typeof PATHS;

/** A small drawing beside words that say the same; readers of the page aloud pass over it. */
export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }): JSX.Element {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.9"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
