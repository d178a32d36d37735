import { useSyncExternalStore } from 'react';

export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (watch) => {
      const list = matchMedia(query);
      list.addEventListener('change', watch);
      return () => list.removeEventListener('change', watch);
    },
    () => matchMedia(query).matches,
  );
}

/** The list of conversations lies over the chat below this width (styles/layout.css has the same number). */
export const NARROW = '(max-width: 719px)';
