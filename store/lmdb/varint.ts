/** Appends whole numbers below 2^53, seven bits a byte, the lowest first. */
export class VarintWriter {
  readonly bytes: number[] = [];

  add(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.bytes.push((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    this.bytes.push(rest);
  }
}

/** Reads them back; past the end it reads NaN. */
export class VarintReader {
  private readonly data: Buffer;
  private at: number;

  constructor(data: Buffer, at: number) {
    this.data = data;
    this.at = at;
  }

  /** Bytes that are no varint. */
  take(length: number): Buffer {
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }

  next(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.data[this.at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  }
}
