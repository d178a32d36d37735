/**
 * Codes of ingle's core, then those of the plugin, then those of this package:
 * `bad_output` is an answer that does not match its schema.
 */
export type ErrorCode =
  | 'bad_argument'
  | 'bad_file'
  | 'unsupported'
  | 'not_found'
  | 'io'
  | 'no_memory'
  | 'limit'
  | 'cancelled'
  | 'busy'
  | 'bad_template'
  | 'bad_request'
  | 'numeric'
  | 'device'
  | 'internal'
  | 'not_loaded'
  | 'forbidden'
  | 'crashed'
  | 'bad_output'
  | (string & {});

/** The only error this package throws. */
export class IngleError extends Error {
  override readonly name: string = 'IngleError';
  /** What kind of error it is; stable, meant for code. */
  readonly code: ErrorCode;
  /** What to do about it; may be empty. */
  readonly hint: string;
  /** More, where there is more: the text and issues of a `bad_output`. */
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, hint = '', details?: unknown) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.details = details;
  }

  /** An IngleError out of whatever was thrown or rejected. */
  static from(thrown: unknown): IngleError {
    if (thrown instanceof IngleError) return thrown;
    if (typeof thrown === 'string') return fromText(thrown);
    if (typeof thrown === 'object' && thrown !== null) {
      const { code, message, hint } = thrown as Record<string, unknown>;
      if (typeof code === 'string' && typeof message === 'string')
        return new IngleError(code, message, typeof hint === 'string' ? hint : '');
      if (thrown instanceof Error) {
        const made = fromText(thrown.message);
        made.cause = thrown;
        return made;
      }
    }
    return new IngleError('internal', `unknown error: ${describe(thrown)}`);
  }

  toJSON(): { code: string; message: string; hint: string } {
    return { code: this.code, message: this.message, hint: this.hint };
  }
}

function describe(value: unknown): string {
  try {
    return value === undefined ? 'undefined' : JSON.stringify(value);
  } catch {
    return String(value);
  }
}

const DOWNLOAD = ['download_model', 'cancel_download', 'list_downloads'];
const MANAGE = ['remove_model', 'verify_model'];

/** The permission that lets a page call a command. */
export function permissionFor(command: string): string {
  if (DOWNLOAD.includes(command)) return 'ingle:allow-download';
  if (MANAGE.includes(command)) return 'ingle:allow-manage';
  return 'ingle:default';
}

/* Tauri refuses with plain text. Its wording differs between debug and release builds. */
function fromText(text: string): IngleError {
  const refused = /(?:plugin:ingle\||ingle\.)([a-z_]+) not allowed/.exec(text);
  if (refused) {
    const permission = permissionFor(refused[1]!);
    return new IngleError(
      'forbidden',
      text,
      `add "${permission}" to "permissions" of a file in src-tauri/capabilities that names this window`,
    );
  }
  if (/plugin ingle not found/i.test(text))
    return new IngleError(
      'not_found',
      text,
      'register the plugin: tauri::Builder::default().plugin(tauri_plugin_ingle::init())',
    );
  if (/invalid args? /i.test(text)) return new IngleError('bad_argument', text);
  return new IngleError('internal', text);
}
