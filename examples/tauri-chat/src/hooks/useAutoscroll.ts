import { useCallback, useEffect, useRef, useState, type RefObject } from 'react';

const NEAR = 60;

/**
 * Keeps the end in view while text grows, until the person scrolls up; goes on once they are back at the end.
 * A change of `key` starts at the end again.
 */
export function useAutoscroll(key: unknown): {
  box: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLDivElement | null>;
  away: boolean;
  toEnd: () => void;
} {
  const box = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [away, setAway] = useState(false);

  const toEnd = useCallback(() => {
    following.current = true;
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, []);

  useEffect(toEnd, [key, toEnd]);

  useEffect(() => {
    const element = box.current;
    const inner = content.current;
    if (!element || !inner) return;
    let lastTop = element.scrollTop;
    const gap = () => element.scrollHeight - element.scrollTop - element.clientHeight;
    const onScroll = () => {
      const top = element.scrollTop;
      // Up by hand; when the content shrinks the browser moves up too, but then the end is in view.
      if (top < lastTop - 1 && gap() > 1) following.current = false;
      if (gap() < NEAR && top >= lastTop) following.current = true;
      lastTop = top;
      setAway(!following.current && gap() > NEAR);
    };
    const onResize = () => {
      if (following.current) element.scrollTop = element.scrollHeight;
      else setAway(gap() > NEAR);
    };
    element.addEventListener('scroll', onScroll, { passive: true });
    const observer = new ResizeObserver(onResize);
    observer.observe(inner);
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', onScroll);
      observer.disconnect();
    };
  }, []);

  return { box, content, away, toEnd };
}
