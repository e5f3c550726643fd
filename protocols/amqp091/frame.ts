/*
 * What every frame has around its payload (2.3.5).
 *
 *     type | channel | size | payload ... | CE
 *     1      2         4      size          1
 */

/** The types of frames. */
export const FRAME_TYPE = { method: 1, header: 2, body: 3, heartbeat: 8 } as const;

/** The last byte of each frame. */
export const FRAME_END = 0xce;

/** Bytes of a frame before its payload. */
export const FRAME_HEAD = 7;

/** Bytes of a frame besides its payload. */
export const FRAME_OVERHEAD = 8;

/** What every peer takes, and may send before anything was agreed on (4.2.3, frame-min-size). */
export const LEAST_MAX_FRAME = 4096;

/** Bytes of a content header before its property flags: class id, weight, body size. */
export const CONTENT_HEAD = 12;

/** The class id of basic, the only class that has contents. */
export const BASIC_CLASS = 60;
