/** Models to begin with. Sizes are those of the files; the server's answer is shown once a download starts. */
export interface CatalogEntry {
  name: string;
  source: string;
  bytes: number;
  /** Memory the app needs while the model answers, with 4096 positions. */
  memory: number;
  about: string;
}

export const CATALOG: readonly CatalogEntry[] = [
  {
    name: 'SmolLM2 135M',
    source: 'bartowski/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct-Q4_K_M.gguf',
    bytes: 105_454_432,
    memory: 0.4e9,
    about: 'For a first try. Answers at once on any computer, and is often wrong. English.',
  },
  {
    name: 'Qwen3 0.6B',
    source: 'Qwen/Qwen3-0.6B-GGUF:Qwen3-0.6B-Q8_0.gguf',
    bytes: 639_446_688,
    memory: 1.3e9,
    about: 'Small and quick, thinks before it answers. Many languages.',
  },
  {
    name: 'Qwen3 1.7B',
    source: 'Qwen/Qwen3-1.7B-GGUF:Qwen3-1.7B-Q8_0.gguf',
    bytes: 1_834_426_016,
    memory: 2.5e9,
    about: 'A useful helper on most laptops. Many languages.',
  },
  {
    name: 'Qwen3 4B',
    source: 'Qwen/Qwen3-4B-GGUF:Qwen3-4B-Q4_K_M.gguf',
    bytes: 2_497_280_256,
    memory: 3.5e9,
    about: 'The best answers of this list; slow without a fast processor. Many languages.',
  },
];

/** null if `text` can be downloaded, otherwise what is wrong with it. */
export function checkSource(text: string): string | null {
  const source = text.trim();
  if (!source) return 'Type a repository or an address.';
  if (/^https?:\/\//i.test(source)) {
    try {
      return new URL(source).pathname.length > 1 ? null : 'The address names no file.';
    } catch {
      return 'This is not a complete address.';
    }
  }
  if (/^[\w.-]+\/[\w.-]+(?::\S+)?$/.test(source)) return null;
  return 'Write owner/repository, owner/repository:file, or an address that starts with https://.';
}
