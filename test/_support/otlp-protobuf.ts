/**
 * Reads as much of protobuf as an ExportTraceServiceRequest needs
 * (https://protobuf.dev/programming-guides/encoding/, opentelemetry/proto/trace/v1/trace.proto).
 */

type Field =
  | { readonly number: number; readonly bytes: Uint8Array }
  | { readonly number: number; readonly bits: bigint };

/** All fields of a message in the order of the wire. Throws on anything that is not protobuf. */
export function readMessage(bytes: Uint8Array): Message {
  const fields: Field[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error("varint is longer than 10 bytes");
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    switch (tag & 7) {
      case 0:
        fields.push({ number, bits: varint() });
        break;
      case 1:
        fields.push({ number, bits: view.getBigUint64(at, true) });
        at += 8;
        break;
      case 2: {
        const length = Number(varint());
        if (at + length > bytes.length) throw new Error("field runs over the end of its message");
        fields.push({ number, bytes: bytes.subarray(at, at + length) });
        at += length;
        break;
      }
      case 5:
        fields.push({ number, bits: BigInt(view.getUint32(at, true)) });
        at += 4;
        break;
      default:
        throw new Error(`wire type ${tag & 7} is not in use`);
    }
  }
  return new Message(fields);
}

export class Message {
  readonly #fields: readonly Field[];

  constructor(fields: readonly Field[]) {
    this.#fields = fields;
  }

  messages(number: number): Message[] {
    return this.#all(number).map((field) => readMessage(bytesOf(field)));
  }

  message(number: number): Message | null {
    return this.messages(number).at(-1) ?? null;
  }

  has(number: number): boolean {
    return this.#all(number).length > 0;
  }

  text(number: number): string {
    const field = this.#all(number).at(-1);
    return field === undefined
      ? ""
      : new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(field));
  }

  hex(number: number): string {
    const field = this.#all(number).at(-1);
    return field === undefined ? "" : bytesOf(field).toHex();
  }

  integer(number: number): bigint {
    const field = this.#all(number).at(-1);
    if (field === undefined) return 0n;
    if (!("bits" in field)) throw new Error(`field ${number} is no number`);
    return field.bits;
  }

  double(number: number): number {
    return new Float64Array(new BigUint64Array([this.integer(number)]).buffer)[0] ?? 0;
  }

  #all(number: number): Field[] {
    return this.#fields.filter((field) => field.number === number);
  }
}

function bytesOf(field: Field): Uint8Array {
  if (!("bytes" in field)) throw new Error(`field ${field.number} has no length`);
  return field.bytes;
}
