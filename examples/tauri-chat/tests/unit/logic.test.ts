import { describe, expect, it } from 'vitest';
import { CATALOG, checkSource } from '../../src/lib/catalog';
import { describe as describeDownload } from '../../src/lib/downloads';
import { explain, failureOf } from '../../src/lib/errors';
import { bytes, dayGroup, duration, parameters, percent, speed } from '../../src/lib/format';
import { newId } from '../../src/lib/id';
import { DEFAULTS, parseSettings } from '../../src/lib/settings';

describe('format', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [999.6, '1.00 kB'],
    [105_454_432, '105 MB'],
    [28_800_000, '28.8 MB'],
    [1_834_426_016, '1.83 GB'],
    [Number.NaN, ''],
    [-1, ''],
  ])('bytes(%d) is %s', (n, text) => expect(bytes(n)).toBe(text));

  it.each([
    [0, '0 s'],
    [59.6, '1 min 0 s'],
    [3725, '1 h 2 min'],
    [Infinity, ''],
  ])('duration(%d) is %s', (n, text) => expect(duration(n)).toBe(text));

  it('shows small speeds with a decimal', () => {
    expect(speed(4.26)).toBe('4.3 tokens/s');
    expect(speed(87.4)).toBe('87 tokens/s');
  });

  it('shortens numbers of parameters', () => {
    expect(parameters(134_515_008)).toBe('135M');
    expect(parameters(1_720_574_976)).toBe('1.7B');
  });

  it('keeps percentages in bounds', () => {
    expect(percent(5, 0)).toBe(0);
    expect(percent(12, 10)).toBe(100);
  });

  it('groups by calendar day, not by 24 hours', () => {
    const now = new Date(2026, 4, 10, 0, 30).getTime();
    const hoursAgo = (h: number) => dayGroup(now - h * 3_600_000, now);
    expect(hoursAgo(0.2)).toBe('Today');
    expect(hoursAgo(1)).toBe('Yesterday');
    expect(hoursAgo(24 * 5)).toBe('Last 7 days');
    expect(hoursAgo(24 * 20)).toBe('Last 30 days');
    expect(hoursAgo(24 * 60)).toBe('Older');
  });
});

describe('newId', () => {
  it('makes ids of one length that differ and sort by time', async () => {
    const ids = Array.from({ length: 1000 }, newId);
    expect(new Set(ids).size).toBe(1000);
    expect(new Set(ids.map((id) => id.length)).size).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 3));
    expect(newId() > (ids[0] ?? '')).toBe(true);
  });
});

describe('settings', () => {
  it.each([null, '', 'no json', '[]', '3', 'null'])('falls back to the defaults for %s', (text) =>
    expect(parseSettings(text)).toEqual(DEFAULTS),
  );

  it('keeps what fits and drops the rest', () => {
    const read = parseSettings(
      JSON.stringify({ theme: 'dark', temperature: 9, topP: 0.5, seed: -1, maxTokens: 12.4, x: 1 }),
    );
    expect(read).toEqual({ ...DEFAULTS, theme: 'dark', topP: 0.5, maxTokens: 12 });
  });

  it('reads back what it wrote', () => {
    const all = { ...DEFAULTS, seed: 7, model: 'a', systemPrompt: 'Be brief.', sidebar: false };
    expect(parseSettings(JSON.stringify(all))).toEqual(all);
  });
});

describe('sources', () => {
  it.each([
    'owner/name',
    'owner/name:file.gguf',
    'owner/na.me-1_2:Q4_K_M',
    'https://example.com/model.gguf',
    'http://127.0.0.1:8000/m.gguf',
    ...CATALOG.map((entry) => entry.source),
  ])('takes %s', (source) => expect(checkSource(source)).toBeNull());

  it.each([
    '',
    '  ',
    'name',
    'a/b/c',
    'owner/name:',
    'https://',
    'https://example.com',
    'ftp://x/y',
    'a b/c',
  ])('refuses "%s"', (source) => expect(checkSource(source)).toBeTypeOf('string'));
});

describe('errors', () => {
  it('takes the plain object the plugin rejects with', () => {
    const failure = { code: 'no_memory', message: 'm', hint: 'h' };
    expect(failureOf(failure)).toEqual(failure);
    expect(explain(failure).remedies).toContain('free');
  });

  it('makes something of anything', () => {
    expect(failureOf('text')).toEqual({ code: 'internal', message: 'text', hint: '' });
    expect(failureOf(new Error('e')).message).toBe('e');
    expect(failureOf(undefined).code).toBe('internal');
    expect(explain(failureOf(null)).title).toBeTruthy();
  });
});

describe('download line', () => {
  const progress = {
    phase: 'download',
    file: 'm.gguf',
    fileIndex: 1,
    files: 3,
    bytesDone: 5e7,
    bytesTotal: 1e8,
    bytesResumed: 0,
    bytesPerSecond: 1e7,
    secondsLeft: 5,
  };
  const base = { source: 's', error: null };

  it('says how far, how fast and how long', () => {
    expect(describeDownload({ ...base, state: 'running', progress })).toBe(
      'File 2 of 3 · 50.0 MB of 100 MB · 10.0 MB/s · 5 s left',
    );
  });

  it('leaves out what is unknown', () => {
    const unknown = {
      ...progress,
      files: 1,
      bytesTotal: null,
      secondsLeft: null,
      bytesPerSecond: 0,
    };
    expect(describeDownload({ ...base, state: 'running', progress: unknown })).toBe('50.0 MB');
    expect(describeDownload({ ...base, state: 'running', progress: null })).toMatch(/Asking/);
    expect(describeDownload({ ...base, state: 'paused', progress })).toMatch(/goes on from here/);
  });
});
