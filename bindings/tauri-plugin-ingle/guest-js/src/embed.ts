import { IngleError } from './errors.js';
import { call, compact } from './invoke.js';
import type { EmbedRequest } from './types.js';

/** One vector a text, in the order of `input`. */
export async function embed(request: EmbedRequest | string | string[]): Promise<Float32Array[]> {
  const asked =
    typeof request === 'string' || Array.isArray(request) ? { input: request } : request;
  return decodeEmbeddings(await call<unknown>('embed', { request: compact(asked) }));
}

/**
 * u32 count, u32 width, then count * width f32, little endian. Where the webview has no custom
 * protocol, Tauri hands bytes over as an array of numbers.
 */
export function decodeEmbeddings(raw: unknown): Float32Array[] {
  const view = viewOf(raw);
  if (!view || view.byteLength < 8) throw damaged('no embedding header');
  const count = view.getUint32(0, true);
  const width = view.getUint32(4, true);
  if (view.byteLength !== 8 + 4 * count * width)
    throw damaged(`${count} vectors of ${width} values in ${view.byteLength} bytes`);
  const vectors: Float32Array[] = [];
  for (let i = 0; i < count; i++) {
    const vector = new Float32Array(width);
    for (let j = 0; j < width; j++) vector[j] = view.getFloat32(8 + 4 * (i * width + j), true);
    vectors.push(vector);
  }
  return vectors;
}

function viewOf(raw: unknown): DataView | null {
  if (raw instanceof ArrayBuffer) return new DataView(raw);
  if (ArrayBuffer.isView(raw)) return new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (Array.isArray(raw)) return new DataView(Uint8Array.from(raw as number[]).buffer);
  return null;
}

function damaged(what: string): IngleError {
  return new IngleError(
    'internal',
    `the embedding answer is damaged: ${what}`,
    'use the same version of tauri-plugin-ingle and tauri-plugin-ingle-api',
  );
}

/** How alike two vectors are, -1 to 1. 0 if one of them is all zeros. */
export function cosineSimilarity(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length)
    throw new IngleError(
      'bad_argument',
      `vectors of ${a.length} and ${b.length} values cannot be compared`,
      'embed both with the same model and dimensions',
    );
  let dot = 0;
  let squareA = 0;
  let squareB = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    dot += x * y;
    squareA += x * x;
    squareB += y * y;
  }
  if (squareA === 0 || squareB === 0) return 0;
  return Math.max(-1, Math.min(1, dot / Math.sqrt(squareA) / Math.sqrt(squareB)));
}
