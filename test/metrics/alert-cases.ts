/** When an alert is raised, and when not. */
export interface AlertCase {
  readonly alert: string;
  readonly severity: "critical" | "warning" | "info";
  /** Labels of the series that the alert has besides job and instance. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Values a minute apart, as promtool writes them, by the name of the series and its own labels. */
  readonly raised: Readonly<Record<string, string>>;
  readonly quiet: Readonly<Record<string, string>>;
  readonly at: string;
}

const BUCKET = "delos_commit_wait_seconds_bucket";
const LOST = 'delos_messages_lost_total{host="default",reason=';
const LIMITED = { delos_disk_free_limit_bytes: "500x100" };
const CERTIFICATE = 'delos_certificate_expiry_timestamp_seconds{listener="mqtts",name=""}';
const OPENED = 'delos_connections_opened_total{host="default",protocol="MQTT 5.0"}';
const HANDSHAKES = 'delos_listener_failed_handshakes_total{listener="mqtts"}';

/** Every alert there is. */
export const ALERT_CASES: readonly AlertCase[] = [
  { alert: "DelosDown", severity: "critical", raised: { up: "0x5" }, quiet: { up: "0 1 0 1 1" }, at: "3m" },
  {
    alert: "DelosNotReady",
    severity: "critical",
    raised: { delos_ready: "0x5" },
    quiet: { delos_ready: "0 0 1 0 0" },
    at: "4m",
  },
  {
    alert: "DelosAlarm",
    severity: "critical",
    labels: { alarm: "memory" },
    raised: { 'delos_alarm{alarm="memory"}': "1x2" },
    quiet: { 'delos_alarm{alarm="memory"}': "1 0 0" },
    at: "1m",
  },
  {
    alert: "DelosDiskFillsUp",
    severity: "warning",
    raised: { delos_disk_free_bytes: "10000-100x100", ...LIMITED },
    quiet: { delos_disk_free_bytes: "10000-1x100", ...LIMITED },
    at: "90m",
  },
  {
    alert: "DelosMemoryNearLimit",
    severity: "warning",
    raised: { delos_memory_used_bytes: "95x20", delos_memory_limit_bytes: "100x20" },
    quiet: { delos_memory_used_bytes: "85x20", delos_memory_limit_bytes: "100x20" },
    at: "15m",
  },
  {
    alert: "DelosPublishersHeldUp",
    severity: "warning",
    raised: { 'delos_publishers_waiting{for="store"}': "1x20", 'delos_publishers_waiting{for="alarm"}': "0x20" },
    quiet: { 'delos_publishers_waiting{for="store"}': "1 1 1 1 1 0 1 1 1 1 1 1 1 1 1 1" },
    at: "15m",
  },
  {
    alert: "DelosMessagesDropped",
    severity: "warning",
    labels: { host: "default", reason: "dropped-oldest" },
    raised: { [`${LOST}"dropped-oldest"}`]: "0 0 5 5" },
    quiet: { [`${LOST}"dropped-oldest"}`]: "5x3", [`${LOST}"expired"}`]: "0+5x3" },
    at: "3m",
  },
  {
    alert: "DelosMessagesDamaged",
    severity: "critical",
    labels: { host: "default", reason: "damaged" },
    raised: { [`${LOST}"damaged"}`]: "0 0 1 1" },
    quiet: { [`${LOST}"damaged"}`]: "1x3" },
    at: "3m",
  },
  {
    alert: "DelosDeadLetters",
    severity: "info",
    labels: { host: "default", reason: "dead-lettered" },
    raised: { [`${LOST}"dead-lettered"}`]: "0+1x20" },
    quiet: { [`${LOST}"dead-lettered"}`]: "7x20" },
    at: "15m",
  },
  {
    alert: "DelosBacklogGrows",
    severity: "warning",
    labels: { host: "default" },
    raised: { 'delos_messages_stored{host="default"}': "100001+100x200" },
    quiet: { 'delos_messages_stored{host="default"}': "200000-100x200" },
    at: "150m",
  },
  {
    alert: "DelosCommitsSlow",
    severity: "warning",
    raised: {
      [`${BUCKET}{le="0.5"}`]: "0+9x30",
      [`${BUCKET}{le="1.0"}`]: "0+10x30",
      [`${BUCKET}{le="+Inf"}`]: "0+10x30",
    },
    quiet: {
      [`${BUCKET}{le="0.5"}`]: "0+10x30",
      [`${BUCKET}{le="1.0"}`]: "0+10x30",
      [`${BUCKET}{le="+Inf"}`]: "0+10x30",
    },
    at: "25m",
  },
  {
    alert: "DelosEventLoopLate",
    severity: "warning",
    raised: { nodejs_eventloop_lag_p99_seconds: "0.3x20" },
    quiet: { nodejs_eventloop_lag_p99_seconds: "0.1x20" },
    at: "10m",
  },
  {
    alert: "DelosCertificateExpires",
    severity: "warning",
    labels: { listener: "mqtts" },
    raised: { [CERTIFICATE]: `${10 * 86_400}x200` },
    quiet: { [CERTIFICATE]: `${20 * 86_400}x200` },
    at: "90m",
  },
  {
    alert: "DelosHandshakesFail",
    severity: "warning",
    labels: { listener: "mqtts" },
    raised: { [HANDSHAKES]: "0+120x30" },
    quiet: { [HANDSHAKES]: "0+30x30" },
    at: "20m",
  },
  {
    alert: "DelosReconnects",
    severity: "info",
    raised: { [OPENED]: "0+6000x30" },
    quiet: { [OPENED]: "0+600x30" },
    at: "20m",
  },
];
