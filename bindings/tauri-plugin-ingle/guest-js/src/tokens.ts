import { call, compact } from './invoke.js';
import type { TemplateRequest } from './types.js';

export interface TokenizeOptions {
  model?: string;
  /** Add the model's start and end tokens. */
  addSpecial?: boolean;
  /** Read `<|im_start|>` and the like as the tokens they name. */
  parseSpecial?: boolean;
}

/** The tokens of a text. */
export function tokenize(text: string, options: TokenizeOptions = {}): Promise<number[]> {
  return call('tokenize', compact({ text, ...options }));
}

/** The text of tokens. */
export function detokenize(
  tokens: number[],
  options: { model?: string; spellSpecial?: boolean } = {},
): Promise<string> {
  return call('detokenize', compact({ tokens, ...options }));
}

/** The prompt that the model's chat template makes of a conversation. */
export function applyTemplate(request: TemplateRequest): Promise<string> {
  return call('apply_template', { request: compact(request) });
}
