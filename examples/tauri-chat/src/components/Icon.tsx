/** Strokes on a 20 by 20 grid. */
const PATHS = {
  plus: 'M10 4v12M4 10h12',
  search: 'M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM13 13l4 4',
  settings: 'M3 6h7M14 6h3M12 4v4M3 14h3M10 14h7M8 12v4',
  sidebar: 'M3 4h14v12H3zM8 4v12',
  send: 'M10 16V4M5 9l5-5 5 5',
  copy: 'M7 7h9v9H7zM13 7V4H4v9h3',
  check: 'M4 10.5l4 4 8-9',
  pencil: 'M4 16l.8-3.4L13.5 4l2.5 2.5-8.6 8.7zM12 5.5L14.5 8',
  redo: 'M16 5v4h-4M15.6 9A6 6 0 1 0 16 12',
  trash: 'M4 6h12M8 6V4h4v2M6 6l.7 10h6.6L14 6',
  left: 'M12 5l-5 5 5 5',
  right: 'M8 5l5 5-5 5',
  down: 'M5 8l5 5 5-5',
  close: 'M5 5l10 10M15 5L5 15',
  download: 'M10 3v9M6 9l4 4 4-4M4 16h12',
  folder: 'M3 5h5l2 2h7v9H3z',
  chip: 'M6 6h8v8H6zM8 3v3M12 3v3M8 14v3M12 14v3M3 8h3M3 12h3M14 8h3M14 12h3',
  alert: 'M10 3l7.5 13h-15zM10 8v4M10 14v.2',
} as const;

export type IconName = keyof typeof PATHS | 'stop' | 'pause';

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {name === 'stop' ? (
        <rect x="5" y="5" width="10" height="10" rx="2" fill="currentColor" stroke="none" />
      ) : (
        <path d={name === 'pause' ? 'M7 5v10M13 5v10' : PATHS[name]} />
      )}
    </svg>
  );
}
