import { useLayoutEffect, useRef, type KeyboardEvent } from 'react';

/** Grows with its text. Enter is `onEnter`, Shift+Enter a new line; keys that an input method uses are left to it. */
export function TextArea(props: {
  value: string;
  onChange: (text: string) => void;
  onEnter: () => void;
  onEscape?: () => void;
  label: string;
  testid: string;
  placeholder?: string;
  autoFocus?: boolean;
  focus?: number;
}) {
  const ref = useRef<HTMLTextAreaElement>(null);
  const { value, focus, autoFocus } = props;

  useLayoutEffect(() => {
    const area = ref.current;
    if (!area) return;
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight}px`;
  }, [value]);

  useLayoutEffect(() => {
    const area = ref.current;
    if (!area || (focus === undefined && !autoFocus)) return;
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }, [focus, autoFocus]);

  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      props.onEnter();
    } else if (event.key === 'Escape' && props.onEscape) {
      event.preventDefault();
      props.onEscape();
    }
  };
  return (
    <textarea
      ref={ref}
      rows={1}
      value={value}
      aria-label={props.label}
      data-testid={props.testid}
      placeholder={props.placeholder}
      onChange={(event) => props.onChange(event.target.value)}
      onKeyDown={onKeyDown}
    />
  );
}
