import type { Failure } from './types';

/** What mends an error, as a button. */
export type Remedy = 'retry' | 'choose' | 'free' | 'new-chat' | 'settings';

export interface Explained {
  title: string;
  remedies: Remedy[];
}

const EXPLAINED: Record<string, Explained> = {
  not_found: { title: 'The model is not there', remedies: ['choose', 'retry'] },
  bad_file: { title: 'The model file cannot be read', remedies: ['choose', 'retry'] },
  unsupported: { title: 'This model cannot be run', remedies: ['choose'] },
  bad_template: { title: 'The chat format of this model cannot be used', remedies: ['choose'] },
  no_memory: { title: 'There is not enough memory', remedies: ['free', 'choose', 'retry'] },
  limit: { title: 'The conversation is too long', remedies: ['new-chat', 'settings'] },
  not_loaded: { title: 'No model is loaded', remedies: ['choose', 'retry'] },
  busy: { title: 'The model is busy', remedies: ['retry'] },
  crashed: { title: 'The engine stopped', remedies: ['retry', 'choose'] },
  io: { title: 'Reading or sending failed', remedies: ['retry'] },
  forbidden: { title: 'The app may not do this', remedies: [] },
  device: { title: 'The processor could not do it', remedies: ['retry', 'choose'] },
  numeric: { title: 'The model broke down', remedies: ['retry', 'choose'] },
  bad_argument: { title: 'The request was refused', remedies: ['settings', 'retry'] },
  bad_request: { title: 'The request was refused', remedies: ['settings', 'retry'] },
};

export function explain(failure: Failure): Explained {
  return EXPLAINED[failure.code] ?? { title: 'Something went wrong', remedies: ['retry'] };
}

/** A Failure out of whatever was thrown. */
export function failureOf(thrown: unknown): Failure {
  if (typeof thrown === 'object' && thrown !== null) {
    const { code, message, hint } = thrown as Record<string, unknown>;
    if (typeof message === 'string')
      return {
        code: typeof code === 'string' ? code : 'internal',
        message,
        hint: typeof hint === 'string' ? hint : '',
      };
  }
  return { code: 'internal', message: String(thrown), hint: '' };
}
